"""The work that a run and a nightly update share: answering the open chunks of a plan."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines import ChunkDone, Listener, RunStarted, ignore
from pipelines.engine import Executor
from pipelines.inference import ChunkStep, ChunkTask, CommitStep, InferStep, ReadStep
from pipelines.plan import ModelRecipe, Placement, Plan, open_options
from reasoner.model_name import ModelName
from tiling.storage import Store


def answer_chunks(
    store: Store,
    plan: Plan,
    tasks: Sequence[ChunkTask],
    *,
    executor: Executor,
    listener: Listener = ignore,
) -> Iterator[ChunkDone]:
    """Answer open chunks and yield an event per committed chunk, which the listener receives too.

    Args:
        store: the output folder.
        plan: the frozen plan.
        tasks: the chunks.
        executor: runs the chunks.
        listener: receives the events of progress.

    Raises:
        RequestError: there is no such cluster.
        ModelError: a model cannot be loaded.
        OSError: the storage refuses.
    """
    listener(RunStarted(len(plan.chunks), len(tasks), sum(task.ref.n_tiles for task in tasks)))
    for done in executor.map(chunk_step(store, plan), tasks):
        listener(done)
        yield done


def chunk_step(store: Store, plan: Plan) -> ChunkStep:
    """The step that reads, answers and commits a chunk of a plan."""
    return ChunkStep(
        ReadStep(plan.scaling, open_options(plan.config)), InferStep(model_recipe(plan)), CommitStep(store)
    )


def model_recipe(plan: Plan) -> ModelRecipe:
    """The recipe from which a worker builds the plan's models."""
    config = plan.config
    recipe = ModelRecipe(config.reasoner, config.segmenter, config.profile, config.device, config.seed, ())
    if not any(ModelName.parse(name).truth for name in (config.reasoner, config.segmenter)):
        return recipe
    places = (Placement(item.scene.scene_id, item.work) for item in plan.scenes)
    return replace(recipe, placements=tuple(places))
