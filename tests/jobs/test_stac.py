"""Claim: STAC documents on disk, in a bucket and on the web lead to the files beside them.

The same scenes by file, ItemCollection, catalog or API search give the same bytes of objects; and a search is
asked once: the frozen plan is resumed while the API is down or answers otherwise.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.errors import RequestError
from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from pipelines.plan.plan_files import read_plan
from pipelines.plan.planning import find_scenes, open_options
from tests.servers.bucket import bucket_server
from tests.worlds.fixtures import MakeConfig, file_bytes
from tests.worlds.practice import write_tiled
from tests.worlds.stac import COLLECTION, item_of, stac_api, write_catalog, write_collection
from tiling.scene import Scene
from tiling.storage.store import Store

PLAIN = {"ask": ["x"], "out": "none", "reasoner": "null", "segmenter": "null"}
EVERYWHERE = [-180.0, -90.0, 180.0, 90.0]


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


@pytest.fixture(scope="module")
def items_file(practice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    items = [item_of(path) for path in sorted((practice / "scenes").glob("*.tif"))]
    return write_collection(tmp_path_factory.mktemp("stac") / "items.json", items)


def search_of(url: str, **fields: object) -> dict[str, object]:
    return {"url": url, "collections": [COLLECTION], "bbox": EVERYWHERE, **fields}


def assert_same_result(out: Path, whole: Path) -> None:
    """The same objects byte by byte, the same ledger files by name."""
    assert file_bytes(out / "objects") == file_bytes(whole / "objects")
    names = [sorted(path.name for path in (folder / "answers").rglob("*.parquet")) for folder in (out, whole)]
    assert names[0] == names[1]


def test_an_item_collection_gives_the_bytes_of_its_files(
    make_config: MakeConfig, items_file: Path, whole: Path
) -> None:
    config = make_config(scenes=[str(items_file)])
    run_job(config)
    assert_same_result(Path(config.out), whole)


def test_a_catalog_gives_the_bytes_of_its_files(
    make_config: MakeConfig, practice: Path, whole: Path, tmp_path: Path
) -> None:
    items = [item_of(path) for path in sorted((practice / "scenes").glob("*.tif"))]
    config = make_config(scenes=[str(write_catalog(tmp_path / "catalog", items))])
    run_job(config)
    assert_same_result(Path(config.out), whole)


def test_a_search_gives_the_bytes_of_its_files_and_the_plan_keeps_what_it_found(
    make_config: MakeConfig, items_file: Path, whole: Path
) -> None:
    with stac_api(items_file) as url:
        config = make_config(scenes=(), stac=search_of(url))
        run_job(config)
    assert_same_result(Path(config.out), whole)
    scenes = [item.scene for item in read_plan(Store(config.out)).scenes]
    assert [scene.uri for scene in scenes] == [
        f"{url}collections/{COLLECTION}/items/{scene.scene_id}" for scene in scenes
    ]
    assert all(scene.datetime and scene.bands[0].uri.endswith(".tif") for scene in scenes)


class KilledError(Exception):
    """Represents a kill."""


def stop_after(commits: int) -> Callable[[object], None]:
    left = [commits]

    def listener(event: object) -> None:
        if type(event).__name__ == "ChunkDone":
            left[0] -= 1
            if left[0] == 0:
                raise KilledError

    return listener


def killed_search(make_config: MakeConfig, items_file: Path) -> JobConfig:
    """A job over a search, killed after its first chunk; its API is gone."""
    with stac_api(items_file) as url:
        config = make_config(scenes=(), stac=search_of(url))
        with pytest.raises(KilledError):
            run_job(config, listener=stop_after(1))
    assert not (Path(config.out) / "collection.json").exists()
    return config


def test_a_killed_search_resumes_while_the_api_is_down(
    make_config: MakeConfig, items_file: Path, whole: Path
) -> None:
    config = killed_search(make_config, items_file)
    report = run_job(config)
    assert 0 < report.chunks_done < report.chunks_planned
    assert_same_result(Path(config.out), whole)


def test_a_file_that_changed_since_is_seen_though_the_search_is_frozen(
    make_config: MakeConfig, practice: Path, tmp_path: Path
) -> None:
    copies = [Path(shutil.copy2(path, tmp_path)) for path in sorted((practice / "scenes").glob("*.tif"))]
    config = killed_search(
        make_config, write_collection(tmp_path / "items.json", [item_of(path) for path in copies])
    )
    copies[0].touch()
    with pytest.raises(RequestError, match=f"scenes differ .*changed {copies[0].stem}"):
        run_job(config)


def test_another_search_is_another_job(make_config: MakeConfig, items_file: Path, practice: Path) -> None:
    with stac_api(items_file) as url:
        config = make_config(scenes=(), stac=search_of(url))
        run_job(config)
        first = item_of(sorted((practice / "scenes").glob("*.tif"))[0])["bbox"]
        assert isinstance(first, list)
        west, south, east, north = first
        small = [west, south, west + (east - west) / 9, south + (north - south) / 9]
        with pytest.raises(RequestError, match=r"another job: scenes.*differ"):
            run_job(make_config(scenes=(), stac=search_of(url, bbox=small)))
