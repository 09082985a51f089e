"""RemoteReasoner from Python: asks questions about imagery, and gives the objects that answer them.

    import remotereasoner as rr

    result = rr.run("scene.tif", ask="Where are ships?", out="answers")
    result.objects()        # a GeoDataFrame
    result.map()            # the map, in a notebook
    result.query("SELECT query, count(*) FROM objects GROUP BY 1")

The stub beside this file lists every name with its module; a name is imported when it is first used.
"""

import ast
import warnings
from importlib import import_module
from pathlib import Path


def _listed() -> dict[str, tuple[str, str]]:
    """Module of every name in the stub, and its name there."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
    imports = [(node.module or "", node.names) for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {each.asname or each.name: (module, each.name) for module, names in imports for each in names}


_HOMES = _listed()
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _HOMES[name]
    with warnings.catch_warnings():
        # huggingface_hub warns at import if notebook widgets are missing, which are not used here.
        warnings.filterwarnings("ignore", message="IProgress not found")
        found = globals()[name] = getattr(import_module(module), there)
    return found


def __dir__() -> list[str]:
    return __all__
