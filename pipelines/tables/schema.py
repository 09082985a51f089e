"""Every column of every table: name, type, unit, meaning and source.

Schemas, the ledger's struct of fragments, the columns that the merge fills in by their name, the STAC records
and docs/schema.md follow from these lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from reasoner.query import Query

BBOX = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
"""Type of a column of covering boxes."""

LONLAT_DEGREES = "degrees, OGC:CRS84"
"""Unit of coordinates; longitude first."""

_TIME = pa.timestamp("us", tz="UTC")
_STRINGS = pa.list_(pa.string())


class ColumnSource(StrEnum):
    """Where the value of a column comes from."""

    WRITER = "writer"
    """It is worked out by the writer of the table."""
    MERGED = "merged"
    """It is the column of the same name of merged objects, as it is."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    """Its name."""
    type: pa.DataType
    """Arrow type of its values."""
    meaning: str
    """What it says, one sentence."""
    unit: str = ""
    """Unit or coordinate reference system of its values, empty where they have none."""
    source: ColumnSource = ColumnSource.WRITER
    """Where its value comes from."""

    @property
    def field(self) -> pa.Field:
        """The column as a field of an Arrow schema."""
        return pa.field(self.name, self.type)


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of a table's columns."""
    return pa.schema([column.field for column in columns])


_QUERY_ID = Column(
    "query_id",
    pa.string(),
    "Slug of the question, as in the folder `query=…`; ends in a digest of text and task.",
)
_QUERY = Column("query", pa.string(), "The question in plain words.")
_RUN_ID = Column("run_id", pa.string(), "Digest of the job that wrote the row.")

OBJECT_COLUMNS: tuple[Column, ...] = (
    Column(
        "id",
        pa.string(),
        "The object's id, from the question and the place: the same in a copy of the imagery.",
    ),
    _QUERY_ID,
    _QUERY,
    Column(
        "label",
        pa.string(),
        "What the reasoner called it, empty where it named nothing.",
        source=ColumnSource.MERGED,
    ),
    Column(
        "score",
        pa.float64(),
        "The segmenter's estimate of the mask's quality, of the largest fragment.",
        "0 to 1",
        source=ColumnSource.MERGED,
    ),
    Column(
        "geometry", pa.binary(), "Outline of the mask, with holes: polygon or multipolygon.", LONLAT_DEGREES
    ),
    Column("region", pa.binary(), "The reasoner's box, or the hull of several: polygon.", LONLAT_DEGREES),
    Column(
        "contour",
        pa.binary(),
        "Outer rings and holes of the outline as lines: multilinestring.",
        LONLAT_DEGREES,
    ),
    Column("bbox", BBOX, "Covering box of `geometry` and `contour`; what readers prune by.", LONLAT_DEGREES),
    Column("region_bbox", BBOX, "Covering box of `region`.", LONLAT_DEGREES),
    Column("area_m2", pa.float64(), "Area on the WGS 84 ellipsoid, holes subtracted.", "square metres"),
    Column(
        "n_fragments",
        pa.int32(),
        "Fragments in neighbouring tiles that were merged into it.",
        "count",
        source=ColumnSource.MERGED,
    ),
    Column("tile_ids", _STRINGS, "The tiles of these fragments, sorted.", source=ColumnSource.MERGED),
    Column(
        "touches_scene_edge",
        pa.bool_(),
        "It touches an edge of its scene: there may be more of it.",
        source=ColumnSource.MERGED,
    ),
    Column(
        "valid_fraction",
        pa.float64(),
        "Minimum share of pixels with data among its tiles.",
        "0 to 1",
        source=ColumnSource.MERGED,
    ),
    Column(
        "thinking",
        pa.string(),
        "The reasoner's thinking about the tile of the largest fragment.",
        source=ColumnSource.MERGED,
    ),
    Column("scene_ids", _STRINGS, "The scenes that it was found in."),
    Column("datetime", _TIME, "Acquisition time of the scene, null where unknown.", "UTC"),
    _RUN_ID,
)
"""Columns of `objects`."""

TEXT_COLUMNS: tuple[Column, ...] = (
    Column("tile_id", pa.string(), "The tile that was described."),
    Column("scene_id", pa.string(), "The scene it is of."),
    _QUERY_ID,
    _QUERY,
    Column("text", pa.string(), "Caption or answer; the raw completion where it could not be read."),
    Column("status", pa.string(), "`ok`, `empty`, `nodata`, `malformed` or `failed`."),
    Column("thinking", pa.string(), "The reasoner's thinking."),
    Column("geometry", pa.binary(), "Footprint of the tile: polygon.", LONLAT_DEGREES),
    Column("bbox", BBOX, "Covering box of `geometry`.", LONLAT_DEGREES),
    _RUN_ID,
)
"""Columns of `texts`."""

FRAGMENT_COLUMNS: tuple[Column, ...] = (
    Column("geometry", pa.binary(), "Outline of the mask with holes.", "the scene's CRS"),
    Column("box", pa.binary(), "The reasoner's box.", "the scene's CRS"),
    Column("score", pa.float64(), "The segmenter's estimate of the mask's quality.", "0 to 1"),
    Column("truncated", pa.bool_(), "It touches an inner edge of its tile."),
    Column("touches_scene_edge", pa.bool_(), "It touches an edge of the scene."),
    Column("edge_distance", pa.float64(), "Distance to the tile's inner edges.", "pixels of the tile"),
    Column("core_share", pa.float64(), "Share of its area in the core of its tile.", "0 to 1"),
    Column("label", pa.string(), "What the reasoner called it, empty where it named nothing."),
    Column("valid_fraction", pa.float64(), "Share of the tile's pixels that hold data.", "0 to 1"),
)
"""Columns of the fragments that a row of `answers` holds; each is a field of `Fragment`."""

ANSWER_COLUMNS: tuple[Column, ...] = (
    Column("chunk_id", pa.string(), "Chunk the tile belongs to: a digest of all that can change an answer."),
    Column("tile_id", pa.string(), "The tile."),
    _QUERY_ID,
    Column("scene_uri", pa.string(), "Address of the scene."),
    Column("scene_id", pa.string(), "Id of the scene, from its item id or file name."),
    Column("x0", pa.int64(), "Left edge of the tile's window.", "pixels of the working grid"),
    Column("y0", pa.int64(), "Upper edge of the tile's window.", "pixels of the working grid"),
    Column("x1", pa.int64(), "Right edge of the tile's window, not included.", "pixels of the working grid"),
    Column("y1", pa.int64(), "Lower edge of the tile's window, not included.", "pixels of the working grid"),
    Column("geometry", pa.binary(), "Footprint of the tile: polygon as WKB.", LONLAT_DEGREES),
    Column("status", pa.string(), "`ok`, `empty`, `nodata`, `malformed` or `failed`."),
    Column("problem", pa.string(), "What was wrong, empty where nothing was."),
    Column("thinking", pa.string(), "The reasoner's thinking."),
    Column(
        "text", pa.string(), "Caption or answer in words, or the raw completion where it could not be read."
    ),
    Column(
        "boxes", pa.list_(pa.list_(pa.float64())), "Boxes as x0, y0, x1, y1, half-open.", "pixels of the tile"
    ),
    Column(
        "fragments",
        pa.list_(pa.struct([column.field for column in FRAGMENT_COLUMNS])),
        "Fragments: `geometry` and `box` as WKB in the scene's CRS, `score`, `truncated` (cut by an inner "
        "tile edge), `touches_scene_edge`, `edge_distance`, `core_share`, `label`, `valid_fraction`.",
    ),
    Column("n_tokens", pa.int64(), "Tokens generated.", "count"),
    Column("seconds", pa.float64(), "Share of the models' time.", "seconds"),
)
"""Columns of `answers`, the ledger."""


_OF_A_SIDE = (
    Column("label", pa.string(), "Its `label`"),
    Column("area_m2", pa.float64(), "Its `area_m2`", "square metres"),
    Column("score", pa.float64(), "Its `score`", "0 to 1"),
    Column("scene_ids", _STRINGS, "Its `scene_ids`"),
    Column("datetime", _TIME, "Its `datetime`", "UTC"),
)


def _sides(column: Column) -> tuple[Column, Column]:
    """The columns of one fact about an object before and after an update."""
    name, kind, meaning, unit = column.name, column.type, column.meaning, column.unit
    return (
        Column(f"{name}_before", kind, f"{meaning} before the update, null where it appeared.", unit),
        Column(f"{name}_after", kind, f"{meaning} after the update, null where it disappeared.", unit),
    )


CHANGE_COLUMNS: tuple[Column, ...] = (
    Column("change", pa.string(), "`appeared`, `disappeared` or `changed` (another outline or label)."),
    Column("id", pa.string(), "The object's id, as in `objects`."),
    _QUERY_ID,
    _QUERY,
    Column("label", pa.string(), "Its label after the update, or before where it disappeared."),
    Column(
        "geometry",
        pa.binary(),
        "Its outline after the update, or before where it disappeared.",
        LONLAT_DEGREES,
    ),
    Column("before", pa.binary(), "Its outline before the update, null where it appeared.", LONLAT_DEGREES),
    Column("after", pa.binary(), "Its outline after the update, null where it disappeared.", LONLAT_DEGREES),
    Column("bbox", BBOX, "Covering box of `geometry`.", LONLAT_DEGREES),
    Column("before_bbox", BBOX, "Covering box of `before`, null where that is.", LONLAT_DEGREES),
    Column("after_bbox", BBOX, "Covering box of `after`, null where that is.", LONLAT_DEGREES),
    Column("iou", pa.float64(), "How much the outlines share: intersection over union.", "0 to 1"),
    *(side for column in _OF_A_SIDE for side in _sides(column)),
)
"""Columns of `changes`, the table of an update."""

SIDE_COLUMNS = tuple(column.name for column in _OF_A_SIDE)
"""What `changes` says of an object both before and after the update."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What all rows of one question share."""

    query: Query
    """The question."""
    run_id: str
    """Digest of the job."""


Bounds = tuple[float, float, float, float]
"""West, south, east, north, degrees."""
