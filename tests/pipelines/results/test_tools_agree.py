"""Outside tools agree with the files of a result, on disk and on S3.

A GeoParquet validator passes them; DuckDB, SedonaDB, geopandas and pyarrow find the same objects in them.
"""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import geopandas
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sedona.db
import shapely
from fsspec.core import url_to_fs

from pipelines.results.query import open_dataset, select
from pipelines.tables.objects import OBJECT_SCHEMA, write_empty
from tests.servers.fixtures import upload
from tests.worlds.fixtures import SHIPS
from tests.worlds.practice import objects_of
from tiling.storage.s3 import access
from tiling.storage.store import Store

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("with_*.py"))
BOX_TOUCHES = ("with_duckdb", "with_pyarrow")
"""Examples that ask whether the covering box touches; the others ask the outline."""

Mask = Callable[[geopandas.GeoDataFrame, shapely.Polygon], "pd.Series[bool]"]
QUESTIONS: dict[str, tuple[str, Mask]] = {
    "all": ("true", lambda f, b: f["score"].notna()),
    "one question": (f"query = '{SHIPS}'", lambda f, b: f["query"] == SHIPS),
    "large": ("area_m2 > 60.5", lambda f, b: f["area_m2"] > 60.5),
    "joined of several sightings": ("n_fragments > 1", lambda f, b: f["n_fragments"] > 1),
    "whole, and surely": (
        "NOT touches_scene_edge AND score >= 0.5",
        lambda f, b: ~f["touches_scene_edge"] & (f["score"] >= 0.5),
    ),
    "covering box in a box": (
        "bbox.xmin >= {w} AND bbox.xmax <= {e} AND bbox.ymin >= {s} AND bbox.ymax <= {n}",
        lambda f, b: f.envelope.covered_by(b),
    ),
    "touching a box": ("ST_Intersects(geometry, {box})", lambda f, b: f.intersects(b)),
    "within a box": ("ST_Within(geometry, {box})", lambda f, b: f.within(b)),
    "centre in a box": (
        "ST_Contains({box}, ST_Centroid(geometry))",
        lambda f, b: pd.Series(shapely.contains(b, shapely.centroid(f.geometry.to_numpy())), f.index),
    ),
    "region around its outline's centre": (
        "ST_Intersects(region, ST_Centroid(geometry)) AND area_m2 < 300",
        lambda f, b: (
            pd.Series(
                shapely.intersects(f["region"].to_numpy(), shapely.centroid(f.geometry.to_numpy())), f.index
            )
            & (f["area_m2"] < 300)
        ),
    ),
    "contour across a box's edge": (
        "ST_Intersects(contour, {box}) AND NOT ST_Within(contour, {box})",
        lambda f, b: f["contour"].intersects(b) & ~f["contour"].within(b),
    ),
}
Totals = dict[str, tuple[int, float]]


@pytest.fixture(params=["disk", "s3"])
def address(request: pytest.FixtureRequest, whole: Path) -> str:
    """Address of the finished run, on disk or on a real S3 server."""
    if request.param == "disk":
        return str(whole)
    place = f"{request.getfixturevalue('bucket')}/out"
    upload(request.getfixturevalue("s3_server"), whole, place)
    return place


def middle_box(frame: geopandas.GeoDataFrame) -> shapely.Polygon:
    """A box that cuts the objects of the first scene: to the middle of the median object, both ways."""
    centres = shapely.get_coordinates(shapely.centroid(frame.geometry.to_numpy()))
    order = centres[centres[:, 0].argsort()]
    east, north = order[len(order) // 2]
    west, south = frame.total_bounds[:2]
    return shapely.box(west, south, east, north)


def conditions(frame: geopandas.GeoDataFrame, box: str) -> dict[str, str]:
    """The questions as SQL, for an engine that writes the box in this way."""
    w, s, e, n = middle_box(frame).bounds
    sides = {"w": repr(float(w)), "s": repr(float(s)), "e": repr(float(e)), "n": repr(float(n))}
    return {name: sql.format(box=box.format(**sides), **sides) for name, (sql, _) in QUESTIONS.items()}


def by_geopandas(address: str) -> Totals:
    files, folder = url_to_fs(address)
    names = sorted(files.glob(f"{folder}/objects/query=*/cell=*/objects.parquet"))
    frames = [geopandas.read_parquet(name, filesystem=files) for name in names]
    frame = geopandas.GeoDataFrame(pd.concat(frames, ignore_index=True))
    found = {name: frame[mask(frame, middle_box(frame))] for name, (_, mask) in QUESTIONS.items()}
    return {name: (len(rows), float(rows["area_m2"].sum())) for name, rows in found.items()}


def by_duckdb(address: str, frame: geopandas.GeoDataFrame) -> Totals:
    totals = {}
    with open_dataset(Store(address)) as connection:
        for name, where in conditions(frame, "ST_MakeEnvelope({w}, {s}, {e}, {n})").items():
            sql = f"SELECT count(*), coalesce(sum(area_m2), 0) FROM objects WHERE {where}"
            ((count, area),) = select(connection, sql).fetchall()
            totals[name] = (count, area)
    return totals


def by_sedonadb(address: str, frame: geopandas.GeoDataFrame) -> Totals:
    files, folder = url_to_fs(address)
    names = sorted(files.glob(f"{folder}/objects/query=*/cell=*/objects.parquet"))
    options: dict[str, object] = {}
    if "://" in address:
        names = [f"s3://{name}" for name in names]
        options = {"aws.endpoint": access().endpoint, "aws.allow_http": "true"}
    context = sedona.db.connect()
    context.read_parquet(names, options=options, partitioning=[]).to_view("objects")
    wkt = "POLYGON(({w} {s}, {e} {s}, {e} {n}, {w} {n}, {w} {s}))"
    totals = {}
    for name, where in conditions(frame, f"ST_SetCRS(ST_GeomFromText('{wkt}'), 'OGC:CRS84')").items():
        sql = f"SELECT count(*) AS n, coalesce(sum(area_m2), 0) AS area FROM objects WHERE {where}"
        row = context.sql(sql).to_pandas().iloc[0]
        totals[name] = (int(row["n"]), float(row["area"]))
    return totals


def test_three_engines_find_the_same_counts_and_areas(address: str, whole: Path) -> None:
    frame = objects_of(whole)
    with open_dataset(Store(address)) as connection:
        rows = select(connection, "SELECT id, area_m2, tile_ids FROM objects ORDER BY id").fetchall()
    assert rows == sorted((row.id, row.area_m2, list(row.tile_ids)) for row in frame.itertuples())
    truth = by_geopandas(address)
    assert len(truth) > 10
    assert sum(0 < count < len(frame) for count, _ in truth.values()) >= 7, truth
    for found in (by_duckdb(address, frame), by_sedonadb(address, frame)):
        assert found.keys() == truth.keys()
        for name, (count, area) in truth.items():
            assert found[name][0] == count, name
            assert found[name][1] == pytest.approx(area, rel=1e-6), name


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_finds_what_is_there(example: Path, address: str, whole: Path) -> None:
    frame = objects_of(whole)
    box = middle_box(frame)
    words, printed = [str(example), address, *map(repr, map(float, box.bounds))], StringIO()
    with patch.object(sys, "argv", words), redirect_stdout(printed):
        runpy.run_path(str(example), run_name="__main__")
    touched = frame.envelope.intersects(box) if example.stem in BOX_TOUCHES else frame.intersects(box)
    groups = frame[touched].groupby("query")["area_m2"]
    lines = [line.split("\t") for line in printed.getvalue().splitlines()]
    assert [(query, int(count)) for query, count, _ in lines] == list(groups.count().items())
    assert [float(area) for *_, area in lines] == pytest.approx(list(groups.sum()), rel=1e-6)
    assert 0 < touched.sum() < len(frame)


def test_there_is_an_example_for_every_tool() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "with_duckdb",
        "with_geopandas",
        "with_pyarrow",
        "with_sedonadb",
    ]


def object_paths(whole: Path) -> list[Path]:
    return sorted((whole / "objects").rglob("*.parquet"))


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("geoparquet-validator")
    return subprocess.run(
        [str(tool), "check", "--json", str(path)], capture_output=True, text=True, check=False
    )


def test_the_validator_passes_every_object_file(whole: Path) -> None:
    paths = object_paths(whole)
    assert len(paths) == 2
    for path in paths:
        done = validate(path)
        assert done.returncode == 0, done.stdout


def test_the_validator_passes_an_empty_file_with_the_same_columns(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    path = tmp_path / write_empty(store, "q")
    done = validate(path)
    assert done.returncode == 0, done.stdout
    assert pq.read_schema(path).equals(OBJECT_SCHEMA)


def test_the_validator_fails_a_broken_file(whole: Path, tmp_path: Path) -> None:
    table = pq.read_table(object_paths(whole)[0])
    geo = json.loads(table.schema.metadata[b"geo"])
    del geo["columns"]["region"]["encoding"]
    pq.write_table(table.replace_schema_metadata({b"geo": json.dumps(geo)}), tmp_path / "bad.parquet")
    assert validate(tmp_path / "bad.parquet").returncode == 1


def test_the_covering_prunes_to_the_objects_in_a_box(whole: Path) -> None:
    path = object_paths(whole)[0]
    frame = geopandas.read_parquet(path)
    west, south, east, north = frame.geometry.iloc[0].bounds
    near = geopandas.read_parquet(path, bbox=(west, south, east, north))
    expected = frame[frame.intersects(shapely.box(west, south, east, north))]
    assert set(expected["id"]) <= set(near["id"])
    assert 0 < len(near) < len(frame)


@pytest.mark.parametrize("column", ["geometry", "region", "contour"])
def test_all_three_geometry_columns_carry_lonlat(whole: Path, column: str) -> None:
    frame = geopandas.read_parquet(object_paths(whole)[0])
    assert frame[column].crs.to_string() == "OGC:CRS84"
    assert frame[column].is_valid.all()


@pytest.mark.parametrize("column", ["geometry", "region", "contour"])
def test_every_geometry_lies_exactly_in_the_covering_box_it_names(whole: Path, column: str) -> None:
    table = pq.read_table(object_paths(whole)[0])
    geo = json.loads(table.schema.metadata[b"geo"])
    covering = geo["columns"][column]["covering"]["bbox"]
    boxes = table[covering["xmin"][0]].to_pylist()
    sides = [[box[covering[side][1]] for side in ("xmin", "ymin", "xmax", "ymax")] for box in boxes]
    assert geo["version"] == "1.1.0"
    assert shapely.bounds(shapely.from_wkb(table[column].to_numpy())).tolist() == sides
