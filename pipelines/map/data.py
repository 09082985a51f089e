"""The data of the map's page as one JSON value, with the exact counts behind its sliders."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.map.objects import (
    COLUMNS,
    Words,
    columns,
    find_tile,
    geojson_outlines,
    sample_sizes,
    sampled,
    scenes_by_id,
)
from pipelines.map.sources import Figures, read_details
from pipelines.map.thumbnails import Picture, Rendering, scene_picture, tile_picture
from pipelines.map.tiles import MAX_TILES, MapTile, MapTiles, footprint_points
from pipelines.plan import Plan, PlannedScene, open_options, scene_outline
from tiling import SceneError
from tiling.storage import Store

AREA_STEPS = 60
SCORE_STEP = 0.01

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Edges:
    """The settings of the sliders."""

    score: Numbers
    """Ascending; the first is at most the minimum score, the last at most the maximum."""
    area: Numbers
    """Ascending, square metres; the first is at most the minimum area, the last above the maximum."""


def filter_edges(score: Numbers, area: Numbers) -> Edges:
    """Settings that span all objects.

    Args:
        score: (n,) 0 to 1.
        area: (n,) square metres.
    """
    low, high = (_span(score) if len(score) else (0.0, 1.0)), (_span(area) if len(area) else (0.0, 1.0))
    return Edges(_score_edges(*low), _area_edges(*high))


def counts(score: Numbers, area: Numbers, edges: Edges) -> list[list[int]]:
    """Count the objects between every two neighbouring settings of both sliders.

    Args:
        score: (n,) scores of one question.
        area: (n,) its areas, square metres.
        edges: settings that span them.

    Returns:
        [index of the score setting, index of the area setting, number of objects], sorted; pairs of settings
        without objects are left out.
    """
    reached = np.column_stack([_edge_index(score, edges.score), _edge_index(area, edges.area)])
    pairs, number = np.unique(reached, axis=0, return_counts=True)
    return [[int(s), int(a), int(n)] for (s, a), n in zip(pairs, number, strict=True)]


def _edge_index(values: Numbers, edges: Numbers) -> NDArray[np.int64]:
    return np.searchsorted(edges, values, side="right") - 1


def _span(values: Numbers) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _score_edges(low: float, high: float) -> Numbers:
    first, last = (int(np.floor(value / SCORE_STEP + 1e-9)) for value in (low, high))
    return np.round(np.arange(first, last + 1) * SCORE_STEP, 2)


def _area_edges(low: float, high: float) -> Numbers:
    """Settings at even ratios, rounded to two digits because people read them."""
    low, above = max(low, 0.1), max(high * 1.001, 0.2)
    inner = np.geomspace(low, above, AREA_STEPS + 1)[1:-1]
    digits = 10.0 ** (np.floor(np.log10(inner)) - 1)
    rounded = np.round(np.round(inner / digits) * digits, 2)
    kept = np.unique(rounded[(rounded > low) & (rounded <= high)])
    return np.concatenate([[0.0], kept, [np.ceil(above * 100) / 100]])


# The colours of Okabe and Ito that stand out on imagery, then Tol's; not red, which marks failed tiles.
COLOURS = ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#009e73", "#0072b2", "#ddcc77", "#44aa99", "#aa4499")
MAX_PICTURES = 16
PICTURE_PX = 1500
"""Side of a scene's picture; the pictures of several scenes together have the pixels of four of these."""
MAX_THUMBNAILS = 400
THUMBNAIL_PX = 288
SERVED_PX = 640
"""Side of a tile's picture that the server reads on demand."""
MAX_THUMBNAIL_CHARACTERS = 6_000_000
"""Characters of all thumbnails together at most."""
_THUMBNAILS_AT_ONCE = 4

Data = dict[str, object]


@dataclass(frozen=True, slots=True)
class PageContents:
    """What the page shows."""

    store: Store
    """The output folder."""
    plan: Plan
    """The frozen plan."""
    figures: Sequence[Figures]
    """Figures of all objects, question by question."""
    tiles: MapTiles
    """Tiles without objects."""

    @property
    def total(self) -> int:
        """Objects of all questions."""
        return sum(len(item) for item in self.figures)


def page_data(shown: PageContents, *, pyramid: Mapping[str, object] | None) -> Data:
    """The page's data.

    Args:
        shown: what to show.
        pyramid: the tile archives beside the page; None if all objects are in the page; empty if the page
            holds a sample and there are no archives.

    Raises:
        RequestError: a file of the run cannot be read.
    """
    words = Words()
    objects, thinned = _objects(shown, words, whole=pyramid is None)
    thumbnails, left_out = _thumbnails(shown.plan, _tile_ids(objects, words))
    pictures = list(_pictures(shown.plan))
    kept = len(objects["q"])
    notes = _notes(shown, pictured=len(pictures), thinned=thinned, left_out=left_out)
    return {
        **_headings(shown),
        "notice": "" if pyramid is None else _notice(kept, shown.total),
        "notes": notes,
        "bounds": _bounds(shown.plan),
        "edges": {name: value.tolist() for name, value in asdict(_edges(shown.figures)).items()},
        "questions": _questions(shown.figures),
        "pyramid": pyramid or None,
        "objects": objects,
        "tiles": _tile_features(shown.tiles, words),
        "outlines": _scene_outlines(shown.plan),
        "pictures": [asdict(picture) for picture in pictures],
        "thumbnails": {name: asdict(picture) for name, picture in thumbnails.items()},
        "texts": list(words.numbers),
    }


def rendering_of(plan: Plan, side_px: int) -> Rendering:
    """How to read pictures of a run's scenes."""
    return Rendering(plan.scaling, open_options(plan.config), side_px)


def _headings(shown: PageContents) -> Data:
    plan, asked = shown.plan, [query.text for query in shown.plan.queries]
    dates = sorted({item.scene.datetime[:10] for item in plan.scenes if item.scene.datetime})
    when = "" if not dates else dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    scenes = f"{len(plan.scenes):,} scene{'s' * (len(plan.scenes) != 1)}"
    return {
        "title": asked[0] if len(asked) == 1 else f"{len(asked)} questions",
        "subtitle": " · ".join(filter(None, [scenes, f"{plan.n_tiles:,} tiles", when])),
        "facts": {
            "Imagery": when or "no date given",
            "Reasoner": plan.reasoner.name,
            "Segmenter": plan.segmenter.name,
            "Run": plan.run_id,
        },
    }


def _notice(kept: int, total: int) -> str:
    return (
        f"This file shows a sample of {kept:,} of {total:,} objects, as dots. "
        "To see them all, type: remotereasoner show FOLDER --serve"
    )


def _notes(shown: PageContents, *, pictured: int, thinned: bool, left_out: int) -> list[str]:
    n_scenes, n_tiles = len(shown.plan.scenes), sum(shown.tiles.counts.values())
    notes = {
        f"{pictured:,} of {n_scenes:,} scenes have their imagery in this file.": pictured < n_scenes,
        "Outlines are simplified here, not in the GeoParquet.": thinned,
        f"The pictures of {left_out:,} tiles are not in this file; “show --serve” reads them.": left_out > 0,
        f"Of {n_tiles:,} tiles without objects, {MAX_TILES:,} are shown, failed ones first.": (
            len(shown.tiles.shown) == MAX_TILES < n_tiles
        ),
        "The score is the segmenter’s estimate of the mask’s quality.": shown.total > 0,
    }
    return [text for text, holds in notes.items() if holds]


def _objects(shown: PageContents, words: Words, *, whole: bool) -> tuple[dict[str, list[object]], bool]:
    """Columns of the objects in the page, and whether outlines were simplified; a sample has no outlines."""
    scenes, found, shapes = scenes_by_id(shown.plan), {name: list[object]() for name in COLUMNS}, []
    sizes = sample_sizes([len(item) for item in shown.figures])
    for number, (item, size) in enumerate(zip(shown.figures, sizes, strict=True)):
        table = read_details(shown.store, item, sampled(item.ids, size))
        for name, values in columns(table, number, scenes=scenes, words=words).items():
            found[name] += values
        if whole:
            shapes.append(shapely.from_wkb(table["geometry"].to_numpy()))
    if not shapes:
        return found, False
    found["g"], thinned = geojson_outlines(np.concatenate(shapes))
    return found, thinned


def _questions(figures: Sequence[Figures]) -> list[Data]:
    edges = _edges(figures)
    return [
        {
            "text": item.query.text,
            "colour": COLOURS[number % len(COLOURS)],
            "total": len(item),
            "counts": counts(item.score, item.area, edges),
        }
        for number, item in enumerate(figures)
    ]


def _edges(figures: Sequence[Figures]) -> Edges:
    none = np.empty(0)
    score = np.concatenate([none, *(item.score for item in figures)])
    area = np.concatenate([none, *(item.area for item in figures)])
    return filter_edges(score, area)


def _bounds(plan: Plan) -> list[float]:
    return [float(value) for value in shapely.total_bounds([scene_outline(item) for item in plan.scenes])]


def _scene_outlines(plan: Plan) -> Data:
    shapes, _ = geojson_outlines(np.array([scene_outline(item) for item in plan.scenes], dtype=object))
    features = [{"type": "Feature", "geometry": shape, "properties": {}} for shape in shapes]
    return {"type": "FeatureCollection", "features": features}


def _tile_features(tiles: MapTiles, words: Words) -> Data:
    return {"counts": dict(tiles.counts), "features": [_tile_feature(tile, words) for tile in tiles.shown]}


def _tile_feature(tile: MapTile, words: Words) -> Data:
    properties = {
        "kind": tile.kind,
        "problem": words.number(tile.message),
        "tile": words.number(tile.tile_id),
        "question": words.number("; ".join(tile.questions)),
    }
    geometry = {"type": "Polygon", "coordinates": footprint_points(tile)}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _pictures(plan: Plan) -> Iterator[Picture]:
    scenes = plan.scenes[:MAX_PICTURES]
    rendering = rendering_of(plan, round(PICTURE_PX * min(1.0, 2.0 / len(scenes) ** 0.5)))
    for item in scenes:
        try:
            yield scene_picture(item.scene, rendering)
        except SceneError:
            continue  # a map without one picture is better than no map


def _tile_ids(objects: Mapping[str, list[object]], words: Words) -> list[str]:
    """Tiles of the page's objects, those with most objects first."""
    texts = list(words.numbers)
    seen = Counter(texts[int(str(number))] for number in objects["tile"])
    return sorted(seen, key=lambda tile: (-seen[tile], tile))


def _thumbnails(plan: Plan, tile_ids: Sequence[str]) -> tuple[dict[str, Picture], int]:
    """Pictures of the first tiles, and how many tiles have none."""
    scenes, rendering = scenes_by_id(plan), rendering_of(plan, THUMBNAIL_PX)
    found: dict[str, Picture] = {}
    size = 0
    with ThreadPoolExecutor(_THUMBNAILS_AT_ONCE) as pool:
        wanted = tile_ids[:MAX_THUMBNAILS]
        for tile_id, picture in zip(
            wanted, pool.map(lambda name: read_tile(scenes, name, rendering), wanted), strict=True
        ):
            size += len(picture.url) if picture else 0
            if picture and size <= MAX_THUMBNAIL_CHARACTERS:
                found[tile_id] = picture
    return found, len(tile_ids) - len(found)


def read_tile(scenes: Mapping[str, PlannedScene], tile_id: str, rendering: Rendering) -> Picture | None:
    """Picture of a planned tile, None if there is no such tile or it cannot be read."""
    known = find_tile(scenes, tile_id)
    if known is None:
        return None
    planned, tile = known
    try:
        return tile_picture(planned.scene, planned.work, tile, rendering)
    except SceneError:
        return None
