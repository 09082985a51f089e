"""Claim: a folder is copied whole, the newest whole checkpoint is found, and a training in this process goes
on from it, on disk and on other storage alike."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch

from tests.training.toy import Toy
from tiling.storage.files import address_below
from tiling.storage.schemes import filesystem
from training.errors import LaunchError, RecipeError
from training.launching import checkpoints
from training.launching.checkpoints import (
    checkpoint_names,
    copy_stored,
    local_copy,
    newest_checkpoint,
    read_record,
    stored_files,
    write_record,
)
from training.launching.distributed import World
from training.launching.in_process import run_here
from training.launching.stage import stage_loop, write_checkpoint
from training.launching.worker import Launch

LOOP = stage_loop(Toy, save_every=2)


@pytest.fixture(params=["disk", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty folder on disk and two on storage that is not the disk."""
    if request.param == "s3":
        yield f"{request.getfixturevalue('bucket')}/place"
        return
    if request.param == "disk":
        yield str(tmp_path / "place")
        return
    yield "memory://bucket/place"
    fsspec.filesystem("memory").store.clear()


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def content(uri: str) -> dict[str, str]:
    with local_copy(uri) as folder:
        return {name: (folder / name).read_text() for name in stored_files(str(folder))}


def test_a_copied_folder_has_the_files_of_the_last_copy_alone(place: str, tmp_path: Path) -> None:
    first, second = {"a": "1", "deep/er/b": "2"}, {"a": "3", "c": "4"}
    copy_stored(str(tree(tmp_path / "one", first)), place)
    assert content(place) == first
    copy_stored(str(tree(tmp_path / "two", second)), place)
    assert content(place) == second
    copy_stored(place, address_below(place + "-again"))
    assert content(place + "-again") == second
    copy_stored(place, str(tmp_path / "back"))
    assert content(str(tmp_path / "back")) == second
    with pytest.raises(LaunchError, match="holds no files"):
        copy_stored(address_below(place, "gone"), str(tmp_path / "back"))


def test_a_record_is_read_as_written_and_none_is_none(place: str) -> None:
    uri = address_below(place, "deep", "record.json")
    assert read_record(uri) is None
    write_record(uri, {"a": [1, 2.5, "x"]})
    write_record(uri, {"a": 2})
    assert read_record(uri) == {"a": 2}
    write_record(address_below(place, "list.json"), [1])  # type: ignore[arg-type]
    with pytest.raises(LaunchError, match="not what a training leaves"):
        read_record(address_below(place, "list.json"))


def test_the_newest_is_the_one_that_a_record_names_not_a_folder_half_stored(place: str) -> None:
    assert newest_checkpoint(place, "train") is None
    for step in (2, 4, 6):
        report = {"step": step, "figures": {"loss": step / 2}}
        write_record(address_below(place, "train", checkpoints.folder_name(step), "report.json"), report)
    assert newest_checkpoint(place, "train") is None
    write_record(address_below(place, "train", checkpoints.POINTER), {"folder": checkpoints.folder_name(2)})
    latest = {"checkpoint_dir_name": checkpoints.folder_name(4), "metrics": {}}
    snapshot = {"latest_checkpoint_result": latest, "checkpoint_results": [latest]}
    write_record(address_below(place, "train", checkpoints.SNAPSHOT), snapshot)
    found = newest_checkpoint(place, "train")
    assert found is not None
    assert (found.step, found.figures) == (4, {"loss": 2.0})
    checkpoints.remove_unrecorded(address_below(place, "train"))
    assert checkpoint_names(address_below(place, "train")) == [
        checkpoints.folder_name(2),
        checkpoints.folder_name(4),
    ]
    checkpoints.remove_stored(found.uri)
    with pytest.raises(LaunchError, match="the checkpoint is gone"):
        newest_checkpoint(place, "train")


def test_a_training_cut_short_goes_on_where_it_stood(place: str, tmp_path: Path) -> None:
    config = {"steps": 7, "tally": str(tmp_path / "tally")}
    disturbed = {**config, "fail_at": 5, "failures": 1, "raises": True}
    whole = run_here(LOOP, config, Launch(out=f"{tmp_path}/whole"))
    with pytest.raises(OSError, match="disk"):
        run_here(LOOP, disturbed, Launch(out=place))
    found = newest_checkpoint(place, "train")
    assert found is not None
    assert found.step == 4
    outcome = run_here(LOOP, disturbed, Launch(out=place))
    assert outcome.steps == 7
    assert outcome.metrics["loss"] == whole.metrics["loss"]
    with local_copy(outcome.checkpoint) as one, local_copy(whole.checkpoint) as other:
        ours, theirs = torch.load(one / "weights.pt"), torch.load(other / "weights.pt")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert checkpoint_names(address_below(place, "train")) == [
        checkpoints.folder_name(6),
        checkpoints.folder_name(7),
    ]
    with local_copy(address_below(place, "log")) as log:
        assert len((log / "log.csv").read_text().splitlines()) == 8
        assert (log / "curve.png").exists()
    before = content_times(place)
    assert run_here(LOOP, disturbed, Launch(out=place)) == outcome
    assert content_times(place) == before


def content_times(uri: str) -> dict[str, object]:
    fs, path = filesystem(uri)
    return {name: fs.modified(name) for name in fs.find(path)}


def test_more_steps_than_before_go_on_from_the_end(tmp_path: Path) -> None:
    launch = Launch(out=str(tmp_path))
    run_here(LOOP, {"steps": 3}, launch)
    run_here(LOOP, {"steps": 5}, launch)
    at_once = run_here(LOOP, {"steps": 5}, Launch(out=str(tmp_path / "at-once")))
    assert run_here(LOOP, {"steps": 5}, launch).metrics["loss"] == at_once.metrics["loss"]


def test_a_checkpoint_of_another_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    run_here(LOOP, {"steps": 2}, Launch(out=str(tmp_path)))
    with pytest.raises(LaunchError, match=r"does not fit this recipe .*start in a new out") as caught:
        run_here(LOOP, {"steps": 4, "width": 5}, Launch(out=str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_training_that_leaves_nothing_is_not_a_success(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="without a checkpoint"):
        run_here(lambda worker, config: None, {}, Launch(out=str(tmp_path)))


def test_storage_that_refuses_is_reported_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match="cannot be"):
        run_here(LOOP, {"steps": 2}, Launch(out=str(tmp_path / "file")))
    with pytest.raises(LaunchError, match="nowhere"):
        run_here(LOOP, {"steps": 2}, Launch(out="nowhere://bucket"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 0}, "0 workers"),
        ({"out": ""}, "out is empty"),
        ({"keep": 0}, "0 checkpoints kept"),
        ({"name": "a/b"}, "not a plain folder name"),
        ({"name": "checkpoint"}, "taken"),
        ({"max_failures": -1}, "-1 failures"),
        ({"cpus_per_worker": 0}, "0 cores"),
    ],
)
def test_a_launch_that_makes_no_sense_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        Launch(**{"out": "here", **wrong})  # type: ignore[arg-type]


def test_many_workers_are_not_for_one_process(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="2 workers in one process"):
        run_here(LOOP, {"steps": 2}, Launch(out=str(tmp_path), workers=2))


def test_a_written_checkpoint_holds_a_model_and_a_state(tmp_path: Path) -> None:
    write_checkpoint(Toy({"steps": 1}, World()), tmp_path / "x")
    assert stored_files(str(tmp_path / "x")) == ["model/weights.pt", "state.pt"]


def test_errors_survive_the_way_between_processes() -> None:
    for error in (LaunchError("a"), RecipeError("b"), checkpoints.CheckpointStorageError("c")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def test_a_finished_record_is_plain_json(tmp_path: Path) -> None:
    run_here(LOOP, {"steps": 2}, Launch(out=str(tmp_path)))
    done = json.loads((tmp_path / "train/done.json").read_text())
    assert done["steps"] == 2
