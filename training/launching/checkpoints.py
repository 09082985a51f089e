"""The checkpoints of a training below its `out`: the newest one, records beside them, copies and removal.

Storage itself is `tiling.storage`; here its errors become sentences about the training.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.fs

from tiling.storage import (
    Store,
    address_below,
    at_hand,
    copy_folder,
    explained,
    files_below,
    filesystem,
    full_address,
    is_local,
    local_path,
    remove_folder,
)
from training import LaunchError

REPORT = "report.json"
"""In every checkpoint: the steps done and the figures of the last of them."""
POINTER = "latest.json"
"""Beside the checkpoints: the newest whole one. Written once it is."""
SNAPSHOT = "checkpoint_manager_snapshot.json"
"""Ray Train's own record of whole checkpoints."""
MODEL = "model"
"""In every checkpoint: what the model loader accepts."""
RESULT = "checkpoint"
"""Below `out`: the model of the last checkpoint once training is finished."""


class CheckpointStorageError(LaunchError):
    """Storage refuses to read or write; another try may go better."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A whole checkpoint on storage."""

    uri: str
    """Its folder."""
    step: int
    """Steps done when it was written."""
    figures: Mapping[str, float]
    """Figures of the last of them."""


def folder_name(step: int) -> str:
    """Name of the checkpoint after so many steps; names sort as steps do."""
    return f"checkpoint_{step:09d}"


def newest_checkpoint(out: str, name: str) -> StoredCheckpoint | None:
    """The last whole checkpoint of a training, whoever wrote it; None where there is none.

    Raises:
        LaunchError: storage refuses, or the checkpoint that the record names is gone.
    """
    root = address_below(out, name)
    pointer, snapshot = (
        read_record(address_below(root, POINTER)) or {},
        read_record(address_below(root, SNAPSHOT)) or {},
    )
    latest = snapshot.get("latest_checkpoint_result") or {}
    names = [str(each) for each in (pointer.get("folder"), latest.get("checkpoint_dir_name")) if each]
    return read_checkpoint_report(address_below(root, max(names))) if names else None


def record_newest(root: str, step: int) -> None:
    """Name the newest whole checkpoint below the folder of all.

    Raises:
        LaunchError: storage refuses.
    """
    write_record(address_below(root, POINTER), {"folder": folder_name(step)})


def checkpoint_names(root: str) -> list[str]:
    """Names of the checkpoints below the folder of all, whole ones or not, the oldest first.

    Raises:
        LaunchError: storage refuses.
    """
    tops = {file.split("/")[0] for file in stored_files(root) if "/" in file}
    return sorted(name for name in tops if name.startswith("checkpoint_"))


def remove_unrecorded(root: str) -> None:
    """Remove checkpoints that were stored but never recorded, because a worker died meanwhile.

    Raises:
        LaunchError: storage refuses.
    """
    snapshot = read_record(address_below(root, SNAPSHOT)) or {}
    known = {each["checkpoint_dir_name"] for each in snapshot.get("checkpoint_results", ())}
    newest_of_all = (read_record(address_below(root, POINTER)) or {}).get("folder")
    for name in checkpoint_names(root) if known else ():
        if name not in known and name != newest_of_all:
            remove_stored(address_below(root, name))


def read_checkpoint_report(uri: str) -> StoredCheckpoint:
    """What stands in a checkpoint's own report.

    Raises:
        LaunchError: there is none, so the folder is not a checkpoint of ours.
    """
    report = read_record(address_below(uri, REPORT))
    if report is None:
        raise LaunchError(f"{uri} holds no {REPORT}: the checkpoint is gone or not ours; start in a new out")
    return StoredCheckpoint(
        uri, int(report["step"]), {str(k): float(v) for k, v in report["figures"].items()}
    )


def write_checkpoint_report(folder: Path, step: int, figures: Mapping[str, float]) -> None:
    """Leave in a local checkpoint folder how far it is."""
    text = json.dumps({"step": step, "figures": {name: float(value) for name, value in figures.items()}})
    (folder / REPORT).write_text(text, "utf-8")


def read_record(uri: str) -> dict[str, Any] | None:
    """Read a small JSON record; None where there is no such file.

    Raises:
        LaunchError: storage refuses, or it is not a JSON object.
    """
    with _storage(uri, "read"):
        try:
            record = json.loads(_store_of(uri).read(_name(uri)))
        except FileNotFoundError:
            return None
    if not isinstance(record, dict):
        raise LaunchError(f"{uri} is not what a training leaves there: remove it or choose another out")
    return record


def write_record(uri: str, record: Mapping[str, object]) -> None:
    """Write a small JSON record whole or not at all.

    Raises:
        LaunchError: storage refuses.
    """
    with _storage(uri, "written"):
        _store_of(uri).write(_name(uri), json.dumps(record, indent=1).encode())


def copy_stored(source: str, target: str) -> None:
    """Make `target` hold the files of `source` and no others; a local target appears whole or not at all.

    Raises:
        LaunchError: there is nothing at `source`, or storage refuses.
    """
    if not stored_files(source):
        raise LaunchError(f"{source} holds no files: nothing can be copied to {target}")
    with _storage(target, "written"):
        copy_folder(full_address(source), full_address(target))


def stored_files(uri: str) -> list[str]:
    """List the files below a folder, relative to it, sorted; none where there is no such folder.

    Raises:
        LaunchError: storage refuses.
    """
    with _storage(uri, "read"):
        return sorted(files_below(full_address(uri)))


def remove_stored(uri: str) -> None:
    """Remove a folder and all in it, if it is there.

    Raises:
        LaunchError: storage refuses.
    """
    with _storage(uri, "removed"):
        remove_folder(full_address(uri))


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """Give a local folder with a folder's content, itself where it is local; it may not be changed.

    Raises:
        LaunchError: there is nothing, or storage refuses.
    """
    with ExitStack() as stack:
        with _storage(uri, "read"):
            folder = stack.enter_context(at_hand(full_address(uri)))
        yield folder


def arrow_storage(uri: str) -> tuple[pyarrow.fs.FileSystem | None, str]:
    """The file system and the path on it for those who want pyarrow's; None means the local disk.

    Raises:
        LaunchError: there is no such storage.
    """
    if is_local(uri):
        return None, local_path(uri)
    with _storage(uri, "opened"):
        fs, path = filesystem(uri)
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs)), path


def _store_of(uri: str) -> Store:
    """The store of the folder that a file lies in."""
    return Store(full_address(uri.rpartition("/")[0]))


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]


@contextmanager
def _storage(uri: str, done: str) -> Iterator[None]:
    """A block that asks storage for something; whatever it raises becomes StorageError."""
    try:
        yield
    except LaunchError:
        raise
    except Exception as error:  # every protocol brings exceptions of its own (botocore's are not OSErrors)
        if not is_local(uri):
            raise CheckpointStorageError(f"{uri} cannot be {done}: {explained(uri, error)}") from error
        reason = " ".join(str(error).split())
        remedy = "check the path and its permissions"
        raise CheckpointStorageError(
            f"{uri} cannot be {done} ({type(error).__name__}: {reason}): {remedy}"
        ) from error
