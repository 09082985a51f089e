"""One question over many scenes: merges scene by scene, then what lies at their seams. Knows no cell."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from pipelines.changed import Changed, Stake, at_stake, replaced_by
from pipelines.dataset import Origin, empty_part, object_files, part_outlines
from pipelines.merge_step import MergeParts, MergeStep
from pipelines.object_rows import Placed, object_rows
from pipelines.plan import Plan
from pipelines.staging import Part, StagedQuestion, set_down
from reasoner.query import Query
from tiling.joining import Joined, join
from tiling.placing import to_lonlat
from tiling.scene_links import ScenePart


class QuestionMerge:
    """Holds what is merged of one question: settled rows in local files, things at seams in memory."""

    def __init__(self, step: MergeStep, query: Query, *, merge_parts: MergeParts, folder: Path) -> None:
        """Merge nothing yet.

        Args:
            step: merges a scene.
            query: the question.
            merge_parts: what drives the step.
            folder: where rows are set down.
        """
        self._step, self._query, self._drive, self._folder = step, query, merge_parts, folder
        self._settled: dict[int, Part] = {}
        self._seams: dict[int, ScenePart] = {}
        self._thinking: dict[str, str] = {}

    def staged(self, only: Changed | None) -> StagedQuestion:
        """Merge all scenes, or those that a change puts at stake; a question without files is merged whole.

        Raises:
            FileNotFoundError: a ledger file is missing.
        """
        plan = self._step.plan
        if only is None or not object_files(self._step.store, self._query.id):
            return self._finished(range(len(plan.scenes)), None)
        return self._finished(self._tied(at_stake(plan, self._step.ground.beside, only)), only)

    def _tied(self, stake: Stake) -> list[int]:
        """The scenes near a change, and those that a thing it may touch ties to them over further seams."""
        scenes = set(stake.near)
        while True:
            joined = self._joined(scenes)
            touched = self._touched(scenes, stake)
            tied = scenes.union(*(item.linked for item in joined if not item.sightings.isdisjoint(touched)))
            if tied == scenes:
                return sorted(scenes)
            scenes = tied

    def _touched(self, scenes: Collection[int], stake: Stake) -> set[tuple[int, int]]:
        """Sightings that a change may touch: all of the changed scenes, and others' on their ground."""
        touched: set[tuple[int, int]] = set()
        for scene in sorted(set(scenes) & self._seams.keys()):
            things = [thing.merged.geometry for thing in self._seams[scene].things]
            placed = to_lonlat(things, self._step.plan.scenes[scene].scene.crs)
            near = shapely.intersects(stake.ground, placed) | (scene in stake.changed)
            touched.update((scene, number) for number in np.flatnonzero(near).tolist())
        return touched

    def _joined(self, scenes: Collection[int]) -> list[Joined]:
        """Things at seams in which one of the scenes has a say; all scenes that have one too are heard."""
        beside, heard = self._step.ground.beside, set(scenes)
        while True:
            near = sorted(heard.union(*(beside[scene] for scene in heard)))
            self._merge(near)
            parts = {scene: self._seams[scene] for scene in near if scene in self._seams}
            joined = [item for item in join(parts, beside.__getitem__) if not item.linked.isdisjoint(scenes)]
            linked = heard.union(*(item.linked for item in joined))
            if linked == heard:
                return joined
            heard = linked

    def _merge(self, scenes: Sequence[int]) -> None:
        missing = [scene for scene in scenes if scene not in self._settled]
        merged = self._drive(self._step, [(scene, self._query) for scene in missing])
        for scene, item in zip(missing, merged, strict=True):
            self._settled[scene] = set_down(item.settled, self._path(str(scene)))
            self._thinking.update(item.thinking)
            if item.part is not None:
                self._seams[scene] = item.part

    def _finished(self, scenes: Collection[int], only: Changed | None) -> StagedQuestion:
        plan, joined = self._step.plan, self._joined(scenes)
        seams = pa.concat_tables([empty_part(), *_tables(plan, self._query, joined, self._thinking)])
        parts = (*(self._settled[scene] for scene in sorted(scenes)), set_down(seams, self._path("seams")))
        if only is None:
            return StagedQuestion(self._query.id, parts, None)
        replaced = replaced_by(plan, scenes, only, outlines=part_outlines(seams))
        return StagedQuestion(self._query.id, parts, replaced)

    def _path(self, name: str) -> Path:
        return self._folder / f"{self._query.id}-{name}.parquet"


def _tables(
    plan: Plan, query: Query, joined: Sequence[Joined], thinking: Mapping[str, str]
) -> Iterator[pa.Table]:
    """Rows of the things at seams, one table per scene that leads some."""
    for lead, group in groupby(sorted(joined, key=lambda item: item.lead), key=lambda item: item.lead):
        items = tuple(group)
        placed = Placed(
            things=tuple(item.merged for item in items),
            at_edge=tuple(item.at_edge for item in items),
            scene_ids=tuple(
                tuple(plan.scenes[scene].scene.scene_id for scene in item.scenes) for item in items
            ),
        )
        yield object_rows(placed, plan.scenes[lead], Origin(query, plan.run_id), thinking, aoi=plan.aoi)
