"""Where training tiles come from: practice scenes, labelled photographs, or a mixture. Knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from training.tiles import SceneRaster, TrainingTile, random_tile


class TileSource(Protocol):
    """Something that gives random tiles."""

    def tile(self, rng: np.random.Generator) -> TrainingTile:
        """Give a tile; equal generators give equal tiles."""
        ...


@dataclass(frozen=True, slots=True)
class PracticeTiles:
    """Tiles of practice scenes."""

    scenes: Sequence[SceneRaster]
    """The scenes; each is as likely as the next."""
    tile_px: int
    """Side of a tile, pixels."""

    def tile(self, rng: np.random.Generator) -> TrainingTile:
        """Give a tile from a random place of a random scene."""
        return random_tile(self.scenes, rng, tile_px=self.tile_px)


@dataclass(frozen=True, slots=True)
class Mixture:
    """Several sources, each drawn from as often as its share says."""

    parts: tuple[tuple[float, TileSource], ...]
    """(share, source); the shares are scaled to sum to one."""

    def tile(self, rng: np.random.Generator) -> TrainingTile:
        """Choose a source, then a tile of it."""
        shares = np.array([share for share, _ in self.parts])
        chosen = int(rng.choice(len(shares), p=shares / shares.sum()))
        return self.parts[chosen][1].tile(rng)
