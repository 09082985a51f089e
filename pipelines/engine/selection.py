"""Which executor a request asks for, and whether the machines behind it have what its models need."""

from pipelines.engine.executor import Executor, SerialExecutor
from pipelines.engine.resources import wanted_cluster
from pipelines.plan import Engine, JobConfig


def executor_of(config: JobConfig) -> Executor:
    """The executor that a request asks for.

    Raises:
        ModelError: there is no such model.
    """
    if config.engine is Engine.LOOP:
        return SerialExecutor()
    # Imported here, so that only runs on Ray wait for it.
    from pipelines.engine.ray_executor import RayExecutor

    return RayExecutor(wanted_cluster(config))


def check_engine(config: JobConfig) -> None:
    """Check that the cluster of a job exists and has what the models need; a plain loop needs no check.

    Raises:
        RequestError: there is no such cluster, or it lacks a GPU or room for the workers.
        ModelError: there is no such model.
    """
    if config.engine is Engine.RAY:
        from pipelines.engine.ray_cluster import check_resources

        check_resources(wanted_cluster(config))
