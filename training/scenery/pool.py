"""Draws the practice scenes a recipe trains on and keeps them on disk."""

import ast
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tiling.raster import burn
from training.data import NAMES, SceneRaster
from training.scenery.world import PracticeScene, draw_scene

IMPORTS = (ast.Import, ast.ImportFrom)
PAINTERS = ("drawing", "ground", "layout", "shapes", "strips", "world")
"""The files that decide how a scene looks: a change in what they do draws the scenes anew."""


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
    """Scenes of a recipe, drawn where they are not on disk yet; the same recipe gives the same scenes.

    Their pixels are mapped from the cache folder, so any number of processes holds them once.
    """
    folder = _cache() / _digest(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(recipe.scenes) if not (folder / f"{n:04d}").is_dir()]
    if missing:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
            list(executor.map(_draw, [recipe] * len(missing), missing, [folder] * len(missing)))
    return [_opened(folder / f"{n:04d}") for n in range(recipe.scenes)]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "remotereasoner" / "pools"


def _digest(recipe: PoolRecipe) -> str:
    digest = hashlib.sha256(json.dumps([asdict(recipe), NAMES], sort_keys=True).encode())
    for name in PAINTERS:
        digest.update(_statements(Path(__file__).parent / f"{name}.py").encode())
    return digest.hexdigest()[:16]


def _statements(source: Path) -> str:
    """What a source file does: its statements without imports, comments and layout."""
    kept = [node for node in ast.parse(source.read_text("utf-8")).body if not isinstance(node, IMPORTS)]
    return "\n".join(ast.unparse(node) for node in kept)


def _draw(recipe: PoolRecipe, number: int, folder: Path) -> None:
    empty = number % recipe.empty_every == recipe.empty_every - 1
    density = recipe.densities[number % len(recipe.densities)]
    drawn = draw_scene(recipe.size_px, seed=recipe.seed + number, empty=empty, density=density)
    scene = scene_raster(drawn)
    with TemporaryDirectory(dir=folder) as half:
        for name in ("pixels", "labels", "classes"):
            np.save(Path(half) / f"{name}.npy", getattr(scene, name))
        try:
            Path(half).rename(folder / f"{number:04d}")
            Path(half).mkdir()
        except OSError:
            # Another process has put the same scene there meanwhile.
            return


def _opened(folder: Path) -> SceneRaster:
    pixels, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pixels", "labels"))
    return SceneRaster(pixels, labels, np.load(folder / "classes.npy"))


def scene_raster(scene: PracticeScene) -> SceneRaster:
    """Burn a practice scene's objects into labels."""
    _, height, width = scene.pixels.shape
    classes = [-1, *(NAMES.index(one.class_name) for one in scene.objects)]
    labels = burn([one.polygon for one in scene.objects], height=height, width=width)
    pixels = np.ascontiguousarray(scene.pixels.transpose(1, 2, 0))
    return SceneRaster(pixels, labels, np.array(classes, np.int16))
