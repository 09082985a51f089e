"""Claim: the same scenes by file, ItemCollection, catalog or API search give the same bytes of objects.

And a search is asked once: the frozen plan is resumed while the API is down or answers otherwise.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import RequestError
from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.plan.plan_files import read_plan
from tests.worlds.fixtures import MakeConfig, file_bytes
from tests.worlds.stac import COLLECTION, item_of, stac_api, write_catalog, write_collection
from tiling.storage.store import Store

EVERYWHERE = [-180.0, -90.0, 180.0, 90.0]


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
    """Stands for a kill."""


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
