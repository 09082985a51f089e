"""The three steps of a chunk as plain callables: read, infer, commit. Knows no engine that maps them."""

from collections import Counter
from dataclasses import dataclass

from pipelines import ChunkDone
from pipelines.inference.infer_chunk import ChunkModels, answer_chunk
from pipelines.inference.tasks import ChunkAnswers, ChunkRead, ChunkTask
from pipelines.plan import ModelRecipe
from pipelines.tables import write_rows
from tiling import SceneError
from tiling.raster import Limits, Scaling, read_chunk
from tiling.storage import Store


@dataclass(frozen=True, slots=True)
class ReadStep:
    """Reads a chunk's pixels, once for all its tiles and questions."""

    scaling: Scaling | None
    """Fixed scaling to 8 bits of the run."""
    limits: Limits
    """What may be opened."""

    def __call__(self, task: ChunkTask) -> ChunkRead:
        """Pixels of the chunk; a scene that cannot be opened is recorded, not raised."""
        try:
            image = read_chunk(task.scene, task.work, task.chunk, scaling=self.scaling, limits=self.limits)
        except SceneError as error:
            return ChunkRead(task, None, str(error))
        return ChunkRead(task, image, "")


class InferStep:
    """Holds both models and turns a chunk's pixels into ledger rows."""

    def __init__(self, recipe: ModelRecipe) -> None:
        """Load both models.

        Raises:
            ModelError: one of them cannot be loaded.
            RequestError: an oracle's truth table cannot be read.
        """
        self._models = ChunkModels(recipe.load_reasoner(), recipe.load_segmenter())

    def __call__(self, read: ChunkRead) -> ChunkAnswers:
        """Rows of every tile and question of the chunk; failures are rows too."""
        return answer_chunk(read, self._models)


@dataclass(frozen=True, slots=True)
class CommitStep:
    """Writes a chunk's rows, one atomic file per question."""

    store: Store
    """The output folder."""

    def __call__(self, answers: ChunkAnswers) -> ChunkDone:
        """Commit, and say what was committed.

        Raises:
            OSError: the storage refuses.
        """
        for rows in answers.rows.values():
            write_rows(self.store, rows)
        statuses = Counter(str(row.status) for rows in answers.rows.values() for row in rows)
        n_tiles = max(len(rows) for rows in answers.rows.values())
        return ChunkDone(answers.chunk_id, answers.scene_id, n_tiles, dict(statuses))
