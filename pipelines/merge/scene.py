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

from pipelines.engine import Drive
from pipelines.merge.block_groups import MergedBlocks, Standing
from pipelines.merge.blocks import Block, blocks_of
from pipelines.merge.rows import Outcome, Part, SceneTask, SeamViews, Settling
from pipelines.merge.steps import BlockStep, BlockTask, BorderStep, UnitingStep
from pipelines.plan import Ground, Plan
from reasoner.query import Query
from tiling.overlap import ScenePart, Shared, View, all_shared, covered, seam_of, unplanned_beside


@dataclass(frozen=True, slots=True)
class SceneViews:
    """A plan and which of its scenes overlap."""

    plan: Plan
    """The frozen plan."""
    ground: Ground
    """Which of its scenes overlap."""
    _seen: dict[int, View] = field(default_factory=dict, repr=False, compare=False)

    def of(self, scene: int) -> SeamViews | None:
        """What is seen in a scene and beside it, None where it is planned whole and shares no ground.

        Args:
            scene: index in the plan.
        """
        beside, whole = self.ground.beside[scene], self.plan.tiles_of(scene) is None
        if whole and not beside:
            return None
        first = set(self.ground.before(scene))
        return SeamViews(
            own=self._view(scene),
            before=tuple(self._view(other) for other in beside if other in first),
            after=tuple(self._view(other) for other in beside if other not in first),
            whole=whole,
        )

    def unplanned(self, scene: int) -> NDArray[np.int64]:
        """(k, 4) windows of the tiles of a scene that are not planned, beside planned ones, work pixels."""
        windows = unplanned_beside(self.plan.scenes[scene].grid, self.plan.tiles_of(scene))
        rows = [(window.x0, window.y0, window.x1, window.y1) for window in windows]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def part(self, scene: int, shared: Shared, silent: NDArray[np.int64]) -> ScenePart:
        """What a scene brings to its seams.

        Args:
            scene: index in the plan.
            shared: its things there.
            silent: (k, 4) windows of its tiles that gave no answer, work pixels.
        """
        views = self.of(scene)
        assert views is not None
        quiet: shapely.Geometry = shapely.Polygon()
        if len(silent):
            ground = seam_of(views.own, views.before, views.after).shared
            boxes = np.asarray(shapely.box(*silent.T.astype(np.float64)), dtype=object)
            shapely.prepare(ground)
            quiet = shapely.intersection(shapely.union_all(boxes[shapely.intersects(ground, boxes)]), ground)
        return ScenePart(self.ground.ranks[scene], views.own, shared, quiet)

    def _view(self, scene: int) -> View:
        if scene not in self._seen:
            claim, planned = self.ground.claims[scene], self.plan.scenes[scene]
            ground = covered(planned.grid, self.plan.tiles_of(scene))
            self._seen[scene] = View(claim.frame, ground, claim.ground)
        return self._seen[scene]


@dataclass(frozen=True, slots=True)
class SceneMerge:
    """What one scene says to one question."""

    parts: tuple[Part, ...]
    """Objects on ground that no other scene sees."""
    part: ScenePart | None
    """What it has to settle with scenes beside it, None where it shares no ground."""
    thinking: Mapping[str, str]
    """By tile, what the reasoner thought where a thing of the part was seen best."""


@dataclass(frozen=True, slots=True)
class SceneMerger:
    """Merges scenes of a plan."""

    views: SceneViews
    """The plan's scenes and what they see."""
    settling: Settling
    """Puts things aside."""
    drive: Drive
    """What drives the steps."""

    def __call__(
        self, query: Query, scenes: Sequence[int], sizes: Mapping[str, int]
    ) -> dict[int, SceneMerge]:
        """What scenes (indexes in the plan) say to a question.

        Args:
            query: the question.
            scenes: the scenes.
            sizes: bytes of every ledger file by name.

        Raises:
            FileNotFoundError: a ledger file is missing.
            SceneError: a coordinate has no place in the CRS of a scene beside it.
            OSError: the storage refuses.
        """
        tasks = {scene: self._block_tasks(scene, query, sizes) for scene in scenes}
        merges = self.drive(BlockStep(self.settling), list(chain.from_iterable(tasks.values())))
        merged = {
            scene: MergedBlocks(items, tuple(islice(merges, len(items)))) for scene, items in tasks.items()
        }
        across = self._across(merged)
        return {scene: self._said(scene, each, across.get(scene, [])) for scene, each in merged.items()}

    def _block_tasks(self, scene: int, query: Query, sizes: Mapping[str, int]) -> tuple[BlockTask, ...]:
        plan = self.views.plan
        task = SceneTask(plan.scenes[scene], query, self.views.of(scene))
        unplanned = self.views.unplanned(scene)
        return tuple(
            BlockTask(task, block, _meeting(unplanned, block), f"{query.id}-{scene}-{number}")
            for number, block in enumerate(blocks_of(plan, scene, query.id, sizes))
        )

    def _across(self, merged: Mapping[int, MergedBlocks]) -> dict[int, list[Outcome]]:
        """What became of the things that lie in several blocks, by scene."""
        wide = {scene: each for scene, each in merged.items() if each.open}
        tasks = {scene: each.border_tasks() for scene, each in wide.items()}
        borders = self.drive(BorderStep(self.settling.scratch), list(chain.from_iterable(tasks.values())))
        found = {scene: list(islice(borders, len(items))) for scene, items in tasks.items()}
        standing = {scene: each.standing(tasks[scene], found[scene]) for scene, each in wide.items()}
        return self._united(standing)

    def _united(self, standing: dict[int, Standing]) -> dict[int, list[Outcome]]:
        """Unite what stands together; long things piece by piece first, and the pieces of these again."""
        step = UnitingStep(self.settling)
        while long := [scene for scene, each in standing.items() if each.is_long]:
            cut = {scene: standing[scene].shortened() for scene in long}
            deque(self.drive(step, [item for items, _ in cut.values() for item in items]), maxlen=0)
            standing |= {scene: shorter for scene, (_, shorter) in cut.items()}
        tasks = {scene: each.tasks() for scene, each in standing.items()}
        outcomes = self.drive(step, list(chain.from_iterable(tasks.values())))
        return {
            scene: [each for each in islice(outcomes, len(items)) if each is not None]
            for scene, items in tasks.items()
        }

    def _said(self, scene: int, merged: MergedBlocks, across: Sequence[Outcome]) -> SceneMerge:
        outcomes = [*(each.outcome for each in merged.merges), *across]
        parts = tuple(each.part for each in outcomes if each.part is not None)
        shared = [each.shared for each in outcomes if each.shared is not None]
        if not shared:
            return SceneMerge(parts, None, {})
        thinking = dict(chain.from_iterable(each.thinking.items() for each in outcomes))
        silent = np.concatenate([window for each in merged.merges for window in (each.unread, each.nodata)])
        return SceneMerge(parts, self.views.part(scene, all_shared(shared), silent), thinking)


def _meeting(windows: NDArray[np.int64], block: Block) -> NDArray[np.int64]:
    """Which of (k, 4) windows meet a block's hull."""
    hull = block.hull
    low, high = (windows[:, :2] <= (hull.x1, hull.y1)), (windows[:, 2:] >= (hull.x0, hull.y0))
    return windows[low.all(axis=1) & high.all(axis=1)]
