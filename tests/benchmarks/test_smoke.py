"""Claim: every benchmark measures all its ratios, at small sizes too, and writes what it measured."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import startup
from benchmarks.__main__ import main
from benchmarks.browser import find_chromium
from benchmarks.measure import Aim, Row, divided, interleaved, timed
from benchmarks.settings import Settings


def results(folder: Path, *names: str) -> dict[str, list[dict[str, object]]]:
    """Rows of a quick call, by benchmark."""
    main([*names, "--quick", "--out", str(folder)])
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert all(math.isfinite(row["ratio"]) and row["ratio"] > 0 for row in rows)
    table = (folder / "results.md").read_text()
    assert all(f"| {row['benchmark']} | {row['what']} | {row['ratio']:.2f} |" in table for row in rows)
    return {name: [row for row in rows if row["benchmark"] == name] for name in names}


@pytest.mark.thorough
def test_reading_and_outlines_have_all_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = results(tmp_path, "reading", "outlines")
    assert [len(found) for found in rows.values()] == [13, 4]
    decodes = [row["ratio"] for row in rows["reading"] if "decodes per block" in str(row["what"])]
    # 1 and not less: no way of reading finds blocks that another one left in a cache.
    assert decodes == pytest.approx([1.0] * 3, abs=0.05)
    (ours,) = (
        row["ratio"] for row in rows["outlines"] if "224" in str(row["what"]) and "IoU" in str(row["what"])
    )
    assert ours < 0.5
    assert "bare decode" in capsys.readouterr().out


@pytest.mark.slow
def test_a_pixel_of_a_mosaic_has_one_value_in_every_chunk_and_cell(tmp_path: Path) -> None:
    rows = results(tmp_path, "mosaic")["mosaic"]
    assert len(rows) == 18
    ours = [row for row in rows if str(row["what"]).startswith("pixels equal") and row["aim"]]
    assert [row["ratio"] for row in ours] == [1.0] * 5


def test_areas_are_nearer_to_geodesics_than_the_cylinders(tmp_path: Path) -> None:
    rows = {str(row["what"]): float(str(row["ratio"])) for row in results(tmp_path, "areas")["areas"]}
    assert len(rows) == 20
    (long_edges,) = (ratio for what, ratio in rows.items() if what.startswith("triangles of 1000 m at 70"))
    assert long_edges > 1000


@pytest.mark.thorough
def test_querying_has_all_rows(tmp_path: Path) -> None:
    rows = {str(row["what"]): row for row in results(tmp_path, "querying")["querying"]}
    assert len(rows) == 8
    read = [float(str(row["ratio"])) for row in rows.values() if row["aim"] == "<= 0.03"]
    assert len(read) == 2
    assert max(read) < 1  # small files: footers weigh, but reading them is still no scan
    scans = {what: row["aim"] for what, row in rows.items() if "full scan" in what}
    assert sorted(map(str, scans.values())) == [">= 10", ">= 10", "None"]


@pytest.mark.ray
@pytest.mark.thorough
def test_memory_and_overhead_have_all_rows(tmp_path: Path) -> None:
    rows = results(tmp_path, "memory", "overhead")
    assert [len(found) for found in rows.values()] == [3, 3]
    growth, small, large = (float(str(row["ratio"])) for row in rows["memory"])
    assert growth == pytest.approx(large / small)
    assert 0.02 < small < 1  # a Python process with its libraries takes more than 60 MB


@pytest.mark.ray
@pytest.mark.slow
def test_merge_has_all_rows_and_is_exact(tmp_path: Path) -> None:
    rows = {str(row["what"]): row for row in results(tmp_path, "merge")["merge"]}
    exact = [row for what, row in rows.items() if what.endswith(": ours")]
    assert [row["ratio"] for row in exact] == [1.0] * 2
    assert all("cut 0, doubled 0, glued 0, missing 0" in str(row["detail"]) for row in exact)
    assert any(what.startswith("time of geopandas over ours") for what in rows)
    assert sum("time a fragment" in what for what in rows) == 1
    assert any("peak memory" in what and row["aim"] == "<= 1" for what, row in rows.items())


@pytest.mark.ray
@pytest.mark.slow
def test_training_has_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = {str(row["what"]): row for row in results(tmp_path, "training")["training"]}
    assert len(rows) >= 6
    (share,) = (float(str(row["ratio"])) for what, row in rows.items() if what.startswith("GRPO: share"))
    assert 0 < share < 1
    assert [row["aim"] for what, row in rows.items() if "Ray" in what] == ["<= 1.05"] * 2


@pytest.mark.ray
@pytest.mark.slow
def test_scale_has_all_rows_and_a_picture(tmp_path: Path) -> None:
    rows = {str(row["what"]): row for row in results(tmp_path, "scale")["scale"]}
    assert len(rows) == 5
    assert sum("driver" in what for what in rows) == 2
    assert "tiles done" in (tmp_path / "scale" / "driver-memory.svg").read_text()


def test_rounds_begin_with_another_variant_and_stop_with_the_budget() -> None:
    order: list[str] = []
    variants = {name: lambda name=name: order.append(name) for name in "abc"}
    found = interleaved(variants, Settings(Path(), repeats=3))
    assert "".join(order) == "abcbcacab"
    assert [len(each) for each in found.values()] == [3, 3, 3]
    assert len(interleaved({"a": lambda: None}, Settings(Path(), repeats=9, budget_s=0.0))["a"]) == 1


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    row = Row("speed", "a over b", divided([1.0, 9.0, 4.0], [2.0, 3.0, 2.0]), "", Aim(minimum=1.5))
    assert row.ratio == 2.0
    assert row.aim is not None
    assert row.aim.met_by(row.ratio)
    assert not Aim(maximum=1.5).met_by(row.ratio)
    assert [str(Aim(minimum=0.8)), str(Aim(maximum=3))] == [">= 0.8", "<= 3"]


def test_bytes_read_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(bytes(1_000_000))
    assert 1_000_000 <= timed(lambda: len(path.read_bytes()) and None).read_bytes < 1_100_000


@pytest.mark.parametrize("wrong", [["speed"], ["--repeats", "0"]])
def test_a_wrong_request_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main([*wrong, "--quick"])
    assert refused.value.code == 2
    assert wrong[-1] in capsys.readouterr().err


@pytest.mark.slow
def test_show_has_all_rows(tmp_path: Path) -> None:
    if find_chromium() is None:
        pytest.skip("no Chromium is installed")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    first, drawn, made = (float(str(row["ratio"])) for row in results(tmp_path, "show")["show"])
    assert 0 < first <= drawn
    assert made > 0


def test_startup_says_a_median_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    startup.main(["--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.startswith(name) for line in lines) for name in startup.COMMANDS)
