"""What identifies the weights of a model: a digest of the files that decide its output.

Knows file names of checkpoints. Knows no model.
"""

import hashlib
import re
from pathlib import Path

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

    Names and contents count; the place, the times and files that change no output do not.
    """
    path = Path(source)
    files = [path] if path.is_file() else sorted({file for glob in _DECISIVE for file in path.glob(glob)})
    told = "".join(f"{file.name} {_content_digest(file)}\n" for file in files if file.is_file())
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _content_digest(file: Path) -> str:
    # In the hub's cache a large file is a link to a blob named by the SHA-256 of its content:
    # reading the name instead of 16 GB saves half a minute.
    blob = file.resolve()
    if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name):
        return blob.name
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
