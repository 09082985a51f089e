"""Tiles of practice scenes on disk, and the truth about them burnt from polygons. Knows no questions."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.burning import burn
from tiling.errors import SceneError
from tiling.grid import Chunk, Tile
from tiling.reading import read_chunk
from tiling.scene import Scene
from tiling.window import Window
from tiling.work import WorkGrid
from training.errors import DatasetError
from training.tiles import SceneRaster, TrainingTile, cut


@dataclass(frozen=True, slots=True)
class TilePicture:
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
        work = WorkGrid(scene.width, scene.height, scene.transform, 1.0, float("nan"))
        try:
            image = read_chunk(scene, work, Chunk(0, 0, seen, (tile,)), scaling=None)
        except SceneError as error:
            raise DatasetError(f"{tile.tile_id} cannot be read: {error}") from error
        if image.failed:
            raise DatasetError(f"{tile.tile_id} cannot be read: {image.failed[tile.tile_id]}")
        return image.tile(tile)


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """The true things of a scene."""

    tree: shapely.STRtree
    """Polygons, scene pixels, in the order they are burnt: later ones lie on top."""
    kinds: NDArray[np.int16]
    """(n,) kind number of each."""

    def tile(self, picture: TilePicture, pixels: NDArray[np.uint8]) -> TrainingTile:
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
        kinds = np.concatenate([[-1], self.kinds[near]]).astype(np.int16)
        return cut(SceneRaster(pixels, labels, kinds), x0=0, y0=0, tile_px=side)
