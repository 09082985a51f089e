"""A damaged block costs its tiles and nothing else; a damaged or lost file of a result is named by check."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import rasterio
import shapely

from tests.commands import CommandResult, command, tree
from tests.worlds.practice import BLOCK_PX, CRS, NORTH_UP, World, to_lonlat, write_tiled, write_truth

TILE = 128
NULL = ("--reasoner", "null", "--segmenter", "null", "--engine", "loop")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiled(tmp_path_factory.mktemp("good") / "good.tif")


def damaged(good: Path, target: Path, column: int, row: int) -> Path:
    """A copy of a raster in which the bytes of one block are noise."""
    data = bytearray(good.read_bytes())
    with rasterio.open(good) as source:
        place, size = (
            int(source.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", 1)) for what in ("OFFSET", "SIZE")
        )
    data[place : place + size] = bytes([255]) * size
    target.write_bytes(data)
    return target


@pytest.fixture
def broken(good: Path, tmp_path: Path) -> World:
    """A good scene with one damaged block, an object far from it and one upon it."""
    path = damaged(good, tmp_path / "broken.tif", 4, 3)
    objects = [shapely.box(20, 20, 60, 50), shapely.box(270, 200, 310, 240)]
    write_truth(tmp_path, [("thing", "broken", to_lonlat(each, NORTH_UP, CRS)) for each in objects])
    return World(tmp_path, (str(path),))


def run_broken(world: World, out: Path) -> CommandResult:
    sizes = ("--tile", str(TILE), "--overlap", "32", "--chunk", "300", "--engine", "loop")
    models = ("--reasoner", world.oracle, "--segmenter", world.oracle)
    (question,) = world.questions()
    return command(
        "run", str(world.scenes[0]), "--ask", question, *models, *sizes, "--out", str(out), "--json"
    )


def test_a_bad_block_costs_its_tiles_and_nothing_else(broken: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run_broken(broken, out)
    assert result.code == 3, result.err
    report = json.loads(result.out)
    rows = [row for file in (out / "answers").rglob("*.parquet") for row in pq.read_table(file).to_pylist()]
    assert len(rows) == len({row["tile_id"] for row in rows}) == report["tiles"]
    x0, y0 = 4 * BLOCK_PX, 3 * BLOCK_PX
    hit = {
        row["tile_id"]
        for row in rows
        if row["x0"] < x0 + BLOCK_PX and x0 < row["x1"] and row["y0"] < y0 + BLOCK_PX and y0 < row["y1"]
    }
    failed = {row["tile_id"]: row["problem"] for row in rows if row["status"] == "failed"}
    assert set(failed) == hit
    assert len(hit) == report["failed"] > 0
    assert all(problem.startswith("cannot be read: ") for problem in failed.values())
    assert {row["status"] for row in rows if row["tile_id"] not in hit} == {"ok", "empty"}
    assert report["objects"] == 1
    assert f"{report['failed']} tiles failed" in result.err


def test_an_object_found_only_by_a_failed_tiles_neighbour_is_kept(good: Path, tmp_path: Path) -> None:
    """It lies in the overlap on the failed tile's ground: that tile saw nothing because it failed."""
    path = damaged(good, tmp_path / "broken.tif", 2, 0)
    target = shapely.box(114, 30, 124, 50)
    write_truth(tmp_path, [("thing", "broken", to_lonlat(target, NORTH_UP, CRS))])
    result = run_broken(World(tmp_path, (str(path),)), tmp_path / "out")
    report = json.loads(result.out)
    assert (result.code, report["failed"], report["ok"]) == (3, 1, 1)
    assert report["objects"] == 1


def test_a_result_with_failed_tiles_is_marked_and_checked_as_incomplete(
    broken: World, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    failed = json.loads(run_broken(broken, out).out)["failed"]
    collection = json.loads((out / "collection.json").read_text("utf-8"))
    assert (collection["remotereasoner:complete"], collection["remotereasoner:failed"]) == (False, failed)
    result = command("check", str(out), "--json")
    report = json.loads(result.out)
    assert (result.code, report["complete"], report["valid"]) == (3, False, True)
    assert sum("failed" in problem for problem in report["problems"]) == len(report["problems"]) > 0
    again = run_broken(broken, out)
    assert (again.code, json.loads(again.out)["chunks_done"]) == (3, 0)


def test_a_lost_ledger_file_is_named_and_made_again(tmp_path: Path, good: Path) -> None:
    out = tmp_path / "out"
    run = (
        "run",
        str(good),
        "--ask",
        "x?",
        *NULL,
        "--tile",
        "128",
        "--chunk",
        "300",
        "--out",
        str(out),
        "--json",
    )
    assert command(*run).code == 0
    assert command("check", str(out)).code == 0
    whole = tree(out / "objects")
    lost = sorted((out / "answers").rglob("*.parquet"))[1]
    lost.unlink()
    result = command("check", str(out), "--json")
    report = json.loads(result.out)
    assert (result.code, report["complete"]) == (3, False)
    assert [problem for problem in report["problems"] if lost.name in problem and "missing" in problem]
    assert lost.name in command("check", str(out)).err
    again = command(*run)
    assert (again.code, json.loads(again.out)["chunks_done"]) == (0, 1)
    assert command("check", str(out)).code == 0
    assert tree(out / "objects") == whole


def test_a_damaged_ledger_or_object_file_is_named(tmp_path: Path, good: Path) -> None:
    out = tmp_path / "out"
    run = ("run", str(good), "--ask", "x?", *NULL, "--tile", "128", "--out", str(out), "--json")
    assert command(*run).code == 0
    for part in ("answers", "objects"):
        copy = tmp_path / part
        shutil.copytree(out, copy)
        file = next((copy / part).rglob("*.parquet"))
        file.write_bytes(file.read_bytes()[:200])
        result = command("check", str(copy), "--json")
        report = json.loads(result.out)
        assert (result.code, report["valid"]) == (3, False)
        assert [problem for problem in report["problems"] if file.name in problem and "unreadable" in problem]
