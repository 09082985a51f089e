"""The steps of a chunk as plain callables, which executors run: read, infer, commit, and all three."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from pipelines import ChunkDone
from pipelines.inference.infer_chunk import ChunkAnswers, ChunkModels, ChunkTask, answer_chunk
from pipelines.plan import ModelRecipe
from pipelines.tables import write_rows
from tiling import SceneError
from tiling.raster import ChunkPixels, OpenOptions, Scaling, failed_pixels, read_chunk
from tiling.storage import Store


@dataclass(frozen=True, slots=True)
class ReadStep:
    """Reads a chunk's pixels, once for all its tiles and questions."""

    scaling: Scaling | None
    """Fixed scaling to 8 bits of the run."""
    options: OpenOptions
    """What may be opened, and how."""

    def __call__(self, task: ChunkTask) -> ChunkPixels:
        """Read the chunk; if a scene cannot be opened its tiles are marked as failed."""
        chunk, planned = task.chunk, task.planned
        try:
            return read_chunk(planned.scene, planned.work, chunk, scaling=self.scaling, options=self.options)
        except SceneError as error:
            return failed_pixels(chunk, str(error))


class InferStep:
    """Turns a chunk's pixels into ledger rows; loads both models at the first call and keeps them."""

    def __init__(self, recipe: ModelRecipe) -> None:
        """Load nothing yet: before its first call the step can be pickled."""
        self._recipe = recipe
        self._models: ChunkModels | None = None

    def load(self) -> ChunkModels:
        """The loaded models; they are loaded at the first call.

        Raises:
            ModelError: one of them cannot be loaded.
            RequestError: an oracle's truth table cannot be read.
        """
        if self._models is None:
            self._models = ChunkModels(self._recipe.load_reasoner(), self._recipe.load_segmenter())
        return self._models

    def __call__(self, task: ChunkTask, pixels: ChunkPixels) -> ChunkAnswers:
        """Rows of every tile and question of the chunk; failures are rows too.

        Raises:
            ModelError: a model cannot be loaded.
            RequestError: an oracle's truth table cannot be read.
        """
        return answer_chunk(task, pixels, self.load())


@dataclass(frozen=True, slots=True)
class CommitStep:
    """Writes a chunk's rows, one atomic file per question."""

    store: Store
    """The output folder."""

    def __call__(self, answers: ChunkAnswers) -> ChunkDone:
        """Commit the rows and return the event that says so.

        Raises:
            OSError: the storage refuses.
        """
        for rows in answers.rows.values():
            write_rows(self.store, rows)
        statuses = Counter(str(row.status) for rows in answers.rows.values() for row in rows)
        n_tiles = max(len(rows) for rows in answers.rows.values())
        return ChunkDone(answers.chunk_id, answers.scene_id, n_tiles, dict(statuses))


@dataclass(frozen=True, slots=True)
class ChunkStep:
    """All steps of a chunk. One process calls it like any step; Ray runs its three parts separately."""

    doing: ClassVar[str] = "answering chunks"
    """Shown while it runs."""
    read: ReadStep
    """Reads its pixels."""
    infer: InferStep
    """Answers its questions."""
    commit: CommitStep
    """Writes its rows."""

    def __call__(self, task: ChunkTask) -> ChunkDone:
        """Read, answer and commit a chunk.

        Raises:
            ModelError: a model cannot be loaded.
            RequestError: an oracle's truth table cannot be read.
            OSError: the storage refuses.
        """
        return self.commit(self.infer(task, self.read(task)))
