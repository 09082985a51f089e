"""A job and this package's code as one folder, which `submit` sends to a cluster with the dependencies."""

import os
import shutil
from collections.abc import Sequence
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from pipelines import RequestError
from pipelines.plan import Engine, JobConfig, package_version
from reasoner.model_name import ModelName
from tiling.storage import is_local, local_path

PACKAGES = ("pipelines", "reasoner", "remotereasoner", "tiling", "training")
"""The packages of this project, which include the embedded models and the recipes."""

JOB_FILE = "job.yaml"
COMMAND = ("python", "-m", "pipelines", "run", "--job", JOB_FILE, "--json")
"""What runs in the folder. The request is in a file: everyone who sees the cluster sees its command lines."""

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "*.egg-info")


def cluster_config(config: JobConfig) -> JobConfig:
    """The request as a driver on the cluster needs it: local paths absolute, the address that of the cluster.

    Raises:
        RequestError: the request asks for a plain loop, which would leave the cluster idle.
    """
    if config.engine is Engine.LOOP:
        raise RequestError("engine", "a loop uses no cluster", "leave --engine out, or use run")
    moved = {
        "scenes": tuple(_absolute_scene(scene) for scene in config.scenes),
        "out": _absolute(config.out),
        "reasoner": _absolute_model(config.reasoner),
        "segmenter": _absolute_model(config.segmenter),
        "address": "auto",
    }
    return config.model_copy(update=moved)


def local_parts(config: JobConfig) -> list[str]:
    """Local paths in a request, as `field: path`; all nodes of the cluster must find the same files there."""
    scenes = [path for scene in config.scenes for path in _files(scene) if is_local(path)]
    models = [("reasoner", config.reasoner), ("segmenter", config.segmenter)]
    paths = [("scenes", path) for path in scenes] + ([("out", config.out)] if is_local(config.out) else [])
    paths += [(field, name) for field, name in models if _is_local_model(name)]
    return [f"{field}: {path}" for field, path in paths]


def is_here(address: str) -> bool:
    """Whether a dashboard's address is that of this machine, so that the cluster sees its files."""
    host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def pack(folder: Path, config: JobConfig) -> None:
    """Write code, version and job into an empty folder that can be the working directory of a Ray job.

    Args:
        folder: an empty folder.
        config: the request, as the cluster needs it.

    Raises:
        RequestError: the file of the area of interest is not there.
    """
    for name in PACKAGES:
        shutil.copytree(_home(name), folder / name, ignore=_LEFT_OUT)
    about = folder / f"remotereasoner-{package_version()}.dist-info"
    about.mkdir()
    # The version written into results is then that of this code, whatever the cluster has installed.
    metadata = f"Metadata-Version: 2.1\nName: remotereasoner\nVersion: {package_version()}\n"
    (about / "METADATA").write_text(metadata, encoding="utf-8")
    brought = config.model_copy(update={"aoi": _copied_area(folder, config.aoi)})
    fields = yaml.safe_dump(brought.model_dump(mode="json", exclude_defaults=True), allow_unicode=True)
    (folder / JOB_FILE).write_text(fields, encoding="utf-8")


def command_line(*, overwrite: bool) -> str:
    """The command that the cluster runs in the folder."""
    return " ".join([*COMMAND, *(["--overwrite"] if overwrite else [])])


def _copied_area(folder: Path, aoi: str | None) -> str | None:
    """Copy the area's local file into the folder, with its sidecar files (a shapefile has several).

    Raises:
        RequestError: there is no such file.
    """
    if aoi is None or not is_local(aoi):
        return aoi
    path = Path(local_path(aoi))
    if not path.is_file():
        raise RequestError("aoi", f"{aoi} is not there", "name a vector file")
    (folder / "aoi").mkdir()
    for part in path.parent.glob(f"{escape(path.stem)}.*"):
        shutil.copy(part, folder / "aoi")
    return f"aoi/{path.name}"


def _home(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def _files(scene: str | dict[str, str]) -> Sequence[str]:
    return list(scene.values()) if isinstance(scene, dict) else [scene]


def _absolute(path: str) -> str:
    return local_path(path) if is_local(path) else path


def _absolute_scene(scene: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(scene, dict):
        return {role: _absolute(path) for role, path in scene.items()}
    return _absolute(scene)


def _absolute_model(name: str) -> str:
    model = ModelName.parse(name)
    if model.truth is not None:
        return ModelName.oracle(_absolute(model.truth)).text
    return os.path.abspath(model.path) if model.path is not None else name


def _is_local_model(name: str) -> bool:
    """Whether a model, or an oracle's table, is a file or folder of this machine."""
    model = ModelName.parse(name)
    return is_local(model.truth) if model.truth is not None else model.path is not None
