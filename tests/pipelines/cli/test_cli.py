"""The command line: a wrong request is one sentence, exit code 2, nothing written; --json is one object."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.cli import app
from tests.worlds.fixtures import SHIPS


def call(
    args: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    monkeypatch.setattr("sys.argv", ["remotereasoner", *args])
    with pytest.raises(SystemExit) as exit_info:
        app.main()
    output = capsys.readouterr()
    code = exit_info.value.code
    return (0 if code is None else int(code)), output.out, output.err


@pytest.fixture
def oracle(practice: Path, tmp_path: Path) -> list[str]:
    name = f"oracle:{practice}/truth.parquet"
    scenes = f"{practice}/scenes/*.tif"
    return [scenes, "--reasoner", name, "--segmenter", name, "--tile", "128", "--engine", "loop"]


WRONG = {
    "no question": ([], "ask"),
    "unknown question": (["--ask", "where is my hat?"], "questions.json"),
    "empty question": (["--ask", "  "], "empty"),
    "question twice": (["--ask", SHIPS, "--ask", SHIPS], "twice"),
    "overlap too large": (["--ask", SHIPS, "--overlap", "100"], "overlap"),
    "no tile": (["--ask", SHIPS, "--tile", "0"], "tile"),
    "no such reasoner": (["--ask", SHIPS, "--reasoner", "no-such-folder/model"], "no-such-folder"),
    "no such band": (["--ask", SHIPS, "--bands", "7,8,9"], "band"),
    "bands that are no numbers": (["--ask", SHIPS, "--bands", "red"], "--bands 3,2,1"),
    "scaling upside down": (["--ask", SHIPS, "--scaling", "9:1"], "scaling"),
    "no such engine": (["--ask", SHIPS, "--engine", "steam"], "engine"),
    "no truth": (["--ask", SHIPS, "--reasoner", "oracle:nowhere.parquet"], "nowhere"),
}


@pytest.mark.parametrize(("flags", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_request_is_refused_before_anything_is_written(
    oracle: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    out = tmp_path / "out"
    code, stdout, stderr = call(["run", *oracle, *flags, "--out", str(out)], monkeypatch, capsys)
    assert code == 2
    assert message in stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    assert not out.exists()


def test_missing_scenes_and_unknown_fields_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "nothing" / "*.tif")
    code, _, stderr = call(
        ["run", missing, "--ask", "x", "--out", "o", "--reasoner", "null", "--segmenter", "null"],
        monkeypatch,
        capsys,
    )
    assert (code, "nothing" in stderr) == (2, True)
    job = tmp_path / "job.yaml"
    job.write_text("scenes: [a.tif]\nask: [x]\nout: o\ntiel: 3\n")
    code, _, stderr = call(["run", "--job", str(job)], monkeypatch, capsys)
    assert (code, "tiel" in stderr) == (2, True)


def test_run_then_status_check_and_show_print_one_json_object_each(
    oracle: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    code, stdout, _ = call(["run", *oracle, "--ask", SHIPS, "--out", out, "--json"], monkeypatch, capsys)
    report = json.loads(stdout)
    assert code == 0
    assert report["ok"] + report["empty"] == report["tiles"]
    assert report["objects"] > 0
    for command in ("status", "check", "show"):
        code, stdout, _ = call([command, out, "--json"], monkeypatch, capsys)
        assert (code, type(json.loads(stdout))) == (0, dict)
    code, stdout, _ = call(["check", out, "--json"], monkeypatch, capsys)
    assert json.loads(stdout) == {"complete": True, "valid": True, "problems": []}


def test_plan_counts_and_writes_nothing(
    oracle: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    args = ["plan", *oracle, "--ask", SHIPS, "--out", str(out), "--json"]
    code, stdout, _ = call(args, monkeypatch, capsys)
    facts = json.loads(stdout)
    assert code == 0
    assert facts["model_calls"] == facts["tiles"] > facts["chunks"] >= facts["scenes"] == 2
    assert not out.exists()


def test_a_scene_that_cannot_be_read_makes_the_result_incomplete(
    oracle: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    practice: Path,
) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for path in (practice / "scenes").glob("*.tif"):
        data = bytearray(path.read_bytes())
        data[620:4620] = bytes(4000)  # the head of the only block
        (scenes / path.name).write_bytes(data if path.stem == "scene-0000" else path.read_bytes())
    args = ["run", str(scenes), *oracle[1:], "--ask", SHIPS, "--out", str(tmp_path / "out"), "--json"]
    code, stdout, _ = call(args, monkeypatch, capsys)
    report = json.loads(stdout)
    assert code == 3
    assert 0 < report["failed"] < report["tiles"]
    code, stdout, _ = call(["check", str(tmp_path / "out"), "--json"], monkeypatch, capsys)
    assert code == 3
    assert json.loads(stdout)["complete"] is False
