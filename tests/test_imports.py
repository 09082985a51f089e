"""The arrows between the folders hold, every heavy library has one home, and no file or function is long."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("tiling", "reasoner", "pipelines", "training")
ROOF = "pipelines/cli.py"
MAX_FILE_LINES, MAX_BODY_LINES = 300, 50

ARROWS = {
    "tiling": {"tiling"},
    "reasoner": {"reasoner"},
    "pipelines": {"pipelines", "tiling", "reasoner"},
    "training": {"training", "tiling", "reasoner"},
}
"""Which of our folders a folder may import."""

MODELS = ("reasoner/*", "training/*")
HOMES = {
    "duckdb": ("pipelines/query_*.py", "pipelines/export.py"),
    "pyogrio": ("pipelines/export.py", "pipelines/map_pyramid.py"),
    "ray": ("pipelines/ray_*.py", "training/launching/ray_*.py"),
    "rasterio": ("tiling/*",),
    "osgeo": ("tiling/*",),
    "contourpy": ("tiling/*",),
    "s3fs": ("tiling/buckets.py",),
    "botocore": ("tiling/buckets.py", "tiling/patience.py"),
    "tenacity": ("tiling/patience.py",),
    "torch": MODELS,
    "torchvision": MODELS,
    "transformers": MODELS,
    "segment_anything": MODELS,
    "safetensors": MODELS,
    "tokenizers": MODELS,
    "trl": ("training/*",),
    "peft": ("training/*",),
    "pydantic": ("pipelines/config.py", "pipelines/scene_config.py", "training/recipe_files.py"),
    "pystac": ("pipelines/stac_*.py", "pipelines/collection.py", "tiling/mosaic_reading.py"),
    "pystac_client": ("pipelines/stac_search.py",),
    "odc": ("tiling/mosaic_*.py",),
    "xarray": ("tiling/mosaic_*.py",),
    "dask": ("tiling/mosaic_*.py",),
}
"""Where alone a library may be imported."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import, wherever it stands in a file."""

    file: str
    """Path from the root, forward slashes."""
    line: int
    """Line it stands in, from 1."""
    module: str
    """Full dotted name of what is imported."""

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports_in(source: str, file: str) -> list[Import]:
    """Every import of a source file, those inside functions and by `import_module("…")` included."""
    package = file.removesuffix(".py").split("/")[:-1]
    found = []
    for node in ast.walk(ast.parse(source)):
        found += [Import(file, node.lineno, name) for name in _modules(node, package)]  # type: ignore[attr-defined]
    return found


def _modules(node: ast.AST, package: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        return [".".join([*base, *([node.module] if node.module else [alias.name])]) for alias in node.names]
    return _dynamic(node)


def _dynamic(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return []
    called = ast.unparse(node.func).split(".")[-1]
    return [str(node.args[0].value)] if called in ("import_module", "__import__") else []


def sources(folders: tuple[str, ...]) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def found() -> list[Import]:
    """All imports of the four packages."""
    return [each for path in sources(OURS) for each in imports_in(path.read_text("utf-8"), name_of(path))]


def wrong_arrows(imports: list[Import]) -> list[str]:
    allowed = {name: {*ARROWS[name.split("/")[0]]} for name in {each.file for each in imports}}
    allowed.get(ROOF, set()).add("training")
    return [str(each) for each in imports if each.top in OURS and each.top not in allowed[each.file]]


def strays(imports: list[Import]) -> list[str]:
    return [
        str(each)
        for each in imports
        if each.top in HOMES and not any(fnmatch(each.file, home) for home in HOMES[each.top])
    ]


def test_every_package_is_seen(found: list[Import]) -> None:
    assert {each.file.split("/")[0] for each in found} == set(OURS)
    assert {"ray", "rasterio", "torch", "pydantic"} <= {each.top for each in found}


def test_leaves_know_none_of_ours_and_the_tops_not_one_another(found: list[Import]) -> None:
    assert wrong_arrows(found) == []


def test_every_heavy_library_has_one_home(found: list[Import]) -> None:
    assert strays(found) == []


def test_no_package_imports_the_tests_or_the_benchmarks(found: list[Import]) -> None:
    assert [str(each) for each in found if each.top in ("tests", "benchmarks", "examples")] == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tiling/a.py", "import reasoner.query"),
        ("tiling/a.py", "def f():\n    from pipelines import plan"),
        ("reasoner/a.py", "from tiling.scene import Scene"),
        ("training/a.py", "from importlib import import_module\nimport_module('pipelines.plan')"),
        ("pipelines/plan.py", "if True:\n    import training.practice"),
        ("pipelines/deep/a.py", "from ...training import practice"),
    ],
)
def test_a_wrong_arrow_is_found_wherever_it_hides(file: str, line: str) -> None:
    assert len(wrong_arrows(imports_in(line, file))) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("pipelines/plan.py", "def f():\n    import ray.data"),
        ("pipelines/demo.py", "from rasterio import open"),
        ("tiling/outline.py", "import torch.nn as nn"),
        ("pipelines/models.py", "__import__('transformers')"),
        ("reasoner/loading.py", "from pydantic import BaseModel"),
    ],
)
def test_a_stray_library_is_found_wherever_it_hides(file: str, line: str) -> None:
    assert len(strays(imports_in(line, file))) == 1


def test_the_roof_may_know_the_training_and_relative_imports_stay_at_home() -> None:
    assert wrong_arrows(imports_in("from training.cli import app", ROOF)) == []
    assert wrong_arrows(imports_in("from . import window\nfrom .window import Window", "tiling/a.py")) == []


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_file_is_longer_than_300_lines_and_no_function_than_50() -> None:
    long = []
    for path in sources((*OURS, "tests", "benchmarks", "examples")):
        text = path.read_text("utf-8")
        if (count := len(text.splitlines())) > MAX_FILE_LINES:
            long.append(f"{name_of(path)}: {count} lines")
        long += [
            f"{name_of(path)}:{function.lineno} {function.name}: {count} lines"
            for function in functions(ast.parse(text))
            if (count := body_lines(function)) > MAX_BODY_LINES
        ]
    assert long == []


def test_the_ruler_counts_bodies_without_their_docstrings() -> None:
    (function,) = functions(ast.parse('def f():\n    """One.\n\n    Two."""\n    a = 1\n\n    return a\n'))
    assert body_lines(function) == 3
