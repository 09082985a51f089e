"""Files appear whole or not at all, locally and on object storage; half-written ones are never listed."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from tiling.storage.store import Store


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    root = str(tmp_path) if request.param == "local" else f"memory://{uuid4().hex}"
    yield Store(root)
    if request.param == "memory":
        fsspec.filesystem("memory").rm(root, recursive=True) if fsspec.filesystem("memory").exists(
            root
        ) else None


def test_what_is_written_is_read_listed_and_removed(store: Store) -> None:
    store.write("a/b=1/x.bin", b"one")
    store.write("a/b=1/x.bin", b"two")
    store.write("a/b=2/y.bin", b"")
    assert store.read("a/b=1/x.bin") == b"two"
    assert store.names("a") == ["a/b=1/x.bin", "a/b=2/y.bin"]
    store.remove(["a/b=1/x.bin", "a/none"])
    assert (store.exists("a/b=1/x.bin"), store.exists("a/b=2/y.bin")) == (False, True)
    store.remove_folder("a")
    assert store.names("a") == []


def test_a_missing_file_is_no_file(store: Store) -> None:
    assert store.names("nowhere") == []
    assert not store.exists("nowhere/x")
    with pytest.raises(FileNotFoundError):
        store.read("nowhere/x")


def test_a_write_that_dies_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))

    def die(self: Path, target: Path) -> Path:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(OSError, match="killed"):
            store.write("a/x.bin", b"data")
    assert store.names("") == []
    assert len(list(tmp_path.rglob("*.tmp-*"))) == 1
    store.clear_temporary("")
    assert list(tmp_path.rglob("*.tmp-*")) == []
