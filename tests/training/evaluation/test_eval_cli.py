"""The command evaluates a practice folder from end to end, and refuses wrong requests in one sentence."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from reasoner.errors import ModelError
from training.errors import DatasetError
from training.evaluation.cli import evaluate_command
from training.scenery.practice import write_practice

app = typer.Typer()
app.command()(evaluate_command)
NULL = ("--reasoner", "null", "--segmenter", "null", "--limit", "30")


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("practice")
    write_practice(str(folder), scenes=1, size_px=256, seed=3)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_is_one_object_with_intervals_and_nothing_else(practice: Path) -> None:
    result = run(practice, *NULL, "--json", "--boxes-only")
    assert result.exit_code == 0, result.exception
    values = json.loads(result.stdout)
    # Nothing is ever found: what is right is right because there was nothing to find.
    assert values["figures"]["empty_accuracy"]["value"] == 1.0
    assert values["figures"]["recall@0.5"]["value"] == 0.0
    assert values["figures"]["count_exact"]["low"] <= values["figures"]["count_exact"]["value"] < 1.0
    assert set(values["by_task"]) == {"locate"}
    assert "answers" not in values


def test_the_files_are_written_and_can_be_compared_with(practice: Path, tmp_path: Path) -> None:
    first = run(practice, *NULL, "--out", tmp_path / "a")
    assert first.exit_code == 0, first.exception
    assert (tmp_path / "a/eval.md").read_text() in first.stdout
    assert "<article" in (tmp_path / "a/eval.html").read_text()
    again = run(practice, *NULL, "--compare", tmp_path / "a/eval.json", "--json")
    changes = json.loads(again.stdout)["changes"]
    assert changes["acc@0.5"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_held_out_wordings_and_the_protocol_reach_the_questions(practice: Path, tmp_path: Path) -> None:
    asked = {}
    for name, more in {"ask": (), "spare": ("--spare", "--protocol", "rmsin")}.items():
        assert run(practice, *NULL, "--boxes-only", "--out", tmp_path / name, *more).exit_code == 0
        asked[name] = json.loads((tmp_path / name / "eval.json").read_text())
    words = [{answer["question"] for answer in one["answers"]} for one in asked.values()]
    assert not words[0] & words[1]
    assert asked["spare"]["protocol"] == "rmsin"
    assert asked["spare"]["figures"]["giou"]["value"] == 0.0 < asked["ask"]["figures"]["giou"]["value"]


def test_wrong_requests_are_refused_before_anything_is_asked(practice: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "strange.json").write_text('{"answers": [{"key": "a/b", "image": 0, "scores": {}}]}')
    wrong = {
        "was looked for": (DatasetError, (tmp_path / "missing", *NULL)),
        "scenes|questions|truth": (DatasetError, (tmp_path, *NULL)),
        "split": (DatasetError, (practice, *NULL, "--split", "tset")),
        "limit is 0": (DatasetError, (practice, "--reasoner", "null", "--limit", "0")),
        "is not an evaluation": (DatasetError, (practice, *NULL, "--compare", tmp_path / "other.json")),
        "shares no example": (DatasetError, (practice, *NULL, "--compare", tmp_path / "strange.json")),
        "no such model": (ModelError, (practice, "--reasoner", "nosuch")),
        "no such model.*mask": (ModelError, (practice, "--reasoner", "null", "--segmenter", "mask")),
    }
    for words, (class_name, arguments) in wrong.items():
        result = run(*arguments)
        with pytest.raises(class_name, match=words):
            raise result.exception or AssertionError("no error")


def test_an_unknown_format_or_protocol_is_a_wrong_request(practice: Path) -> None:
    assert run(practice, "--format", "coco").exit_code == 2
    assert run(practice, "--protocol", "mine").exit_code == 2
