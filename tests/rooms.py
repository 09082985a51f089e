"""The rooms of the packages and what imports what: `python -m tests.rooms` prints, `--write` mends doors.

A room is a folder. Its door is `__init__.py` with the names that other rooms may use, listed in
`__init__.pyi` and loaded when they are asked for. Inside a room files import one another; from outside only
the door is used.
"""

import argparse
import ast
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("tiling", "reasoner", "pipelines", "training")
"""The product's packages."""
OPEN = ("reasoner",)
"""Packages that are imported file by file: the reasoner also runs where only torch and transformers are."""


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, anywhere in a file."""

    file: str
    """Path from the root, forward slashes."""
    line: int
    """Number of its line, from 1."""
    module: str
    """Full dotted name of the module it is imported from."""
    name: str = ""
    """The name; empty if the module itself is imported."""

    @property
    def top(self) -> str:
        """The package of that module."""
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module} {self.name}".rstrip()


def imports_in(source: str, file: str) -> list[Import]:
    """Every import of a source file, including those inside functions and by `import_module("…")`."""
    package = file.removesuffix(".py").split("/")[:-1]
    found = []
    for node in ast.walk(ast.parse(source)):
        found += [Import(file, node.lineno, *each) for each in _modules(node, package)]  # type: ignore[attr-defined]
    return found


def _modules(node: ast.AST, package: list[str]) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [(alias.name, "") for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        return [(module, alias.name) for alias in node.names]
    return _dynamic(node)


def _dynamic(node: ast.AST) -> list[tuple[str, str]]:
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return []
    called = ast.unparse(node.func).split(".")[-1]
    return [(str(node.args[0].value), "")] if called in ("import_module", "__import__") else []


def sources(folders: Iterable[str]) -> list[Path]:
    """All Python files below some folders of the repository."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    """A path from the root, forward slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def all_imports() -> tuple[Import, ...]:
    """All imports of the packages, except the door of an open package, which only lists names."""
    files = (
        path for path in sources(PACKAGES) if name_of(path) not in {f"{top}/__init__.py" for top in OPEN}
    )
    return tuple(each for path in files for each in imports_in(path.read_text("utf-8"), name_of(path)))


def room_of(file: str) -> str:
    """The folder of a file."""
    return file.rpartition("/")[0]


@cache
def door(room: str) -> Mapping[str, str]:
    """The names that a room's door exports, and the file that defines each."""
    stub = ROOT / room / "__init__.pyi"
    if not stub.is_file():
        return {}
    nodes = [node for node in ast.parse(stub.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{room}/{_path(node.module or '')}.py" for node in nodes for alias in node.names}


def _path(module: str) -> str:
    return module.replace(".", "/")


def file_of(each: Import) -> str | None:
    """The file of the packages that defines what is imported, None for other libraries."""
    if each.top not in PACKAGES:
        return None
    inner = _path(f"{each.module}.{each.name}" if each.name else each.module)
    for path in (f"{inner}.py", f"{_path(each.module)}.py"):
        if (ROOT / path).is_file():
            return path
    room = _path(each.module)
    return door(room).get(each.name, f"{room}/__init__.py")


def reaches_past(each: Import) -> bool:
    """Whether a file of one room imports from a file of another instead of from its door."""
    if each.top not in PACKAGES or each.top in OPEN:
        return False
    target = f"{_path(each.module)}.py"
    is_file = (ROOT / target).is_file()
    room = room_of(target) if is_file else _path(each.module)
    submodule = not is_file and (ROOT / room / f"{each.name}.py").is_file() and each.name not in door(room)
    return room != room_of(each.file) and (is_file or submodule)


def file_graph(imports: Iterable[Import]) -> dict[str, set[str]]:
    """Per file of the packages, the files that define what it imports."""
    graph: dict[str, set[str]] = {}
    for each in imports:
        target = file_of(each)
        if target is not None and target != each.file and not target.endswith("__init__.py"):
            graph.setdefault(each.file, set()).add(target)
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Files that import one another in a circle, empty if there is none."""
    done: set[str] = set()

    def visit(node: str, above: tuple[str, ...]) -> list[str]:
        if node in above:
            return [*above[above.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            if found := visit(other, (*above, node)):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, ()))), [])


def longest_chain(graph: Mapping[str, set[str]], package: str) -> list[str]:
    """The longest chain of imports among the files of one package; the graph has no circle."""

    @cache
    def from_here(node: str) -> tuple[str, ...]:
        inner = (other for other in sorted(graph.get(node, ())) if other.startswith(f"{package}/"))
        return (node, *max((from_here(other) for other in inner), key=len, default=()))

    nodes = [node for node in sorted(graph) if node.startswith(f"{package}/")]
    return list(max((from_here(node) for node in nodes), key=len))


def room_arrows(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Per room, the rooms it imports from; files directly in a package are rooms of their own."""
    found: dict[str, set[str]] = {}
    for file, others in graph.items():
        found.setdefault(place_of(file), set()).update(place_of(other) for other in others)
    return {place: others - {place} for place, others in found.items()}


def place_of(file: str) -> str:
    """The room of a file, or the file itself if it is directly in a package."""
    room = room_of(file)
    return room if "/" in room else file.removesuffix(".py")


def wanted_names() -> dict[str, dict[str, str]]:
    """Per room, the names that other rooms import, and the module of the room that defines each."""
    found: dict[str, dict[str, str]] = {}
    for each in all_imports():
        target = file_of(each)
        if target is None or each.top in OPEN or not each.name:
            continue
        if (ROOT / _path(each.module) / f"{each.name}.py").is_file():
            continue
        if not _gives(target, each.name):
            target = _definer(room_of(target), each.name)
        if target is None:
            raise LookupError(f"{each}: no file of that room defines it")
        if (
            room_of(target) != room_of(each.file)
            and not (ROOT / _path(each.module) / f"{each.name}.py").is_file()
        ):
            found.setdefault(room_of(target), {})[each.name] = Path(target).stem
    return found


def _definer(room: str, name: str) -> str | None:
    """The file of a room that defines a name which its door does not export yet."""
    files = sorted((ROOT / room).glob("*.py"))
    return next(
        (name_of(path) for path in files if name in defined(ast.parse(path.read_text("utf-8")))), None
    )


def defined(tree: ast.Module) -> set[str]:
    """Names that a module defines itself."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


def write_doors() -> None:
    """Add to every room's stub the names that other rooms import."""
    for room, names in sorted(wanted_names().items()):
        known = {name: _module(room, file) for name, file in door(room).items() if _gives(file, name)}
        lines = [f"from .{module} import {name} as {name}" for name, module in {**known, **names}.items()]
        (ROOT / room / "__init__.pyi").write_text("\n".join(sorted(lines)) + "\n", "utf-8")
        init = ROOT / room / "__init__.py"
        text = init.read_text("utf-8")
        if "attach_stub" not in text:
            init.write_text(f"{text.rstrip()}\n{_LAZY}", "utf-8")


def _module(room: str, file: str) -> str:
    """The module that defines a name, as written in the stub of a room."""
    return file.removeprefix(f"{room}/").removesuffix(".py").replace("/", ".")


_LAZY = """
from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
"""


def _gives(file: str, name: str) -> bool:
    return (ROOT / file).is_file() and name in defined(ast.parse((ROOT / file).read_text("utf-8")))


def use_doors() -> None:
    """Rewrite imports that reach past a door."""
    for path in sources(PACKAGES):
        text = path.read_text("utf-8")
        past = {each.module for each in imports_in(text, name_of(path)) if reaches_past(each) and each.name}
        for module in past:
            if (ROOT / f"{_path(module)}.py").is_file():
                text = text.replace(f"from {module} import ", f"from {module.rpartition('.')[0]} import ")
        path.write_text(text, "utf-8")


def main() -> int:
    """Print the longest chains and the arrows between rooms; with --write, mend the doors first."""
    parser = argparse.ArgumentParser(prog="python -m tests.rooms", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="list in each door what other rooms use, and use it"
    )
    if parser.parse_args().write:
        write_doors()
        use_doors()
        door.cache_clear()
        all_imports.cache_clear()
    graph = file_graph(all_imports())
    if found := circle(graph):
        print("circle: " + " -> ".join(found))
        return 1
    for package in PACKAGES:
        chain = longest_chain(graph, package)
        print(f"{package}: {len(chain)} files: {' -> '.join(Path(file).stem for file in chain)}")
    for place, others in sorted(room_arrows(graph).items()):
        print(f"{place} -> {', '.join(sorted(others))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
