"""The merge of one question over many scenes: scene by scene, then the objects where scenes overlap."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines.merge.affected import Affected, affected_by, replaced_by
from pipelines.merge.cell_step import QuestionResult
from pipelines.merge.rows import object_rows, spill_rows
from pipelines.merge.scene import SceneMerger
from pipelines.merge.tasks import SpilledRows
from pipelines.plan import Changed, Plan
from pipelines.tables import Origin, empty_part, object_files, part_outlines
from reasoner.query import Query
from tiling.geo import to_lonlat
from tiling.overlap import CrossMerge, OwnedObjects, ScenePart, merge_across


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
        for scene, item in self._merger(self._query, missing, self._sizes).items():
            self._rows[scene] = item.rows
            if item.part is not None:
                self._parts[scene] = item.part

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
