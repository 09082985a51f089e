"""Outside tools agree with the files: a GeoParquet validator passes them, DuckDB and geopandas read them."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import geopandas
import pyarrow.parquet as pq
import pytest
import shapely

from pipelines.tables.objects import OBJECT_SCHEMA, write_empty
from tiling.storage.store import Store


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


def test_duckdb_and_geopandas_read_the_same_rows(whole: Path) -> None:
    paths = object_paths(whole)
    files = f"{whole}/objects/*/*/*.parquet"
    rows = duckdb.sql(
        f"SELECT id, area_m2, tile_ids FROM read_parquet('{files}', hive_partitioning=false) ORDER BY id"
    ).fetchall()
    frames = [geopandas.read_parquet(path) for path in paths]
    expected = sorted((r.id, r.area_m2, list(r.tile_ids)) for frame in frames for r in frame.itertuples())
    assert rows == [tuple(row) for row in expected]


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
