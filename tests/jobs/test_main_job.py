"""The main job end to end: with models that know the truth, the result is the truth, complete and exact."""

import json
import shutil
from collections import Counter
from io import BytesIO
from pathlib import Path

import geopandas
import pyarrow.parquet as pq
import pytest
import shapely

from pipelines.demo import score_objects
from pipelines.jobs.run import run_job
from pipelines.plan.plan_files import read_plan
from pipelines.tables.collection import COLLECTION_FILE
from pipelines.tables.objects import object_files
from reasoner.query import Query
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig, file_bytes
from tiling.storage.store import Store


def found(store: Store, text: str) -> geopandas.GeoDataFrame:
    (name,) = object_files(store, Query(text).id)
    return geopandas.read_parquet(BytesIO(store.read(name)))


@pytest.mark.parametrize(("text", "kind"), [(SHIPS, "ship"), (ATOLLS, "atoll")])
def test_every_true_object_is_found_once_whole_and_nothing_else(
    whole: Path, practice: Path, text: str, kind: str
) -> None:
    truth = geopandas.read_parquet(practice / "truth.parquet")
    true = truth[truth["kind"] == kind].geometry
    score = score_objects(found(Store(str(whole)), text).geometry, true, iou=0.9)
    assert score.true > 4
    assert (score.found, score.right) == (score.true, score.true)


def test_every_planned_tile_has_one_row_per_question(whole: Path) -> None:
    store = Store(str(whole))
    plan = read_plan(store)
    planned = Counter(tile.tile_id for item in plan.scenes for tile in item.grid.tiles())
    for query in plan.queries:
        files = store.names(f"answers/query={query.id}")
        rows = Counter(
            tile for name in files for tile in pq.read_table(BytesIO(store.read(name)))["tile_id"].to_pylist()
        )
        assert rows == planned


def test_the_report_counts_what_was_written(make_config: MakeConfig) -> None:
    config = make_config()
    report = run_job(config)
    store = Store(config.out)
    assert report.objects == len(found(store, SHIPS)) + len(found(store, ATOLLS))
    assert report.chunks_done == report.chunks_planned > 2
    assert report.ok + report.empty == report.tiles * 2
    assert report.tiles == read_plan(store).n_tiles


def test_objects_carry_their_columns_and_the_run(whole: Path) -> None:
    store = Store(str(whole))
    ships = found(store, SHIPS)
    assert ships.crs.to_string() == "OGC:CRS84"
    assert set(ships["run_id"]) == {read_plan(store).run_id}
    assert set(ships["query"]) == {SHIPS}
    assert ships["id"].is_unique
    assert (ships["area_m2"] > 0).all()
    assert ships["datetime"].notna().all()
    assert ships["contour"].geom_type.eq("MultiLineString").all()
    assert shapely.covers(shapely.buffer(ships["region"], 1e-9), ships.geometry).all()


def test_the_collection_names_every_result_file(whole: Path) -> None:
    store = Store(str(whole))
    collection = json.loads(store.read(COLLECTION_FILE))
    hrefs = {asset["href"].removeprefix("./") for asset in collection["assets"].values()}
    assert hrefs == set(object_files(store))
    assert collection["type"] == "Collection"
    assert collection["remotereasoner:complete"] is True


def test_copied_scenes_give_the_same_bytes(
    whole: Path, make_config: MakeConfig, practice: Path, tmp_path: Path
) -> None:
    shutil.copytree(practice / "scenes", tmp_path / "copy")
    config = make_config(scenes=[str(tmp_path / "copy")], out=str(tmp_path / "other"))
    run_job(config)
    assert file_bytes(tmp_path / "other" / "objects") == file_bytes(whole / "objects")


def test_chunk_size_changes_nothing_but_the_ledger(
    whole: Path, make_config: MakeConfig, tmp_path: Path
) -> None:
    run_job(make_config(chunk=4096, out=str(tmp_path / "one")))
    for text in (SHIPS, ATOLLS):
        here, there = found(Store(str(whole)), text), found(Store(str(tmp_path / "one")), text)
        assert here.drop(columns="run_id").equals(there.drop(columns="run_id"))


def test_a_question_that_finds_nothing_leaves_a_valid_empty_table(make_config: MakeConfig) -> None:
    config = make_config(ask=["find all the runways?"])
    report = run_job(config)
    empty = found(Store(config.out), "find all the runways?")
    assert report.objects == len(empty) == 0
    assert {"geometry", "region", "contour"} <= set(empty.columns)


def test_captions_and_answers_in_words_are_texts_per_tile(make_config: MakeConfig) -> None:
    ask = [{"task": "caption"}, {"text": SHIPS, "task": "vqa"}]
    config = make_config(ask=ask)
    report = run_job(config)
    store = Store(config.out)
    texts = [geopandas.read_parquet(BytesIO(store.read(name))) for name in store.names("texts")]
    assert [len(table) for table in texts] == [report.tiles, report.tiles]
    assert all(table["tile_id"].is_unique and table["text"].str.len().gt(0).all() for table in texts)
    assert object_files(store) == []
