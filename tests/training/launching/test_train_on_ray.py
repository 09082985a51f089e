"""Claim: the real stages learn on Ray as they do here: one worker or two give one loss curve, and a reward
that looks at masks is paid by an actor beside the worker."""

from pathlib import Path

import pytest
import torch

from reasoner.loading import load_reasoner
from tests.reasoner.checkpoints import save_qwen3
from tests.training.tiny import GRPO, SFT
from training.launching.in_process import run_here
from training.launching.metrics_log import read_log
from training.launching.ray_launch import launch
from training.launching.stage import stage_loop
from training.launching.worker import Launch
from training.rl.ray_masks import parts_on_ray
from training.trainers import GrpoLoop, config_of, sft_stage

pytestmark = pytest.mark.ray

SFT_LOOP = stage_loop(sft_stage, save_every=4)
SFT_STEPS = 6


@pytest.fixture(autouse=True)
def scenes(ray_here: None, ray_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here as on Ray the practice scenes lie in one folder."""
    torch.set_num_threads(1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(ray_cache))
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.3")
    monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "0")


def losses(out: Path, name: str) -> list[float]:
    """A figure of every step, which are all there once."""
    rows = read_log(out / "log")
    assert [row.step for row in rows] == list(range(1, len(rows) + 1))
    return [row.figures[name] for row in rows if name in row.figures]


@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=pytest.mark.thorough)])
def test_one_worker_and_two_give_the_loss_curve_of_one_process(tmp_path: Path, workers: int) -> None:
    config = config_of(SFT, max_steps=None)
    run_here(SFT_LOOP, config, Launch(out=str(tmp_path / "here")))
    out = tmp_path / "out"
    outcome = launch(SFT_LOOP, config, Launch(out=str(out), workers=workers))
    assert outcome.steps == SFT_STEPS
    for name, count in (("dense", SFT_STEPS), ("loss", SFT_STEPS - SFT["dense_steps"])):
        expected = losses(tmp_path / "here", name)
        assert len(expected) == count
        # Sums in another order differ in their last bits, which the optimiser carries on.
        assert losses(out, name) == pytest.approx(expected, rel=2e-3)
    assert load_reasoner(outcome.checkpoint, device="cpu")


@pytest.mark.thorough
def test_grpo_with_masks_of_an_actor_finishes_and_its_checkpoint_loads(tmp_path: Path) -> None:
    model = save_qwen3(tmp_path / "model")
    fields = {**GRPO, "model": str(model), "max_steps": 2}
    fields["weights"] = {"format": 1.0, "repetition": 1.0, "mask": 0.5}
    outcome = launch(
        GrpoLoop(parts_on_ray), config_of(fields, max_steps=None), Launch(out=str(tmp_path / "out"))
    )
    assert outcome.steps == 2
    assert all(0 <= reward <= 1 for reward in losses(tmp_path / "out", "reward"))
    assert "reward_mask" in outcome.metrics
    assert load_reasoner(outcome.checkpoint, device="cpu")
