"""The arrows between packages and rooms hold, heavy libraries have one home, and public names are unique."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch

import pytest

from tests.rooms import (
    OPEN,
    PACKAGES,
    ROOT,
    Import,
    all_imports,
    circle,
    defined,
    door,
    file_graph,
    file_of,
    imports_in,
    longest_chain,
    name_of,
    place_of,
    reaches_past,
    sources,
)

ROOF = ("pipelines/cli/app.py", "pipelines/cli/demo.py")
"""Files of pipelines that may import training: they mount its commands and draw its practice scenes."""
MAX_BODY_LINES = 50
LONGEST = {"pipelines": 13, "tiling": 8, "reasoner": 7, "training": 13}
"""Number of files in the longest chain of imports of a package, at most."""

ARROWS = {
    "tiling": {"tiling"},
    "reasoner": {"reasoner"},
    "pipelines": {"pipelines", "tiling", "reasoner"},
    "training": {"training", "tiling", "reasoner"},
}
"""Which of our packages a package may import."""

_MERGED = "engine inference tables plan progress errors"
ROOMS = {
    "pipelines/__main__": "cli",
    "pipelines/notebook": "cli results jobs map plan progress errors",
    "pipelines/cli": "demo results jobs map engine inference plan progress errors",
    "pipelines/demo": "jobs map tables plan progress",
    "pipelines/results": "jobs inference tables plan errors",
    "pipelines/jobs": f"merge {_MERGED}",
    "pipelines/map": "tables plan errors",
    "pipelines/merge": _MERGED,
    "pipelines/engine": "inference plan progress errors",
    "pipelines/inference": "tables plan progress errors",
    "pipelines/tables": "plan",
    "pipelines/plan": "errors",
    "pipelines/progress": "",
    "pipelines/errors": "",
    "tiling/overlap": "merge raster geo grid scene errors",
    "tiling/merge": "geo grid scene",
    "tiling/raster": "storage geo grid scene errors",
    "tiling/geo": "grid scene errors",
    "tiling/grid": "errors",
    "tiling/storage": "errors",
    "tiling/scene": "",
    "tiling/errors": "",
    "reasoner/loading": "engines profiles protocols model_files model_name errors",
    "reasoner/engines": "profiles parsing dialects coordinates answer query model_files model_name errors",
    "reasoner/profiles": "parsing dialects coordinates answer query errors",
    "reasoner/parsing": "dialects coordinates answer query errors",
    "reasoner/protocols": "answer query",
    "reasoner/dialects": "errors",
    "reasoner/coordinates": "",
    "reasoner/answer": "query",
    "reasoner/query": "errors",
    "reasoner/model_files": "model_name errors",
    "reasoner/model_name": "",
    "reasoner/errors": "",
    "training/cli": "preflight trainers recipe_yaml sizing rl sft launching data errors",
    "training/preflight": "trainers recipe_yaml sizing rl data_mix labels sft scenery errors",
    "training/trainers": "evaluation recipe_yaml sizing rl data_mix sft launching data errors",
    "training/evaluation": "recipe_yaml rl data_mix labels datasets data errors",
    "training/recipe_yaml": "rl data_mix sft scenery errors",
    "training/sizing": "rl data errors",
    "training/rl": "data_mix scenery launching data errors",
    "training/data_mix": "labels scenery data errors",
    "training/labels": "datasets data errors",
    "training/datasets": "sft data errors",
    "training/sft": "launching data errors",
    "training/scenery": "data errors",
    "training/launching": "errors",
    "training/data": "errors",
    "training/errors": "",
}
"""Which rooms of its package a room may import; a file beside the rooms is a room of its own."""

MODELS = ("reasoner/*", "training/*")
HOMES = {
    "duckdb": ("pipelines/results/*.py",),
    "pyogrio": ("pipelines/results/export.py", "pipelines/map/archive.py"),
    "ray": ("pipelines/engine/*.py", "training/launching/ray_*.py", "training/rl/ray_masks.py"),
    "rasterio": ("tiling/raster/*", "tiling/merge/*"),
    "osgeo": ("tiling/raster/*",),
    "contourpy": ("tiling/merge/vectorize.py",),
    "s3fs": ("tiling/storage/s3.py",),
    "botocore": ("tiling/storage/s3.py",),
    "tenacity": ("tiling/storage/retry.py", "reasoner/engines/openai_engine.py"),
    "huggingface_hub": ("reasoner/model_files.py", "training/sizing/architectures.py"),
    "torch": MODELS,
    "torchvision": MODELS,
    "transformers": MODELS,
    "segment_anything": MODELS,
    "safetensors": MODELS,
    "tokenizers": MODELS,
    "trl": ("training/*",),
    "peft": ("training/*",),
    "pydantic": (
        "pipelines/plan/config.py",
        "pipelines/plan/load_request.py",
        "pipelines/plan/plan_files.py",
        "training/recipe_yaml.py",
    ),
    "pystac": (
        "pipelines/plan/stac_search.py",
        "pipelines/tables/stac_items.py",
        "pipelines/tables/collection.py",
        "tiling/raster/mosaic_read.py",
    ),
    "pystac_client": ("pipelines/plan/stac_search.py",),
    "odc": ("tiling/raster/mosaic_*.py",),
    "xarray": ("tiling/raster/mosaic_*.py",),
    "dask": ("tiling/raster/mosaic_*.py",),
}
"""The only files that may import a library."""


def wrong_arrows(imports: Iterable[Import]) -> list[str]:
    """Imports from a package that the importing one must not use; only the roof may import training."""
    return [
        str(each)
        for each in imports
        if each.top in PACKAGES
        and each.top not in ARROWS[each.file.split("/")[0]] | ({"training"} if each.file in ROOF else set())
    ]


def wrong_rooms(imports: Iterable[Import]) -> list[str]:
    """Imports from a room of the same package that the importing room must not use."""
    found = []
    for each in imports:
        target, here = file_of(each), place_of(each.file)
        package = here.split("/")[0]
        if target is None or target.split("/")[0] != package:
            continue
        there = place_of(target)
        allowed = {f"{package}/{name}" for name in ROOMS[here].split()}
        if there not in allowed | {here}:
            found.append(str(each))
    return found


def imports_past_doors(imports: Iterable[Import]) -> list[str]:
    """Imports that reach past the door of a room."""
    return [str(each) for each in imports if reaches_past(each)]


def misplaced_libraries(imports: Iterable[Import]) -> list[str]:
    """Imports of a library outside its home."""
    return [
        str(each)
        for each in imports
        if each.top in HOMES and not any(fnmatch(each.file, home) for home in HOMES[each.top])
    ]


def test_every_package_is_read() -> None:
    assert {each.file.split("/")[0] for each in all_imports()} == set(PACKAGES)
    assert {"ray", "rasterio", "torch", "pydantic"} <= {each.top for each in all_imports()}


def test_packages_import_only_the_packages_they_may() -> None:
    assert wrong_arrows(all_imports()) == []


def test_a_room_imports_only_the_rooms_below_it() -> None:
    assert wrong_rooms(all_imports()) == []


def test_the_listed_rooms_are_those_that_exist_and_form_no_circle() -> None:
    files = [name_of(path) for path in sources(PACKAGES) if path.name != "__init__.py"]
    assert {place_of(file) for file in files} == set(ROOMS)
    order = {
        place: {f"{place.split('/')[0]}/{name}" for name in names.split()} for place, names in ROOMS.items()
    }
    assert circle(order) == []


def test_rooms_are_entered_by_their_doors() -> None:
    assert imports_past_doors(all_imports()) == []


def test_every_name_at_a_door_is_defined_and_is_not_the_name_of_a_file() -> None:
    rooms = [name_of(path.parent) for path in sources(PACKAGES) if path.name == "__init__.py"]
    assert {room for room in rooms if not door(room)} <= {
        *OPEN,
        *(room for room in rooms if room.split("/")[0] in OPEN),
    }
    for room in rooms:
        for name, file in door(room).items():
            tree = ast.parse((ROOT / file).read_text("utf-8"))
            assert name in defined(tree), f"{room}: {name}"
            assert not (ROOT / room / f"{name}.py").exists(), f"{room}: {name} is a file too"


def test_no_files_import_one_another_in_a_circle_and_no_chain_is_long() -> None:
    graph = file_graph(all_imports())
    assert circle(graph) == []
    long = {package: longest_chain(graph, package) for package in PACKAGES}
    assert {package: chain for package, chain in long.items() if len(chain) > LONGEST[package]} == {}


def test_every_heavy_library_has_one_home() -> None:
    assert misplaced_libraries(all_imports()) == []


def test_no_package_imports_the_tests_or_the_benchmarks() -> None:
    assert [str(each) for each in all_imports() if each.top in ("tests", "benchmarks", "examples")] == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tiling/a.py", "import reasoner.query"),
        ("tiling/geo/a.py", "def f():\n    from pipelines.plan import Plan"),
        ("reasoner/a.py", "from tiling import Scene"),
        ("training/a.py", "from importlib import import_module\nimport_module('pipelines.plan')"),
        ("pipelines/plan/plan.py", "if True:\n    import training.scenery"),
        ("pipelines/plan/a.py", "from ...training import practice"),
    ],
)
def test_a_wrong_package_is_found_anywhere_in_a_file(file: str, line: str) -> None:
    assert len(wrong_arrows(imports_in(line, file))) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tiling/geo/a.py", "from tiling.merge import Fragment"),
        ("tiling/merge/a.py", "def f():\n    from tiling.raster import read_chunk"),
        ("pipelines/plan/a.py", "from pipelines.tables import Status"),
        ("pipelines/tables/a.py", "from pipelines.jobs.lock import Lock"),
        ("pipelines/errors.py", "if True:\n    from pipelines.plan import Plan"),
        ("training/data/a.py", "from ..rl import score_completion"),
        ("reasoner/parsing.py", "from reasoner.engines.null import NullReasoner"),
    ],
)
def test_a_wrong_room_is_found_anywhere_in_a_file(file: str, line: str) -> None:
    assert len(wrong_rooms(imports_in(line, file))) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("pipelines/jobs/a.py", "from pipelines.plan.plan import Plan"),
        ("pipelines/jobs/a.py", "def f():\n    from pipelines.plan import plan_files"),
        ("pipelines/jobs/a.py", "import tiling.raster.chunks"),
        ("tiling/raster/a.py", "from tiling.scene import Scene"),
    ],
)
def test_an_import_past_a_door_is_found_anywhere_in_a_file(file: str, line: str) -> None:
    assert len(imports_past_doors(imports_in(line, file))) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("pipelines/plan/plan.py", "def f():\n    import ray.data"),
        ("pipelines/demo.py", "from rasterio import open"),
        ("tiling/merge/vectorize.py", "import torch.nn as nn"),
        ("pipelines/plan/models.py", "__import__('transformers')"),
        ("reasoner/loading.py", "from pydantic import BaseModel"),
    ],
)
def test_a_library_outside_its_files_is_found_anywhere_in_a_file(file: str, line: str) -> None:
    assert len(misplaced_libraries(imports_in(line, file))) == 1


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []
    assert longest_chain({"p/a": {"p/b", "q/c"}, "p/b": {"p/d"}, "q/c": {"p/a"}}, "p") == [
        "p/a",
        "p/b",
        "p/d",
    ]


def test_the_roof_may_import_the_training_and_relative_imports_are_allowed() -> None:
    assert wrong_arrows(imports_in("from training.cli import training_app", ROOF[0])) == []
    assert wrong_arrows(imports_in("from . import grid\nfrom .grid import Window", "tiling/a.py")) == []


def shared_names(modules: Mapping[str, str]) -> dict[str, list[str]]:
    """Public classes, functions, type aliases and values that several files define, with these files.

    Constants in capitals, type variables, and names that begin with an underscore are left out.

    Args:
        modules: source text by file.
    """
    homes: dict[str, list[str]] = {}
    for file, text in modules.items():
        tree = ast.parse(text)
        names = {name for name in defined(tree) if not name.startswith("_") and not name.isupper()}
        for name in sorted(names - type_variables(tree)):
            homes.setdefault(name, []).append(file)
    return {name: files for name, files in homes.items() if len(files) > 1}


def type_variables(tree: ast.Module) -> set[str]:
    """Names of the type variables and parameter specifications that a module makes."""
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if ast.unparse(node.value.func) in ("TypeVar", "ParamSpec")
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_no_public_name_is_defined_in_two_files() -> None:
    assert shared_names({name_of(path): path.read_text("utf-8") for path in sources(PACKAGES)}) == {}


@pytest.mark.parametrize(
    "definition",
    [
        "class Outline:\n    pass",
        "def Outline() -> None: ...",
        "Outline = tuple[int, int]",
        "Outline: type = int",
    ],
)
def test_a_name_defined_in_two_files_is_found(definition: str) -> None:
    modules = {"tiling/a.py": definition, "training/b.py": "class Outline:\n    pass"}
    assert shared_names(modules) == {"Outline": ["tiling/a.py", "training/b.py"]}
    private = {file: text.replace("Outline", "_Outline") for file, text in modules.items()}
    assert shared_names(private) == {}
    variables = dict.fromkeys(modules, "Outline = TypeVar('Outline')")
    assert shared_names(variables) == {}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_function_has_a_body_of_more_than_50_lines() -> None:
    assert [
        f"{name_of(path)}:{function.lineno} {function.name}: {count} lines"
        for path in sources((*PACKAGES, "tests", "benchmarks", "examples"))
        for function in functions(ast.parse(path.read_text("utf-8")))
        if (count := body_lines(function)) > MAX_BODY_LINES
    ] == []


def test_bodies_are_counted_without_their_docstrings() -> None:
    (function,) = functions(ast.parse('def f():\n    """One.\n\n    Two."""\n    a = 1\n\n    return a\n'))
    assert body_lines(function) == 3
