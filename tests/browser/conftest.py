"""A headless Chromium that reaches no network, and a finished run with objects, empty and failed tiles."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.browser import find_chromium, opened
from pipelines.jobs.run import run_job
from tests.browser.window import Window
from tests.jobs.test_damage import damaged
from tests.worlds.fixtures import oracle_config
from training.scenery.practice import write_practice

SIZE_PX = 600
"""Of a scene: more than a block of a COG, so that one block can be damaged."""
KINDS = ("tank", "ring_road")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    return path


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a run on two scenes, the second with a damaged block; tests must not write into it."""
    practice = tmp_path_factory.mktemp("practice")
    write_practice(str(practice), scenes=2, size_px=SIZE_PX, seed=4, density=2.0)
    scene = practice / "scenes" / "scene-0001.tif"
    damaged(scene, scene, 1, 1)
    out = tmp_path_factory.mktemp("browser") / "out"
    words = json.loads((practice / "questions.json").read_text())
    run_job(oracle_config(practice, out=str(out), ask=[words[kind]["ask"][-1] for kind in KINDS]))
    for path in (out / "objects").rglob("*.parquet"):
        vary_scores(path)
    return out


def vary_scores(path: Path) -> None:
    """Give objects scores from 0.5 up: those of exact models are all 1, and a filter needs others."""
    table = pq.read_table(path)
    place = table.schema.get_field_index("score")
    scores = pa.array(np.linspace(0.5, 0.99, len(table)))
    pq.write_table(table.set_column(place, table.schema.field(place), scores), path)


@pytest.fixture(scope="session")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The browser; every window of it has its own storage."""
    with opened(chromium) as running:
        yield running


@pytest.fixture
def phone(browser: object) -> Iterator[Window]:
    """A new window of a phone's size."""
    with Window.of(browser, width=390, height=800) as one:
        yield one
