"""The resources of a Ray cluster, and how many model actors fit; used before a run and while it grows."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import state as _state

from pipelines import RequestError
from pipelines.engine.resources import Cluster, DeviceRequirement

IO_CPUS = 0.25
"""Share of a core that a read or a commit reserves: they mostly wait for storage."""

MOST_PER_CORE = 4
"""Maximum number of model actors on one core."""

PING_S = 5.0
"""Seconds to wait for a cluster's address to answer."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}
"""Ray sends no usage reports, prints no advice and no traceback of each failed task beside a run's error."""


@dataclass(frozen=True, slots=True)
class Node:
    """One living machine of a cluster."""

    node_id: str
    """Ray's id of it."""
    cpus: float
    """Cores for tasks and actors; 0 for a head that only holds the driver."""
    gpus: float
    """GPUs."""


@dataclass(frozen=True, slots=True)
class ClusterResources:
    """What a cluster has, and what its autoscaler may add."""

    nodes: tuple[Node, ...]
    """Living nodes."""
    most_cpus: float = 0.0
    """Cores with every node the autoscaler may start, 0 where there is no autoscaler."""
    most_gpus: float = 0.0
    """GPUs, likewise."""

    @property
    def cpus(self) -> float:
        """Cores that there are or that the autoscaler may add, whichever is more."""
        return max(self.most_cpus, sum(node.cpus for node in self.nodes))

    @property
    def gpus(self) -> float:
        """GPUs that there are now or with all that the autoscaler may add, whichever is more."""
        return max(self.most_gpus, sum(node.gpus for node in self.nodes))


@dataclass(frozen=True, slots=True)
class Pool:
    """The model actors and the resources that each reserves."""

    size: int
    """Actors."""
    cpus: float
    """Cores of each."""
    gpus: float
    """GPUs of each."""


def connect(address: str | None) -> None:
    """Join a cluster, or start Ray in this process; if Ray is running already it is used as it is.

    Raises:
        RequestError: there is no such cluster.
    """
    if ray.is_initialized():
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        _ping(address)
        ray.init(**_init_options(address))
    except (OSError, ValueError, RuntimeError) as error:
        message = " ".join(str(error).split())
        raise RequestError(
            "address", f"no Ray cluster at {address} ({message:.200})", "leave it out to run here"
        ) from error


def check_resources(cluster: Cluster) -> None:
    """Join the cluster and check that the models can run there.

    Raises:
        RequestError: there is no such cluster, or it lacks what the job requires.
    """
    connect(cluster.address)
    choose_pool(cluster.workers, cluster_resources(), requirement=cluster.requirement)


def cluster_resources() -> ClusterResources:
    """What the cluster has at this moment, and what its autoscaler may add."""
    alive = tuple(
        Node(node["NodeID"], node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    )
    most = _state.get_max_resources_from_cluster_config() or {}
    return ClusterResources(alive, float(most.get("CPU", 0)), float(most.get("GPU", 0)))


def choose_pool(
    workers: int | None,
    resources: ClusterResources,
    *,
    requirement: DeviceRequirement = DeviceRequirement.EITHER,
) -> Pool:
    """Choose the number of model actors and their resources: one a GPU, else by cores, with room for reads.

    Actors for nodes that an autoscaler may add are counted: waiting actors are what makes it add nodes.

    Args:
        workers: as requested, None for automatic.
        resources: what the cluster has.
        requirement: what the models need.

    Raises:
        RequestError: the models need a GPU and there is none, or more workers are asked for than fit.
    """
    if requirement is DeviceRequirement.GPU and not resources.gpus:
        raise RequestError(
            "device",
            "the models need a GPU, and this machine or cluster has none",
            "name a cluster that has one with --address, or give --device cpu to use cores",
        )
    if resources.gpus and requirement is not DeviceRequirement.CORES:
        return _gpu_pool(workers, resources)
    return _core_pool(workers, resources)


def _gpu_pool(workers: int | None, resources: ClusterResources) -> Pool:
    size = workers or int(resources.gpus)
    each = -(-size // int(resources.gpus))
    shares = [(node.cpus - 2 * IO_CPUS) / (node.gpus * each) for node in resources.nodes if node.gpus]
    return Pool(size, cpus=max(0.0, min([1.0, *shares])), gpus=1 / each)


def _core_pool(workers: int | None, resources: ClusterResources) -> Pool:
    cores = [node.cpus for node in resources.nodes if node.cpus] or (
        [resources.cpus] if resources.cpus else []
    )
    if not cores:
        raise RequestError("address", "the cluster has no cores for tasks", "start a worker node")
    coming = resources.cpus - sum(cores)
    size = workers or int(sum(_usual(count) for count in cores) + coming)
    if size > MOST_PER_CORE * resources.cpus:
        most = int(MOST_PER_CORE * resources.cpus)
        raise RequestError("workers", f"{size} workers on {resources.cpus:g} cores", f"give at most {most}")
    return Pool(size, cpus=_core_share(size, cores, coming), gpus=0.0)


def _usual(cores: float) -> int:
    """Actors that a node with so many cores holds if their number is not given."""
    return int(cores) - 1 if cores > 2 else max(1, int(cores))


def _core_share(size: int, cores: Sequence[float], coming: float) -> float:
    """The largest share of a core at which so many actors fit and no node can be filled by actors alone.

    If every node were full of actors, as may happen after some nodes are lost, no read would ever start.
    """
    for left_over in (2 * IO_CPUS, IO_CPUS):
        for share in _shares():
            packed = [int(count / share + 1e-9) for count in cores]
            free = min(count - share * actors for count, actors in zip(cores, packed, strict=True))
            if sum(packed) + int(coming / share) >= size and free + 1e-9 >= left_over:
                return share
    return min(1.0, (sum(cores) - IO_CPUS) / size)


def _shares() -> Iterator[float]:
    return (hundredths / 100 for hundredths in range(100, 4, -1))


def _ping(address: str | None) -> None:
    """Check that something listens at host:port; Ray itself tries for many minutes before it gives up.

    Raises:
        OSError: nothing listens there.
    """
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        # Ray reads `localhost` and the like as this machine's address in the network.
        here = host in ("localhost", "127.0.0.1", "[::1]")
        own: Any = ray.util.get_node_ip_address  # untyped
        known = own() if here else host.strip("[]")
        with socket.create_connection((known, int(port)), timeout=PING_S):
            pass


def _init_options(address: str | None) -> dict[str, Any]:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    return (
        {**quiet, "address": address}
        if address
        else {**quiet, "address": "local", "include_dashboard": False}
    )
