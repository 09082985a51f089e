"""The merge: from the committed ledger to objects and texts; the second half of a run, after all chunks."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines import IncompleteError
from pipelines.engine import Executor, SerialExecutor
from pipelines.inference import open_chunks
from pipelines.merge.affected import Affected, affected_by, replaced_by
from pipelines.merge.cell_step import CellStep, MergeResult, QuestionResult, total
from pipelines.merge.rows import FinaliseObjects, SpilledRows, object_rows, spill_rows
from pipelines.merge.scene import PlanCoverage, SceneMerger
from pipelines.merge.spill import spill_folder
from pipelines.plan import Changed, Plan, ownership_of
from pipelines.tables import (
    LEDGER,
    AnswerRow,
    Origin,
    committed,
    empty_part,
    frozen_zoom,
    ledger_name,
    object_files,
    part_outlines,
    read_rows,
    write_texts,
)
from reasoner.query import Query, Task
from tiling.geo import to_lonlat
from tiling.overlap import CrossMerge, OwnedObjects, ScenePart, merge_across
from tiling.storage import Store

SERIAL = SerialExecutor()
"""Runs the merge in this process."""


def merge_job(store: Store, plan: Plan, executor: Executor = SERIAL, *, only: Changed | None = None) -> None:
    """Write objects and texts of every question; doing it again gives the same bytes.

    Args:
        store: the output folder.
        plan: the frozen plan.
        executor: runs the steps.
        only: what changed since the folder's objects were merged; None merges everything. Given a change,
            only the changed scenes and the scenes their objects are connected with are merged, and only
            cells with an object of these are written; every file then has the same bytes that a merge of
            everything would give at the same zoom. A question without objects so far is always merged
            completely.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    with open_merge(store, plan, executor, only=only) as result:
        result.write()
    for query in plan.queries:
        if query.task is not Task.LOCATE:
            collect_texts(store, plan, query, into=store)


@contextmanager
def open_merge(
    store: Store, plan: Plan, executor: Executor = SERIAL, *, only: Changed | None = None
) -> Iterator[MergeResult]:
    """Merge every question, and give the result to a block that writes it or compares it with what there is.

    Args:
        store: the output folder.
        plan: the frozen plan.
        executor: runs the steps.
        only: what changed since the folder's objects were merged, None for everything.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    _check_complete(store, plan)
    queries = [query for query in plan.queries if query.task is Task.LOCATE]
    sizes = store.sizes(LEDGER)
    with spill_folder(store, shared=plan.config.address is not None) as spill:
        coverage = PlanCoverage(plan, ownership_of(plan.scenes, plan.config.scene_overlap))
        merger = SceneMerger(coverage, FinaliseObjects(store, spill, plan.run_id, plan.aoi), executor)
        # One question at a time, so that the memory of one is freed before the next is merged.
        questions = tuple(QuestionMerge(merger, query, sizes=sizes).result(only) for query in queries)
        yield MergeResult(CellStep(store, spill), _zoom(store, questions), questions, executor)


def _zoom(store: Store, questions: tuple[QuestionResult, ...]) -> int:
    """The zoom of the cells, chosen so that the largest cells of any question are not too large."""
    if not questions:
        return 0
    most: Counter[str] = Counter()
    for question in questions:
        most |= total(question.rows)
    return frozen_zoom(store, most)


def _check_complete(store: Store, plan: Plan) -> None:
    pending = open_chunks(plan, committed(store))
    missing = [ledger_name(name, item.ref.chunk_id) for item in pending for name in sorted(item.open_ids)]
    if missing:
        raise IncompleteError(store.root, tuple(missing))


def collect_texts(store: Store, plan: Plan, query: Query, *, into: Store) -> None:
    """Write a caption's or VQA's texts.

    Args:
        store: the output folder.
        plan: the frozen plan.
        query: the question.
        into: where to write, under the name that the texts have in the output folder.

    Raises:
        FileNotFoundError: a ledger file is missing.
    """
    rows = [row for scene in range(len(plan.scenes)) for row in _scene_rows(store, plan, scene, query)]
    write_texts(into, rows, Origin(query, plan.run_id))


def _scene_rows(store: Store, plan: Plan, scene: int, query: Query) -> Iterator[AnswerRow]:
    """Ledger rows of one scene (index in the plan) and question, chunk by chunk."""
    for ref in plan.chunks_of(scene):
        yield from read_rows(store, ledger_name(query.id, ref.chunk_id))


class QuestionMerge:
    """Merges one question; final rows are spilled to disk, objects in overlap zones stay in memory."""

    def __init__(self, merger: SceneMerger, query: Query, *, sizes: Mapping[str, int]) -> None:
        """Merge nothing yet.

        Args:
            merger: merges scenes.
            query: the question.
            sizes: bytes of every ledger file by name.
        """
        self._merger, self._query, self._sizes = merger, query, sizes
        self._rows: dict[int, tuple[SpilledRows, ...]] = {}
        self._parts: dict[int, ScenePart] = {}

    def result(self, only: Changed | None) -> QuestionResult:
        """Merge all scenes, or those that a change affects; all if the question has no object files yet.

        Raises:
            FileNotFoundError: a ledger file is missing.
        """
        if only is None or not object_files(self._merger.finalise.store, self._query.id):
            return self._finished(range(len(self._plan.scenes)), None)
        return self._finished(self._connected_scenes(affected_by(self._plan, self._beside, only)), only)

    @property
    def _plan(self) -> Plan:
        return self._merger.coverage.plan

    @property
    def _beside(self) -> tuple[tuple[int, ...], ...]:
        return self._merger.coverage.ownership.beside

    def _connected_scenes(self, affected: Affected) -> list[int]:
        """The scenes near a change, and further scenes connected with these by objects that it may affect."""
        scenes = set(affected.near)
        while True:
            merged = self._across(scenes)
            touched = None if merged is None else self._affected_candidates(merged, scenes, affected)
            connected = scenes if merged is None else scenes | merged.linked(touched)
            if connected == scenes:
                return sorted(scenes)
            scenes = connected

    def _affected_candidates(
        self, merged: CrossMerge, scenes: Collection[int], affected: Affected
    ) -> NDArray[np.bool_]:
        """Which candidates (n,) a change may affect: those of changed scenes or on their ground."""
        candidates = merged.candidates
        touched = np.zeros(len(candidates.scene), dtype=bool)
        for scene in sorted(set(scenes) & set(candidates.scene.tolist())):
            numbers = candidates.of(scene)
            outlines = candidates.shared.objects.outlines.take(numbers).shapes()
            placed = to_lonlat(outlines, self._plan.scenes[scene].scene.crs)
            touched[numbers] = shapely.intersects(affected.ground, placed) | (scene in affected.changed)
        return touched

    def _across(self, scenes: Collection[int]) -> CrossMerge | None:
        """The cross-scene merge of the scenes and all others that their objects in overlap zones connect."""
        included = set(scenes)
        while True:
            near = sorted(included.union(*(self._beside[scene] for scene in included)))
            self._merge(near)
            parts = {scene: self._parts[scene] for scene in near if scene in self._parts}
            merged = merge_across(parts, self._beside.__getitem__)
            if merged is None:
                return None
            merged = merged.of(scenes)
            linked = included | merged.linked()
            if linked == included:
                return merged
            included = linked

    def _merge(self, scenes: Sequence[int]) -> None:
        missing = [scene for scene in scenes if scene not in self._rows]
        for scene, (rows, part) in self._merger(self._query, missing, self._sizes).items():
            self._rows[scene] = rows
            if part is not None:
                self._parts[scene] = part

    def _finished(self, scenes: Collection[int], only: Changed | None) -> QuestionResult:
        merged = self._across(scenes)
        owned = [] if merged is None else list(merged.united())
        shared = pa.concat_tables([empty_part(), *self._tables(owned)])
        spilled = spill_rows(self._merger.finalise.spill, f"{self._query.id}-overlap", shared)
        rows = [each for scene in sorted(scenes) for each in self._rows[scene]]
        everything = tuple(rows if spilled is None else [*rows, spilled])
        if only is None:
            return QuestionResult(self._query.id, everything, None)
        replaced = replaced_by(self._plan, scenes, only, outlines=part_outlines(shared))
        return QuestionResult(self._query.id, everything, replaced)

    def _tables(self, owned: Sequence[OwnedObjects]) -> Iterator[pa.Table]:
        """Rows of the objects in overlap zones, one table per owner."""
        plan = self._plan
        for each in owned:
            scene_ids = [[plan.scenes[scene].scene.scene_id for scene in scenes] for scenes in each.scenes]
            origin = Origin(self._query, plan.run_id)
            yield object_rows(
                each.objects, plan.scenes[each.owner], origin, aoi=plan.aoi, scene_ids=scene_ids
            )
