"""One question over many scenes: merges scene by scene, then what lies at their seams. Knows no cell."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines.merge.affected import Stake, at_stake, replaced_by
from pipelines.merge.cell_step import StagedQuestion
from pipelines.merge.rows import Part, Placed, object_rows, put_part
from pipelines.merge.scene import SceneMerger
from pipelines.merge.spill import told_of
from pipelines.plan import Changed, Plan
from pipelines.tables import Origin, empty_part, object_files, part_outlines
from reasoner.query import Query
from tiling.geo import to_lonlat
from tiling.overlap import Joined, Led, ScenePart, join


class QuestionMerge:
    """Holds what is merged of one question: settled rows put aside, things at seams in memory."""

    def __init__(self, merger: SceneMerger, query: Query, *, sizes: Mapping[str, int]) -> None:
        """Merge nothing yet.

        Args:
            merger: merges scenes.
            query: the question.
            sizes: bytes of every ledger file by name.
        """
        self._merger, self._query, self._sizes = merger, query, sizes
        self._settled: dict[int, tuple[Part, ...]] = {}
        self._seams: dict[int, ScenePart] = {}
        self._thinking: dict[str, str] = {}

    def staged(self, only: Changed | None) -> StagedQuestion:
        """Merge all scenes, or those that a change puts at stake; a question without files is merged whole.

        Raises:
            FileNotFoundError: a ledger file is missing.
        """
        if only is None or not object_files(self._merger.settling.store, self._query.id):
            return self._finished(range(len(self._plan.scenes)), None)
        return self._finished(self._tied(at_stake(self._plan, self._beside, only)), only)

    @property
    def _plan(self) -> Plan:
        return self._merger.views.plan

    @property
    def _beside(self) -> tuple[tuple[int, ...], ...]:
        return self._merger.views.ground.beside

    def _tied(self, stake: Stake) -> list[int]:
        """The scenes near a change, and those that a thing it may touch ties to them over further seams."""
        scenes = set(stake.near)
        while True:
            joined = self._joined(scenes)
            tied = scenes if joined is None else scenes | joined.linked(self._touched(joined, scenes, stake))
            if tied == scenes:
                return sorted(scenes)
            scenes = tied

    def _touched(self, joined: Joined, scenes: Collection[int], stake: Stake) -> NDArray[np.bool_]:
        """Sightings (n,) that a change may touch: all of the changed scenes, and others' on their ground."""
        pool = joined.pool
        touched = np.zeros(len(pool.scene), dtype=bool)
        for scene in sorted(set(scenes) & set(pool.scene.tolist())):
            numbers = pool.of(scene)
            outlines = pool.shared.things.outlines.take(numbers).shapes()
            placed = to_lonlat(outlines, self._plan.scenes[scene].scene.crs)
            touched[numbers] = shapely.intersects(stake.ground, placed) | (scene in stake.changed)
        return touched

    def _joined(self, scenes: Collection[int]) -> Joined | None:
        """Things at seams in which one of the scenes has a say; all scenes that have one too are heard."""
        heard = set(scenes)
        while True:
            near = sorted(heard.union(*(self._beside[scene] for scene in heard)))
            self._merge(near)
            parts = {scene: self._seams[scene] for scene in near if scene in self._seams}
            joined = join(parts, self._beside.__getitem__)
            if joined is None:
                return None
            joined = joined.of(scenes)
            linked = heard | joined.linked()
            if linked == heard:
                return joined
            heard = linked

    def _merge(self, scenes: Sequence[int]) -> None:
        missing = [scene for scene in scenes if scene not in self._settled]
        for scene, item in self._merger(self._query, missing, self._sizes).items():
            self._settled[scene] = item.parts
            self._thinking.update(item.thinking)
            if item.part is not None:
                self._seams[scene] = item.part

    def _finished(self, scenes: Collection[int], only: Changed | None) -> StagedQuestion:
        joined = self._joined(scenes)
        led = [] if joined is None else list(joined.united())
        seams = pa.concat_tables([empty_part(), *self._tables(led)])
        part = put_part(self._merger.settling.scratch, f"{self._query.id}-seams", seams)
        parts = [each for scene in sorted(scenes) for each in self._settled[scene]]
        everything = tuple(parts if part is None else [*parts, part])
        if only is None:
            return StagedQuestion(self._query.id, everything, None)
        replaced = replaced_by(self._plan, scenes, only, outlines=part_outlines(seams))
        return StagedQuestion(self._query.id, everything, replaced)

    def _tables(self, led: Sequence[Led]) -> Iterator[pa.Table]:
        """Rows of the things at seams, one table per scene that leads some."""
        plan = self._plan
        for each in led:
            placed = Placed(
                told_of(each.things, self._thinking),
                each.at_edge,
                [[plan.scenes[scene].scene.scene_id for scene in scenes] for scenes in each.scenes],
            )
            yield object_rows(placed, plan.scenes[each.lead], Origin(self._query, plan.run_id), aoi=plan.aoi)
