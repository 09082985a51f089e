"""Which files of a STAC item hold red, green and blue. Knows the item's JSON, opens no raster."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from tiling.errors import SceneError
from tiling.scene import Band
from tiling.storage import joined, read_bytes

MAX_ITEM_BYTES = 20_000_000
"""No STAC item is larger."""

COLOURS = ("red", "green", "blue")
"""The common names a true-colour picture is made of, in order."""

Json = dict[str, object]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Item:
    """What is needed of a STAC item."""

    item_id: str
    """Its id."""
    files: tuple[Band, ...]
    """Red, green and blue; or one file (band 0: not chosen yet) to choose the bands of."""
    datetime: str | None
    """Acquisition time, ISO 8601 in UTC."""


def read_item(uri: str) -> Item:
    """Read a STAC item.

    Raises:
        SceneError: It is not there, not a STAC item, or names neither red, green and blue nor visual.
    """
    try:
        content = json.loads(read_bytes(uri, limit=MAX_ITEM_BYTES))
    except (ValueError, RecursionError) as exc:
        raise SceneError(uri, f"is not JSON: {exc}") from exc
    if not isinstance(content, dict) or content.get("type") != "Feature" or "assets" not in content:
        raise SceneError(uri, "is not a STAC item: a Feature with assets was expected")
    assets = _objects(content["assets"])
    files = _colours(uri, assets) or _visual(uri, assets)
    if not files:
        names = ", ".join(assets) or "none"
        raise SceneError(
            uri,
            f"names no red, green and blue and no visual asset (assets: {names}): give the files themselves",
        )
    return Item(str(content.get("id") or "item"), files, _time(content.get("properties")))


def _objects(value: object) -> dict[str, Json]:
    return {str(k): v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}


def _bands(asset: Json) -> list[Json]:
    listed = asset.get("eo:bands") or asset.get("bands")
    return [band for band in listed if isinstance(band, dict)] if isinstance(listed, list) else []


def _common_name(band: Json) -> str:
    return str(band.get("common_name") or band.get("eo:common_name") or "").lower()


def _words(key: str, asset: Json) -> set[str]:
    roles = asset.get("roles")
    return {key.lower(), *(str(role).lower() for role in (roles if isinstance(roles, list) else []))}


def _colours(uri: str, assets: dict[str, Json]) -> tuple[Band, ...]:
    """Red, green and blue in one file if some file names all three, else in the first files that do."""
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
    return joined(uri, href)


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
