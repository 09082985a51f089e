"""The cluster files are what Ray and KubeRay read, and what they start is a command of ours."""

import json
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import typer
import yaml
from ray.scripts.scripts import start

from pipelines.cli.app import app
from pipelines.engine.package import PACKAGES
from pipelines.plan.plan_files import package_version

ROOT = Path(__file__).parents[2]
MANIFESTS = {"rayjob.yaml": "RayJob", "raycronjob.yaml": "RayCronJob"}


def loaded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text("utf-8"))
    return found


def job_spec(name: str) -> dict[str, Any]:
    """The RayJob in a manifest; a RayCronJob holds one as its template."""
    spec: dict[str, Any] = loaded(f"deploy/{name}")["spec"]
    return dict(spec["jobTemplate"]) if "jobTemplate" in spec else spec


def groups(name: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, parameters of `ray start` and pod of every group of nodes of a manifest."""
    cluster = job_spec(name)["rayClusterSpec"]
    head = cluster["headGroupSpec"]
    yield "head", head["rayStartParams"], head["template"]["spec"]
    for group in cluster["workerGroupSpecs"]:
        yield group["groupName"], group["rayStartParams"], group["template"]["spec"]


def test_the_launcher_file_is_valid_by_rays_own_schema() -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text("utf-8"))
    jsonschema.validate(loaded("cluster.yaml"), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**loaded("cluster.yaml"), "max_worker": 3}, schema)


def test_the_head_has_no_cores_and_gpus_come_and_go_on_spot() -> None:
    cluster = loaded("cluster.yaml")
    kinds = cluster["available_node_types"]
    head = kinds[cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]
    gpus = [kind for kind in kinds.values() if kind["resources"].get("GPU")]
    assert gpus
    for kind in gpus:
        assert kind["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert kind["min_workers"] == 0 < kind["max_workers"]
    assert all(kind["labels"] for kind in kinds.values())
    assert sum(kind.get("max_workers", 0) for kind in kinds.values()) <= cluster["max_workers"]


@pytest.mark.parametrize("field", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_ray_takes_the_flags_it_is_started_with(field: str) -> None:
    (line,) = (line for line in loaded("cluster.yaml")[field] if "ray start" in line)
    words = shlex.split(line.split("ray start", 1)[1])
    assert parsed(start, words)


def parsed(given: Any, words: list[str]) -> dict[str, Any]:
    """Parameters of a command line, without running it; raises where it is wrong."""
    params: dict[str, Any] = given.make_context(given.name or "", words).params
    return params


def test_nodes_install_the_wheel_with_the_pinned_versions_and_both_are_brought_there() -> None:
    cluster = loaded("cluster.yaml")
    (install,) = (line for line in cluster["setup_commands"] if ".whl" in line)
    brought = {path.rsplit("/", 1)[-1]: local for path, local in cluster["file_mounts"].items()}
    assert "-c ~/remotereasoner/constraints.txt" in install
    assert "~/remotereasoner/dist/" in install
    assert brought == {"dist": "dist", "constraints.txt": "constraints.txt"}
    assert (ROOT / "constraints.txt").is_file()


@pytest.mark.parametrize(("name", "kind"), MANIFESTS.items())
def test_a_manifest_has_what_kuberay_needs(name: str, kind: str) -> None:
    manifest = loaded(f"deploy/{name}")
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", kind)
    spec = job_spec(name)
    assert spec["shutdownAfterJobFinishes"]
    assert spec["rayClusterSpec"]["enableInTreeAutoscaling"]
    found = {group: (params, pod) for group, params, pod in groups(name)}
    assert found["head"][0]["num-cpus"] == "0"
    assert not any("nvidia.com/gpu" in str(container) for container in found["head"][1]["containers"])
    assert any("nvidia.com/gpu" in str(pod["containers"]) for _, pod in found.values())
    for params, pod in found.values():
        assert parsed(start, [f"--{key}={value}" for key, value in params.items()])
        assert pod["containers"][0]["resources"]["limits"]


def test_both_manifests_start_the_same_cluster() -> None:
    one, other = (job_spec(name)["rayClusterSpec"] for name in MANIFESTS)
    assert one == other


def test_versions_are_those_that_are_tested() -> None:
    for name in MANIFESTS:
        assert job_spec(name)["rayClusterSpec"]["rayVersion"] == version("ray")
        images = {container["image"] for _, _, pod in groups(name) for container in pod["containers"]}
        assert {image.rsplit(":", 1)[1] for image in images} == {package_version()}


@pytest.mark.parametrize("name", MANIFESTS)
def test_credentials_come_from_a_secret_or_the_account_and_stand_in_no_manifest(name: str) -> None:
    for _, _, pod in groups(name):
        assert pod["serviceAccountName"]
        (container,) = pod["containers"]
        assert "env" not in container
        assert [next(iter(source)) for source in container["envFrom"]] == ["secretRef"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_entry_point_is_a_command_of_ours_that_takes_its_flags(name: str) -> None:
    program, given, *words = shlex.split(job_spec(name)["entrypoint"])
    assert program == "remotereasoner"
    commands = getattr(typer.main.get_command(app), "commands")  # noqa: B009  typer keeps a click of its own
    parameters = parsed(commands[given], words)
    assert "/job/job.yaml" in (parameters["job"], *(parameters["scenes"] or ()))
    assert parameters["address"] == "auto"
    mounts = [mount for _, _, pod in groups(name) for mount in pod["containers"][0].get("volumeMounts", ())]
    assert [mount["mountPath"] for mount in mounts] == ["/job"]


def test_the_image_holds_every_package_and_what_kuberay_calls() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
    copied = [word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert set(PACKAGES) <= set(copied)
    assert all((ROOT / source).exists() for source in copied)
    assert "wget" in text
    assert re.search(r"^USER ray$", text, re.MULTILINE)


def test_the_job_of_the_nightly_schedule_runs_once_a_day() -> None:
    minute, hour, *rest = loaded("deploy/raycronjob.yaml")["spec"]["schedule"].split()
    assert minute.isdigit()
    assert hour.isdigit()
    assert rest == ["*", "*", "*"]
