"""Draws the practice scenes a recipe trains on, side by side on all cores. Knows no model."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from training.tiles import SceneRaster, scene_raster
from training.world import draw_scene


@dataclass(frozen=True, slots=True)
class PoolRecipe:
    """Which practice scenes stand ready for cutting tiles."""

    scenes: int = 120
    """How many."""
    size_px: int = 2048
    """Side of each, pixels."""
    seed: int = 10_000
    """Seed of the first; the others follow one by one."""
    densities: tuple[float, ...] = (1.0, 0.6, 1.0, 0.35, 1.0, 0.8)
    """How crowded they are, in turn."""
    empty_every: int = 12
    """One scene in so many holds ground and clutter only."""


def draw_pool(recipe: PoolRecipe, *, workers: int) -> Sequence[SceneRaster]:
    """Draw and burn every scene of the recipe; the same recipe gives the same scenes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        return list(executor.map(_draw, [recipe] * recipe.scenes, range(recipe.scenes)))


def _draw(recipe: PoolRecipe, number: int) -> SceneRaster:
    empty = number % recipe.empty_every == recipe.empty_every - 1
    density = recipe.densities[number % len(recipe.densities)]
    scene = draw_scene(recipe.size_px, seed=recipe.seed + number, empty=empty, density=density)
    return scene_raster(scene)
