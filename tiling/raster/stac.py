"""Reads STAC documents, and chooses the files and display bands of STAC items.

Scale and offset of `raster:bands` are not applied, and `proj:*` is not read: pixels are used as stored, and
the georeference is that of the file itself.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from tiling import Band, SceneError
from tiling.storage import read_bytes, resolved_address

COLOURS = ("red", "green", "blue")
"""The common names of the bands of a true-colour picture, in order."""

MAX_NAMED = 12
"""Maximum number of assets named in a message."""

Json = dict[str, object]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class ItemDocument:
    """A STAC item as it was found."""

    uri: str
    """Its address, to which relative addresses in it refer."""
    content: Json
    """Its JSON."""


@dataclass(frozen=True, slots=True)
class Item:
    """The part of a STAC item that is used."""

    item_id: str
    """Its id."""
    files: tuple[Band, ...]
    """The display bands in order; a single band of number 0 if its file or the user chooses the bands."""
    datetime: str | None
    """Acquisition time, ISO 8601 in UTC."""


def choose(document: ItemDocument, *, wanted: tuple[str, ...] | None = None) -> Item:
    """Choose the display bands of a STAC item of version 1.0 or 1.1.

    Args:
        document: The item.
        wanted: Three names for red, green and blue, or one: keys of assets, names or common names of bands,
            or roles of assets, in this order of preference. None takes red, green and blue by their common
            names or keys, else the asset `visual`.

    Raises:
        SceneError: It is not a STAC item, or lacks the bands.
    """
    uri, content = document.uri, document.content
    if content.get("type") != "Feature" or "assets" not in content:
        raise SceneError(uri, "is not a STAC item: a Feature with assets was expected")
    assets = _objects(content["assets"])
    if wanted:
        files = tuple(_band_named(uri, assets, name, alone=len(wanted) == 1) for name in wanted)
    else:
        files = _colours(uri, assets) or _visual(uri, assets)
    if not files:
        raise SceneError(
            uri,
            f"names no red, green and blue and no visual asset (assets: {_listed(assets)}): "
            "say which with --assets",
        )
    return Item(str(content.get("id") or "item"), files, _time(content.get("properties")))


def self_address(content: Json, *, fallback: str) -> str:
    """The address of an item's self link, without a query; the fallback if it has none."""
    links = content.get("links")
    for link in reversed(links if isinstance(links, list) else []):
        href = link.get("href") if isinstance(link, dict) and link.get("rel") == "self" else None
        if isinstance(href, str) and "://" in href:
            return href.split("?")[0]
    return fallback


def _objects(value: object) -> dict[str, Json]:
    return {str(k): v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}


def _bands(asset: Json) -> list[Json]:
    listed = asset.get("eo:bands") or asset.get("bands")
    return [band for band in listed if isinstance(band, dict)] if isinstance(listed, list) else []


def _common_name(band: Json) -> str:
    return str(band.get("common_name") or band.get("eo:common_name") or "").lower()


def _roles(asset: Json) -> list[str]:
    roles = asset.get("roles")
    return [str(role).lower() for role in roles] if isinstance(roles, list) else []


def _words(key: str, asset: Json) -> set[str]:
    return {key.lower(), *_roles(asset)}


def _listed(assets: dict[str, Json]) -> str:
    return ", ".join(list(assets)[:MAX_NAMED]) + (" …" if len(assets) > MAX_NAMED else "") or "none"


def _band_named(uri: str, assets: dict[str, Json], name: str, *, alone: bool) -> Band:
    """The file and band with a name; a single name may mean a file whose bands are chosen later."""
    key = name if name in assets else next((k for k in assets if k.lower() == name.lower()), None)
    if key is not None and (alone or len(_bands(assets[key])) <= 1):
        return Band(_href(uri, assets[key]), 0 if alone and len(_bands(assets[key])) != 1 else 1)
    for asset in assets.values():
        for index, band in enumerate(_bands(asset), start=1):
            if name.lower() in (str(band.get("name", "")).lower(), _common_name(band)):
                return Band(_href(uri, asset), index)
    for asset in assets.values():
        if name.lower() in _roles(asset):
            return Band(_href(uri, asset), 0 if alone else 1)
    raise SceneError(
        uri, f"has no asset or band {name!r} (assets: {_listed(assets)}): name others with --assets"
    )


def _colours(uri: str, assets: dict[str, Json]) -> tuple[Band, ...]:
    """Red, green and blue from one file if a file has all three, else from the first file that has each."""
    for asset in assets.values():
        names = [_common_name(band) for band in _bands(asset)]
        if all(colour in names for colour in COLOURS):
            return tuple(Band(_href(uri, asset), names.index(colour) + 1) for colour in COLOURS)
    found = [_single(uri, assets, colour) for colour in COLOURS]
    return tuple(band for band in found if band) if all(found) else ()


def _single(uri: str, assets: dict[str, Json], colour: str) -> Band | None:
    for key, asset in assets.items():
        bands = _bands(asset)
        if len(bands) == 1 and _common_name(bands[0]) == colour:
            return Band(_href(uri, asset), 1)
        if len(bands) <= 1 and colour in _words(key, asset):
            return Band(_href(uri, asset), 1)
    return None


def _visual(uri: str, assets: dict[str, Json]) -> tuple[Band, ...]:
    for key, asset in assets.items():
        if "visual" in _words(key, asset):
            return (Band(_href(uri, asset), 0),)
    return ()


def _href(uri: str, asset: Json) -> str:
    href = asset.get("href")
    if not isinstance(href, str) or not href:
        raise SceneError(uri, "an asset of the item has no href")
    return resolved_address(uri, href)


def _time(properties: object) -> str | None:
    if not isinstance(properties, dict):
        return None
    return iso_utc(properties.get("datetime") or properties.get("start_datetime"))


def iso_utc(text: object) -> str | None:
    """A time in ISO 8601 or as TIFF writes it (`2019:09:04 10:00:00`), in UTC; None if it is neither."""
    if not isinstance(text, str):
        return None
    for parse in (datetime.fromisoformat, lambda t: datetime.strptime(t[:19], "%Y:%m:%d %H:%M:%S")):
        try:
            moment = parse(text.strip())
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None


MAX_DOCUMENT_BYTES = 500_000_000
"""Maximum bytes of a document that is read as a whole, such as a collection of items."""

ENDINGS = (".json", ".geojson")
"""Endings of the addresses of STAC documents, in upper or lower case."""


def is_document(uri: str) -> bool:
    """Whether an address is that of a STAC document, not of a raster."""
    return uri.split("?")[0].lower().endswith(ENDINGS)


def read_document(uri: str) -> Json:
    """Read a STAC document of any kind.

    Raises:
        SceneError: It does not exist, is too large, or is not a JSON object.
    """
    try:
        content = json.loads(read_bytes(uri, limit=MAX_DOCUMENT_BYTES))
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, SceneError):
            raise
        raise SceneError(uri, f"is not JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise SceneError(uri, "is not a STAC document: a JSON object was expected")
    return content
