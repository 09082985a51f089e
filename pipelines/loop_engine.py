"""The plain for loop over chunks. Knows the steps' order and nothing of their work."""

from collections.abc import Iterator, Sequence

from pipelines.models import ModelRecipe
from pipelines.steps import CommitStep, InferStep, ReadStep
from pipelines.tasks import ChunkDone, Pending


def run_chunks(
    pending: Sequence[Pending], *, read: ReadStep, recipe: ModelRecipe, commit: CommitStep
) -> Iterator[ChunkDone]:
    """Do the pending chunks one after another; an event per committed chunk.

    Raises:
        ModelError: a model cannot be loaded.
        OSError: the storage refuses.
    """
    if not pending:
        return
    infer = InferStep(recipe)
    for item in pending:
        yield commit(infer(read(item.task())))
