"""Claim: on Ray, one worker or two learn as this process does, deaths are survived bit for bit, and a failure
that no further try would mend ends in one sentence at once."""

from pathlib import Path

import pytest
import torch

from tests.training.toy import Toy, weights
from training.errors import LaunchError
from training.launching.checkpoints import checkpoint_names
from training.launching.in_process import run_here
from training.launching.metrics_log import read_log
from training.launching.ray_failures import sentence, worst
from training.launching.ray_launch import launch, prepared
from training.launching.stage import stage_loop
from training.launching.worker import Launch, TrainingResult

STEPS = 7
LOOP = stage_loop(Toy, save_every=2)


@pytest.fixture(autouse=True)
def quick_to_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is gone is missed soon, and everyone stays in the folder they are in."""
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.3")
    monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "0")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run in this process left."""
    out = tmp_path_factory.mktemp("here")
    run_here(LOOP, {"steps": STEPS}, Launch(out=str(out), keep=9))
    return out


def same_state(one: Path, other: Path) -> bool:
    """Whether two state files hold the same bits, optimiser and all."""
    a, b = (flat(torch.load(path)) for path in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def flat(state: object, name: str = "") -> dict[str, torch.Tensor]:
    """Every number of a nested state by its path."""
    if isinstance(state, dict):
        parts = [flat(value, f"{name}/{key}") for key, value in state.items()]
        return {key: value for part in parts for key, value in part.items()}
    if isinstance(state, list):
        return flat(dict(enumerate(state)), name)
    return {name: torch.as_tensor(state)} if isinstance(state, torch.Tensor | float | int) else {}


def losses(out: Path) -> list[float]:
    rows = read_log(out / "log")
    assert [row.step for row in rows] == list(range(1, len(rows) + 1))
    return [row.figures["loss"] for row in rows]


@pytest.mark.ray
@pytest.mark.slow
def test_two_workers_give_the_loss_curve_of_one_process(
    tmp_path: Path, undisturbed: Path, ray_here: None
) -> None:
    outcome = launch(LOOP, {"steps": STEPS}, Launch(out=str(tmp_path), workers=2))
    assert losses(tmp_path) == pytest.approx(losses(undisturbed), abs=1e-5)
    assert outcome.steps == STEPS
    assert outcome.metrics["loss"] == losses(tmp_path)[-1]
    assert outcome.checkpoint == str(tmp_path / "checkpoint")
    torch.testing.assert_close(weights(outcome.checkpoint), weights(f"{undisturbed}/checkpoint"))
    assert checkpoint_names(str(tmp_path / "train")) == ["checkpoint_000000006", "checkpoint_000000007"]


@pytest.mark.ray
def test_a_worker_that_dies_goes_on_from_the_checkpoint_bit_for_bit(
    tmp_path: Path, undisturbed: Path, ray_here: None, capfd: pytest.CaptureFixture[str]
) -> None:
    config = {"steps": STEPS, "fail_at": 5, "failures": 1, "tally": str(tmp_path / "tally")}
    config |= {"resumed": str(tmp_path / "resumed")}
    outcome = launch(LOOP, config, Launch(out=str(tmp_path), keep=9, max_failures=1))
    assert len((tmp_path / "tally").read_text()) == 1
    stderr = capfd.readouterr().err
    assert stderr.count("worker 0 failed: its process died") == 1
    assert "step 1  loss" in stderr
    assert same_state(tmp_path / "resumed-0.pt", undisturbed / "train/checkpoint_000000004/state.pt")
    assert torch.equal(weights(outcome.checkpoint), weights(f"{undisturbed}/checkpoint"))
    assert losses(tmp_path) == losses(undisturbed)


@pytest.mark.ray
@pytest.mark.slow
def test_one_death_too_many_ends_in_a_sentence_and_the_same_call_goes_on(
    tmp_path: Path, undisturbed: Path, ray_here: None
) -> None:
    config = {"steps": STEPS, "fail_at": 5, "failures": 2, "tally": str(tmp_path / "tally")}
    wanted = Launch(out=str(tmp_path), max_failures=1)
    with pytest.raises(LaunchError, match=r"^train failed after 2 tries: its process died \(.*\)$"):
        launch(LOOP, config, wanted)
    assert len((tmp_path / "tally").read_text()) == 2
    outcome = launch(LOOP, config, wanted)
    assert torch.equal(weights(outcome.checkpoint), weights(f"{undisturbed}/checkpoint"))
    assert losses(tmp_path) == losses(undisturbed)


@pytest.mark.ray
@pytest.mark.slow
def test_a_sum_that_cannot_be_shared_out_ends_at_once_in_one_sentence(tmp_path: Path, ray_here: None) -> None:
    with pytest.raises(LaunchError) as caught:
        launch(LOOP, {"steps": 2, "samples": 3}, Launch(out=str(tmp_path), workers=2, max_failures=50))
    assert "3 samples a step cannot be shared evenly by 2 workers" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.ray
def test_what_has_no_room_is_refused_before_it_starts(tmp_path: Path, ray_here: None) -> None:
    with pytest.raises(LaunchError, match="9 workers want 9 CPUs and there are 3: ask for fewer"):
        launch(LOOP, {"steps": 2}, Launch(out=str(tmp_path), workers=9))
    with pytest.raises(LaunchError, match="GPUs"):
        launch(LOOP, {"steps": 2}, Launch(out=str(tmp_path), workers=999, cpus_per_worker=0.001, gpu=True))


def test_a_finished_training_is_not_repeated(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    outcome = launch(LOOP, {"steps": STEPS}, Launch(out=str(undisturbed), workers=2))
    assert outcome == TrainingResult(str(undisturbed / "checkpoint"), STEPS, outcome.metrics)
    assert outcome.metrics["loss"] == losses(undisturbed)[-1]
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


def test_the_most_informative_failure_is_reported() -> None:
    failures = {0: RuntimeError("connection closed by peer"), 1: ValueError("no such kind: tree\nmore")}
    assert worst(failures)[0] == 1
    assert sentence(failures[1]) == "ValueError: no such kind: tree"
    assert sentence(LaunchError("a sentence")) == "a sentence"


def test_a_trainer_outside_of_ray_is_left_as_it_is() -> None:
    trainer = object()
    assert prepared(trainer) is trainer
