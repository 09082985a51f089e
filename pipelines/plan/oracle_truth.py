"""Exact truth of practice scenes, looked up by tile and question, for the oracle models."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

import geopandas
import shapely

from pipelines import RequestError
from reasoner.answer import TileView
from reasoner.query import Query
from tiling import StorageError, Window
from tiling.geo import LONLAT, SNAP_PX, GeoBox, lonlat_to_pixels, repaired
from tiling.storage import Store


@dataclass(frozen=True, slots=True)
class TileKey:
    """Names a tile as the models see it; the key of its view."""

    scene_id: str
    """The scene."""
    window: Window
    """Its window on the scene's working grid, pixels."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a scene's working grid lies."""

    scene_id: str
    """The scene."""
    grid: GeoBox
    """Its working grid."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Address of a truth table, with the scenes it will be asked about; picklable, holds no geometry."""

    uri: str
    """A truth.parquet with questions.json beside it, local or s3://."""
    placements: tuple[Placement, ...]
    """The planned scenes."""

    def load(self) -> "TruthLookup":
        """Read the table and project it to the scenes' pixel grids.

        Raises:
            RequestError: a file is missing or is not a truth table.
        """
        return TruthLookup(self)


class TruthLookup:
    """The true polygons of a question in a tile."""

    def __init__(self, truth: Truth) -> None:
        self._kinds = question_classes(truth.uri)
        table = _read_table(truth.uri)
        self._polygons: dict[tuple[str, str], shapely.STRtree] = {}
        for place in truth.placements:
            self._add_scene(table[table["scene_id"] == place.scene_id], place)

    def __call__(self, view: TileView, query: Query) -> Sequence[shapely.Polygon]:
        """Polygons that answer the query and touch the tile, tile pixels, unclipped, in the table's order.

        Raises:
            TypeError: the key of the view is not a TileKey.
        """
        if not isinstance(view.key, TileKey):
            raise TypeError(f"view key {view.key!r} names no scene and window: give a TileKey")
        window = view.key.window
        tree = self._polygons.get((view.key.scene_id, self._kinds.get(query.text, "")))
        if tree is None:
            return ()
        found = sorted(tree.query(_area_of(window), predicate="intersects").tolist())
        moved = shapely.transform(tree.geometries.take(found), lambda xy: xy - (window.x0, window.y0))
        return tuple(moved)

    def _add_scene(self, rows: geopandas.GeoDataFrame, place: Placement) -> None:
        parts = rows.assign(pixels=lonlat_to_pixels(rows.geometry.to_crs(LONLAT).to_numpy(), place.grid))
        for kind, group in parts.groupby("kind"):
            polygons = shapely.get_parts([_whole(shape) for shape in group["pixels"]])
            self._polygons[place.scene_id, str(kind)] = shapely.STRtree(polygons)


def truth_digest(uri: str) -> str:
    """Digest of the truth table and its questions.

    Raises:
        RequestError: a file is missing.
    """
    return hashlib.sha256(_read(uri) + _read(_questions_uri(uri))).hexdigest()[:16]


def question_classes(uri: str) -> Mapping[str, str]:
    """The class of object that each known question asks for, by the question's text.

    Raises:
        RequestError: questions.json is missing or unreadable.
    """
    data = _read(_questions_uri(uri))
    try:
        kinds: dict[str, dict[str, list[str]]] = json.loads(data)
        pairs = [
            (" ".join(text.split()), kind) for kind, lists in kinds.items() for text in chain(*lists.values())
        ]
    except (ValueError, AttributeError, TypeError) as error:
        raise _no_truth(_questions_uri(uri), str(error)) from error
    return dict(pairs)


def _whole(shape: shapely.Geometry) -> shapely.Geometry:
    """One polygon on the pixel grid for a shape that is split at ±180° in longitude and latitude."""
    if shapely.get_num_geometries(shape) == 1:
        return shape
    return shapely.union_all([repaired(shape)], grid_size=SNAP_PX)


def _area_of(window: Window) -> shapely.Polygon:
    return shapely.box(window.x0, window.y0, window.x1, window.y1)


def _questions_uri(uri: str) -> str:
    folder, slash, _ = uri.rpartition("/")
    return f"{folder}{slash}questions.json"


def _read_table(uri: str) -> geopandas.GeoDataFrame:
    data = _read(uri)  # errors of the storage pass through: they are not faults of the table
    try:
        table = geopandas.read_parquet(BytesIO(data))
    except (ValueError, OSError) as error:
        raise _no_truth(uri, str(error)) from error
    if not {"kind", "scene_id"} <= set(table.columns):
        raise _no_truth(uri, "it has no columns kind and scene_id")
    return table


def _read(uri: str) -> bytes:
    folder, _, name = uri.rpartition("/")
    try:
        return Store(folder or ".").read(name)
    except StorageError:
        raise
    except OSError as error:
        raise _no_truth(uri, str(error)) from error


def _no_truth(uri: str, reason: str) -> RequestError:
    return RequestError(
        "reasoner", f"{uri} is not a truth table ({reason})", "make one: remotereasoner practice OUT"
    )
