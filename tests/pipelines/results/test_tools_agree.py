"""DuckDB, SedonaDB, geopandas and pyarrow find the same things in a result, on disk and on S3."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas
import pandas as pd
import pytest
import sedona.db
import shapely
from fsspec.core import url_to_fs

from pipelines.results.query import open_dataset, select
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
    """A box that cuts the things of the first scene: to the middle of the median thing, both ways."""
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
    done = subprocess.run(
        [sys.executable, str(example), address, *map(repr, map(float, box.bounds))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    touched = frame.envelope.intersects(box) if example.stem in BOX_TOUCHES else frame.intersects(box)
    groups = frame[touched].groupby("query")["area_m2"]
    said = [line.split("\t") for line in done.stdout.splitlines()]
    assert [(query, int(count)) for query, count, _ in said] == list(groups.count().items())
    assert [float(area) for *_, area in said] == pytest.approx(list(groups.sum()), rel=1e-6)
    assert 0 < touched.sum() < len(frame)


def test_there_is_an_example_for_every_tool() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "with_duckdb",
        "with_geopandas",
        "with_pyarrow",
        "with_sedonadb",
    ]
