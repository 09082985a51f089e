"""A folder written by `remotereasoner practice`, cut into tiles with questions about each."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from reasoner.dialects import read_text
from reasoner.query import Query, Task
from tiling import Chunk, Grid, Scene, SceneError, Tile, Window
from tiling.geo import WorkingGrid, to_pixels
from tiling.raster import burn, describe_scene, read_chunk
from training import DatasetError
from training.data import NAMES, Example, Problem, Reading, SceneRaster, TrainingTile, cut, split_places
from training.datasets.errors import UnusableError
from training.datasets.images import PackedShapes
from training.datasets.options import STANDARD, Choices
from training.datasets.reader import EntryResult, checked_split, needed, read_entries
from training.sft import Turn, caption_turn, count_turn


@dataclass(frozen=True, slots=True)
class TileImage:
    """One tile of a scene, read when asked for."""

    scene: Scene
    """The scene, of uint8."""
    x0: int
    """First column, scene pixels."""
    y0: int
    """First row, scene pixels."""
    tile_px: int
    """Width and height; zero where it reaches past the scene."""

    def pixels(self) -> NDArray[np.uint8]:
        """(tile_px, tile_px, 3), red, green, blue.

        Raises:
            DatasetError: The scene cannot be read there.
        """
        return self.read()[0]

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Pixels (tile_px, tile_px, 3) and where there is data (tile_px, tile_px).

        Raises:
            DatasetError: The scene cannot be read there.
        """
        scene, side = self.scene, self.tile_px
        window = Window(self.x0, self.y0, self.x0 + side, self.y0 + side)
        seen = Window(self.x0, self.y0, min(window.x1, scene.width), min(window.y1, scene.height))
        tile = Tile(f"{scene.scene_id}@{self.x0},{self.y0}", window, seen)
        # Sizes on the ground play no part in a read of native pixels.
        work = WorkingGrid(scene.crs, scene.transform, scene.width, scene.height, 1.0, float("nan"))
        try:
            image = read_chunk(scene, work, Chunk(0, 0, seen, (tile,)), scaling=None)
        except SceneError as error:
            raise DatasetError(f"{tile.tile_id} cannot be read: {error}") from error
        if image.failed:
            raise DatasetError(f"{tile.tile_id} cannot be read: {image.failed[tile.tile_id]}")
        return image.tile(tile)


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """The true objects of a scene."""

    tree: shapely.STRtree
    """Polygons, scene pixels, in the order they are burnt: later ones lie on top."""
    classes: NDArray[np.int16]
    """(n,) class number of each."""

    def tile(self, picture: TileImage, pixels: NDArray[np.uint8]) -> TrainingTile:
        """The pieces seen in a tile.

        Args:
            picture: Which tile.
            pixels: (tile_px, tile_px, 3), its pixels.
        """
        x0, y0, side = picture.x0, picture.y0, picture.tile_px
        near = np.sort(self.tree.query(shapely.box(x0, y0, x0 + side, y0 + side)))
        polygons = shapely.transform(self.tree.geometries.take(near), lambda points: points - (x0, y0))
        labels = burn(list(polygons), height=side, width=side)
        labels[picture.scene.height - y0 :] = 0
        labels[:, picture.scene.width - x0 :] = 0
        classes = np.concatenate([[-1], self.classes[near]]).astype(np.int16)
        return cut(SceneRaster(pixels, labels, classes), x0=0, y0=0, tile_px=side)


NAME, TITLE = "practice", "practice"
CAPTION = "Describe the image."
"""What is asked for a caption; the nano prompt leaves it out."""


@dataclass(frozen=True, slots=True)
class PracticeTile:
    """One tile to be asked about."""

    number: int
    """Its place among all tiles, from 0."""
    picture: TileImage
    """The tile."""

    @property
    def file(self) -> str:
        """The scene's file."""
        return self.picture.scene.uri

    @property
    def where(self) -> str:
        """Its first column and row."""
        return f"tile at {self.picture.x0},{self.picture.y0}"


def read_practice_folder(
    root: Path, *, split: str, choices: Choices = STANDARD, limit: int | None = None, seed: int = 0
) -> Reading:
    """Cut a practice folder into tiles; ask each for what is there, as much that is not, a count, a caption.

    Args:
        root: The folder, with `scenes/*.tif`, `truth.parquet` and `questions.json`.
        split: `train` and `val` share its scenes, every third of which validates; `test` takes them all, for
            a folder of its own.
        choices: Phrasing, tasks, and which tiles.
        limit: At most so many examples, of tiles drawn by the seed.
        seed: Of the draw, of random tiles and of the questions.

    Raises:
        DatasetError: The folder is not laid out so, or the split is unknown or empty.
    """
    checked_split(split)
    questions = _questions(needed(root / "questions.json", TITLE, root), choices)
    table = _table(needed(root / "truth.parquet", TITLE, root))
    paths = sorted(needed(root / "scenes", TITLE, root).glob("*.tif"))
    if not paths:
        raise DatasetError(f"{root} is not a practice folder: {root / 'scenes'} holds no .tif")
    scenes, problems = _scenes(_of_split(paths, split))
    missing = sorted(set(table["scene_id"]) - {path.stem for path in paths})
    problems += [
        Problem(str(root / "truth.parquet"), name, "a scene with truth is not there") for name in missing
    ]
    truths = {scene.scene_id: _truth(table, scene, questions, problems) for scene in scenes}
    reader = _PracticeReader(truths, questions, choices, seed)
    places = list(_places(scenes, choices, seed))
    return read_entries(places, reader.read, limit=limit, seed=seed, before=problems)


def _questions(path: Path, choices: Choices) -> Mapping[str, tuple[str, ...]]:
    """Questions of the chosen phrasing by class, for the classes of the catalogue that the folder knows."""
    try:
        data = json.loads(path.read_bytes())
        lists = {name: data[name][choices.phrasing] for name in NAMES if name in data}
        listed = {name: tuple(Query(text).text for text in texts) for name, texts in lists.items() if texts}
    except (OSError, ValueError, LookupError, TypeError, RecursionError, AttributeError) as error:
        raise DatasetError(f"{path} holds no lists of `{choices.phrasing}` questions: {error}") from error
    if not listed or any(isinstance(texts, str) for texts in lists.values()):
        raise DatasetError(f"{path} holds no lists of `{choices.phrasing}` questions on practice kinds")
    return listed


def _table(path: Path) -> gpd.GeoDataFrame:
    try:
        table = gpd.read_parquet(path)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path} is not a truth table: {error}") from error
    if not {"kind", "scene_id"} <= set(table.columns) or table.crs is None:
        raise DatasetError(f"{path} is not a truth table: it needs columns kind and scene_id, and a CRS")
    return table


def _of_split(paths: Sequence[Path], split: str) -> list[Path]:
    if split == "test":
        return list(paths)
    training, held = split_places([path.stem for path in paths])
    wanted = training if split == "train" else held
    if not wanted:
        raise DatasetError(
            f"{paths[0].parent} holds {len(paths)} scenes, of which every third is for `val`: "
            "write three or more, or ask for `test`, which takes all"
        )
    return [path for path in paths if path.stem in wanted]


def _scenes(paths: Iterable[Path]) -> tuple[list[Scene], list[Problem]]:
    scenes, problems = [], []
    for path in paths:
        try:
            scene = describe_scene(str(path))
        except SceneError:
            problems.append(Problem(str(path), "", "the scene cannot be opened"))
            continue
        if scene.dtype == "uint8":
            scenes.append(scene)
        else:
            problems.append(Problem(str(path), "", "the scene is not of 8 bits"))
    return scenes, problems


def _truth(
    table: gpd.GeoDataFrame, scene: Scene, classes: Collection[str], problems: list[Problem]
) -> SceneTruth:
    """Objects of a scene in its pixels; rows that cannot be used become problems."""
    rows = table[table["scene_id"] == scene.scene_id]
    known = rows["kind"].isin(classes).to_numpy(bool)
    drawn = ~(rows.geometry.isna() | rows.geometry.is_empty).to_numpy(bool)
    for usable, what in (
        (known, "a kind without questions"),
        (drawn, "an object without a polygon"),
    ):
        problems += [Problem("truth.parquet", f"row {row}", what) for row in rows.index[~usable]]
    rows = rows[known & drawn]
    polygons = to_pixels(rows.geometry.to_crs(scene.crs).to_numpy(), scene.transform)
    return SceneTruth(
        shapely.STRtree(polygons),
        np.array([NAMES.index(class_name) for class_name in rows["kind"]], np.int16),
    )


def _places(scenes: Sequence[Scene], choices: Choices, seed: int) -> Iterator[PracticeTile]:
    side = choices.tile_px
    if choices.tiles is None:
        grids = [(scene, Grid(scene.scene_id, scene.width, scene.height, side, 0, side)) for scene in scenes]
        windows = [(scene, tile.window) for scene, grid in grids for tile in grid.tiles()]
        for number, (scene, window) in enumerate(windows):
            yield PracticeTile(number, TileImage(scene, window.x0, window.y0, side))
        return
    rng = np.random.default_rng(seed)
    for number in range(choices.tiles if scenes else 0):
        scene = scenes[int(rng.integers(len(scenes)))]
        x0, y0 = (int(rng.integers(max(length - side, 0) + 1)) for length in (scene.width, scene.height))
        yield PracticeTile(number, TileImage(scene, x0, y0, side))


@dataclass(frozen=True, slots=True)
class _PracticeReader:
    """Asks about tiles."""

    truths: Mapping[str, SceneTruth]
    """By scene id."""
    questions: Mapping[str, tuple[str, ...]]
    """By class."""
    choices: Choices
    """Which tasks."""
    seed: int
    """Of phrasing and absent classes."""

    def read(self, place: PracticeTile) -> EntryResult:
        """The examples of one tile."""
        try:
            pixels, valid = place.picture.read()
        except DatasetError as error:
            raise UnusableError("the tile cannot be read") from error
        if not valid.any():
            raise UnusableError("the tile holds no data")
        tile = self.truths[place.picture.scene.scene_id].tile(place.picture, pixels)
        rng = np.random.default_rng([self.seed, place.number])
        made = [self._example(place, tile, *question) for question in self._questions_about(tile, rng)]
        return EntryResult(tuple(each for each in made if each.query.task in self.choices.tasks))

    def _questions_about(
        self, tile: TrainingTile, rng: np.random.Generator
    ) -> Iterator[tuple[Query, int, str]]:
        """Query, class number (-1 for none) and true words of everything asked of a tile."""
        present = np.unique(tile.classes)
        known = np.array([NAMES.index(name) for name in self.questions])
        absent = rng.permutation(np.setdiff1d(known, present))
        for number in [*present, *absent[: max(1, len(present))]]:
            texts = self.questions[NAMES[number]]
            yield Query(texts[int(rng.integers(len(texts)))]), int(number), ""
        yield Query(CAPTION, Task.CAPTION), -1, _words(caption_turn(tile))
        counted = present if len(present) and rng.random() < 0.5 else known
        number = int(rng.choice(counted))
        turn = count_turn(tile, number)
        yield Query(turn.prompt.removeprefix("answer :"), Task.VQA), number, _words(turn)

    def _example(
        self, place: PracticeTile, tile: TrainingTile, query: Query, number: int, text: str
    ) -> Example:
        picture = place.picture
        name = NAMES[number] if number >= 0 else ""
        located = query.task is Task.LOCATE
        wanted = np.flatnonzero((tile.classes == number) & located)
        return Example(
            id=f"{place.number:05d}/{picture.scene.scene_id}@{picture.x0},{picture.y0}/{query.task}-{name}",
            source=NAME,
            place=picture.scene.scene_id,
            query=query,
            size=(picture.tile_px, picture.tile_px),
            boxes=tile.boxes[wanted].astype(np.float64),
            picture=picture,
            shapes=PackedShapes.of(_masks(tile, wanted)) if located else None,
            text=text,
            class_name=name,
        )


def _masks(tile: TrainingTile, wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(tile.pieces[None] == (wanted + 1)[:, None, None])


def _words(turn: Turn) -> str:
    """What the answer of a turn says, as the parser reads it."""
    return read_text(turn.answer)[1]
