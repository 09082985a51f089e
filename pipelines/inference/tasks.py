"""What travels between the steps of a chunk: plain picklable values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.plan import ChunkRef, Plan, PlannedScene
from pipelines.tables import AnswerRow, LedgerKey
from reasoner.query import Query
from tiling import Chunk


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """One chunk that has questions without a ledger file; small, and all a worker needs to do it.

    All its questions are asked even where some are committed: what a model computes depends in its last bits
    on what else is in the batch, and a resumed run must give the same bytes. A killed run leaves at most one
    such chunk per worker.
    """

    ref: ChunkRef
    """The chunk."""
    planned: PlannedScene
    """Its scene."""
    queries: tuple[Query, ...]
    """The questions to ask together: all of the job but those an earlier update published."""
    open_ids: frozenset[str]
    """Ids of those without a ledger file: their rows are to be committed."""

    @property
    def chunk(self) -> Chunk:
        """The chunk with its planned tiles, listed at each call."""
        return self.planned.grid.chunk(self.ref.row, self.ref.col, mask=self.ref.mask)


@dataclass(frozen=True, slots=True)
class ChunkAnswers:
    """One chunk's finished rows."""

    chunk_id: str
    """Id of the chunk."""
    scene_id: str
    """Id of its scene."""
    rows: Mapping[str, Sequence[AnswerRow]]
    """Rows by question id, in the order of the tiles."""


def open_chunks(
    plan: Plan,
    done: Collection[LedgerKey],
    *,
    published: Collection[LedgerKey] = frozenset(),
) -> list[ChunkTask]:
    """Planned minus committed, in the plan's order.

    Args:
        plan: the frozen plan.
        done: (query id, chunk id) of every committed ledger file.
        published: the same of those that an earlier update published; they are not asked again beside others.
    """
    found = []
    for ref in plan.chunks:
        asked = tuple(query for query in plan.queries if (query.id, ref.chunk_id) not in published)
        open_ids = frozenset(query.id for query in asked if (query.id, ref.chunk_id) not in done)
        if open_ids:
            found.append(ChunkTask(ref, plan.scenes[ref.scene], asked, open_ids))
    return found
