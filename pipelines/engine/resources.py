"""The resources a job requires, by its models' names and sizes; no model is loaded for that."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.plan import JobConfig
from reasoner.loading import weights_bytes
from reasoner.model_name import ModelName

GPU_FROM_BYTES = 2e9
"""A reasoner with more weights than this (a billion of two bytes) takes minutes for a tile on cores. Without
a GPU such a run is refused, unless the request says `device: cpu`."""


class DeviceRequirement(StrEnum):
    """Where models can run."""

    GPU = "gpu"
    """Only on a GPU."""
    EITHER = "either"
    """On a GPU if there is one, else on cores."""
    CORES = "cores"
    """On cores: they have no weights, or the request says so."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Ray cluster that a run asks for: its address, the number of workers, and the devices."""

    address: str | None = None
    """Address of a Ray cluster, None for this process."""
    workers: int | None = None
    """Model actors, None for as many as fit."""
    requirement: DeviceRequirement = DeviceRequirement.EITHER
    """What the models need."""


def wanted_cluster(config: JobConfig) -> Cluster:
    """The cluster that a job asks for.

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
    weightless = ModelName.parse(config.reasoner).is_weightless
    if weightless and ModelName.parse(config.segmenter).is_weightless:
        return DeviceRequirement.CORES
    heavy = not weightless and weights_bytes(config.reasoner) > GPU_FROM_BYTES
    return DeviceRequirement.GPU if heavy else DeviceRequirement.EITHER
