"""Practice scenes with known truth, and the jobs the tests run on them."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from training.scenery.practice import write_practice

SHIPS, ATOLLS = "find all the ships?", "find all the atolls?"
MakeConfig = Callable[..., JobConfig]


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of 260 pixels with ships and atolls, their truth and their questions."""
    folder = tmp_path_factory.mktemp("practice")
    write_practice(str(folder), scenes=2, size_px=260, seed=3, density=2.0)
    return folder


def oracle_config(practice: Path, **fields: object) -> JobConfig:
    """A request for the oracle in a plain loop; keywords replace its fields."""
    oracle = f"oracle:{practice}/truth.parquet"
    given = {
        "scenes": [f"{practice}/scenes/*.tif"],
        "ask": [SHIPS, ATOLLS],
        "reasoner": oracle,
        "segmenter": oracle,
        "tile": 128,
        "chunk": 230,
        "engine": "loop",
    }
    return load_config(None, {**given, **fields})


@pytest.fixture
def make_config(practice: Path, tmp_path: Path) -> MakeConfig:
    """Builds requests that write into the test's own folder."""
    return partial(oracle_config, practice, out=str(tmp_path / "out"))


@pytest.fixture(scope="session")
def whole(practice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of one finished run; tests must not write into it."""
    out = tmp_path_factory.mktemp("whole")
    run_job(oracle_config(practice, out=str(out)))
    return out


@pytest.fixture
def whole_copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of the finished run at the place the test's requests write to."""
    return Path(shutil.copytree(whole, tmp_path / "out"))


def file_bytes(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
