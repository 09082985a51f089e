"""Every export carries the objects, reads with other tools, and takes its file's place whole or not."""

import json
from pathlib import Path

import duckdb
import geopandas
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from pipelines.jobs.run import run_job
from pipelines.results import export
from pipelines.tables.objects import GEOMETRIES, OBJECT_SCHEMA
from reasoner.query import Query
from tests.commands import command
from tests.worlds.fixtures import SHIPS, MakeConfig, file_bytes
from tests.worlds.practice import objects_of

TABLES = ("gpkg", "fgb", "geojson")


def exported(out: Path | str, file: Path, *flags: str) -> dict[str, object]:
    """What the command reports."""
    done = command("export", str(out), str(file), "--json", *flags)
    assert done.code == 0, done.err
    report: dict[str, object] = json.loads(done.out)
    assert report["bytes"] == file.stat().st_size
    assert [path.name for path in file.parent.iterdir() if "tmp" in path.name] == []
    return report


@pytest.mark.parametrize("ending", TABLES)
def test_a_vector_file_has_every_object_with_its_outline_and_words(
    whole: Path, tmp_path: Path, ending: str
) -> None:
    truth = objects_of(whole).sort_values("id")
    report = exported(whole, tmp_path / f"all.{ending}")
    frame = geopandas.read_file(tmp_path / f"all.{ending}").sort_values("id")
    assert report["objects"] == len(frame) == len(truth) > 8
    assert frame.crs.to_epsg() == 4326
    assert set(frame.geom_type) == {"MultiPolygon"}
    assert list(frame["area_m2"]) == pytest.approx(list(truth["area_m2"]), rel=1e-9)
    assert [words.split() for words in frame["tile_ids"]] == [list(ids) for ids in truth["tile_ids"]]
    assert list(frame["thinking"].fillna("")) == list(truth["thinking"])
    assert list(frame["touches_scene_edge"].astype(bool)) == list(truth["touches_scene_edge"])
    assert list(frame["datetime"]) == list(truth["datetime"])
    apart = shapely.hausdorff_distance(frame.geometry.to_numpy(), truth.geometry.to_numpy())
    assert apart.max() < (1e-6 if ending == "geojson" else 1e-12)


def test_simpler_outlines_are_exported_where_that_is_asked_for(whole: Path, tmp_path: Path) -> None:
    truth = objects_of(whole).sort_values("id")
    exported(whole, tmp_path / "light.gpkg", "--simplify", "1.5")
    light = geopandas.read_file(tmp_path / "light.gpkg").sort_values("id")
    assert list(light["id"]) == list(truth["id"])
    corners = [shapely.get_num_coordinates(frame.geometry.to_numpy()).sum() for frame in (light, truth)]
    assert corners[0] < 0.8 * corners[1]
    assert light.geometry.is_valid.all()
    moved = shapely.hausdorff_distance(light.geometry.to_numpy(), truth.geometry.to_numpy())
    assert moved.max() < 5 / 60_000  # degrees of longitude at 50° and more


@pytest.mark.parametrize(
    ("file", "flags"), [("a.parquet", ["2"]), ("a.gpkg", ["0"]), ("a.gpkg", ["2", "--geometry", "contour"])]
)
def test_what_cannot_be_simplified_is_refused(
    whole: Path, tmp_path: Path, file: str, flags: list[str]
) -> None:
    done = command("export", str(whole), str(tmp_path / file), "--simplify", *flags)
    assert done.code == 2
    assert "simplif" in done.err
    assert list(tmp_path.iterdir()) == []


def test_geojson_is_as_the_rfc_wants_it(whole: Path, tmp_path: Path) -> None:
    exported(whole, tmp_path / "all.geojson")
    written = json.loads((tmp_path / "all.geojson").read_text())
    assert "crs" not in written
    for feature in written["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            outer, *holes = (shapely.LinearRing(ring) for ring in polygon)
            assert outer.is_ccw
            assert not any(hole.is_ccw for hole in holes)


def test_pmtiles_show_the_objects_at_every_zoom_they_promise(whole: Path, tmp_path: Path) -> None:
    exported(whole, tmp_path / "all.pmtiles")
    assert (tmp_path / "all.pmtiles").read_bytes()[:8] == b"PMTiles\x03"
    frame = pyogrio.read_dataframe(tmp_path / "all.pmtiles", ZOOM_LEVEL=14).to_crs(4326)
    truth = objects_of(whole)
    assert set(frame["id"]) == set(truth["id"])
    assert {"query", "score", "area_m2", "thinking"} <= set(frame.columns)
    drawn = frame.dissolve("id").geometry.sort_index().to_numpy()
    true = truth.set_index("id").geometry.sort_index().to_numpy()
    shared = shapely.area(shapely.intersection(drawn, true)) / shapely.area(shapely.union(drawn, true))
    assert shared.min() > 0.6  # at zoom 14 a step of the tile is half a metre


def test_geoparquet_2_has_native_geometries_and_all_columns(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    report = exported(whole, file)
    parquet = pq.ParquetFile(file)
    columns = {parquet.schema.column(i).path: parquet.schema.column(i) for i in range(len(parquet.schema))}
    assert all("Geometry" in str(columns[name].logical_type) for name in GEOMETRIES)
    assert json.loads(parquet.schema_arrow.metadata[b"geo"])["version"] == "2.0.0"
    assert parquet.schema_arrow.names == OBJECT_SCHEMA.names
    truth = objects_of(whole)
    assert report["objects"] == parquet.metadata.num_rows == len(truth)
    kinds = duckdb.sql(f"SELECT DISTINCT typeof(geometry), sum(area_m2) FROM '{file}' GROUP BY 1").fetchall()
    assert kinds == [("GEOMETRY('OGC:CRS84')", pytest.approx(truth["area_m2"].sum()))]


@pytest.mark.parametrize("ending", ["gpkg", "parquet"])
@pytest.mark.parametrize("question", [SHIPS, Query(SHIPS).id])
def test_a_question_and_a_condition_choose_the_objects(
    whole: Path, tmp_path: Path, ending: str, question: str
) -> None:
    truth = objects_of(whole)
    chosen = truth[(truth["query"] == SHIPS) & (truth["area_m2"] > truth["area_m2"].median())]
    condition = f"area_m2 > {truth['area_m2'].median()} -- the large ones"
    report = exported(whole, tmp_path / f"some.{ending}", "--query", question, "--where", condition)
    assert report["objects"] == len(chosen) > 0


@pytest.mark.parametrize(("shape", "kind"), [("region", "MultiPolygon"), ("contour", "MultiLineString")])
def test_any_of_the_three_geometries_can_be_had(whole: Path, tmp_path: Path, shape: str, kind: str) -> None:
    exported(whole, tmp_path / "one.file", "--format", "fgb", "--geometry", shape)
    frame = geopandas.read_file(tmp_path / "one.file").sort_values("id")
    assert set(frame.geom_type) == {kind}
    truth = objects_of(whole).sort_values("id")[shape]
    assert shapely.equals(frame.geometry.to_numpy(), truth.to_numpy()).all()


def test_batches_do_not_change_the_file(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(whole, tmp_path / "one.fgb")
    monkeypatch.setattr(export, "ROW_BATCH", 3)
    exported(whole, tmp_path / "many.fgb")
    one, many = (geopandas.read_file(tmp_path / name) for name in ("one.fgb", "many.fgb"))
    assert one.sort_values("id").reset_index(drop=True).equals(many.sort_values("id").reset_index(drop=True))


@pytest.mark.parametrize(
    ("file", "flags", "message"),
    [
        ("x.shp", (), "choose gpkg (GeoPackage), fgb (FlatGeobuf)"),
        ("x", (), "not a format"),
        ("x.gpkg", ("--format", "dwg"), "'dwg' is not a format"),
        ("x.gpkg", ("--where", "nope > 1"), "nope"),
        ("x.gpkg", ("--where", "1 = 1) TO 'y.csv' --"), "syntax error"),
        ("x.gpkg", ("--query", "who?"), "'who?' was not asked; choose find-all-the-atolls"),
        ("x.pmtiles", ("--where", "false"), "no objects"),
        ("no/x.gpkg", (), "no folder"),
        ("s3://bucket/x.gpkg", (), "not a local file"),
    ],
)
def test_a_wrong_request_leaves_no_file_and_harms_none(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    flags: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.gpkg").write_bytes(b"an earlier export")
    done = command("export", str(whole), file, *flags)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert file_bytes(tmp_path) == {"x.gpkg": b"an earlier export"}


def test_an_export_into_the_result_or_of_no_run_is_refused(whole_copy: Path, tmp_path: Path) -> None:
    before = file_bytes(whole_copy)
    done = command("export", str(whole_copy), str(whole_copy / "objects" / "all.gpkg"))
    assert done.code == 2
    assert "in the result" in done.err
    assert file_bytes(whole_copy) == before
    done = command("export", str(tmp_path / "nope"), str(tmp_path / "all.gpkg"))
    assert done.code == 2
    assert "holds no run" in done.err


def test_a_second_export_takes_the_first_ones_place(whole: Path, tmp_path: Path) -> None:
    exported(whole, tmp_path / "all.gpkg")
    report = exported(whole, tmp_path / "all.gpkg", "--query", SHIPS)
    assert len(geopandas.read_file(tmp_path / "all.gpkg")) == report["objects"]


@pytest.mark.parametrize("ending", [*TABLES, "parquet"])
def test_nothing_found_is_an_empty_file(make_config: MakeConfig, tmp_path: Path, ending: str) -> None:
    config = make_config(ask=["find all the runways?"])
    run_job(config)
    report = exported(config.out, tmp_path / f"none.{ending}")
    assert report["objects"] == 0
    read = geopandas.read_parquet if ending == "parquet" else geopandas.read_file
    assert len(read(tmp_path / f"none.{ending}")) == 0
