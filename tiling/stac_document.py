"""A STAC document's JSON from disk, object storage or the web. Knows no asset and walks no link."""

import json

from tiling.errors import SceneError
from tiling.stac_item import Json
from tiling.storage import read_bytes

MAX_DOCUMENT_BYTES = 500_000_000
"""No collection of items that is read at once is larger."""

ENDINGS = (".json", ".geojson")
"""What addresses of STAC documents end in, in any case."""


def is_document(uri: str) -> bool:
    """Whether an address is that of a STAC document, not of a raster."""
    return uri.split("?")[0].lower().endswith(ENDINGS)


def read_document(uri: str) -> Json:
    """Read a STAC document of any kind.

    Raises:
        SceneError: It is not there, too large, or no JSON object.
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
