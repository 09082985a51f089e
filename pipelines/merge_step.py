"""One scene's and question's answers become things. Reads the ledger; knows no cell and writes nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import shapely

from pipelines.dataset import Origin
from pipelines.ground import Ground, ground_of
from pipelines.ledger import AnswerRow, Status, ledger_name, read_rows
from pipelines.object_rows import Placed, object_rows
from pipelines.plan import Plan
from pipelines.storage import Store
from reasoner.query import Query
from tiling.coverage import covered, unplanned_beside
from tiling.merging import Merged, merge
from tiling.scene_links import ScenePart
from tiling.seams import View, seam_of, sort_out
from tiling.window import Window

UNREAD = (Status.FAILED, Status.MALFORMED)
"""Tiles that say nothing, although there may be something."""
SILENT = (*UNREAD, Status.NODATA)
"""Tiles for which another scene may speak."""


@dataclass(frozen=True, slots=True)
class SceneMerge:
    """What one scene says to one question."""

    settled: pa.Table
    """Objects on ground that no other scene sees."""
    part: ScenePart | None
    """What it has to settle with scenes beside it, None where it shares no ground."""
    thinking: Mapping[str, str]
    """By tile, what the reasoner thought where a thing of the part was seen best."""


@dataclass(frozen=True, slots=True)
class MergeStep:
    """Joins the fragments of one scene and question into things; a plain picklable callable."""

    store: Store
    """The output folder."""
    plan: Plan
    """The frozen plan."""
    ground: Ground
    """Which of its scenes overlap."""

    def __call__(self, scene: int, query: Query) -> SceneMerge:
        """Things of a scene (index in the plan) and a question.

        Raises:
            FileNotFoundError: a ledger file is missing.
            SceneError: a coordinate has no place in the CRS of a scene beside it.
        """
        planned, tiles = self.plan.scenes[scene], self.plan.tiles_of(scene)
        rows = list(scene_rows(self.store, self.plan, scene, query))
        fragments = [fragment for row in rows for fragment in row.fragments]
        unasked = [*_windows(rows, UNREAD), *unplanned_beside(planned.grid, tiles)]
        merged = merge(fragments, transform=planned.work.transform, unanswered=unasked)
        thinking = {row.tile_id: row.thinking for row in rows}
        if tiles is None and not self.ground.beside[scene]:
            return SceneMerge(self._settled(scene, query, Placed.of(merged), thinking), None, {})
        return self._sorted(scene, query, merged, rows)

    def _sorted(
        self, scene: int, query: Query, merged: Sequence[Merged], rows: Sequence[AnswerRow]
    ) -> SceneMerge:
        """The things that are settled, and those that scenes beside have a say in."""
        own, before = self._view(scene), set(self.ground.before(scene))
        beside = self.ground.beside[scene]
        seam = seam_of(
            own,
            [self._view(other) for other in beside if other in before],
            [self._view(other) for other in beside if other not in before],
        )
        thinking = {row.tile_id: row.thinking for row in rows}
        if self.plan.tiles_of(scene) is None and shapely.is_empty(seam.shared):
            return SceneMerge(self._settled(scene, query, Placed.of(merged), thinking), None, {})
        sorted_out = sort_out(merged, own, seam)
        settled = Placed(sorted_out.settled, sorted_out.settled_at_edge)
        silent = shapely.union_all([_box(window) for window in _windows(rows, SILENT)])
        part = ScenePart(
            self.ground.ranks[scene], own, sorted_out.shared, shapely.intersection(silent, seam.shared)
        )
        told = {thing.merged.representative.tile_id for thing in sorted_out.shared}
        return SceneMerge(
            self._settled(scene, query, settled, thinking), part, {name: thinking[name] for name in told}
        )

    def _settled(self, scene: int, query: Query, things: Placed, thinking: Mapping[str, str]) -> pa.Table:
        planned = self.plan.scenes[scene]
        return object_rows(things, planned, Origin(query, self.plan.run_id), thinking, aoi=self.plan.aoi)

    def _view(self, scene: int) -> View:
        claim = self.ground.claims[scene]
        ground = covered(self.plan.scenes[scene].grid, self.plan.tiles_of(scene))
        return View(claim.frame, ground, claim.ground)


MergeItem = tuple[int, Query]
"""One scene (index in the plan) and one question."""
MergeParts = Callable[[MergeStep, Sequence[MergeItem]], Iterator[SceneMerge]]
"""Does the step on every item, and gives what comes of it in the order of the items."""


def merge_step(store: Store, plan: Plan) -> MergeStep:
    """The step for the scenes of a plan."""
    return MergeStep(store, plan, ground_of(plan.scenes, plan.config.scene_overlap))


def one_by_one(step: MergeStep, items: Sequence[MergeItem]) -> Iterator[SceneMerge]:
    """Merge in this process, one item after another."""
    return (step(scene, query) for scene, query in items)


def scene_rows(store: Store, plan: Plan, scene: int, query: Query) -> Iterator[AnswerRow]:
    """Ledger rows of one scene (index in the plan) and question, chunk by chunk.

    Raises:
        FileNotFoundError: a ledger file is missing.
    """
    transform = plan.scenes[scene].work.transform
    for ref in plan.chunks_of(scene):
        yield from read_rows(store, ledger_name(query.id, ref.chunk_id), transform=transform)


def _windows(rows: Sequence[AnswerRow], kinds: Sequence[Status]) -> list[Window]:
    return [row.window for row in rows if row.status in kinds]


def _box(window: Window) -> shapely.Polygon:
    return shapely.box(window.x0, window.y0, window.x1, window.y1)
