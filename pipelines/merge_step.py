"""One scene's and question's answers become objects. Reads the ledger; knows no cell and writes nothing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.dataset import Origin, object_part
from pipelines.ledger import AnswerRow, Status, ledger_name, read_rows
from pipelines.plan import Plan
from pipelines.storage import Store
from reasoner.query import Query
from tiling.merging import merge
from tiling.scene_object import scene_objects


@dataclass(frozen=True, slots=True)
class MergeStep:
    """Joins the fragments of one scene and question into objects; a plain picklable callable."""

    store: Store
    """The output folder."""
    plan: Plan
    """The frozen plan."""

    def __call__(self, scene: int, query: Query) -> pa.Table:
        """Objects of a scene (index in the plan) and a question.

        Raises:
            FileNotFoundError: a ledger file is missing.
        """
        planned = self.plan.scenes[scene]
        rows = list(scene_rows(self.store, self.plan, scene, query))
        fragments = [fragment for row in rows for fragment in row.fragments]
        silent = [row.window for row in rows if row.status in (Status.FAILED, Status.MALFORMED)]
        merged = merge(fragments, transform=planned.work.transform, unanswered=silent)
        objects = scene_objects(merged, planned.scene, planned.work, query_id=query.id)
        thinking = {row.tile_id: row.thinking for row in rows}
        thoughts = [thinking[item.representative.tile_id] for item in merged]
        return object_part(objects, thoughts, Origin(query, self.plan.run_id))


MergeItem = tuple[int, Query]
"""One scene (index in the plan) and one question."""
MergeParts = Callable[[MergeStep, Sequence[MergeItem]], Iterator[pa.Table]]
"""Does the step on every item, and gives the tables in the order of the items."""


def one_by_one(step: MergeStep, items: Sequence[MergeItem]) -> Iterator[pa.Table]:
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
