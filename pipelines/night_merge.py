"""Tonight's objects beside the published ones: merges what can have changed and stages what is new.

Reads the published files and writes into the stage only. A file that would be the same is not staged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.cells import frozen_zoom
from pipelines.changes import Change
from pipelines.dataset import TEXTS, object_files
from pipelines.merge_job import (
    MergeItem,
    MergeParts,
    MergeStep,
    ScenePart,
    collect_texts,
    set_down_parts,
    total_cells,
)
from pipelines.night_cells import NightCells, differs
from pipelines.plan import Plan
from pipelines.plan_difference import Difference, outlines
from pipelines.storage import Store
from reasoner.query import Query, Task


@dataclass(frozen=True, slots=True)
class Staged:
    """What one night's merge gave."""

    writes: tuple[str, ...]
    """Names of the staged files."""
    removes: tuple[str, ...]
    """Names of the published files that go."""
    changes: tuple[Change, ...]
    """What happened to things of questions asked before and now."""


@dataclass(frozen=True, slots=True)
class NightMerge:
    """Stages the result of a night; its ledger is complete."""

    store: Store
    """The output folder."""
    stage: Store
    """Where to write."""
    before: Plan
    """The published plan."""
    now: Plan
    """Tonight's plan."""
    what: Difference
    """What differs between the two."""

    def __call__(self, merge_parts: MergeParts) -> Staged:
        """Merge every new question wholly, and of the others what the changed scenes touch.

        Raises:
            FileNotFoundError: a ledger file is missing.
            OSError: the storage refuses.
        """
        with TemporaryDirectory(prefix="remotereasoner-") as folder:
            step, items = MergeStep(self.store, self.now), self.items()
            parts = set_down_parts(step, items, Path(folder), merge_parts=merge_parts)
            zoom = frozen_zoom(self.store, total_cells(parts)) if items else 0
            located = [query for query in self.now.queries if query.task is Task.LOCATE]
            results = [self._stage_query(query, parts, zoom) for query in located]
        return Staged(
            writes=tuple(name for each in results for name in each.writes) + tuple(self._stage_texts()),
            removes=tuple(name for each in results for name in each.removes)
            + tuple(strangers(self.store, self.now)),
            changes=tuple(change for each in results for change in each.changes),
        )

    def items(self) -> list[MergeItem]:
        """Scenes and questions to merge."""
        new = {query.id for query in self.what.new_queries}
        return [
            (index, query)
            for query in self.now.queries
            if query.task is Task.LOCATE
            for index, item in enumerate(self.now.scenes)
            if query.id in new or item.scene.scene_id in self.what.affected
        ]

    def _stage_query(self, query: Query, parts: Sequence[ScenePart], zoom: int) -> Staged:
        own = [part for part in parts if part.query_id == query.id]
        question = NightCells(self.store, self.stage, query, zoom, self.what.affected)
        if query in self.what.new_queries:
            return Staged(*question.staged(own, {}), ())
        if not self.what.affected:
            return Staged((), (), ())
        published = question.published(outlines(self.before, self.now, self.what.affected), own)
        changes = question.keep_ids(own, published)
        return Staged(*question.staged(own, published), tuple(changes))

    def _stage_texts(self) -> Iterator[str]:
        for query in self.now.queries:
            if query.task is not Task.LOCATE and (self.what.affected or query in self.what.new_queries):
                collect_texts(self.store, self.now, query, into=self.stage)
                name = f"{TEXTS}/query={query.id}/texts.parquet"
                if differs(self.store, self.stage, name):
                    yield name


def strangers(store: Store, plan: Plan) -> list[str]:
    """Files of objects and texts of questions that the plan does not ask."""
    asked = {f"query={query.id}" for query in plan.queries}
    names = (*object_files(store), *store.names(TEXTS))
    return [name for name in names if name.split("/")[1] not in asked]
