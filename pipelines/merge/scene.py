"""The merge of one question within scenes: block by block, then the objects that lie in several blocks.

Between the steps only numbers are in memory; outlines of open fragments stay in the spill files.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.engine import Executor
from pipelines.merge.blocks import BlockClusters, MergedBlocks, blocks_of
from pipelines.merge.rows import FinaliseObjects, FinalObjects, SceneTask, SpilledRows
from pipelines.merge.steps import Block, BlockStep, BlockTask, BorderStep, UnionStep
from pipelines.plan import Ownership, Plan
from reasoner.query import Query
from tiling.overlap import (
    SceneCoverage,
    ScenePart,
    ZoneObjects,
    concat_zone_objects,
    covered,
    unplanned_beside,
    with_overlap_zone,
)


@dataclass(frozen=True, slots=True)
class PlanCoverage:
    """What the scenes of a plan cover, computed once per scene."""

    plan: Plan
    """The frozen plan."""
    ownership: Ownership
    """Which of its scenes overlap."""
    _planned: dict[int, SceneCoverage] = field(default_factory=dict, repr=False, compare=False)
    _zoned: dict[int, SceneCoverage] = field(default_factory=dict, repr=False, compare=False)

    def of(self, scene: int) -> SceneCoverage:
        """The coverage of a scene with its overlap zone.

        Args:
            scene: index in the plan.

        Raises:
            SceneError: a coordinate cannot be expressed in the CRS of an overlapping scene.
        """
        if scene not in self._zoned:
            beside, first = self.ownership.beside[scene], set(self.ownership.before(scene))
            self._zoned[scene] = with_overlap_zone(
                self._covered(scene),
                before=[self._covered(other) for other in beside if other in first],
                after=[self._covered(other) for other in beside if other not in first],
                whole=self.plan.tiles_of(scene) is None,
            )
        return self._zoned[scene]

    def unplanned(self, scene: int) -> NDArray[np.int64]:
        """Windows (k, 4) of a scene's unplanned tiles that meet planned ones, working pixels."""
        windows = unplanned_beside(self.plan.scenes[scene].grid, self.plan.tiles_of(scene))
        rows = [(window.x0, window.y0, window.x1, window.y1) for window in windows]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def part(self, scene: int, shared: ZoneObjects, missing: NDArray[np.int64]) -> ScenePart:
        """A scene's input to the merge across scenes.

        Args:
            scene: index in the plan.
            shared: its objects in its overlap zone.
            missing: (k, 4) windows of its failed and missing tiles, working pixels.
        """
        coverage = self.of(scene)
        assert coverage.zone is not None
        ground: shapely.Geometry = shapely.Polygon()
        if len(missing):
            zone = coverage.zone.shared
            boxes = np.asarray(shapely.box(*missing.T.astype(np.float64)), dtype=object)
            shapely.prepare(zone)
            ground = shapely.intersection(shapely.union_all(boxes[shapely.intersects(zone, boxes)]), zone)
        return ScenePart(self.ownership.ranks[scene], coverage, shared, ground)

    def _covered(self, scene: int) -> SceneCoverage:
        """The coverage of a scene's planned tiles, without its overlap zone."""
        if scene not in self._planned:
            own, grid = self.ownership.coverages[scene], self.plan.scenes[scene].grid
            ground = covered(grid, self.plan.tiles_of(scene))
            self._planned[scene] = SceneCoverage(own.grid, own.valid, ground)
        return self._planned[scene]


@dataclass(frozen=True, slots=True)
class SceneMerger:
    """Merges scenes of a plan."""

    coverage: PlanCoverage
    """The plan's scenes and what they cover."""
    finalise: FinaliseObjects
    """Turns objects into rows."""
    executor: Executor
    """Runs the steps."""

    def __call__(
        self, query: Query, scenes: Sequence[int], sizes: Mapping[str, int]
    ) -> dict[int, tuple[tuple[SpilledRows, ...], ScenePart | None]]:
        """Merge a question within scenes.

        Args:
            query: the question.
            scenes: indexes of the scenes in the plan.
            sizes: bytes of every ledger file by name.

        Returns:
            By scene, the rows of the objects outside its overlap zone, and its input to the merge across
            scenes, None if it has no overlap zone.

        Raises:
            FileNotFoundError: a ledger file is missing.
            SceneError: a coordinate cannot be expressed in the CRS of an overlapping scene.
            OSError: the storage refuses.
        """
        tasks = {scene: self._block_tasks(scene, query, sizes) for scene in scenes}
        done = self.executor.map(BlockStep(self.finalise), list(chain.from_iterable(tasks.values())))
        merged = {
            scene: MergedBlocks(items, tuple(islice(done, len(items)))) for scene, items in tasks.items()
        }
        across = self._across(merged)
        return {scene: self._result(scene, each, across.get(scene, [])) for scene, each in merged.items()}

    def _block_tasks(self, scene: int, query: Query, sizes: Mapping[str, int]) -> tuple[BlockTask, ...]:
        plan = self.coverage.plan
        task = SceneTask(plan.scenes[scene], query, self.coverage.of(scene))
        unplanned = self.coverage.unplanned(scene)
        return tuple(
            BlockTask(task, block, _meeting(unplanned, block), f"{query.id}-{scene}-{number}")
            for number, block in enumerate(blocks_of(plan, scene, query.id, sizes))
        )

    def _across(self, merged: Mapping[int, MergedBlocks]) -> dict[int, list[FinalObjects]]:
        """The finalised objects that lie in several blocks, by scene."""
        wide = {scene: each for scene, each in merged.items() if each.open}
        tasks = {scene: each.border_tasks() for scene, each in wide.items()}
        step = BorderStep(self.finalise.spill)
        borders = self.executor.map(step, list(chain.from_iterable(tasks.values())))
        found = {scene: list(islice(borders, len(items))) for scene, items in tasks.items()}
        return self._united(
            {scene: each.clusters(tasks[scene], found[scene]) for scene, each in wide.items()}
        )

    def _united(self, clusters: dict[int, BlockClusters]) -> dict[int, list[FinalObjects]]:
        """Unite clusters; objects with many members are united in pieces first, if need be several times."""
        step = UnionStep(self.finalise)
        while long := [scene for scene, each in clusters.items() if each.is_long]:
            cut = {scene: clusters[scene].shortened() for scene in long}
            deque(self.executor.map(step, [item for items, _ in cut.values() for item in items]), maxlen=0)
            clusters |= {scene: shorter for scene, (_, shorter) in cut.items()}
        tasks = {scene: each.tasks() for scene, each in clusters.items()}
        final = self.executor.map(step, list(chain.from_iterable(tasks.values())))
        return {
            scene: [each for each in islice(final, len(items)) if each is not None]
            for scene, items in tasks.items()
        }

    def _result(
        self, scene: int, merged: MergedBlocks, across: Sequence[FinalObjects]
    ) -> tuple[tuple[SpilledRows, ...], ScenePart | None]:
        final = [*(each.final for each in merged.merged), *across]
        rows = tuple(each.rows for each in final if each.rows is not None)
        shared = [each.shared for each in final if each.shared is not None]
        if not shared:
            return rows, None
        missing = np.concatenate([window for each in merged.merged for window in (each.missing, each.nodata)])
        return rows, self.coverage.part(scene, concat_zone_objects(shared), missing)


def _meeting(windows: NDArray[np.int64], block: Block) -> NDArray[np.int64]:
    """The windows, of (k, 4), that meet a block's hull."""
    hull = block.hull
    low, high = (windows[:, :2] <= (hull.x1, hull.y1)), (windows[:, 2:] >= (hull.x0, hull.y0))
    return windows[low.all(axis=1) & high.all(axis=1)]
