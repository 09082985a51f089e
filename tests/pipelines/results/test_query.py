"""A result answers SQL without a server, in every form of output, and cannot be written to by it."""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import geopandas
import pyarrow.parquet as pq
import pytest
import shapely

from pipelines.jobs.run import run_job
from pipelines.tables.changes import Change, Side, write_changes
from pipelines.tables.collection import COLLECTION_FILE
from pipelines.tables.ledger import LEDGER_SCHEMA
from pipelines.tables.objects import OBJECT_SCHEMA
from pipelines.tables.texts import TEXT_SCHEMA
from tests.commands import command
from tests.servers.result_bucket import ADDRESS, in_bucket
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig, file_bytes
from tests.worlds.practice import objects_of
from tiling.storage.store import Store


def rows(out: Path | str, sql: str, *flags: str) -> list[dict[str, object]]:
    """Rows of a question as JSON."""
    done = command("query", str(out), sql, "--json", *flags)
    assert done.code == 0, done.err
    found: list[dict[str, object]] = json.loads(done.out)["rows"]
    return found


def refused(out: Path | str, sql: str, *flags: str) -> str:
    """The one sentence of a question that is refused."""
    done = command("query", str(out), sql, *flags)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    return done.err


def test_counts_and_areas_are_those_of_the_files(whole: Path) -> None:
    truth = objects_of(whole)
    found = rows(whole, "SELECT query, count(*) AS n, sum(area_m2) AS a FROM objects GROUP BY ALL ORDER BY 1")
    assert [row["query"] for row in found] == [ATOLLS, SHIPS]
    for row in found:
        own = truth[truth["query"] == row["query"]]
        assert row["n"] == len(own) > 4
        assert row["a"] == pytest.approx(own["area_m2"].sum(), rel=1e-12)


def test_the_views_have_the_columns_of_the_files(whole: Path) -> None:
    for view, schema in (("objects", OBJECT_SCHEMA), ("texts", TEXT_SCHEMA), ("answers", LEDGER_SCHEMA)):
        described = {row["column_name"]: row["column_type"] for row in rows(whole, f"DESCRIBE {view}")}
        assert list(described) == schema.names
        assert described["geometry"] == "GEOMETRY('OGC:CRS84')"
    named = [row["name"] for row in rows(whole, "SHOW TABLES")]
    assert {"objects", "texts", "answers"} <= set(named)
    assert "changes" not in named


def test_the_ledger_has_a_row_for_every_tile_and_question(whole: Path) -> None:
    (found,) = rows(whole, "SELECT count(*) AS n, count(DISTINCT tile_id) AS tiles FROM answers")
    files = sorted((whole / "answers").rglob("*.parquet"))
    assert found["n"] == sum(pq.read_metadata(file).num_rows for file in files)
    assert found["n"] == 2 * int(str(found["tiles"]))


def test_changes_are_a_view_where_there_are_some(whole_copy: Path) -> None:
    store = Store(str(whole_copy))
    row = objects_of(whole_copy).iloc[0]
    side = Side("", row["geometry"], row["area_m2"], row["score"], tuple(row["scene_ids"]), None)
    names = [
        write_changes(store, date, [Change(row["id"], row["query_id"], row["query"], *sides)])
        for date, sides in (("2026-11-24", (None, side)), ("2026-11-25", (side, None)))
    ]
    collection = json.loads((whole_copy / COLLECTION_FILE).read_text())
    collection["assets"] |= {name: {"href": f"./{name}"} for name in names}
    (whole_copy / COLLECTION_FILE).write_text(json.dumps(collection))
    found = rows(whole_copy, "SELECT date, change, query, typeof(geometry) AS t FROM changes ORDER BY date")
    assert [(row["date"], row["change"]) for row in found] == [
        ("2026-11-24", "appeared"),
        ("2026-11-25", "disappeared"),
    ]
    assert {row["t"] for row in found} == {"GEOMETRY('OGC:CRS84')"}
    assert {row["query"] for row in found} <= {SHIPS, ATOLLS}


def test_spatial_functions_say_what_shapely_says(whole: Path) -> None:
    truth = objects_of(whole)
    west, south, east, north = truth.geometry.iloc[0].bounds
    box = shapely.box(west, south, (west + east) / 2, north)
    made = f"ST_MakeEnvelope({west}, {south}, {(west + east) / 2}, {north})"
    for name in ("intersects", "within", "disjoint", "overlaps", "touches", "contains"):
        (found,) = rows(whole, f"SELECT count(*) AS n FROM objects WHERE ST_{name}(geometry, {made})")
        assert found["n"] == int(getattr(truth.geometry, name)(box).sum()), name
    (point,) = rows(whole, "SELECT sum(ST_X(ST_Centroid(geometry))) AS x, count(*) AS n FROM objects")
    assert point["x"] == pytest.approx(
        shapely.get_x(shapely.centroid(truth.geometry.to_numpy())).sum(), rel=1e-12
    )
    (moved,) = rows(
        whole, f"SELECT count(*) AS n FROM objects WHERE ST_Contains({made}, ST_Point({west}, 0))"
    )
    assert moved["n"] == 0
    (kinds,) = rows(whole, "SELECT list(DISTINCT left(ST_AsText(ST_Multi(geometry)), 5)) AS k FROM objects")
    assert kinds["k"] == ["MULTI"]


def test_in_box_prunes_by_the_covering_and_finds_what_boxes_touch(whole: Path) -> None:
    truth = objects_of(whole)
    sides = truth.geometry.iloc[0].bounds
    (found,) = rows(
        whole, f"SELECT count(*) AS n FROM objects WHERE in_box(bbox, {', '.join(map(str, sides))})"
    )
    boxes = truth.geometry.envelope
    assert found["n"] == int(boxes.intersects(shapely.box(*sides)).sum()) < len(truth)


def test_the_same_rows_come_out_in_every_form(whole: Path, tmp_path: Path) -> None:
    sql = "SELECT id, area_m2, geometry, tile_ids, datetime FROM objects ORDER BY id"
    words = rows(whole, sql)
    printed = list(csv.DictReader(io.StringIO(command("query", str(whole), sql, "--csv").out)))
    done = command("query", str(whole), sql, "--out", str(tmp_path / "some.parquet"))
    assert (done.code, done.out) == (0, "")
    frame = geopandas.read_parquet(tmp_path / "some.parquet")
    assert frame.crs.to_string() == "OGC:CRS84"
    truth = objects_of(whole).sort_values("id")
    assert (
        [row["id"] for row in words]
        == [row["id"] for row in printed]
        == list(frame["id"])
        == list(truth["id"])
    )
    assert (
        [float(row["area_m2"]) for row in printed]
        == [row["area_m2"] for row in words]
        == list(frame["area_m2"])
    )
    shapes = shapely.from_wkt([str(row["geometry"]) for row in words])
    assert shapely.equals(shapes, truth.geometry.to_numpy()).all()
    assert [json.loads(row["tile_ids"]) for row in printed] == [row["tile_ids"] for row in words]
    assert {str(row["datetime"])[-6:] for row in words} == {"+00:00"}
    shown = command("query", str(whole), "SELECT query, count(*) FROM objects GROUP BY 1")
    assert SHIPS in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec 1", "syntax error"),
        ("", "only one SELECT"),
        ("SELECT nope FROM objects", "nope"),
        ("SELECT * FROM nope", "nope does not exist"),
        ("SELECT CAST(query AS INTEGER) FROM objects", "Could not convert"),
        ("SELECT ST_Area(geometry) FROM objects", "SedonaDB"),
        ("SELECT * FROM 's3://elsewhere/x.parquet'", "extension"),
        ("SELECT * FROM store", "store does not exist"),
    ],
)
def test_wrong_sql_is_refused_in_one_sentence(whole: Path, sql: str, message: str) -> None:
    for flag in ((), ("--json",), ("--csv",)):
        assert message in refused(whole, sql, *flag)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{}'",
        "WITH a AS (COPY (SELECT 1) TO '{}') SELECT 1",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{}'",
        "SELECT * FROM query('WITH a AS (COPY (SELECT 1) TO ''{}'') SELECT 1')",
        "SELECT 1; COPY (SELECT 1) TO '{}'",
        "ATTACH '{}'",
        "EXPORT DATABASE '{}'",
        "WITH a AS (INSERT INTO objects SELECT * FROM objects RETURNING id) SELECT * FROM a",
        "CREATE TABLE x AS SELECT 1",
        "SET threads = 1",
        "INSTALL spatial",
    ],
)
def test_no_statement_writes(whole_copy: Path, sql: str) -> None:
    before = file_bytes(whole_copy)
    refused(whole_copy, sql.format(whole_copy / "objects" / "new.parquet"))
    assert file_bytes(whole_copy) == before


def test_an_output_in_the_result_or_twice_is_refused(whole_copy: Path, tmp_path: Path) -> None:
    before = file_bytes(whole_copy)
    sql = "SELECT id FROM objects"
    assert "in the result" in refused(whole_copy, sql, "--out", str(whole_copy / "objects" / "x.parquet"))
    assert "more than one" in refused(whole_copy, sql, "--csv", "--json")
    assert ".parquet" in refused(whole_copy, sql, "--out", str(tmp_path / "x.xlsx"))
    assert "no folder" in refused(whole_copy, sql, "--out", str(tmp_path / "nope" / "x.parquet"))
    assert file_bytes(whole_copy) == before


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    assert "holds no run" in refused(tmp_path, "SELECT 1")
    assert "holds no run" in refused(tmp_path / "nope", "SELECT 1")


def test_an_unpublished_run_is_refused_unless_asked_for(whole_copy: Path) -> None:
    n = rows(whole_copy, "SELECT count(*) AS n FROM objects")
    (whole_copy / COLLECTION_FILE).unlink()
    assert "--unfinished" in refused(whole_copy, "SELECT count(*) AS n FROM objects")
    assert rows(whole_copy, "SELECT count(*) AS n FROM objects", "--unfinished") == n
    shutil.rmtree(whole_copy / "objects")
    assert rows(whole_copy, "SELECT count(*) AS n FROM objects", "--unfinished") == [{"n": 0}]


def test_a_half_written_result_is_refused(whole_copy: Path) -> None:
    victim = sorted((whole_copy / "objects").rglob("*.parquet"))[-1]
    os.truncate(victim, victim.stat().st_size // 2)
    assert victim.parent.name in refused(whole_copy, "SELECT sum(area_m2) FROM objects")
    victim.unlink()
    assert "published, but missing" in refused(whole_copy, "SELECT sum(area_m2) FROM objects")


def test_a_run_of_texts_alone_has_no_objects_but_the_view(make_config: MakeConfig) -> None:
    config = make_config(ask=[{"task": "caption"}])
    report = run_job(config)
    assert rows(config.out, "SELECT count(*) AS n, count(geometry) AS g FROM objects") == [{"n": 0, "g": 0}]
    (texts,) = rows(config.out, "SELECT count(*) AS n FROM texts WHERE length(text) > 0")
    assert texts["n"] == report.tiles


def test_a_folder_with_odd_signs_is_read(whole: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(whole, tmp_path / "it's [a] *folder?")
    assert rows(odd, "SELECT count(*) AS n FROM objects") == rows(whole, "SELECT count(*) AS n FROM objects")


@pytest.fixture
def bucket(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The finished run in a bucket; the file that lists the requests."""
    with in_bucket(whole, tmp_path, monkeypatch) as log:
        yield log


def test_object_storage_gives_the_same_rows_and_asks_little(whole: Path, bucket: Path) -> None:
    for sql in (
        "SELECT query, count(*) AS n, sum(area_m2) AS a FROM objects GROUP BY 1 ORDER BY 1",
        "SELECT status, count(*) AS n FROM answers GROUP BY 1 ORDER BY 1",
    ):
        assert rows(ADDRESS, sql) == rows(whole, sql)
    requests = bucket.read_text().splitlines()
    assert not [line for line in requests if line.startswith("HEAD") and line.endswith(".parquet")]
    assert len([line for line in requests if "objects.parquet" in line]) <= 4


def test_a_bucket_without_a_run_is_refused(bucket: Path) -> None:
    assert "holds no run" in refused("s3://bucket/nope", "SELECT 1")
