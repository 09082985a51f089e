"""The benchmark `reading`: reading a scene chunk by chunk and cutting tiles, against decoding the file once.

The speed of a way of reading is the area it covers per second, where tiles count with their cores, which
partition the scene. Decodes are counted by the bytes read from the file: every decode of a block of a local
file reads the block's bytes again, so bytes read over the bytes of all blocks are decodes per block.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from benchmarks.measure import Aim, Row, Timed, divided, interleaved, timed
from benchmarks.scenes import small_scene
from benchmarks.settings import Settings
from tiling.geo.geobox import WorkingGrid, working_grid
from tiling.grid import Grid, Tile, Window
from tiling.raster.chunks import read_chunk
from tiling.raster.describe import describe_scene
from tiling.scene import Scene

NAME = "reading"
BARE = "bare decode"
TILES = ((224, 56), (896, 128))
"""Tile and overlap, pixels."""

SPEED, DECODES = Aim(minimum=0.8), Aim(maximum=1.1)


@dataclass(frozen=True, slots=True)
class _Subject:
    """A scene with a grid on it."""

    path: Path
    scene: Scene
    work: WorkingGrid
    grid: Grid

    @property
    def name(self) -> str:
        return f"tiles {self.grid.tile_px}/{self.grid.overlap_px}"


@dataclass(frozen=True, slots=True)
class _Way:
    """A way of reading, and the area it covers."""

    what: str
    """Its name."""
    read: Callable[[], None]
    """Reads in that way."""
    area: float
    """Share of the scene it covers."""
    aim: Aim | None = None
    """What its speed over that of the bare decode should be."""


def measure(settings: Settings) -> list[Row]:
    """Speed and decodes of every way of reading, for small and for large tiles."""
    path = small_scene(settings)
    subjects = [_subject(path, settings, sizes) for sizes in TILES]
    ways = [way for subject in subjects for way in _ways(subject)]
    decode = partial(_decode_whole, path)
    decode()  # from here on the file is in the system's cache
    variants = {BARE: partial(timed, decode)} | {way.what: partial(timed, way.read) for way in ways}
    found = interleaved(variants, settings)
    megabytes = settings.size_px**2 * 3 / 1e6
    rows = [_speed_row(way, found[way.what], found[BARE], megabytes) for way in ways]
    rows += [_decode_row(BARE, found[BARE], path, None)]
    for subject in subjects:
        rows += [_decode_row(_cut(subject), found[_cut(subject)], path, DECODES), _request_row(subject)]
    return rows


def _subject(path: Path, settings: Settings, sizes: tuple[int, int]) -> _Subject:
    scene = describe_scene(str(path))
    work = working_grid(scene, gsd_m=None)
    return _Subject(
        path, scene, work, Grid(scene.scene_id, work.width, work.height, *sizes, settings.chunk_px)
    )


def _cut(subject: _Subject) -> str:
    return f"{subject.name}: chunks read, tiles cut"


def _ways(subject: _Subject) -> list[_Way]:
    few, fewer = list(islice(subject.grid.tiles(), 600)), list(islice(subject.grid.tiles(), 100))
    name = subject.name
    return [
        _Way(_cut(subject), partial(_read_chunks, subject, cut=True), 1.0, SPEED),
        _Way(f"{name}: chunks read, nothing cut", partial(_read_chunks, subject, cut=False), 1.0),
        _Way(f"{name}: a window each, one handle", partial(_read_windows, subject, few), _area(subject, few)),
        _Way(f"{name}: reopened for each", partial(_reopen, subject, fewer), _area(subject, fewer)),
    ]


def _area(subject: _Subject, tiles: Iterable[Tile]) -> float:
    covered = sum(tile.core.width * tile.core.height for tile in tiles)
    return covered / (subject.grid.width * subject.grid.height)


def _decode_whole(path: Path) -> None:
    with rasterio.open(path) as dataset:
        step = dataset.block_shapes[0][0]
        for top in range(0, dataset.height, step):
            dataset.read(window=RasterWindow(0, top, dataset.width, min(step, dataset.height - top)))


def _read_chunks(subject: _Subject, *, cut: bool) -> None:
    for chunk in subject.grid.chunks():
        image = read_chunk(subject.scene, subject.work, chunk, scaling=None)
        for tile in chunk.tiles if cut else ():
            image.tile(tile)


def _read_windows(subject: _Subject, tiles: Sequence[Tile]) -> None:
    with rasterio.open(subject.path) as dataset:
        for tile in tiles:
            _read_window(dataset, tile.window)


def _reopen(subject: _Subject, tiles: Sequence[Tile]) -> None:
    for tile in tiles:
        with rasterio.open(subject.path) as dataset:
            _read_window(dataset, tile.window)


def _read_window(dataset: DatasetReader, window: Window) -> None:
    dataset.read(window=RasterWindow(window.x0, window.y0, window.width, window.height))


def _speed_row(way: _Way, took: list[Timed], bare: list[Timed], megabytes: float) -> Row:
    speeds = [megabytes * way.area / item.seconds for item in took]
    decoding = [megabytes / item.seconds for item in bare]
    detail = f"{statistics.median(speeds):.0f} of {statistics.median(decoding):.0f} MB/s"
    return Row(NAME, f"{way.what}: speed over {BARE}", divided(speeds, decoding), detail, way.aim)


def _decode_row(what: str, took: list[Timed], path: Path, aim: Aim | None) -> Row:
    once = _block_bytes(path)
    read = [float(item.read_bytes) for item in took]
    detail = f"{statistics.median(read) / 1e6:.1f} MB read, {once / 1e6:.1f} MB of blocks"
    return Row(NAME, f"{what}: decodes per block", divided(read, [float(once)] * len(read)), detail, aim)


def _block_bytes(path: Path) -> int:
    """Compressed bytes of all full-resolution blocks."""
    with rasterio.open(path) as dataset:
        return sum(
            int(dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=1))
            for (row, column), _ in dataset.block_windows(1)
        )


def _request_row(subject: _Subject) -> Row:
    """What the chunks' windows touch: the decodes of workers that share no cache."""
    with rasterio.open(subject.path) as dataset:
        side, there = dataset.block_shapes[0][0], sum(1 for _ in dataset.block_windows(1))
    asked = sum(_blocks(chunk.window, side) for chunk in subject.grid.chunks())
    what = f"{subject.name}: blocks touched by {subject.grid.n_chunks} chunks, over blocks"
    return Row(NAME, what, (asked / there,), f"{asked} of {there}; the decodes if no cache is shared")


def _blocks(window: Window, side: int) -> int:
    columns = -(-window.x1 // side) - window.x0 // side
    return columns * (-(-window.y1 // side) - window.y0 // side)
