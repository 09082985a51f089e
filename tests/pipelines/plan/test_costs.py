"""Calibration and the estimate of plan: timed on real chunks, multiplied out, refused where it misfits."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import RequestError
from pipelines.plan.costs import estimate, read_calibration, write_calibration
from pipelines.plan.planning import make_plan
from tests.commands import command
from tests.worlds.fixtures import SHIPS, oracle_config


@pytest.fixture(scope="module")
def request_flags(practice: Path) -> list[str]:
    oracle = f"oracle:{practice}/truth.parquet"
    models = ["--reasoner", oracle, "--segmenter", oracle, "--tile", "128", "--chunk", "230"]
    return [f"{practice}/scenes/*.tif", "--ask", SHIPS, *models]


@pytest.fixture(scope="module")
def calibration(request_flags: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "calibration.json"
    result = command("bench", *request_flags, "--answers", "6", "--out", str(path), "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["answers"] >= 6
    return path


def test_bench_times_every_step_and_leaves_only_its_file(calibration: Path) -> None:
    found = read_calibration(str(calibration))
    assert min(found.seconds_per_answer, found.read_seconds_per_gigabyte, found.commit_seconds) > 0
    assert found.ledger_bytes_per_answer > 0
    assert [path.name for path in calibration.parent.iterdir()] == ["calibration.json"]


def test_an_estimate_multiplies_the_plan_with_the_calibration(practice: Path, calibration: Path) -> None:
    plan = make_plan(oracle_config(practice, out="none", ask=[SHIPS, "find all the atolls?"]))
    measured = replace(read_calibration(str(calibration)), seconds_per_answer=0.5, commit_seconds=2.0)
    found = estimate(plan, measured, price=3.0, workers=4)
    assert found.model_hours == pytest.approx(plan.n_tiles * 2 * 0.5 / 3600)
    assert found.hours == pytest.approx(found.model_hours / 4)
    assert found.cost == pytest.approx(found.model_hours * 3.0)
    assert found.puts == len(plan.chunks) * 2
    assert found.commit_hours == pytest.approx(found.puts * 2.0 / 3600)


def test_plan_prints_hours_and_money(request_flags: Sequence[str], calibration: Path) -> None:
    result = command("plan", *request_flags, "--calibration", str(calibration), "--price", "2.5", "--json")
    facts = json.loads(result.out)
    assert facts["cost"] == pytest.approx(facts["model_hours"] * 2.5)
    assert facts["model_hours"] > 0


def test_a_calibration_of_another_tile_size_is_refused(practice: Path, calibration: Path) -> None:
    plan = make_plan(oracle_config(practice, out="none", tile=64))
    with pytest.raises(RequestError, match="another tile"):
        estimate(plan, read_calibration(str(calibration)))


@pytest.mark.parametrize("content", ["", "[]", '{"tile_px": 3}', None])
def test_what_is_no_calibration_is_refused_in_one_sentence(
    content: str | None, request_flags: Sequence[str], tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    if content is not None:
        path.write_text(content)
    result = command("plan", *request_flags, "--calibration", str(path))
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "remotereasoner bench" in result.err


def test_a_field_of_the_wrong_type_is_refused(calibration: Path, tmp_path: Path) -> None:
    values = json.loads(calibration.read_text())
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**values, "seconds_per_answer": "fast"}))
    with pytest.raises(RequestError, match="fast"):
        read_calibration(str(path))


def test_a_price_without_a_calibration_is_refused(request_flags: Sequence[str]) -> None:
    result = command("plan", *request_flags, "--price", "2.5")
    assert result.code == 2
    assert "--calibration" in result.err


def test_a_calibration_survives_its_file(calibration: Path, tmp_path: Path) -> None:
    found = read_calibration(str(calibration))
    write_calibration(str(tmp_path / "again.json"), found)
    assert read_calibration(str(tmp_path / "again.json")) == found
