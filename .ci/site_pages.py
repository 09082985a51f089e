"""Pages of the site that lie outside docs/: read by MkDocs as a hook, run from the repository's root.

Texts of the root (README.md and its like) become pages, with their links turned to where the pages lie. The
names that rooms give at their doors become the pages of the code. What is not there yet is left out.
"""

import base64
import inspect
import re
from collections.abc import Iterator
from html import escape

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import remotereasoner
from tests.rooms import PACKAGES, ROOT, door

TEXTS = {
    "README.md": ("index.md", "Home"),
    "ARCHITECTURE.md": ("architecture.md", "Architecture"),
    "CONTRIBUTING.md": ("contributing.md", "Contributing"),
    "CHANGELOG.md": ("changelog.md", "Changelog"),
    "examples/README.md": ("examples.md", "Examples"),
}
"""Page and title of every text that lies outside docs/."""
NOTEBOOK, NOTEBOOK_PAGE = "examples/first_questions.ipynb", "first_questions.md"
FACE = "remotereasoner"
MODULES = {"reasoner": ("query", "answer", "protocols", "loading", "profiles", "parsing")}
"""Public modules of the package that has no doors."""
HEADLESS = {"show_root_heading": "false", "show_root_toc_entry": "false"}
"""Options of a module, whose heading stands in the page already."""
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lay out the pages."""
    pages = [{title: page} for text, (page, title) in TEXTS.items() if (ROOT / text).is_file()]
    docs = [{path.stem.capitalize(): path.name} for path in sorted((ROOT / "docs").glob("*.md"))]
    decisions = [
        {path.stem.replace("-", " ").capitalize(): f"decisions/{path.name}"}
        for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))
    ]
    code = [{name: f"api/{name}.md"} for name in (FACE, *PACKAGES)]
    config.nav = [
        pages[0],
        {"First questions": NOTEBOOK_PAGE},
        *docs,
        {"Decisions": decisions},
        *pages[1:],
        {"Code": code},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    for text, (page, _) in TEXTS.items():
        if (ROOT / text).is_file():
            files.append(File.generated(config, page, content=linked((ROOT / text).read_text("utf-8"), text)))
    for page, content in (*notebook_files(), *code_pages()):
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: object, **_: object) -> str:
    """Turn the links of the texts in docs/ as well."""
    source = getattr(page, "file").src_uri  # noqa: B009 - MkDocs gives pages no type here
    return linked(markdown, f"docs/{source}") if (ROOT / "docs" / source).is_file() else markdown


def linked(text: str, source: str) -> str:
    """A text whose links lead to pages; files that have none are named, not linked.

    Args:
        text: Markdown.
        source: where it lies, from the root; its links are seen from there.
    """

    def turned(match: re.Match[str]) -> str:
        shown, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = (ROOT / source).parent.joinpath(target).resolve()
        if not path.exists():
            return match[0]  # the check of links says so
        page = page_of(path.relative_to(ROOT).as_posix())
        return f"{shown}({page}{anchor})" if page else shown[1:-1]

    return LINK.sub(turned, text)


def page_of(path: str) -> str | None:
    """Page or picture of the site that a file of the repository becomes, None where it becomes none."""
    if path in TEXTS:
        return TEXTS[path][0]
    if path == NOTEBOOK:
        return NOTEBOOK_PAGE
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def notebook_files() -> Iterator[tuple[str, str | bytes]]:
    """The notebook as a page, and its pictures."""
    parts: list[str] = []
    for number, cell in enumerate(nbformat.read(ROOT / NOTEBOOK, as_version=4).cells):
        parts.append(cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if picture := data.get("image/jpeg"):
                name = f"first_questions_{number}.jpg"
                yield name, base64.b64decode(picture)
                parts.append(f"![the map]({name})")
            elif "text/html" in data:
                parts.append(f"<div>{unstyled(data['text/html'])}</div>")
            else:
                parts.append(f"<pre>{escape(output.get('text') or data.get('text/plain', ''))}</pre>")
    yield NOTEBOOK_PAGE, "\n\n".join(parts)


def unstyled(html: str) -> str:
    """HTML of an output on one line, without a sheet of styles and without links to files of the run."""
    plain = re.sub(r"<style.*?</style>|</?a\b[^>]*>", "", html, flags=re.DOTALL)
    return " ".join(plain.split())


def code_pages() -> Iterator[tuple[str, str]]:
    """A page for the Python face and one for each package."""
    yield f"api/{FACE}.md", face_page()
    for package in PACKAGES:
        yield f"api/{package}.md", "\n\n".join([f"# {package}", *sections(package)])


def face_page() -> str:
    """Every name of the face, as it is defined where it lives, and the fields of a job."""
    text = inspect.getdoc(remotereasoner) or ""
    parts = [f"# {FACE}", text]
    for name, dotted in face_names().items():
        parts.append(block(dotted, heading=name, toc_label=name, heading_level="2"))
        if name == "JobConfig":
            parts.append(fields_table())
    return "\n\n".join(parts)


def fields_table() -> str:
    """The fields of a job, which are the keywords of a run."""
    fields = remotereasoner.JobConfig.model_fields.items()
    # A brace would begin attributes of the cell.
    words = {name: (field.description or "").replace("{", "&#123;") for name, field in fields}
    rows = [f"| `{name}` | {shown(field.default)} | {words[name]} |" for name, field in fields]
    return "\n".join(["| field | unless given | |", "|---|---|---|", *rows])


def shown(default: object) -> str:
    """A default as it is written, empty where there is none."""
    return "" if default is None or repr(default) == "PydanticUndefined" else f"`{str(default) or repr('')}`"


def face_names() -> dict[str, str]:
    """Names of the face, its calls first, and the dotted name where each is defined."""
    homes = remotereasoner._HOMES
    ordered = sorted(homes, key=lambda name: (homes[name][0] != "pipelines.notebook", name.lower()))
    return {name: defined_at(*homes[name]) for name in ordered}


def defined_at(module: str, name: str) -> str:
    """Dotted name of what a door gives, where it is defined."""
    file = door(module.replace(".", "/")).get(name)
    return f"{file.removesuffix('.py').replace('/', '.')}.{name}" if file else f"{module}.{name}"


def sections(package: str) -> Iterator[str]:
    """A section for each room: what it is, and the names it gives."""
    for name in () if door(package) else MODULES.get(package, ()):
        yield f"## {package}.{name}"
        yield block(f"{package}.{name}", **HEADLESS)
    for init in sorted((ROOT / package).rglob("__init__.py")):
        room = init.parent.relative_to(ROOT).as_posix()
        if names := sorted(door(room), key=str.lower):
            dotted = room.replace("/", ".")
            yield f"## {dotted}"
            yield block(dotted, members="false", **HEADLESS)
            yield from (entry(defined_at(dotted, each)) for each in names)


def entry(dotted: str) -> str:
    """A name with its text, or where that stands."""
    there = {place: name for name, place in face_names().items()}
    if dotted not in there:
        return block(dotted)
    return f"`{dotted.rsplit('.', 1)[1]}` is [{FACE}.{there[dotted]}]({FACE}.md#{dotted})."


def block(dotted: str, **options: str) -> str:
    """Where the text of a name is put."""
    lines = [f"      {name}: {value}" for name, value in options.items()]
    return "\n".join([f"::: {dotted}", *(["    options:", *lines] if lines else [])])
