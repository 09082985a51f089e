"""Addresses signed at the moment they are opened, by a function of the user; none is stored signed."""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

from tiling import SceneError
from tiling.storage.schemes import is_local

Signer = Callable[[str], str]
"""From an address to the same address with leave to open it for a while."""


def load_signer(name: str) -> Signer:
    """The function behind `module:function`.

    Raises:
        ValueError: The name has another form, or there is no such module or function.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"{name!r} is not of the form module:function")
    try:
        found: object = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as exc:
        raise ValueError(f"{name!r} cannot be imported ({exc})") from exc
    if not callable(found):
        raise ValueError(f"{name!r} is not a function")
    return found


def is_signed(uri: str, sign: str) -> bool:
    """Whether an address is opened by a signed one."""
    return bool(sign) and not is_local(uri)


def signed(uri: str, sign: str) -> str:
    """The address to open now: signed afresh where the user names a signer and the address is remote.

    Args:
        uri: The unsigned address.
        sign: `module:function`, or empty.

    Raises:
        SceneError: The signer cannot be imported, fails, or gives no address.
    """
    if not is_signed(uri, sign):
        return uri
    try:
        made = _signer(sign)(uri)
    except Exception as exc:  # the user's own code: anything can come out of it
        raise SceneError(uri, f"cannot be signed by {sign}: {type(exc).__name__}: {exc}") from exc
    if not isinstance(made, str) or not made:
        raise SceneError(uri, f"{sign} gives {type(made).__name__} where an address was expected")
    return made


_signer = lru_cache(maxsize=8)(load_signer)
