"""What every column of a result means, and in what unit. Knows no type and no value."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column in words."""

    meaning: str
    """What it says, one sentence."""
    unit: str = ""
    """Unit or coordinate reference system of its values, empty where they have none."""


LONLAT = "degrees, OGC:CRS84"
"""Longitude first."""

_QUERY_ID = Column("Slug of the question, as in the folder `query=…`; ends in a digest of text and task.")
_QUERY = Column("The question in plain words.")
_RUN_ID = Column("Digest of the job that wrote the row.")
_BBOX = Column("Covering box of `geometry` and `contour`; what readers prune by.", LONLAT)

OBJECT_COLUMNS: Mapping[str, Column] = {
    "id": Column("The thing's id, from the question and the place: the same in a copy of the imagery."),
    "query_id": _QUERY_ID,
    "query": _QUERY,
    "label": Column("What the reasoner called it, empty where it named nothing."),
    "score": Column("The segmenter's estimate of the mask's quality, of the largest sighting.", "0 to 1"),
    "geometry": Column("Outline of the mask, with holes: polygon or multipolygon.", LONLAT),
    "region": Column("The reasoner's box, or the hull of several: polygon.", LONLAT),
    "contour": Column("Outer rings and holes of the outline as lines: multilinestring.", LONLAT),
    "bbox": _BBOX,
    "region_bbox": Column("Covering box of `region`.", LONLAT),
    "area_m2": Column("Area on the WGS 84 ellipsoid, holes subtracted.", "square metres"),
    "n_fragments": Column("Sightings in neighbouring tiles that were joined into it.", "count"),
    "tile_ids": Column("The tiles of these sightings, sorted."),
    "touches_scene_edge": Column("It touches an edge of its scene: there may be more of it."),
    "valid_fraction": Column("Least share of pixels with data among its tiles.", "0 to 1"),
    "thinking": Column("What the reasoner thought where the thing was seen best."),
    "scene_ids": Column("The scenes it was seen in."),
    "datetime": Column("Acquisition time of the scene, null where unknown.", "UTC"),
    "run_id": _RUN_ID,
}
"""Columns of `objects`."""

TEXT_COLUMNS: Mapping[str, Column] = {
    "tile_id": Column("The tile that was described."),
    "scene_id": Column("The scene it is of."),
    "query_id": _QUERY_ID,
    "query": _QUERY,
    "text": Column("Caption or answer; the raw completion where it could not be read."),
    "status": Column("`ok`, `empty`, `nodata`, `malformed` or `failed`."),
    "thinking": Column("What the reasoner thought."),
    "geometry": Column("Footprint of the tile: polygon.", LONLAT),
    "bbox": Column("Covering box of `geometry`.", LONLAT),
    "run_id": _RUN_ID,
}
"""Columns of `texts`."""

ANSWER_COLUMNS: Mapping[str, Column] = {
    "chunk_id": Column("Chunk the tile belongs to: a digest of all that can change an answer."),
    "tile_id": Column("The tile."),
    "query_id": _QUERY_ID,
    "scene_uri": Column("Address of the scene."),
    "scene_id": Column("Id of the scene, from its item id or file name."),
    "x0": Column("Left edge of the tile's window.", "pixels of the work grid"),
    "y0": Column("Upper edge of the tile's window.", "pixels of the work grid"),
    "x1": Column("Right edge of the tile's window, not included.", "pixels of the work grid"),
    "y1": Column("Lower edge of the tile's window, not included.", "pixels of the work grid"),
    "geometry": Column("Footprint of the tile: polygon as WKB.", LONLAT),
    "status": Column("`ok`, `empty`, `nodata`, `malformed` or `failed`."),
    "problem": Column("What was wrong, empty where nothing was."),
    "thinking": Column("The reasoner's thinking."),
    "text": Column("Caption or answer in words, or the raw completion where it could not be read."),
    "boxes": Column("Boxes as x0, y0, x1, y1, half-open.", "pixels of the tile"),
    "fragments": Column(
        "Sightings: `geometry` and `box` as WKB in the scene's CRS, `score`, `truncated` (cut by an inner "
        "tile edge), `touches_scene_edge`, `edge_distance`, `core_share`, `label`, `valid_fraction`."
    ),
    "n_tokens": Column("Tokens generated.", "count"),
    "seconds": Column("Share of the models' time.", "seconds"),
}
"""Columns of `answers`, the ledger."""


def _sides(meaning: str, unit: str = "") -> dict[str, Column]:
    """The columns of one fact about a thing before and after."""
    name = meaning.split("`")[1]
    return {
        f"{name}_before": Column(f"{meaning} before the night, null where it appeared.", unit),
        f"{name}_after": Column(f"{meaning} after the night, null where it disappeared.", unit),
    }


CHANGE_COLUMNS: Mapping[str, Column] = {
    "change": Column("`appeared`, `disappeared` or `changed` (another outline or label)."),
    "id": Column("The thing's id, as in `objects`."),
    "query_id": _QUERY_ID,
    "query": _QUERY,
    "label": Column("Its label after the night, or before where it disappeared."),
    "geometry": Column("Its outline after the night, or before where it disappeared.", LONLAT),
    "before": Column("Its outline before the night, null where it appeared.", LONLAT),
    "after": Column("Its outline after the night, null where it disappeared.", LONLAT),
    "bbox": Column("Covering box of `geometry`.", LONLAT),
    "before_bbox": Column("Covering box of `before`, null where that is.", LONLAT),
    "after_bbox": Column("Covering box of `after`, null where that is.", LONLAT),
    "iou": Column("How much the outlines share: intersection over union.", "0 to 1"),
    **_sides("Its `label`"),
    **_sides("Its `area_m2`", "square metres"),
    **_sides("Its `score`", "0 to 1"),
    **_sides("Its `scene_ids`"),
    **_sides("Its `datetime`", "UTC"),
}
"""Columns of `changes`, the table of a night."""
