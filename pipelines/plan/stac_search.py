"""Finds STAC items in a document, in a catalog by walking it, or in an API by searching it."""

from collections.abc import Iterator, Sequence
from typing import Any

import pystac
from pystac.errors import STACError
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from requests.exceptions import RequestException
from urllib3.util import Retry

from pipelines import RequestError
from pipelines.plan.config import Box, StacSearch
from tiling import SceneError, without_queries
from tiling.raster import ItemDocument, Json, read_document, self_address
from tiling.storage import full_address, read_bytes

TIMEOUT_S = 60.0
"""Seconds to wait for one answer of a STAC API."""
RETRIES = 3
"""Repetitions of a request that gets no answer or one of the statuses of a busy server."""
BUSY = (429, 500, 502, 503, 504)
"""HTTP statuses after which a request is repeated, with a growing pause."""
PAGE = 250
"""Items in one page of a search."""
MAX_CATALOG_BYTES = 100_000_000


def items_of(uri: str) -> list[ItemDocument]:
    """All items of a STAC document: one item, an ItemCollection, or a catalog or collection, walked.

    Args:
        uri: Local path, s3://, http:// or https:// of a .json file.

    Raises:
        SceneError: it or a linked document cannot be read, is not a STAC document, or holds no item.
    """
    content = read_document(uri)
    kind = content.get("type")
    if kind == "Feature":
        return [ItemDocument(uri, content)]
    if kind == "FeatureCollection":
        found = _features(uri, content)
    elif kind in ("Catalog", "Collection"):
        found = list(_walk(uri))
    else:
        message = f"is a {kind!r}" if isinstance(kind, str) else "names no type"
        raise SceneError(uri, f"{message}: give a STAC item, an ItemCollection, a catalog or a collection")
    if not found:
        raise SceneError(uri, "holds no STAC item: name another document")
    return found


def search(wanted: StacSearch) -> list[ItemDocument]:
    """All items a STAC API has for a search, by id.

    Raises:
        RequestError: the API cannot be reached, refuses the search, or finds no items or too many.
    """
    try:
        found = _unique(_ask(wanted))
    except (APIError, RequestException, STACError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            "stac",
            f"{wanted.url} does not answer the search ({_message(error)})",
            "check --stac and the search",
        ) from error
    if not found:
        raise RequestError(
            "stac",
            f"{wanted.url} finds nothing in {', '.join(wanted.collections)} for bbox "
            f"{_or_any(wanted.bbox)} and datetime {_or_any(wanted.datetime)}",
            "widen --bbox or --datetime, or check --collection",
        )
    if wanted.max_items is not None and len(found) > wanted.max_items:
        raise RequestError(
            "stac", f"{wanted.url} finds more than {wanted.max_items} items", "narrow the search"
        )
    return found


def _ask(wanted: StacSearch) -> Iterator[Json]:
    retry = Retry(total=RETRIES, backoff_factor=0.3, status_forcelist=BUSY, allowed_methods=None)
    client = Client.open(wanted.url, stac_io=StacApiIO(timeout=TIMEOUT_S, max_retries=retry))
    for box in _boxes(wanted.bbox):
        found = client.search(
            collections=list(wanted.collections),
            bbox=box,
            datetime=wanted.datetime,
            query=list(wanted.query) or None,
            limit=PAGE,
            max_items=None if wanted.max_items is None else wanted.max_items + 1,
        )
        yield from found.items_as_dicts()


def _boxes(box: Box | None) -> list[Box | None]:
    """The box, or two boxes if it crosses 180°, since not every server accepts a box that does."""
    if box is None or box[0] <= box[2]:
        return [box]
    west, south, east, north = box
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def _unique(items: Iterator[Json]) -> list[ItemDocument]:
    """Items in the order of their ids; an item in two pages or boxes is returned once."""
    found = {(str(item.get("collection")), str(item["id"])): item for item in items}
    return [ItemDocument(self_address(item, fallback=key[1]), item) for key, item in sorted(found.items())]


def _features(uri: str, content: Json) -> list[ItemDocument]:
    features = content.get("features")
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise SceneError(uri, "is a malformed ItemCollection: 'features' must be a list of STAC items")
    for number, feature in enumerate(features):
        if not isinstance(feature.get("id"), str) or not isinstance(feature.get("assets"), dict):
            raise SceneError(
                uri, f"is a malformed ItemCollection: its feature {number} has no id or no assets"
            )
    return [ItemDocument(_base(uri, feature), feature) for feature in features]


def _base(uri: str, feature: Json) -> str:
    """The item's own address if it states one, else the address of the collection file with its id."""
    name = str(feature["id"]).replace("/", "_")
    return self_address(feature, fallback=f"{uri}#{name}")


def _walk(uri: str) -> Iterator[ItemDocument]:
    try:
        catalog = pystac.read_file(full_address(uri), stac_io=_Documents())
        if not isinstance(catalog, pystac.Catalog):
            raise SceneError(uri, "is no STAC catalog")
        for item in catalog.get_items(recursive=True):
            address = item.get_self_href() or uri
            yield ItemDocument(address, item.to_dict(include_self_link=False, transform_hrefs=False))
    except SceneError:
        raise
    except (STACError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error.__cause__, SceneError):  # raised by the reader of documents
            raise error.__cause__ from error
        raise SceneError(uri, f"cannot be walked as a STAC catalog: {_message(error)}") from error


class _Documents(pystac.StacIO):
    """Reads the documents of a catalog through this project's own storage."""

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        return read_bytes(str(source), limit=MAX_CATALOG_BYTES).decode("utf-8")

    def write_text(self, dest: Any, txt: str, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{dest}: catalogs are not written")


def _or_any(value: Sequence[object] | None) -> str:
    if value is None:
        return "any"
    return value if isinstance(value, str) else ",".join(str(part) for part in value)


def _message(error: Exception) -> str:
    """A client's message on one line, shortened."""
    text = " ".join(without_queries(str(error) or type(error).__name__).split())
    return text if len(text) <= 160 else text[:159] + "…"
