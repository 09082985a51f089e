"""Makes the plan from a request: reads the scenes' headers, model digests and samples for the scaling."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines import RequestError
from pipelines.plan.aoi import read_aoi
from pipelines.plan.config import JobConfig, digested
from pipelines.plan.models import reasoner_card, segmenter_card
from pipelines.plan.plan import (
    RULES_VERSION,
    ChunkRef,
    FrozenScaling,
    Plan,
    PlannedScene,
    chunk_refs,
    digest,
)
from pipelines.plan.sources import PARALLEL_READS, find_sources
from pipelines.plan.tile_selection import ownership_of, planned_tiles, scenes_within, with_valid_areas
from reasoner.model_name import ModelCard
from tiling import Grid, Scene
from tiling.geo import working_grid
from tiling.raster import DEFAULT_OPTIONS, OpenOptions, Scaling, Source, describe_scene, estimate_scaling


@dataclass(frozen=True, slots=True)
class _Sizes:
    tile_px: int
    overlap_px: int
    chunk_px: int


def make_plan(config: JobConfig, *, frozen: FrozenScaling | None = None, known: Sequence[Scene] = ()) -> Plan:
    """Make the plan of a run.

    Args:
        config: the request.
        frozen: scaling of an earlier plan of the same job, used if the request says auto.
        known: scenes of an earlier plan to read again instead of a new search; if empty, the search is made.

    Raises:
        SceneError: a scene cannot be opened or georeferenced.
        GridError: tile, overlap and chunk make no grid.
        ModelError: a model is unknown.
        RequestError: two scenes share an id, an oracle does not know a question, or the area of interest
            cannot be read or meets no scene.
    """
    queries = config.queries()
    reasoner = reasoner_card(config.reasoner, profile=config.profile, queries=queries)
    segmenter = segmenter_card(config.segmenter)
    sizes = _sizes(config, reasoner)
    options = open_options(config)
    aoi = read_aoi(config.aoi) if config.aoi else None
    scenes = _mosaicked(find_scenes(config, options, known=known), config, sizes)
    found = [_lay_grid(scene, sizes, config.gsd) for scene in scenes]
    met = scenes_within(found, aoi)
    ownership = ownership_of(met, config.scene_overlap)
    planned = with_valid_areas(met, ownership, options)
    scaling = _scaling(config, [item.scene for item in planned], options=options, frozen=frozen)
    wanted = planned_tiles(planned, ownership, aoi=aoi)
    basis = {**_basis((reasoner, segmenter), sizes, scaling), **digested(config, chunks=True)}
    return Plan(
        run_id=digest({**basis, **digested(config, chunks=False)}),
        config=config,
        queries=queries,
        reasoner=reasoner,
        segmenter=segmenter,
        scaling=scaling,
        scenes=planned,
        chunks=_all_refs(planned, basis, wanted),
        aoi=aoi,
    )


def find_scenes(config: JobConfig, options: OpenOptions, *, known: Sequence[Scene] = ()) -> list[Scene]:
    """Describe every scene the request names or finds, by id.

    Args:
        config: the request.
        options: what may be opened, and how.
        known: scenes of an earlier plan to read again instead of a new search; if empty, the search is made.

    Raises:
        SceneError: a scene cannot be opened or georeferenced.
        RequestError: two scenes share an id.
    """
    sources = list(known) or find_sources(config)

    def describe(source: Source) -> Scene:
        return describe_scene(
            source, bands=config.bands, assets=config.assets, assume_crs=config.assume_crs, options=options
        )

    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        scenes = sorted(pool.map(describe, sources), key=lambda scene: scene.scene_id)
    _check_ids(scenes)
    return scenes


def _mosaicked(scenes: list[Scene], config: JobConfig, sizes: _Sizes) -> list[Scene]:
    """The scenes, or the cells of a mosaic of them; neighbouring cells share a tile."""
    wanted = config.mosaic
    if wanted is None:
        return scenes
    # Imported here, so that only mosaics wait for it.
    from tiling.raster import MosaicGrid, mosaic_cells

    asked = MosaicGrid(
        composite=wanted.composite,
        kernel=wanted.kernel,
        resolution_m=wanted.resolution,
        cell_m=wanted.grid,
        overlap_px=sizes.tile_px,
    )
    return mosaic_cells(scenes, asked)


def open_options(config: JobConfig) -> OpenOptions:
    """What may be opened, and how: the default limits, further allowed drivers, and the signing function."""
    limits = DEFAULT_OPTIONS.limits
    drivers = (*limits.drivers, *config.allow_drivers)
    return OpenOptions(replace(limits, drivers=drivers), config.sign)


def _check_ids(scenes: Sequence[Scene]) -> None:
    if not scenes:
        raise RequestError("scenes", "no scene is found", "name rasters, folders or STAC items")
    scene_id, times = Counter(scene.scene_id for scene in scenes).most_common(1)[0]
    if times > 1:
        uris = ", ".join(scene.uri for scene in scenes if scene.scene_id == scene_id)
        raise RequestError(
            "scenes", f"{times} scenes share the id {scene_id!r} ({uris})", "rename all but one"
        )


def _sizes(config: JobConfig, reasoner: ModelCard) -> _Sizes:
    tile = config.tile or reasoner.tile_px
    return _Sizes(tile, tile // 4 if config.overlap is None else config.overlap, config.chunk)


def _lay_grid(scene: Scene, sizes: _Sizes, gsd_m: float | None) -> PlannedScene:
    work = working_grid(scene, gsd_m=gsd_m)
    grid = Grid(scene.scene_id, work.width, work.height, sizes.tile_px, sizes.overlap_px, sizes.chunk_px)
    return PlannedScene(scene, work, grid)


def _scaling(
    config: JobConfig, scenes: Sequence[Scene], *, options: OpenOptions, frozen: FrozenScaling | None
) -> Scaling | None:
    if not isinstance(config.scaling, str):
        return _given_scaling(config.scaling, scenes)
    if frozen is not None:
        return frozen.scaling
    return estimate_scaling(scenes, options)


def _given_scaling(ranges: Sequence[tuple[float, float]], scenes: Sequence[Scene]) -> Scaling:
    n_bands = max(len(scene.bands) for scene in scenes)
    if len(ranges) not in (1, n_bands):
        raise RequestError(
            "scaling",
            f"{len(ranges)} ranges for {n_bands} bands",
            "give one [low, high], or one for each band",
        )
    full = list(ranges) if len(ranges) == n_bands else list(ranges) * n_bands
    return Scaling(low=tuple(low for low, _ in full), high=tuple(high for _, high in full))


def _basis(models: tuple[ModelCard, ModelCard], sizes: _Sizes, scaling: Scaling | None) -> dict[str, object]:
    return {
        "rules": RULES_VERSION,
        "reasoner": models[0].digest,
        "segmenter": models[1].digest,
        "sizes": asdict(sizes),
        "scaling": asdict(scaling) if scaling else None,
    }


def _all_refs(
    planned: Sequence[PlannedScene], basis: dict[str, object], wanted: Sequence[NDArray[np.bool_] | None]
) -> tuple[ChunkRef, ...]:
    return tuple(
        ref
        for index, (item, tiles) in enumerate(zip(planned, wanted, strict=True))
        for ref in chunk_refs(index, item, basis, wanted=tiles)
    )
