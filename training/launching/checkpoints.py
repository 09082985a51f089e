"""Folders and small records on disk or object storage: finding the newest checkpoint, copying, removing.

Knows how a training lies below its `out`; knows no Ray call and no model.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.fs

from tiling.storage import explained, filesystem, full_address, is_local, local_path
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


class StorageError(LaunchError):
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


def joined(base: str, *parts: str) -> str:
    """An address below another."""
    return "/".join([base.rstrip("/"), *parts])


def folder_name(step: int) -> str:
    """Name of the checkpoint after so many steps; names sort as steps do."""
    return f"checkpoint_{step:09d}"


def newest(out: str, name: str) -> StoredCheckpoint | None:
    """The last whole checkpoint of a training, whoever wrote it; None where there is none.

    Raises:
        LaunchError: storage refuses, or the checkpoint that the record names is gone.
    """
    root = joined(out, name)
    pointer, snapshot = read_json(joined(root, POINTER)) or {}, read_json(joined(root, SNAPSHOT)) or {}
    latest = snapshot.get("latest_checkpoint_result") or {}
    names = [str(each) for each in (pointer.get("folder"), latest.get("checkpoint_dir_name")) if each]
    return read_checkpoint_report(joined(root, max(names))) if names else None


def point_at(root: str, step: int) -> None:
    """Name the newest whole checkpoint below the folder of all.

    Raises:
        LaunchError: storage refuses.
    """
    write_json(joined(root, POINTER), {"folder": folder_name(step)})


def folders(root: str) -> list[str]:
    """Names of the checkpoints below the folder of all, whole ones or not, the oldest first.

    Raises:
        LaunchError: storage refuses.
    """
    tops = {file.split("/")[0] for file in list_files(root) if "/" in file}
    return sorted(name for name in tops if name.startswith("checkpoint_"))


def sweep(root: str) -> None:
    """Remove checkpoints that were stored but never recorded, because a worker died meanwhile.

    Raises:
        LaunchError: storage refuses.
    """
    snapshot = read_json(joined(root, SNAPSHOT)) or {}
    known = {each["checkpoint_dir_name"] for each in snapshot.get("checkpoint_results", ())}
    newest_of_all = (read_json(joined(root, POINTER)) or {}).get("folder")
    for name in folders(root) if known else ():
        if name not in known and name != newest_of_all:
            remove_folder(joined(root, name))


def read_checkpoint_report(uri: str) -> StoredCheckpoint:
    """What stands in a checkpoint's own report.

    Raises:
        LaunchError: there is none, so the folder is no checkpoint of ours.
    """
    report = read_json(joined(uri, REPORT))
    if report is None:
        raise LaunchError(f"{uri} holds no {REPORT}: the checkpoint is gone or not ours; start in a new out")
    return StoredCheckpoint(
        uri, int(report["step"]), {str(k): float(v) for k, v in report["figures"].items()}
    )


def write_checkpoint_report(folder: Path, step: int, figures: Mapping[str, float]) -> None:
    """Leave in a local checkpoint folder how far it is."""
    text = json.dumps({"step": step, "figures": {name: float(value) for name, value in figures.items()}})
    (folder / REPORT).write_text(text, "utf-8")


def read_json(uri: str) -> dict[str, Any] | None:
    """A small record, None where it is not there.

    Raises:
        LaunchError: storage refuses, or it is no JSON object.
    """
    with _storage(uri, "read"):
        fs, path = _opened(uri)
        try:
            record = json.loads(fs.cat_file(path))
        except FileNotFoundError:
            return None
    if not isinstance(record, dict):
        raise LaunchError(f"{uri} is not what a training leaves there: remove it or choose another out")
    return record


def write_json(uri: str, record: Mapping[str, object]) -> None:
    """Write a small record whole or not at all.

    Raises:
        LaunchError: storage refuses.
    """
    data = json.dumps(record, indent=1).encode()
    with _storage(uri, "written"):
        if not is_local(uri):
            fs, path = _opened(uri)
            fs.pipe_file(path, data)
            return
        path = local_path(uri)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path + ".part").write_bytes(data)
        os.replace(path + ".part", path)


def copy_folder(source: str, target: str) -> None:
    """Make `target` hold the files of `source` and no others; a local target appears whole or not at all.

    Raises:
        LaunchError: there is nothing at `source`, or storage refuses.
    """
    names = list_files(source)
    if not names:
        raise LaunchError(f"{source} holds no files: nothing can be copied to {target}")
    with _storage(target, "written"):
        _to_local(source, target, names) if is_local(target) else _to_remote(source, target, names)


def list_files(uri: str) -> list[str]:
    """Files below a folder, relative to it, sorted; none where there is no such folder.

    Raises:
        LaunchError: storage refuses.
    """
    with _storage(uri, "read"):
        fs, path = _opened(uri)
        below = path.rstrip("/") + "/"
        return sorted(str(name)[len(below) :] for name in fs.find(path) if str(name).startswith(below))


def remove_folder(uri: str) -> None:
    """Remove a folder and all in it, if it is there.

    Raises:
        LaunchError: storage refuses.
    """
    with _storage(uri, "removed"):
        fs, path = _opened(uri)
        if fs.exists(path):
            fs.rm(path, recursive=True)


@contextmanager
def at_hand(uri: str) -> Iterator[Path]:
    """A local folder with a folder's content, itself where it is local; it may not be changed.

    Raises:
        LaunchError: there is nothing, or storage refuses.
    """
    if is_local(uri):
        yield Path(local_path(uri))
        return
    with tempfile.TemporaryDirectory(prefix="resume-") as scratch:
        copy_folder(uri, f"{scratch}/folder")
        yield Path(scratch) / "folder"


def arrow_storage(uri: str) -> tuple[pyarrow.fs.FileSystem | None, str]:
    """The file system and the path on it for those who want pyarrow's; None means the local disk.

    Raises:
        LaunchError: there is no such storage.
    """
    if is_local(uri):
        return None, local_path(uri)
    with _storage(uri, "opened"):
        fs, path = _opened(uri)
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs)), path


def _opened(uri: str) -> tuple[Any, str]:
    return filesystem(full_address(uri))


def _to_local(source: str, target: str, names: list[str]) -> None:
    """Fetch into a folder beside the target, then put it in the target's place."""
    final = Path(local_path(target))
    part = final.with_name(f".{final.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    fs, base = _opened(source)
    for name in names:
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        fs.get_file(joined(base, name), str(part / name))
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    part.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _to_remote(source: str, target: str, names: list[str]) -> None:
    fs, base = _opened(target)
    if is_local(source):
        for name in names:
            fs.put_file(joined(local_path(source), name), joined(base, name))
    else:
        with at_hand(source) as folder:
            _to_remote(str(folder), target, names)
            return
    for name in set(list_files(target)) - set(names):
        fs.rm_file(joined(base, name))


@contextmanager
def _storage(uri: str, done: str) -> Iterator[None]:
    """A block that asks storage for something; whatever it raises becomes StorageError."""
    try:
        yield
    except LaunchError:
        raise
    except Exception as error:  # every protocol brings exceptions of its own (botocore's are no OSError)
        if not is_local(uri):
            raise StorageError(f"{uri} cannot be {done}: {explained(uri, error)}") from error
        said = " ".join(str(error).split())
        remedy = "check the path and its permissions"
        raise StorageError(f"{uri} cannot be {done} ({type(error).__name__}: {said}): {remedy}") from error
