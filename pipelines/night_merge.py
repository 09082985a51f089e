"""Tonight's objects beside the published ones: merges what can have changed and stages what is new.

Reads the published files and writes into the stage only. A file that would be the same is not staged.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.changes import Change
from pipelines.dataset import TEXTS, object_files
from pipelines.driving import Drive
from pipelines.merge_job import collect_texts, staged_merge
from pipelines.night_cells import NightCells, differs
from pipelines.plan import Plan
from pipelines.plan_difference import Difference
from pipelines.staging import StagedMerge
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
    plan: Plan
    """Tonight's plan."""
    what: Difference
    """What differs from the published one."""

    def __call__(self, drive: Drive) -> Staged:
        """Merge every new question wholly, and of the others what the changed scenes touch.

        Raises:
            IncompleteError: a ledger file is missing.
            OSError: the storage refuses.
        """
        with staged_merge(self.store, self.plan, only=self.what.changed, drive=drive) as merged:
            results = list(self._objects(merged))
        return Staged(
            writes=(*(name for each in results for name in each.writes), *self._texts()),
            removes=(
                *(name for each in results for name in each.removes),
                *strangers(self.store, self.plan),
            ),
            changes=tuple(change for each in results for change in each.changes),
        )

    def _objects(self, merged: StagedMerge) -> Iterator[Staged]:
        queries = {query.id: query for query in self.plan.queries}
        for question in merged.questions:
            query = queries[question.query_id]
            cells = NightCells(merged, question, query, self.stage)
            changes = () if query in self.what.new_queries else tuple(cells.keep_ids())
            yield Staged(*cells.staged(), changes)

    def _texts(self) -> Iterator[str]:
        for query in self.plan.queries:
            if query.task is not Task.LOCATE and self._concerns(query):
                collect_texts(self.store, self.plan, query, into=self.stage)
                name = f"{TEXTS}/query={query.id}/texts.parquet"
                if differs(self.store, self.stage, name):
                    yield name

    def _concerns(self, query: Query) -> bool:
        return bool(self.what.changed.scene_ids) or query in self.what.new_queries


def strangers(store: Store, plan: Plan) -> list[str]:
    """Files of objects and texts of questions that the plan does not ask."""
    asked = {f"query={query.id}" for query in plan.queries}
    names = (*object_files(store), *store.names(TEXTS))
    return [name for name in names if name.split("/")[1] not in asked]
