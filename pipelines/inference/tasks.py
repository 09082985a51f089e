"""The plain picklable values that are passed between the steps of a chunk, and the chunks still to do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.plan import ChunkRef, Plan, PlannedScene
from pipelines.tables import AnswerRow, LedgerKey
from reasoner.query import Query
from tiling import Chunk


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """One chunk with questions that have no ledger file yet: a small value with all that a worker needs.

    All its questions are asked, even those that are committed already: the last bits of a model's results
    depend on the other members of a batch, and a resumed run must give the same bytes. A killed run leaves at
    most one partly committed chunk per worker.
    """

    ref: ChunkRef
    """The chunk."""
    planned: PlannedScene
    """Its scene."""
    queries: tuple[Query, ...]
    """The questions to ask together: all questions of the job except those an earlier update published."""
    open_ids: frozenset[str]
    """Ids of the questions without a ledger file; only their rows are committed."""

    @property
    def chunk(self) -> Chunk:
        """The chunk with its planned tiles; the tiles are listed anew at each call."""
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
    """The planned chunks that are not committed for every question, in the plan's order.

    Args:
        plan: the frozen plan.
        done: (query id, chunk id) of every committed ledger file.
        published: (query id, chunk id) of the answers that an earlier update published; these are not asked
            again when other questions of the same chunk are open.
    """
    found = []
    for ref in plan.chunks:
        asked = tuple(query for query in plan.queries if (query.id, ref.chunk_id) not in published)
        open_ids = frozenset(query.id for query in asked if (query.id, ref.chunk_id) not in done)
        if open_ids:
            found.append(ChunkTask(ref, plan.scenes[ref.scene], asked, open_ids))
    return found
