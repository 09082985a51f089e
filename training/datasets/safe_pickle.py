"""Loads pickles of plain data and runs nothing that stands in them.

Lists, dicts, texts and numbers pass, and NumPy's scalars, which become Python's; any other name is refused.
"""

import io
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from training import DatasetError

MAX_BYTES = 1 << 28
"""Largest file that is read."""
NUMBER = re.compile(r"[iufb][1248]")
"""Codes of the NumPy types that pass."""
MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"})
DAMAGE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, ImportError,
    ArithmeticError, MemoryError, RecursionError,
)  # fmt: skip
"""Everything the unpickler raises on damaged files."""


def load_plain(path: Path) -> object:
    """Load a pickle of lists, dicts, texts, numbers and NumPy scalars.

    Raises:
        DatasetError: The file cannot be read, is damaged, too large, or names anything else.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(f"{path} is larger than {MAX_BYTES} bytes: it is not a file of references")
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    try:
        _check_memo(data)
        return _Plain(io.BytesIO(data), encoding="utf-8", errors="replace").load()
    except DAMAGE as error:
        raise DatasetError(f"{path} is not a pickle of plain data: {error}") from error


def _check_memo(data: bytes) -> None:
    """Refuse places in the memo beyond the file's length: room would be made for all before them."""
    for code, value, _ in pickletools.genops(data):
        if code.name in MEMO and isinstance(value, int) and not 0 <= value <= len(data):
            raise pickle.UnpicklingError(f"place {value} in the memo")


class _Dtype:
    """Stands in for a NumPy type: its code and byte order, nothing of NumPy's own."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not NUMBER.fullmatch(code):
            raise pickle.UnpicklingError(f"NumPy type {code!r} is refused")
        self.code = code
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        """Take the byte order of NumPy's (version, order, …)."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
        self.order = order if order in ("<", ">", "|", "=") else "<"


def _scalar(kind: object, data: object) -> int | float | bool:
    """A NumPy scalar as a Python number."""
    if not isinstance(kind, _Dtype) or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a NumPy scalar that is not a number is refused")
    dtype = np.dtype(kind.order + kind.code)
    if len(data) != dtype.itemsize:
        raise pickle.UnpicklingError(f"a NumPy scalar of {len(data)} bytes where {dtype.itemsize} are needed")
    number: int | float | bool = np.frombuffer(data, dtype)[0].item()
    return number


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """How pickles of protocol 2 write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("only bytes written as latin1 text pass")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encode,
}
"""Every name that passes, and what is used in its place."""


class _Plain(pickle.Unpickler):
    """An unpickler that finds stand-ins only."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        """Find a name among those that are allowed."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused and was not run")
        return ALLOWED[module, name]
