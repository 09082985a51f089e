"""What travels between the steps: plain picklable values. Does nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.plan import ChunkRef, Plan, PlannedScene
from pipelines.tables import AnswerRow
from reasoner.query import Query
from tiling import Chunk, Scene
from tiling.geo import WorkGrid
from tiling.raster import ChunkImage


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """One chunk to be done."""

    chunk_id: str
    """Id of the chunk."""
    scene: Scene
    """Its scene."""
    work: WorkGrid
    """The scene's work grid."""
    chunk: Chunk
    """Its planned tiles."""
    queries: tuple[Query, ...]
    """Questions to ask together."""
    open_ids: frozenset[str]
    """Ids of those whose rows are to be committed."""


@dataclass(frozen=True, slots=True)
class ChunkRead:
    """One chunk with its pixels."""

    task: ChunkTask
    """What is to be done."""
    image: ChunkImage | None
    """Its pixels, None where nothing could be read."""
    problem: str
    """Why nothing could be read, empty otherwise."""


@dataclass(frozen=True, slots=True)
class ChunkAnswers:
    """One chunk's finished rows."""

    chunk_id: str
    """Id of the chunk."""
    scene_id: str
    """Id of its scene."""
    rows: Mapping[str, Sequence[AnswerRow]]
    """Rows by question id, in the order of the tiles."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One chunk that has questions without a ledger file; small, and all a worker needs to do it."""

    ref: ChunkRef
    """The chunk."""
    planned: PlannedScene
    """Its scene."""
    queries: tuple[Query, ...]
    """The questions to ask together: all of the job but those an earlier night settled."""
    open_ids: frozenset[str]
    """Ids of those without a ledger file."""

    def task(self) -> ChunkTask:
        """The chunk's task, with its planned tiles listed.

        All its questions are asked even where some are committed: what a model computes depends in its last
        bits on what else is in the batch, and a resumed run must give the same bytes. A killed run leaves at
        most one such chunk per worker.
        """
        chunk = self.planned.grid.chunk(self.ref.row, self.ref.col, mask=self.ref.mask)
        scene, work = self.planned.scene, self.planned.work
        return ChunkTask(self.ref.chunk_id, scene, work, chunk, self.queries, self.open_ids)


def pending_chunks(
    plan: Plan, done: Collection[tuple[str, str]], *, settled: Collection[tuple[str, str]] = frozenset()
) -> list[Pending]:
    """Planned minus committed, in the plan's order.

    Args:
        plan: the frozen plan.
        done: (query id, chunk id) of every committed ledger file.
        settled: the same of those that an earlier night published; they are not asked again beside others.
    """
    found = []
    for ref in plan.chunks:
        asked = tuple(query for query in plan.queries if (query.id, ref.chunk_id) not in settled)
        open_ids = frozenset(query.id for query in asked if (query.id, ref.chunk_id) not in done)
        if open_ids:
            found.append(Pending(ref, plan.scenes[ref.scene], asked, open_ids))
    return found
