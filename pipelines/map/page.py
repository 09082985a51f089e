"""Writes map.html: imagery and objects of a run in one file that needs no network; for `show`."""

import html
import json
import re
from functools import partial
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

from pipelines.map.archive import remove_pyramid, write_pyramid
from pipelines.map.data import PageContents, page_data
from pipelines.map.objects import MAX_OBJECTS
from pipelines.map.sources import check_published, read_figures
from pipelines.map.tiles import read_tiles
from pipelines.plan import Plan
from reasoner.query import Task
from tiling.storage import Store

MAP_FILE = "map.html"
_PAGE = files("pipelines") / "map" / "web"
_LIBRARY = ("maplibre-gl.js", "maplibre-gl.css")
"""Files of the map library, as the installed package carries them."""


def write_map(store: Store, plan: Plan) -> str:
    """Write the page, with tile archives beside it if it cannot hold all objects, and return its address.

    Raises:
        RequestError: the run is not finished, or one of its files cannot be read.
        OSError: the storage refuses.
    """
    shown = _page_contents(store, plan)
    pyramid = write_pyramid(store, plan, shown.figures) if shown.total > MAX_OBJECTS else None
    store.write(MAP_FILE, page(page_data(shown, pyramid=pyramid)).encode())
    if pyramid is None:
        remove_pyramid(store)
    return store.path(MAP_FILE)


def map_page(store: Store, plan: Plan) -> str:
    """The page as text; nothing is written. If it cannot hold all objects it shows a sample.

    Raises:
        RequestError: the run is not finished, or one of its files cannot be read.
        OSError: the storage refuses.
    """
    shown = _page_contents(store, plan)
    return page(page_data(shown, pyramid={} if shown.total > MAX_OBJECTS else None))


def _page_contents(store: Store, plan: Plan) -> PageContents:
    check_published(store)
    located = [query for query in plan.queries if query.task is Task.LOCATE]
    figures = [read_figures(store, query) for query in located]
    return PageContents(store, plan, figures, read_tiles(store, plan))


def page(data: dict[str, object]) -> str:
    """The complete HTML of the page with its data."""
    template = (_PAGE / "map.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([\w.-]+)\}\}", partial(_part, data=data), template)


def _part(mark: re.Match[str], *, data: dict[str, object]) -> str:
    name = mark[1]
    if name == "title":
        return html.escape(str(data["title"]))
    if name == "data":  # what a model wrote must not end the element
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return _library(name) if name in _LIBRARY else (_PAGE / name).read_text(encoding="utf-8")


def _library(name: str) -> str:
    """A file of the map library; its package is not imported, since that would need a web framework."""
    return Path(str(distribution("maplibre").locate_file(f"maplibre/srcjs/{name}"))).read_text("utf-8")
