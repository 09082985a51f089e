"""What a job asks of the machines it runs on, by its models' names and sizes. Loads nothing."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.plan import PREFIX, JobConfig
from reasoner.loading import is_served, weights_bytes

GPU_FROM_BYTES = 2e9
"""A reasoner with more weights than this (a billion of two bytes) takes minutes for a tile on cores: where no
GPU is, the run is refused rather than begun, unless the request says `device: cpu`."""


class DeviceRequirement(StrEnum):
    """Where models can run."""

    GPU = "gpu"
    """Only on a GPU."""
    EITHER = "either"
    """On a GPU where there is one, else on cores."""
    CORES = "cores"
    """On cores: they have no weights, or the request says so."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a run wants to be driven, on how many workers, and on what."""

    address: str | None = None
    """Address of a Ray cluster, None for this process."""
    workers: int | None = None
    """Model actors, None for as many as fit."""
    requirement: DeviceRequirement = DeviceRequirement.EITHER
    """What the models need."""


def wanted_cluster(config: JobConfig) -> Cluster:
    """What a job asks of the cluster it runs on.

    Raises:
        ModelError: there is no such model.
    """
    return Cluster(config.address, config.workers, device_requirement(config))


def device_requirement(config: JobConfig) -> DeviceRequirement:
    """Where a job's models can run.

    Raises:
        ModelError: there is no such model.
    """
    if config.device == "cpu":
        return DeviceRequirement.CORES
    if config.device != "auto":
        return DeviceRequirement.GPU
    if all(_weightless(name) for name in (config.reasoner, config.segmenter)):
        return DeviceRequirement.CORES
    heavy = not _weightless(config.reasoner) and weights_bytes(config.reasoner) > GPU_FROM_BYTES
    return DeviceRequirement.GPU if heavy else DeviceRequirement.EITHER


def _weightless(name: str) -> bool:
    """Whether a model has no weights here: it answers nothing, from a table, or on a server."""
    return name == "null" or name.startswith(PREFIX) or is_served(name)
