"""Reads the pixels of a chunk with one read per file, and cuts tiles out of them; for the read step."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from tiling import Chunk, Scene, SceneError, Tile, Window
from tiling.geo import WorkingGrid
from tiling.raster.handles import held
from tiling.raster.header import DEFAULT_OPTIONS, OpenOptions
from tiling.raster.native_window import Area, Valid, Values, read_with_retry
from tiling.raster.scaling import Scaling
from tiling.storage import LONG, with_retry


@dataclass(frozen=True, slots=True)
class ChunkPixels:
    """The pixels of one chunk as models see them."""

    chunk: Chunk
    """What was read."""
    pixels: NDArray[np.uint8]
    """(3, height, width) red, green, blue of the chunk's window; grey scenes repeat their one band."""
    valid: NDArray[np.bool_]
    """(height, width), true where there is data."""
    failed: Mapping[str, str]
    """Tiles that could not be read, by tile id, with the reason; their pixels must not be used."""

    def tile(self, tile: Tile) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Cut out one tile as an image.

        Args:
            tile: A tile of the chunk.

        Returns:
            Pixels (tile_px, tile_px, 3) uint8, C-contiguous, and validity (tile_px, tile_px); zero and
            invalid beyond the scene's edge.
        """
        own, hull = tile.window, self.chunk.window
        x0, y0 = own.x0 - hull.x0, own.y0 - hull.y0
        part = np.s_[y0 : y0 + own.height, x0 : x0 + own.width]
        valid = self.valid[part]
        rows, columns = valid.shape
        whole = (rows, columns) == (own.height, own.width)
        made = np.empty if whole else np.zeros
        pixels = made((own.height, own.width, 3), dtype=np.uint8)
        # Band by band: transposing the whole tile at once is three times slower.
        for band in range(3):
            pixels[:rows, :columns, band] = self.pixels[band][part]
        if whole:
            return pixels, valid
        mask = np.zeros((own.height, own.width), dtype=bool)
        mask[:rows, :columns] = valid
        return pixels, mask


def read_chunk(
    scene: Scene,
    work: WorkingGrid,
    chunk: Chunk,
    *,
    scaling: Scaling | None,
    options: OpenOptions = DEFAULT_OPTIONS,
) -> ChunkPixels:
    """Read a chunk with one read per file; if that fails, read smaller parts down to single tiles.

    Args:
        scene: The scene.
        work: Its working grid.
        chunk: A chunk of a grid on that working grid.
        scaling: The run's scaling; scenes of uint8 are shown as they are.
        options: What the scene's files may declare.

    Raises:
        SceneError: The scene is not uint8 and no scaling was given.
        StorageError: Object storage refuses, or is away for longer than the retry policy allows.
    """
    if scene.dtype != "uint8" and scaling is None:
        raise SceneError(scene.uri, f"holds {scene.dtype} values and no scaling was given")
    failed: dict[str, str] = {}
    try:
        values, valid = _values(scene, _area(scene, work, chunk.window), options)
    except SceneError:
        values, valid = _in_parts(scene, work, chunk, options=options, failed=failed)
    return ChunkPixels(chunk, _scaled(scene, values, valid, scaling), valid, failed)


def failed_pixels(chunk: Chunk, reason: str) -> ChunkPixels:
    """The pixels of an unreadable chunk: every tile failed, with the reason."""
    pixels, valid = np.zeros((3, 0, 0), dtype=np.uint8), np.zeros((0, 0), dtype=bool)
    return ChunkPixels(chunk, pixels, valid, {tile.tile_id: reason for tile in chunk.tiles})


def _values(scene: Scene, area: Area, options: OpenOptions) -> tuple[Values, Valid]:
    if scene.mosaic is None:
        return read_with_retry(scene, area, options=options)
    # Imported here, so that only mosaics wait seconds for odc-stac, xarray and dask.
    from tiling.raster.mosaic_read import read_mosaic

    return read_mosaic(scene, area, options=options)


def _scaled(scene: Scene, values: Values, valid: Valid, scaling: Scaling | None) -> NDArray[np.uint8]:
    if scene.dtype != "uint8" and scaling is not None:
        values = scaling.apply(values, valid)
    shown = np.asarray(values, dtype=np.uint8)
    return shown if len(shown) == 3 else np.broadcast_to(shown[:1], (3, *shown.shape[1:]))


def _area(scene: Scene, work: WorkingGrid, window: Window) -> Area:
    """The native pixels under a window of the working grid."""
    if (work.width, work.height) == (scene.width, scene.height):
        return Area(window.x0, window.y0, window.x1, window.y1, window.height, window.width)
    fx, fy = scene.width / work.width, scene.height / work.height
    return Area(
        left=window.x0 * fx,
        top=window.y0 * fy,
        right=min(window.x1 * fx, scene.width),
        bottom=min(window.y1 * fy, scene.height),
        height=window.height,
        width=window.width,
        resampling=Resampling.average if work.scale < 1 else Resampling.bilinear,
    )


def _in_parts(
    scene: Scene, work: WorkingGrid, chunk: Chunk, *, options: OpenOptions, failed: dict[str, str]
) -> tuple[Values, Valid]:
    """Read the readable parts of a chunk; tiles over unreadable parts are added to `failed`."""
    shape = (chunk.window.height, chunk.window.width)
    values = np.zeros((len(scene.bands), *shape), dtype=scene.dtype)
    valid = np.zeros(shape, dtype=bool)
    problem = _cannot_open(scene, options)
    if problem:
        failed.update((tile.tile_id, problem) for tile in chunk.tiles)
        return values, valid
    waiting = _halves(chunk.tiles) or [chunk.tiles]
    while waiting:
        tiles = waiting.pop()
        window = _hull(tiles, chunk.window)
        try:
            part, part_valid = _values(scene, _area(scene, work, window), options)
        except SceneError as exc:
            halves = _halves(tiles)
            waiting += halves
            if not halves:
                failed[tiles[0].tile_id] = exc.reason
            continue
        place = np.s_[
            window.y0 - chunk.window.y0 : window.y1 - chunk.window.y0,
            window.x0 - chunk.window.x0 : window.x1 - chunk.window.x0,
        ]
        values[:, place[0], place[1]] = part
        valid[place] = part_valid
    return values, valid


def _cannot_open(scene: Scene, options: OpenOptions) -> str:
    """Why a file of the scene cannot be opened; empty if all can."""
    for original in scene.originals:
        for band in original.bands:
            try:
                with_retry(band.uri, partial(_check_opens, band.uri, original, options), retry_policy=LONG)
            except SceneError as exc:
                return exc.reason
    return ""


def _check_opens(uri: str, scene: Scene, options: OpenOptions) -> None:
    with held(uri, options, version=scene.identity):
        pass


def _hull(tiles: tuple[Tile, ...], bounds: Window) -> Window:
    windows = [tile.window for tile in tiles]
    return Window(
        min(w.x0 for w in windows),
        min(w.y0 for w in windows),
        min(max(w.x1 for w in windows), bounds.x1),
        min(max(w.y1 for w in windows), bounds.y1),
    )


def _halves(tiles: tuple[Tile, ...]) -> list[tuple[Tile, ...]]:
    """Divide tiles into two groups, between rows or else between columns; a single tile gives no groups."""
    if len(tiles) == 1:
        return []
    tops = sorted({tile.window.y0 for tile in tiles})
    if len(tops) > 1:
        cut = tops[len(tops) // 2]
        return [tuple(t for t in tiles if t.window.y0 < cut), tuple(t for t in tiles if t.window.y0 >= cut)]
    half = len(tiles) // 2
    return [tiles[:half], tiles[half:]]
