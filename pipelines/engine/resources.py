"""What a job asks of the machines it runs on, by its models' names and sizes. Loads nothing."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.plan import JobConfig
from reasoner.loading import weights_bytes
from reasoner.model_name import ModelName

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
    weightless = ModelName.parse(config.reasoner).is_weightless
    if weightless and ModelName.parse(config.segmenter).is_weightless:
        return DeviceRequirement.CORES
    heavy = not weightless and weights_bytes(config.reasoner) > GPU_FROM_BYTES
    return DeviceRequirement.GPU if heavy else DeviceRequirement.EITHER
