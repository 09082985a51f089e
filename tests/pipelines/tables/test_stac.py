"""The published collection and its items are STAC: by the core's schemas, the extensions' rules, and pystac.

The schemas of the core come with pystac; what the extensions' texts require stands in tests/stac_rules.py.
"""

import hashlib
import json
from pathlib import Path

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pystac
import pytest
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.table import TableExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from pipelines.jobs.run import run_job
from pipelines.plan.plan_files import read_plan
from pipelines.tables.cells import cell_bounds
from pipelines.tables.collection import COLLECTION_FILE, publish, withdraw
from pipelines.tables.objects import OBJECT_SCHEMA, object_files, write_cell
from tests.pipelines.results.replacer import part
from tests.pipelines.tables.stac_rules import broken_rules
from tests.worlds.fixtures import MakeConfig
from tiling.storage.store import Store

COLUMN_KEYS = {"name", "description", "type"}
"""All that the table extension knows of a column."""


def validate(record: dict[str, object], kind: pystac.STACObjectType) -> None:
    """Hold a record against the core's schemas, which lie in the package."""
    version = str(record["stac_version"])
    JsonSchemaSTACValidator().validate_core(record, kind, version)
    assert broken_rules(record) == []


def items_of(out: Path) -> list[Path]:
    return sorted((out / "objects").rglob("_item.json"))


def test_the_collection_and_its_items_pass_the_schemas_of_the_core(whole: Path) -> None:
    validate(json.loads((whole / COLLECTION_FILE).read_text()), pystac.STACObjectType.COLLECTION)
    assert len(items_of(whole)) == 2
    for path in items_of(whole):
        validate(json.loads(path.read_text()), pystac.STACObjectType.ITEM)


@pytest.mark.parametrize(("field", "wrong"), [("bbox", "here"), ("geometry", {"type": "Square"}), ("id", 7)])
def test_a_wrong_item_fails_them(whole: Path, field: str, wrong: object) -> None:
    record = json.loads(items_of(whole)[0].read_text()) | {field: wrong}
    with pytest.raises(pystac.STACValidationError):
        validate(record, pystac.STACObjectType.ITEM)


def test_the_rules_of_the_extensions_find_what_is_wrong(whole: Path) -> None:
    item = json.loads(items_of(whole)[0].read_text())
    del item["properties"]["table:columns"]
    item["assets"]["objects"] |= {"file:checksum": "xyz", "proj:epsg": 4326}
    broken = broken_rules(
        item | {"stac_extensions": [*item["stac_extensions"], "https://a.b/odd/v9/schema.json"]}
    )
    assert len(broken) == 4
    collection = json.loads((whole / COLLECTION_FILE).read_text())
    collection["processing:lineage"] = "here"
    del collection["providers"]
    assert len(broken_rules(collection)) == 2


def test_a_collection_without_a_licence_fails_them(whole: Path) -> None:
    record = json.loads((whole / COLLECTION_FILE).read_text())
    del record["license"]
    with pytest.raises(pystac.STACValidationError):
        validate(record, pystac.STACObjectType.COLLECTION)


def test_pystac_walks_from_the_collection_to_every_file(whole: Path) -> None:
    collection = pystac.Collection.from_file(str(whole / COLLECTION_FILE))
    items = list(collection.get_items())
    files = [Path(item.assets["objects"].get_absolute_href() or "") for item in items]
    assert sorted(files) == sorted((whole / "objects").rglob("objects.parquet"))
    for item in items:
        parent = item.get_parent()
        assert parent is not None
        assert parent.id == collection.id


def test_an_item_says_what_its_file_holds(whole: Path) -> None:
    collection = pystac.Collection.from_file(str(whole / COLLECTION_FILE))
    for item in collection.get_items():
        asset = item.assets["objects"]
        path = Path(asset.get_absolute_href() or "")
        frame = geopandas.read_parquet(path)
        cell = path.parent.name.removeprefix("cell=")
        assert item.bbox == list(cell_bounds(cell))
        assert TableExtension.ext(item).row_count == len(frame) > 0
        assert [column["name"] for column in item.properties["table:columns"]] == OBJECT_SCHEMA.names
        place = ProjectionExtension.ext(asset)
        assert place.code == "OGC:CRS84"
        assert place.bbox == frame.total_bounds.tolist()
        file = FileExtension.ext(asset)
        assert file.size == path.stat().st_size
        assert file.checksum == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
        assert item.common_metadata.start_datetime == frame["datetime"].min()
        assert item.common_metadata.end_datetime == frame["datetime"].max()


def test_the_collection_names_columns_software_and_crs_as_the_extensions_want(whole: Path) -> None:
    record = json.loads((whole / COLLECTION_FILE).read_text())
    extensions = [uri.split("/")[-3] for uri in record["stac_extensions"]]
    assert sorted(extensions) == ["processing", "projection", "table"]
    assert [column["name"] for column in record["table:columns"]] == OBJECT_SCHEMA.names
    assert all(column.keys() <= COLUMN_KEYS and column["description"] for column in record["table:columns"])
    assert record["table:primary_geometry"] == "geometry"
    assert record["summaries"]["proj:code"] == ["OGC:CRS84"]
    (maker,) = record["providers"]
    assert maker["roles"] == ["processor"]
    assert set(maker["processing:software"]) == {"remotereasoner"}
    assert isinstance(maker["processing:lineage"], str)
    assert not [name for name in record if name.startswith("processing:")]
    table = TableExtension.ext(pystac.Collection.from_dict(record))
    assert table.columns[5].name == "geometry"


def test_without_times_an_item_is_valid_and_says_all_times(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    name = write_cell(store, "q", "1202200", part("1202200", version=0))
    record = json.loads((tmp_path / name).with_name("_item.json").read_text())
    validate(record, pystac.STACObjectType.ITEM)
    assert record["properties"]["start_datetime"] < "0002"
    assert record["properties"]["end_datetime"] > "9999"
    bounds = record["assets"]["objects"]["proj:bbox"]
    table = pq.read_table(tmp_path / name)
    boxes = [[box[side] for side in ("xmin", "ymin", "xmax", "ymax")] for box in table["bbox"].to_pylist()]
    sides = np.array(boxes)
    assert bounds == [*sides[:, :2].min(axis=0), *sides[:, 2:].max(axis=0)]


def test_the_item_of_a_file_that_is_no_more_goes_with_the_next_publication(whole_copy: Path) -> None:
    store = Store(str(whole_copy))
    gone, kept = object_files(store)
    store.remove([gone])
    withdraw(store)
    publish(store, read_plan(store), files=[kept], failed=0)
    assert [str(path.parent.relative_to(whole_copy)) for path in items_of(whole_copy)] == [
        kept.rsplit("/", 1)[0]
    ]
    links = json.loads((whole_copy / COLLECTION_FILE).read_text())["links"]
    assert [link["href"] for link in links] == [f"./{kept.rsplit('/', 1)[0]}/_item.json"]


def test_a_question_that_finds_nothing_has_a_valid_collection_without_items(make_config: MakeConfig) -> None:
    config = make_config(ask=["find all the runways?"])
    run_job(config)
    record = json.loads((Path(config.out) / COLLECTION_FILE).read_text())
    validate(record, pystac.STACObjectType.COLLECTION)
    assert record["links"] == []
    assert len(record["assets"]) == 1
