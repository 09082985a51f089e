"""Claim: a scheme of object storage needs a class and a line in the table; everything else asks them."""

import hashlib
import os
from collections.abc import Iterator
from uuid import uuid4

import fsspec
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.jobs import run_job
from pipelines.tables import object_files
from reasoner.model_name import ModelKind, ModelName
from tests.worlds.fixtures import MakeConfig
from tiling.errors import SceneError, StorageError
from tiling.raster.gdal import gdal_options
from tiling.raster.handles import vsi_path
from tiling.storage.schemes import (
    SCHEMES,
    ConditionalPut,
    ObjectStorage,
    credentials_to_forward,
    object_storage,
    storage_settings,
    use_forwarded,
)
from tiling.storage.store import Store


class Shelf(ObjectStorage):
    """Storage in this process's memory, under a scheme that nothing but the table knows."""

    gdal_prefix = "/vsimem/"
    settings = ("SHELF_ENDPOINT",)
    forwarded_names = ("SHELF_KEY",)

    def filesystem(self, uri: str) -> tuple[AbstractFileSystem, str]:
        """The memory and the path in it."""
        return fsspec.filesystem("memory"), "/" + uri.removeprefix("shelf://").rstrip("/")

    def read_versioned(self, fs: AbstractFileSystem, path: str) -> tuple[bytes, str]:
        """Content and its digest."""
        data = bytes(fs.cat_file(path))
        return data, hashlib.sha256(data).hexdigest()

    def conditional_put(self, data: bytes, *, version: str | None) -> ConditionalPut:
        """A PUT in the place of a version."""

        def put(fs: AbstractFileSystem, path: str) -> bool:
            there = self.read_versioned(fs, path)[1] if fs.exists(path) else None
            if there == version:
                fs.pipe_file(path, data)
            return there == version

        return put

    def gdal_options(self) -> dict[str, str]:
        """An option of this storage."""
        return {"SHELF_OPTION": "1"}

    def credentials_to_forward(self) -> dict[str, str]:
        """The key."""
        return {"SHELF_KEY": "secret"}

    def has_credentials(self) -> bool:
        """There are none in this process."""
        return False


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A place on storage whose scheme was just entered into the table."""
    monkeypatch.setitem(SCHEMES, "shelf", f"{__name__}:Shelf")
    name = uuid4().hex
    yield f"shelf://{name}"
    if MemoryFileSystem().exists(f"/{name}"):
        MemoryFileSystem().rm(f"/{name}", recursive=True)


def test_a_whole_run_is_written_to_a_new_scheme_with_the_bytes_of_a_local_one(
    shelf: str, make_config: MakeConfig
) -> None:
    here, there = make_config(), make_config(out=shelf)
    run_job(here)
    run_job(there)
    local, far = Store(here.out), Store(shelf)
    names = object_files(local)
    assert names
    assert object_files(far) == names
    assert [far.read(name) for name in names] == [local.read(name) for name in names]


def test_conditional_writes_go_through_the_class(shelf: str) -> None:
    store = Store(shelf)
    assert store.create("lock", b"one")
    assert not store.create("lock", b"two")
    held = store.read_versioned("lock")
    assert held is not None
    assert store.replace_if("lock", b"three", version=held.version)
    assert not store.replace_if("lock", b"four", version=held.version)
    assert store.read("lock") == b"three"


def test_gdal_and_the_names_of_models_know_it(shelf: str) -> None:
    assert vsi_path(f"{shelf}/a.tif") == f"/vsimem/{shelf.removeprefix('shelf://')}/a.tif"
    assert "/vsimem/" in str(gdal_options(f"{shelf}/a.tif")["CPL_VSIL_CURL_NON_CACHED"])
    assert object_storage(shelf).gdal_options() == {"SHELF_OPTION": "1"}
    assert ModelName.parse(f"{shelf}/model").kind is ModelKind.BUCKET
    with pytest.raises(SceneError, match="or shelf://"):
        vsi_path("nowhere://bucket/a.tif")


def test_workers_are_given_its_settings_and_its_access(shelf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SHELF_ENDPOINT" in storage_settings()
    assert credentials_to_forward()["SHELF_KEY"] == "secret"
    monkeypatch.setattr(os, "environ", dict(os.environ))
    use_forwarded({"SHELF_KEY": "theirs"})
    assert os.environ["SHELF_KEY"] == "theirs"


def test_storage_without_conditional_writes_is_refused(make_config: MakeConfig) -> None:
    place = f"memory://{uuid4().hex}"
    with pytest.raises(StorageError, match=r"no conditional writes: use a local folder or s3://"):
        run_job(make_config(out=place))
