"""Reads georeferenced polygons and the scenes they lie on, any vector file that geopandas reads.

Scenes are loaded as a run would show them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from tiling import Scene, SceneError
from tiling.geo import parts_of, to_pixels, valid_polygons
from tiling.raster import describe_scene
from training import DatasetError
from training.data import Problem
from training.labels.class_names import Naming
from training.labels.images import load_scene
from training.labels.label_builder import LabelBuilder
from training.labels.labelled_image import LabelledImage, LabelReading


@dataclass(frozen=True, slots=True)
class _Table:
    """Polygons of one vector file, one a row."""

    file: str
    """The file."""
    polygons: gpd.GeoSeries
    """(n,) valid polygons in the file's CRS."""
    rows: NDArray[np.int64]
    """(n,) row of the file each came from."""
    labels: tuple[str, ...]
    """(n,) name of each as written."""


def read_polygons(
    file: Path,
    scenes: Sequence[Path],
    *,
    naming: Naming,
    kind_column: str | None = None,
    bands: tuple[int, ...] | None = None,
) -> LabelReading:
    """Read polygons and show them in the pixels of every scene they lie on.

    Args:
        file: GeoParquet, GeoJSON or any other vector file.
        scenes: Rasters with a place.
        naming: What the names in the column mean; without a column it must have one class.
        kind_column: Column with a name for every polygon; None where all are of one class.
        bands: Display bands of the scenes: red, green, blue (three) or grey (one).

    Returns:
        A labelled image for every readable scene. Polygons on no scene, rows without polygons and scenes
        that cannot be read are problems.

    Raises:
        DatasetError: The file cannot be read, has no CRS or no such column, or its CRS and a scene's do
            not meet.
    """
    problems: list[Problem] = []
    table = _table(file, kind_column, naming, problems)
    found: list[LabelledImage] = []
    met = np.zeros(len(table.rows), bool)
    for path in scenes:
        try:
            scene = describe_scene(str(path), bands=bands)
            loaded = load_scene(scene)
        except (SceneError, DatasetError) as error:
            problems.append(Problem(str(path), path.name, f"scene cannot be read: {error}"))
            continue
        labels = LabelBuilder(str(file), (scene.height, scene.width), naming)
        met |= _take(labels, table, scene)
        found.append(labels.image(path.stem, loaded))
        problems += labels.problems
    for row in table.rows[~met]:
        problems.append(Problem(str(file), f"row {row}", "polygon outside of every scene"))
    return LabelReading(tuple(found), tuple(problems))


def _table(file: Path, kind_column: str | None, naming: Naming, problems: list[Problem]) -> _Table:
    frame = _frame(file)
    if kind_column is not None and kind_column not in frame.columns:
        columns = ", ".join(str(name) for name in frame.columns)
        raise DatasetError(f"{file}: has no column {kind_column!r}: one of {columns} is meant")
    if kind_column is None and len(naming.complete) != 1:
        raise DatasetError(f"{file}: kinds {naming.complete} need the column that tells them apart")
    names = [naming.complete[0]] * len(frame) if kind_column is None else _texts(frame[kind_column])
    polygons: list[shapely.Polygon] = []
    rows: list[int] = []
    for row, geometry in enumerate(frame.geometry):
        parts = valid_polygons(parts_of(np.array([geometry], dtype=object)))
        if not len(parts):
            problems.append(Problem(str(file), f"row {row}", "row without a polygon"))
        elif len(parts) > 1:
            problems.append(Problem(str(file), f"row {row}", "several parts, each taken as one object"))
        polygons += list(parts)
        rows += [row] * len(parts)
    series = gpd.GeoSeries(polygons, crs=frame.crs)
    return _Table(str(file), series, np.array(rows, np.int64), tuple(names[row] for row in rows))


def _texts(column: Sequence[object]) -> list[str]:
    """Names as text; what is missing (None, NaN) is not a name."""
    return ["" if value is None or value != value else str(value) for value in column]


def _frame(file: Path) -> gpd.GeoDataFrame:
    if not file.is_file():
        raise DatasetError(f"{file}: there is no such file")
    try:
        frame = gpd.read_parquet(file) if file.suffix.lower() == ".parquet" else gpd.read_file(file)
    except Exception as error:  # geopandas passes on what pyarrow, pyogrio, GDAL and shapely raise
        raise DatasetError(f"{file}: cannot be read as a vector file: {error}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise DatasetError(f"{file}: has no geometry column")
    if frame.crs is None:
        raise DatasetError(f"{file}: the labels have no CRS: write it into the file (GeoDataFrame.set_crs)")
    return frame


def _take(labels: LabelBuilder, table: _Table, scene: Scene) -> NDArray[np.bool_]:
    """Take the polygons that lie on a scene; which they were (n,)."""
    if not len(table.rows):
        return np.zeros(0, bool)
    try:
        placed = table.polygons.to_crs(scene.crs)
    except (ProjError, ValueError) as error:
        raise DatasetError(f"{table.file}: no way from its CRS to that of {scene.uri}: {error}") from error
    pixels = to_pixels(placed.to_numpy(), scene.transform)
    frame = shapely.box(0, 0, scene.width, scene.height)
    # Far from its zone a projection gives infinite coordinates: such a polygon is not on this scene.
    finite = np.isfinite(shapely.bounds(pixels)).all(axis=1)
    on = np.zeros(len(pixels), bool)
    on[finite] = shapely.intersects(pixels[finite], frame)
    for index in np.flatnonzero(on):
        parts = parts_of(shapely.intersection(shapely.make_valid(pixels[index]), frame))
        if len(parts):
            outline = parts[int(np.argmax(shapely.area(parts)))]
            labels.add(f"row {table.rows[index]}", table.labels[index], outline.bounds, outline)
        else:
            on[index] = False
    return on
