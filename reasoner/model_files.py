"""From the name of a model to the folder or file that holds it, and the digest of its weights."""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from reasoner.errors import ModelError
from reasoner.model_name import ModelKind, ModelName

_DECISIVE = (
    "*.safetensors",
    "*.pth",
    "config.json",
    "args.json",
    "*processor_config.json",
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "chat_template*",
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def weights_digest(source: Path | str) -> str:
    """Return a digest of a checkpoint folder, or of one weight file, 16 hex digits.

    Names and contents count; the folder, the times and files that change no output do not.
    """
    path = Path(source)
    files = [path] if path.is_file() else sorted({file for glob in _DECISIVE for file in path.glob(glob)})
    described = "".join(f"{file.name} {_content_digest(file)}\n" for file in files if file.is_file())
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _content_digest(file: Path) -> str:
    # In the hub's cache a large file is a link to a blob named by the SHA-256 of its content:
    # reading the name instead of 16 GB saves half a minute.
    blob = file.resolve()
    if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name):
        return blob.name
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.jinja"]
_HUB_TIMEOUT_S = 10
_UNREACHED: tuple[type[BaseException], ...] = (*HfHubHTTPError.__bases__, OSError)
"""What is raised where the hub does not answer: errors of the HTTP client in use, which differs."""


class Role(StrEnum):
    """What a model is for."""

    REASONER = "reasoner"
    """Answers questions in words and boxes."""
    SEGMENTER = "segmenter"
    """Turns boxes into masks."""


def find_model(name: str, role: Role) -> Path:
    """Return the folder of a model, or the file of a `.pth` segmenter; hub models are downloaded.

    Raises:
        ModelError: there is no such model, it cannot be reached or it holds no weights.
    """
    local = _local(name, role)
    if local is not None:
        return local if local.is_file() else checked_folder(local, name)
    check_hub(name)
    return checked_folder(_downloaded(name), name)


def check_hub(name: str) -> None:
    """Check cheaply that the hub, or its cache here, has a model.

    Raises:
        ModelError: the name is not a hub id, the hub does not know it or cannot be reached.
    """
    if not _HUB_ID.fullmatch(name):
        raise ModelError(_no_such(name))
    if _cached(name) is not None:
        return
    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"{_no_such(name)} (not in the cache, and HF_HUB_OFFLINE is set)")
    try:
        HfApi(endpoint=constants.ENDPOINT).model_info(name, timeout=_HUB_TIMEOUT_S)
    except HfHubHTTPError as error:
        answer = f"{error.response.status_code} {error.response.reason_phrase}"
        raise ModelError(f"{_no_such(name)} (the hub answered {answer})") from error
    except _UNREACHED as error:
        raise ModelError(f"{_no_such(name)} (the hub cannot be reached: {error})") from error


def check_found(name: str, role: Role) -> None:
    """Check cheaply that a model's files are there, or that the hub has them.

    Raises:
        ModelError: they are not.
    """
    local = _local(name, role)
    if local is None:
        check_hub(name)
    elif not local.is_file():
        checked_folder(local, name)


def read_json(path: Path) -> Mapping[str, object]:
    """Read a JSON object.

    Raises:
        ModelError: the file is missing or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object")
    return value


def checked_folder(folder: Path, name: str) -> Path:
    """Return a folder that holds a config and weights.

    Raises:
        ModelError: one of them is missing.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{_named(name, folder)} holds no config.json; {_WANTED}")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{_named(name, folder)} holds no *.safetensors; {_WANTED}")
    return folder


def _named(name: str, folder: Path) -> str:
    return name if Path(name) == folder else f"{name}: {folder}"


_WANTED = "give a hub id, a local folder with config.json and *.safetensors, or one of nano, null"


def _local(name: str, role: Role) -> Path | None:
    parsed = ModelName.parse(name)
    if parsed.kind is ModelKind.NANO:
        return Path(__file__).parent / "nano" / role.value
    path = parsed.path
    if path is None or path.is_dir():
        return path
    return path if role is Role.SEGMENTER and path.suffix == ".pth" else None


def _cached(name: str) -> Path | None:
    try:
        folder = Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=True))
    except (OSError, ValueError):
        return None
    return folder if any(folder.glob("*.safetensors")) else None


def _downloaded(name: str) -> Path:
    cached = _cached(name)
    if cached is not None and constants.HF_HUB_OFFLINE:
        return cached
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (OSError, ValueError) as error:
        raise ModelError(f"{name} cannot be downloaded from the hub: {error}") from error


def _no_such(name: str) -> str:
    return f"no such model {name!r}: {_WANTED}"
