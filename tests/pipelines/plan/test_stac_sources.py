"""Claim: STAC documents are read from disk, a bucket and the web alike, and lead to files beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.plan.load_request import load_config
from pipelines.plan.planning import find_scenes, open_options
from tests.servers.bucket import bucket_server
from tests.worlds.practice import write_tiled
from tests.worlds.stac import COLLECTION, item_of, stac_api, write_catalog, write_collection
from tiling.scene import Scene

PLAIN = {"ask": ["x"], "out": "none", "reasoner": "null", "segmenter": "null"}


def scenes_of(**fields: object) -> list[Scene]:
    config = load_config(None, {**PLAIN, **fields})
    return find_scenes(config, open_options(config))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bucket with two rasters, a collection file and a catalog; assets by relative addresses."""
    root = tmp_path_factory.mktemp("root") / "bucket"
    root.mkdir()
    rasters = [write_tiled(root / f"{name}.tif") for name in "ab"]
    write_collection(root / "items.json", [item_of(path, href=f"./{path.name}") for path in rasters])
    write_catalog(root / "stac", [item_of(path, href=f"../../../{path.name}") for path in rasters])
    return root


@pytest.fixture
def endpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with bucket_server(folder.parent) as (url, _):
        for name, value in {
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield url


@pytest.mark.parametrize("document", ["items.json", "stac/catalog.json", "stac/drawn/collection.json"])
@pytest.mark.parametrize("place", ["disk", "bucket", "web"])
def test_documents_lead_to_the_files_beside_them(
    folder: Path, endpoint: str, document: str, place: str
) -> None:
    base = {"disk": str(folder), "bucket": "s3://bucket", "web": f"{endpoint}/bucket"}[place]
    found = scenes_of(scenes=[f"{base}/{document}"], allow_drivers=["HTTP"])
    assert [scene.scene_id for scene in found] == ["a", "b"]
    for scene in found:
        assert scene.bands[0].uri == f"{base}/{scene.scene_id}.tif"
        assert [band.index for band in scene.bands] == [1, 2, 3]


def test_bands_of_one_asset_are_chosen_by_number(folder: Path) -> None:
    found = scenes_of(scenes=[str(folder / "items.json")], assets=["visual"], bands=[3, 1, 2])
    assert {tuple(band.index for band in scene.bands) for scene in found} == {(3, 1, 2)}


def test_documents_and_rasters_stand_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = write_tiled(tmp_path / "c.tif")
    found = scenes_of(scenes=[str(other), str(folder / "items.json")])
    assert [scene.scene_id for scene in found] == ["a", "b", "c"]


def test_a_search_is_held_to_its_box_its_time_and_its_collection(folder: Path, tmp_path: Path) -> None:
    item = item_of(folder / "a.tif")
    items = [
        {**item, "id": "old", "properties": {"datetime": "2001-05-01T00:00:00Z"}},
        {**item, "id": "other", "collection": "other"},
        {
            **item,
            "id": "far",
            "bbox": [100, 1, 101, 2],
            "geometry": {"type": "Point", "coordinates": [100, 1]},
        },
        item,
    ]
    west, south, east, north = item["bbox"]  # type: ignore[misc]
    search = {
        "collections": [COLLECTION],
        "bbox": [west - 1, south - 1, east + 1, north + 1],
        "datetime": "2024-01-01/2024-12-31",
    }
    with stac_api(write_collection(tmp_path / "items.json", items)) as url:
        assert [scene.scene_id for scene in scenes_of(stac={"url": url, **search})] == ["a"]
        wide = {"url": url, "collections": [COLLECTION, "other"]}
        assert [scene.scene_id for scene in scenes_of(stac=wide)] == ["a", "far", "old", "other"]


def test_a_box_over_180_degrees_is_searched_on_both_sides(folder: Path, tmp_path: Path) -> None:
    def moved(name: str, west: float, east: float) -> dict[str, object]:
        ring = [[west, 0], [east, 0], [east, 1], [west, 1], [west, 0]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        return {**item_of(folder / "a.tif"), "id": name, "geometry": geometry, "bbox": [west, 0, east, 1]}

    places = {"east": (179.0, 179.5), "west": (-179.5, -179.0), "middle": (-1.0, 1.0)}
    items = [moved(name, *span) for name, span in places.items()]
    with stac_api(write_collection(tmp_path / "items.json", items)) as url:
        search = {"url": url, "collections": [COLLECTION], "bbox": [178, -1, -178, 2]}
        assert [scene.scene_id for scene in scenes_of(stac=search)] == ["east", "west"]
