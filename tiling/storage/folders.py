"""Whole folders copied from object storage to this disk and back: models, datasets, checkpoints."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiling import Fault, StorageError
from tiling.storage.files import address_below, local_path
from tiling.storage.retry import with_retry
from tiling.storage.schemes import filesystem, is_local, object_storage
from tiling.storage.store import Store


def files_below(uri: str) -> dict[str, str]:
    """Names of the files below a folder, relative to it, with a mark of each one's content.

    Raises:
        StorageError: The storage refuses or is away.
    """

    def listed() -> dict[str, str]:
        fs, path = filesystem(uri)
        found = fs.find(path, detail=True)
        return {
            str(name)[len(path) + 1 :]: object_storage(uri).content_mark(info)
            for name, info in sorted(found.items())
            if str(name).startswith(path + "/")
        }

    return with_retry(uri, listed)


def fetch_folder(uri: str, target: Path) -> None:
    """Copy the files below a folder of object storage, or the one file of that name, to a local place.

    Raises:
        StorageError: There is nothing, or the storage refuses or is away.
    """
    names = list(files_below(uri))
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        with_retry(uri, lambda name=name: _fetch(address_below(uri, name), target / name))  # type: ignore[misc]
    if not names:
        try:
            with_retry(uri, lambda: _fetch(uri, target))
        except FileNotFoundError as error:
            raise StorageError(uri, "there is nothing", Fault.ODD) from error


def put_folder(source: Path, uri: str) -> None:
    """Copy the files below a local folder to object storage, each whole or not at all.

    Raises:
        StorageError: The storage refuses or is away.
    """
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        address = f"{uri.rstrip('/')}/{path.relative_to(source).as_posix()}"
        with_retry(address, lambda path=path, address=address: _put(path, address))  # type: ignore[misc]


def copy_folder(source: str, target: str) -> None:
    """Make one folder hold the files of another and no others; a local target appears whole or not at all.

    Args:
        source: Address of a folder that holds files.
        target: Address of the copy.

    Raises:
        FileNotFoundError: There are no files at `source`.
        StorageError: The storage refuses or is away.
        OSError: The local disk refuses.
    """
    names = files_below(source)
    if not names:
        raise FileNotFoundError(source)
    if is_local(target):
        _fetch_in_place(source, Path(local_path(target)))
        return
    with at_hand(source) as folder:
        put_folder(folder, target)
    Store(target).remove(sorted(files_below(target).keys() - names.keys()))


def remove_folder(uri: str) -> None:
    """Remove a folder with all that is in it; a folder that is not there is not an error.

    Raises:
        StorageError: The storage refuses or is away.
        OSError: The local disk refuses.
    """

    def removed() -> None:
        fs, path = filesystem(uri)
        if fs.exists(path):
            fs.rm(path, recursive=True)

    with_retry(uri, removed)


@contextmanager
def at_hand(uri: str) -> Iterator[Path]:
    """A local folder or file with the content of an address, itself where it is local; not to be changed.

    Raises:
        StorageError: There is nothing, or the storage refuses or is away.
    """
    if is_local(uri):
        yield Path(uri.removeprefix("file://"))
        return
    with tempfile.TemporaryDirectory(prefix="remotereasoner-") as temporary:
        place = Path(temporary) / uri.rstrip("/").rsplit("/", 1)[-1]
        fetch_folder(uri, place)
        yield place


@contextmanager
def delivered(uri: str) -> Iterator[Path]:
    """A local folder to write into; where the address is elsewhere, its files are taken there at the end.

    Raises:
        StorageError: The storage refuses or is away.
    """
    if is_local(uri):
        yield Path(uri.removeprefix("file://"))
        return
    with tempfile.TemporaryDirectory(prefix="remotereasoner-") as temporary:
        yield Path(temporary)
        put_folder(Path(temporary), uri)


def kept_copy(uri: str) -> str:
    """Local path of a folder's content; a copy from object storage is kept for all processes of a machine.

    Raises:
        StorageError: There is nothing, or the storage refuses or is away.
    """
    if is_local(uri):
        return local_path(uri)
    marks = "\n".join(f"{name} {mark}" for name, mark in files_below(uri).items())
    name = hashlib.sha256(f"{uri}\n{marks}".encode()).hexdigest()[:24]
    place = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "remotereasoner" / name
    if not place.exists():
        part = place.with_name(f"{name}.part-{secrets.token_hex(4)}")
        part.parent.mkdir(parents=True, exist_ok=True)
        fetch_folder(uri, part)
        try:
            part.rename(place)
        except OSError:  # another process was faster
            shutil.rmtree(part, ignore_errors=True)
    return str(place)


def _fetch_in_place(source: str, final: Path) -> None:
    """Fetch into a folder beside the target, then put it in the target's place."""
    part, old = (final.with_name(f".{final.name}.{ending}") for ending in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)
    fetch_folder(source, part)
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    part.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _fetch(uri: str, target: Path) -> None:
    fs, path = filesystem(uri)
    fs.get_file(path, str(target))
    size = fs.info(path)["size"]
    if target.stat().st_size != size:
        raise ConnectionError(f"{target.stat().st_size} of {size} bytes came")


def _put(source: Path, uri: str) -> None:
    fs, path = filesystem(uri)
    fs.put_file(str(source), path)
