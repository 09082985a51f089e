"""One question's answers over some scenes become objects: block by block, then what several blocks share.

Holds of what is open between blocks numbers only: outlines stay in the files that the steps spilled.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.engine import Executor
from pipelines.merge.block_groups import BlockClusters, MergedBlocks
from pipelines.merge.blocks import blocks_of
from pipelines.merge.rows import FinaliseObjects
from pipelines.merge.steps import BlockStep, BorderStep, UnionStep
from pipelines.merge.tasks import Block, BlockTask, FinalObjects, SceneTask, SpilledRows
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
    """What the scenes of a plan cover, worked out once per scene."""

    plan: Plan
    """The frozen plan."""
    ownership: Ownership
    """Which of its scenes overlap."""
    _planned: dict[int, SceneCoverage] = field(default_factory=dict, repr=False, compare=False)
    _zoned: dict[int, SceneCoverage] = field(default_factory=dict, repr=False, compare=False)

    def of(self, scene: int) -> SceneCoverage:
        """What a scene covers, with its overlap zone.

        Args:
            scene: index in the plan.

        Raises:
            SceneError: a coordinate has no place in the CRS of a scene that overlaps it.
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
        """(k, 4) windows of a scene's tiles that are not planned, beside planned ones, working pixels."""
        windows = unplanned_beside(self.plan.scenes[scene].grid, self.plan.tiles_of(scene))
        rows = [(window.x0, window.y0, window.x1, window.y1) for window in windows]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def part(self, scene: int, shared: ZoneObjects, missing: NDArray[np.int64]) -> ScenePart:
        """What a scene brings to the merge across scenes.

        Args:
            scene: index in the plan.
            shared: its objects in its overlap zone.
            missing: (k, 4) windows of its tiles that gave no answer, working pixels.
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
        """What a scene's planned tiles cover."""
        if scene not in self._planned:
            own, grid = self.ownership.coverages[scene], self.plan.scenes[scene].grid
            ground = covered(grid, self.plan.tiles_of(scene))
            self._planned[scene] = SceneCoverage(own.grid, own.valid, ground)
        return self._planned[scene]


@dataclass(frozen=True, slots=True)
class SceneResult:
    """What one scene answers to one question."""

    rows: tuple[SpilledRows, ...]
    """Objects on ground that no other scene covers."""
    part: ScenePart | None
    """What it brings to the merge across scenes, None where it has no overlap zone."""


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
    ) -> dict[int, SceneResult]:
        """What scenes (indexes in the plan) answer to a question.

        Args:
            query: the question.
            scenes: the scenes.
            sizes: bytes of every ledger file by name.

        Raises:
            FileNotFoundError: a ledger file is missing.
            SceneError: a coordinate has no place in the CRS of a scene that overlaps it.
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
        """What became of the objects that lie in several blocks, by scene."""
        wide = {scene: each for scene, each in merged.items() if each.open}
        tasks = {scene: each.border_tasks() for scene, each in wide.items()}
        step = BorderStep(self.finalise.spill)
        borders = self.executor.map(step, list(chain.from_iterable(tasks.values())))
        found = {scene: list(islice(borders, len(items))) for scene, items in tasks.items()}
        return self._united(
            {scene: each.clusters(tasks[scene], found[scene]) for scene, each in wide.items()}
        )

    def _united(self, clusters: dict[int, BlockClusters]) -> dict[int, list[FinalObjects]]:
        """Unite clusters; long objects piece by piece first, and the pieces of these again."""
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

    def _result(self, scene: int, merged: MergedBlocks, across: Sequence[FinalObjects]) -> SceneResult:
        final = [*(each.final for each in merged.merged), *across]
        rows = tuple(each.rows for each in final if each.rows is not None)
        shared = [each.shared for each in final if each.shared is not None]
        if not shared:
            return SceneResult(rows, None)
        missing = np.concatenate([window for each in merged.merged for window in (each.missing, each.nodata)])
        return SceneResult(rows, self.coverage.part(scene, concat_zone_objects(shared), missing))


def _meeting(windows: NDArray[np.int64], block: Block) -> NDArray[np.int64]:
    """Which of (k, 4) windows meet a block's hull."""
    hull = block.hull
    low, high = (windows[:, :2] <= (hull.x1, hull.y1)), (windows[:, 2:] >= (hull.x0, hull.y0))
    return windows[low.all(axis=1) & high.all(axis=1)]
