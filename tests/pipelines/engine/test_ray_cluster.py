"""How many model actors fit a cluster, with room left for reads whatever happens; and what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.ray_cluster import IO_CPUS, ClusterResources, Node, choose_pool
from pipelines.engine.resources import GPU_FROM_BYTES, DeviceRequirement, device_requirement
from pipelines.errors import RequestError
from tests.commands import command
from tests.worlds.fixtures import SHIPS, MakeConfig


def room(*nodes: tuple[float, float], cpus: float = 0.0, gpus: float = 0.0) -> ClusterResources:
    """A cluster of nodes of so many cores and GPUs, and what its autoscaler may make of it."""
    return ClusterResources(tuple(Node(str(number), *has) for number, has in enumerate(nodes)), cpus, gpus)


def test_one_actor_a_gpu_and_each_leaves_cores_for_reads() -> None:
    pool = choose_pool(None, room((0, 0), (4, 1), (4, 1), (16, 4)))
    assert (pool.size, pool.gpus) == (6, 1.0)
    for cpus, gpus in ((4, 1), (16, 4)):
        assert cpus - gpus * pool.cpus >= 2 * IO_CPUS
    assert choose_pool(4, room((4, 1), (4, 1))).gpus == 0.5
    assert choose_pool(None, room((1, 1))).cpus <= 1 - 2 * IO_CPUS


def test_gpus_an_autoscaler_may_start_are_waited_for() -> None:
    assert choose_pool(None, room((0, 0), (16, 0), gpus=16, cpus=144)).size == 16
    assert choose_pool(3, room((0, 0), gpus=16), requirement=DeviceRequirement.GPU).size == 3


def test_models_that_need_no_gpu_take_none() -> None:
    pool = choose_pool(None, room((8, 4)), requirement=DeviceRequirement.CORES)
    assert (pool.size, pool.gpus) == (7, 0.0)


def test_a_model_that_needs_a_gpu_is_refused_where_none_is_or_may_be() -> None:
    with pytest.raises(RequestError, match=r"need a GPU.*--device cpu"):
        choose_pool(None, room((16, 0), (16, 0)), requirement=DeviceRequirement.GPU)
    assert choose_pool(None, room((16, 0)), requirement=DeviceRequirement.EITHER).size == 15


@given(
    st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, 8.0, 16.0, 48.0]), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(1, 12)),
)
def test_no_node_is_ever_full_of_actors(cores: list[float], workers: int | None) -> None:
    """However Ray packs them, on every node a read still finds its share of a core."""
    found = room((0, 0), *((count, 0.0) for count in cores))
    if workers is not None and workers > sum(cores):
        return  # actors that share cores: what is left is all that can be promised
    pool = choose_pool(workers, found)
    assert pool.size >= 1
    assert sum(int(count / pool.cpus + 1e-9) for count in cores) >= pool.size
    for count in cores:
        packed = min(pool.size, int(count / pool.cpus + 1e-9))
        assert count - packed * pool.cpus >= IO_CPUS - 1e-9


def test_more_workers_than_a_machine_can_hold_are_refused() -> None:
    with pytest.raises(RequestError, match="at most 8"):
        choose_pool(100, room((2, 0)))
    crowded = choose_pool(8, room((2, 0)))
    assert crowded.size * crowded.cpus + IO_CPUS <= 2


def test_a_cluster_of_heads_only_is_refused() -> None:
    with pytest.raises(RequestError, match="no cores"):
        choose_pool(None, room((0, 0)))


def big_model(folder: Path, size: int) -> Path:
    """A folder that looks like a checkpoint of so many bytes; the file is sparse."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(size)
    return folder


def test_what_a_job_needs_follows_from_device_and_weights(make_config: MakeConfig, tmp_path: Path) -> None:
    big = str(big_model(tmp_path / "big", int(GPU_FROM_BYTES) + 1))
    assert device_requirement(make_config()) is DeviceRequirement.CORES  # oracles
    assert device_requirement(make_config(reasoner="null", segmenter="nano")) is DeviceRequirement.EITHER
    assert (
        device_requirement(make_config(reasoner="http://127.0.0.1:9/v1#m", segmenter="null"))
        is DeviceRequirement.CORES
    )
    assert device_requirement(make_config(reasoner=big)) is DeviceRequirement.GPU
    assert device_requirement(make_config(reasoner=big, device="cpu")) is DeviceRequirement.CORES
    assert device_requirement(make_config(reasoner="nano", device="cuda")) is DeviceRequirement.GPU


def assert_one_sentence(practice: Path, out: Path, *extra: str) -> None:
    """The command ends with code 2, says so on one line and writes nothing."""
    request = [f"{practice}/scenes/*.tif", "--ask", SHIPS, "--reasoner", "nano", "--segmenter", "nano"]
    result = command("run", *request, "--out", str(out), *extra)
    assert result.code == 2, result.err
    assert result.err.count("\n") == 1
    assert not out.exists()


def test_an_address_without_a_cluster_is_one_sentence_and_nothing_is_written(
    practice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    assert_one_sentence(practice, tmp_path / "out", "--address", "127.0.0.1:1")


@pytest.mark.ray
def test_a_cluster_that_cannot_run_the_job_is_one_sentence_and_nothing_is_written(
    practice: Path, tmp_path: Path, ray_here: None
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    assert_one_sentence(practice, tmp_path / "out", "--device", "cuda")
