"""The Python face: a run, its objects, tables and map are one value; a wrong call is one sentence."""

import ast
import inspect
import subprocess
import sys
from html import unescape
from pathlib import Path

import geopandas
import numpy as np
import pytest

import remotereasoner as rr
from tests.rooms import PACKAGES, ROOT, all_imports, door, imports_in, reaches_past
from tests.worlds.fixtures import ATOLLS, SHIPS, file_bytes
from tests.worlds.practice import objects_of

GEOMETRIES = ["geometry", "region", "contour"]
HEAVY = (
    "torch",
    "ray",
    "pandas",
    "numpy",
    "pyarrow",
    "duckdb",
    "rasterio",
    "botocore",
    "pydantic",
    "transformers",
)


def fields(practice: Path) -> dict[str, object]:
    """A job for exact models in a plain loop, without its scenes, questions and place."""
    oracle = f"oracle:{practice}/truth.parquet"
    return {"reasoner": oracle, "segmenter": oracle, "tile": 128, "chunk": 230, "engine": "loop"}


@pytest.fixture(scope="module")
def result(practice: Path, tmp_path_factory: pytest.TempPathFactory) -> rr.Result:
    """A finished run, made by the face; tests must not write into it."""
    out = tmp_path_factory.mktemp("face") / "answers"
    scenes = sorted((practice / "scenes").glob("*.tif"))
    return rr.run(scenes, ask=[SHIPS, ATOLLS], out=out, **fields(practice))


def refusal(**given: object) -> str:
    """The sentence of a run that is refused."""
    with pytest.raises(rr.RequestError) as caught:
        rr.run(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_from_python_gives_the_bytes_of_the_same_job(result: rr.Result, whole: Path) -> None:
    assert result.report is not None
    assert result.report.out == result.out
    ours = file_bytes(Path(result.out) / "objects")
    assert len(ours) > 2
    assert ours == file_bytes(whole / "objects")


def test_objects_are_a_frame_with_three_geometries(result: rr.Result) -> None:
    found, true = result.objects(), objects_of(Path(result.out))
    assert isinstance(found, geopandas.GeoDataFrame)
    assert found.geometry.name == "geometry"
    assert [name for name in found if isinstance(found[name], geopandas.GeoSeries)] == GEOMETRIES
    assert all(found[name].crs == "OGC:CRS84" for name in GEOMETRIES)
    ours, theirs = (frame.set_index("id").sort_index() for frame in (found, true))
    assert list(ours.index) == list(theirs.index)
    for name in GEOMETRIES:
        assert ours[name].geom_equals(theirs[name]).all()
    assert "bbox" not in found


def test_some_objects_are_chosen_by_question_and_condition(result: rr.Result) -> None:
    every = result.objects()
    ships = result.objects(SHIPS)
    assert set(ships["query"]) == {SHIPS}
    assert len(ships) == (every["query"] == SHIPS).sum()
    limit = float(np.median(every["area_m2"]))
    assert len(result.objects(where=f"area_m2 > {limit}")) == (every["area_m2"] > limit).sum()
    with pytest.raises(rr.RequestError, match="was not asked"):
        result.objects("where is my hat?")


def test_no_objects_are_an_empty_frame_with_the_same_columns(result: rr.Result) -> None:
    every, none = result.objects(), result.objects(where="area_m2 < 0")
    assert len(none) == 0
    assert none.dtypes.equals(every.dtypes)
    assert none.geometry.name == "geometry"
    assert all(none[name].crs == "OGC:CRS84" for name in GEOMETRIES)


def test_a_question_that_found_nothing_gives_the_same_columns(practice: Path, tmp_path: Path) -> None:
    given = {**fields(practice), "reasoner": "null", "segmenter": "null"}
    nothing = rr.run(f"{practice}/scenes/*.tif", ask=SHIPS, out=tmp_path / "out", **given)
    found = nothing.objects()
    assert len(found) == 0
    assert isinstance(found, geopandas.GeoDataFrame)
    assert [str(found[name].crs) for name in GEOMETRIES] == ["OGC:CRS84"] * 3
    assert "0 objects" in repr(nothing)
    assert nothing.map().page


def test_a_query_gives_a_frame_and_with_a_geometry_a_geoframe(result: rr.Result) -> None:
    counts = result.query("SELECT query, count(*) AS n FROM objects GROUP BY 1 ORDER BY 1")
    assert type(counts).__name__ == "DataFrame"
    assert dict(zip(counts["query"], counts["n"], strict=True)) == {
        ATOLLS: len(result.objects(ATOLLS)), SHIPS: len(result.objects(SHIPS)),
    }  # fmt: skip
    boxes = result.query("SELECT score, region FROM objects")
    assert isinstance(boxes, geopandas.GeoDataFrame)
    assert (boxes.geometry.name, boxes.crs) == ("region", "OGC:CRS84")
    with pytest.raises(rr.RequestError, match="SELECT"):
        result.query("DROP TABLE objects")


def test_a_result_says_its_counts_in_words_and_as_a_table(result: rr.Result) -> None:
    for text in (repr(result), unescape(result._repr_html_())):
        assert all(question in text for question in (SHIPS, ATOLLS))
        assert f"{len(result.objects(SHIPS))} objects" in text
    assert "collection.json" in result._repr_html_()
    assert [(each.question, each.rows) for each in result.counts] == [
        (question, len(result.objects(question))) for question in (SHIPS, ATOLLS)
    ]


def test_texts_are_counted_as_texts(practice: Path, tmp_path: Path) -> None:
    given = {**fields(practice), "reasoner": "null", "segmenter": "null"}
    ask = [rr.Question(text=SHIPS), {"task": "caption"}]
    made = rr.run(f"{practice}/scenes/*.tif", ask=ask, out=tmp_path / "out", **given)
    assert [each.unit for each in made.counts] == ["objects", "texts"]
    assert made.counts[1].rows == len(made.query("SELECT * FROM texts")) > 0


def test_the_map_is_one_page_in_a_frame_without_network(result: rr.Result, tmp_path: Path) -> None:
    before = file_bytes(Path(result.out))
    shown = result.map(height_px=300)
    assert file_bytes(Path(result.out)) == before
    frame = shown._repr_html_()
    assert frame.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert frame.count('"') == 8
    assert "height:300px" in frame
    assert 'sandbox="allow-scripts"' in frame
    saved = shown.save(tmp_path / "map.html")
    assert saved.read_text("utf-8") == shown.page == unescape(frame.split('"')[1])
    assert "default-src 'none'" in shown.page
    with pytest.raises(rr.RequestError, match="no folder"):
        shown.save(tmp_path / "nowhere" / "map.html")


def test_the_map_of_many_objects_holds_a_sample_and_says_so(
    result: rr.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.map import objects, page

    monkeypatch.setattr(page, "MAX_OBJECTS", 4)
    monkeypatch.setattr(objects, "MAX_OBJECTS", 4)
    shown = result.map().page
    assert f"of {len(result.objects())} objects" in shown
    assert '"pyramid":null' in shown


def test_status_check_and_export_are_those_of_the_commands(result: rr.Result, tmp_path: Path) -> None:
    status, check = result.status(), result.check()
    assert status.published
    assert status.tiles_done == status.tiles
    assert (check.complete, check.valid, check.problems) == (True, True, ())
    file = result.export(tmp_path / "ships.gpkg", query=SHIPS, geometry="region")
    assert len(geopandas.read_file(file)) == len(result.objects(SHIPS))
    with pytest.raises(rr.RequestError, match="choose geometry, region, contour"):
        result.export(tmp_path / "ships.gpkg", geometry="box")


def test_a_result_is_opened_where_it_lies(result: rr.Result, tmp_path: Path) -> None:
    assert rr.open(result.out) == result
    assert rr.open(Path(result.out)).objects().equals(result.objects())
    with pytest.raises(rr.RequestError, match="holds no run"):
        rr.open(tmp_path)


def test_an_unfinished_result_is_shown_and_read_where_that_is_asked_for(whole_copy: Path) -> None:
    (whole_copy / "collection.json").unlink()
    finished = rr.open(whole_copy)
    assert "not finished" in repr(finished)
    assert "not finished" in finished._repr_html_()
    with pytest.raises(rr.RequestError, match="not finished"):
        finished.objects()
    assert len(rr.open(whole_copy, unfinished=True).objects()) > 4


def test_a_plan_prints_and_writes_nothing(
    practice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = rr.plan(f"{practice}/scenes/*.tif", ask=SHIPS, **fields(practice))
    assert made.figures.tiles == made.plan.n_tiles == 18
    assert "tiles" in repr(made)
    assert "<td" in made._repr_html_()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(rr.RequestError, match="calibration"):
        rr.plan(f"{practice}/scenes/*.tif", ask=SHIPS, price=2.0)


def test_a_job_file_and_a_request_are_starting_points(practice: Path, tmp_path: Path) -> None:
    lines = [f"{name}: {value}" for name, value in fields(practice).items()]
    job = tmp_path / "job.yaml"
    job.write_text("\n".join([f"scenes: ['{practice}/scenes/*.tif']", f"ask: ['{SHIPS}']", "out: x", *lines]))
    assert rr.plan(config=job).figures.questions == 1
    assert rr.plan(config=job, ask=[SHIPS, ATOLLS]).figures.questions == 2
    kept = rr.load_config(str(job), {})
    assert rr.plan(config=kept).plan.config == kept
    assert rr.plan(config=kept, tile=64).figures.tile == 64


def test_an_update_says_what_changed(practice: Path, tmp_path: Path) -> None:
    out, given = tmp_path / "out", fields(practice)
    first, second = sorted((practice / "scenes").glob("*.tif"))
    rr.nightly(first, ask=SHIPS, out=out, date="2026-11-24", **given)
    made = rr.nightly([first, second], ask=SHIPS, out=out, date="2026-11-25", **given)
    assert len(made.query("SELECT * FROM changes WHERE change = 'appeared'")) > 0


def test_a_model_is_evaluated(practice: Path) -> None:
    report = rr.evaluate(practice, reasoner="truth", segmenter="none", limit=3, boxes_only=True)
    assert report.values["reasoner"] == "truth"
    assert report._repr_markdown_() == report.text == str(report)
    with pytest.raises(ValueError, match="format 'nonsense' is unknown: give practice"):
        rr.evaluate(practice, data_format="nonsense")


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    assert (
        refusal(scenes="a.tif", ask="x", out="o", tiel=3)
        == "tiel: a job has no such field; the nearest is tile"
    )
    assert "the nearest is reasoner" in refusal(scenes="a.tif", ask="x", out="o", reasoner_name="nano")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"ask": "x", "out": "o"}, "scenes"),
        ({"scenes": "a.tif", "out": "o"}, "ask"),
        ({"scenes": "a", "ask": "x"}, "out"),
    ],
)
def test_what_is_missing_is_named_as_python_says_it(given: dict[str, object], field: str) -> None:
    message = refusal(**given)
    assert message.startswith(f"{field}: ")
    assert "--" not in message


def test_help_names_every_field_of_a_job() -> None:
    for call in (rr.run, rr.plan, rr.nightly):
        assert set(rr.JobConfig.model_fields) <= set(inspect.signature(call).parameters) | {"out"}


def test_progress_is_quiet_where_the_run_is_quick(
    practice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rr.run(f"{practice}/scenes/*.tif", ask=SHIPS, out=tmp_path / "out", **fields(practice))
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")


def test_every_name_is_listed_once_and_comes_through_a_door() -> None:
    stub = (ROOT / "remotereasoner" / "__init__.pyi").read_text("utf-8")
    imports = imports_in(stub, "remotereasoner/__init__.pyi")
    assert [str(each) for each in imports if reaches_past(each)] == []
    (listed,) = (node.value for node in ast.parse(stub).body if isinstance(node, ast.Assign))
    assert rr.__all__ == sorted(ast.literal_eval(listed)) == dir(rr)
    for each in imports:
        room = each.module.replace(".", "/")
        assert each.name in door(room) or room.startswith("reasoner/")
    for name in rr.__all__:
        assert inspect.getdoc(getattr(rr, name)), name
    with pytest.raises(AttributeError, match="no attribute 'hat'"):
        rr.hat  # noqa: B018


def test_no_package_knows_the_face() -> None:
    assert [str(each) for each in all_imports() if each.top == "remotereasoner"] == []
    assert "remotereasoner" not in PACKAGES


@pytest.mark.parametrize(
    "code",
    [
        "import remotereasoner",
        "import sys; sys.argv[1:] = ['--help']; from pipelines.cli import main; main()",
    ],
    ids=["import", "help"],
)
def test_importing_and_asking_for_help_load_no_heavy_library(code: str) -> None:
    ask = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{code}"
    result = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    loaded = set(result.stderr.split())
    assert "sys" in loaded
    assert loaded & set(HEAVY) == set()
