"""map.html: imagery and objects of a run in one file that needs no network. Knows no model."""

import html
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import shapely

from pipelines.dataset import object_files
from pipelines.pictures import Picture, scene_picture
from pipelines.plan import Plan, scene_outline
from pipelines.planning import job_limits
from pipelines.storage import Store
from reasoner.query import Query, Task
from tiling.errors import SceneError

NAME = "map.html"
SCENES = "scene outlines"
COLOURS = ("#ff3b30", "#ffd60a", "#32d74b", "#0a84ff", "#ff9f0a", "#bf5af2", "#64d2ff", "#ff6482")
MAX_OBJECTS = 20_000
"""Objects of one question on the page; of more, the largest."""
MAX_POINTS = 400_000
"""Outline points of one question before outlines are simplified."""
MAX_PICTURES = 16
PICTURE_PX = 1500
"""Side of a scene's picture; with several scenes the pictures share the pixels of four."""
_POPUP = (
    "<b>{{{query}}}</b><br>{{{label}}}<br>score {{{score}}} · {{{area}}} m² · {{{scene}}}"
    "<br><div style='max-width:260px;max-height:160px;overflow:auto'><i>{{{thinking}}}</i></div>"
)
_SEA = {"id": "sea", "type": "background", "paint": {"background-color": "#20242b"}}
_WHITE = {"line-color": "#ffffff", "line-width": 1, "line-opacity": 0.6}

_Style = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Shown:
    """Objects of one question as they stand on the page."""

    query: Query
    frame: geopandas.GeoDataFrame
    total: int
    colour: str


def write_map(store: Store, plan: Plan) -> str:
    """Write the page; its address.

    Raises:
        OSError: the storage refuses, or there are no objects yet.
    """
    located = [query for query in plan.queries if query.task is Task.LOCATE]
    shown = [_shown(store, query, COLOURS[i % len(COLOURS)]) for i, query in enumerate(located)]
    page = _page(plan, shown, _style(plan, shown, list(_pictures(plan))))
    store.write(NAME, page.encode())
    return store.path(NAME)


def _page(plan: Plan, shown: Sequence[_Shown], style: _Style) -> str:
    """The finished page around a style."""
    library = _library()
    bounds = tuple(
        float(value) for value in shapely.total_bounds([scene_outline(item) for item in plan.scenes])
    )
    fit = {"padding": 40}
    options = library.MapOptions(
        style=style, bounds=bounds, fit_bounds_options=fit, attribution_control=False
    )
    page = library.Map(options)
    for item in shown:
        page.add_popup(_layer_id(item), template=_POPUP)
    controls, place = library.controls, library.controls.ControlPosition
    page.add_control(controls.NavigationControl())
    page.add_control(controls.ScaleControl(), place.BOTTOM_LEFT)
    page.add_control(controls.InfoBoxControl(content=_legend(shown, len(plan.scenes))), place.TOP_LEFT)
    layers = [SCENES, *(_layer_id(item) for item in shown)]
    page.add_control(controls.LayerSwitcherControl(layer_ids=layers), place.BOTTOM_RIGHT)
    title = html.escape("; ".join(query.text for query in plan.queries))
    return str(page.to_html(title=title, style="position:absolute;inset:0;"))


def _library() -> ModuleType:
    """The map library; imported here because it logs advice on a web framework, and is not typed."""
    logging.getLogger("maplibre").setLevel(logging.ERROR)
    return import_module("maplibre")


def _style(plan: Plan, shown: Sequence[_Shown], pictures: Sequence[Picture]) -> _Style:
    """Sources and layers, bottom up: pictures, scene outlines, objects."""
    outlines = geopandas.GeoSeries([scene_outline(item) for item in plan.scenes], crs="OGC:CRS84")
    named = {f"scene-{index}": picture for index, picture in enumerate(pictures)}
    sources: _Style = {name: _picture_source(picture) for name, picture in named.items()}
    sources[SCENES] = {"type": "geojson", "data": outlines.__geo_interface__}
    sources |= {_layer_id(item): {"type": "geojson", "data": _geojson(item.frame)} for item in shown}
    layers = [_SEA, *(_layer(name, "raster", {"raster-fade-duration": 0}) for name in named)]
    layers += [
        _layer(SCENES, "line", _WHITE),
        *(_layer(_layer_id(item), "fill", _fill(item)) for item in shown),
    ]
    return {"version": 8, "sources": sources, "layers": layers}


def _layer(name: str, kind: str, paint: Mapping[str, object]) -> _Style:
    return {"id": name, "type": kind, "source": name, "paint": dict(paint)}


def _fill(item: _Shown) -> _Style:
    return {"fill-color": f"{item.colour}66", "fill-outline-color": item.colour}


def _picture_source(picture: Picture) -> _Style:
    corners = [list(corner) for corner in picture.corners]
    return {"type": "image", "url": picture.url, "coordinates": corners}


def _shown(store: Store, query: Query, colour: str) -> _Shown:
    frames = [_read(store, name) for name in object_files(store, query.id)]
    frame = geopandas.GeoDataFrame(pd.concat(frames), geometry="geometry", crs=frames[0].crs)
    kept = frame.nlargest(MAX_OBJECTS, "area_m2")
    return _Shown(query, kept.set_geometry(_light(kept.geometry)), len(frame), colour)


def _read(store: Store, name: str) -> geopandas.GeoDataFrame:
    columns = ["geometry", "query", "label", "score", "area_m2", "scene_ids", "thinking"]
    return geopandas.read_parquet(BytesIO(store.read(name)), columns=columns)


def _light(shapes: geopandas.GeoSeries) -> geopandas.GeoSeries:
    """Round to a centimetre, and thin out outlines until a browser can hold them."""
    tolerance = 1e-6
    while shapely.get_num_coordinates(shapes.to_numpy()).sum() > MAX_POINTS and tolerance < 1e-3:
        shapes = shapes.simplify(tolerance)
        tolerance *= 2
    return shapes.map(lambda shape: shapely.transform(shape, lambda xy: np.round(xy, 7)))


def _pictures(plan: Plan) -> Iterator[Picture]:
    scenes = plan.scenes[:MAX_PICTURES]
    side = round(PICTURE_PX * min(1.0, 2.0 / len(scenes) ** 0.5))
    for item in scenes:
        try:
            yield scene_picture(
                item.scene, side_px=side, scaling=plan.scaling, limits=job_limits(plan.config)
            )
        except SceneError:
            continue  # a map without one picture is better than no map


def _geojson(frame: geopandas.GeoDataFrame) -> dict[str, object]:
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(row["geometry"]),
            "properties": _properties(row),
        }
        for row in frame.to_dict("records")
    ]
    return {"type": "FeatureCollection", "features": features}


def _properties(row: Mapping[str, Any]) -> dict[str, str]:
    """What the popup says; escaped here, because what a model wrote goes into a page."""
    values = {
        "query": row["query"],
        "label": row["label"],
        "score": f"{row['score']:.2f}",
        "area": f"{row['area_m2']:,.0f}",
        "scene": ", ".join(row["scene_ids"]),
        "thinking": row["thinking"],
    }
    return {name: html.escape(value) for name, value in values.items()}


def _layer_id(item: _Shown) -> str:
    return item.query.id


def _legend(shown: Sequence[_Shown], n_scenes: int) -> str:
    lines = [
        f"<div><span style='display:inline-block;width:12px;height:12px;background:{item.colour};"
        f"margin-right:6px'></span>{html.escape(item.query.text)} <b>{item.total:,}</b>{_cut(item)}</div>"
        for item in shown
    ]
    return f"<div style='max-width:320px'>{''.join(lines)}<small>{n_scenes:,} scenes</small></div>"


def _cut(item: _Shown) -> str:
    return f" (largest {len(item.frame):,} shown)" if item.total > len(item.frame) else ""
