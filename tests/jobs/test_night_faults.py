"""Tiles that fail mark the dataset until a later night sees better; an ended night gives its lock back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.jobs import lock
from pipelines.jobs.nightly import run_nightly
from pipelines.tables.collection import published_failed
from tests.commands import command
from tests.worlds.fixtures import file_bytes
from tests.worlds.nights import Sky, draw_archive, one_model, scene_name
from tiling.storage.store import Store

DAY_1, DAY_2, DAY_3 = "2026-11-23", "2026-11-24", "2026-11-25"

HOLD = """
import sys, time
from pipelines.cli import app
from pipelines.jobs.lock import LEASE, hold_lock
from tiling.storage import Store

def work():
    with hold_lock(Store(sys.argv[1]), "nightly", LEASE):
        print("held", flush=True)
        time.sleep(60)

app.app = work
app.main()
"""


@pytest.fixture
def sky(tmp_path: Path) -> Iterator[Sky]:
    archive = draw_archive(tmp_path / "archive", scenes=2, zones=1, size=160, density=4.0)
    with one_model():
        yield Sky(archive, tmp_path / "sky")


def test_a_broken_scene_marks_the_dataset_until_it_is_replaced(sky: Sky, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sky.add(0)
    kinds = sky.commonest(1)
    assert run_nightly(sky.config(out, kinds), date=DAY_1).failed == 0
    sky.add(1)
    path = sky.folder / "scenes" / f"{scene_name(1)}.tif"
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 3])
    broken = run_nightly(sky.config(out, kinds), date=DAY_2)
    assert broken.failed > 0
    assert published_failed(Store(str(out))) == broken.failed
    given = sky.config(out, kinds)
    words = ["nightly", f"{sky.folder}/scenes", "--out", str(out), "--ask", given.ask[0].text, "--json"]
    models = ["--reasoner", given.reasoner, "--segmenter", given.segmenter, "--engine", "loop"]
    said = command(*words, *models, "--tile", "128", "--chunk", "230", "--date", DAY_2)
    assert (said.code, json.loads(said.out)["failed"]) == (3, broken.failed)
    path.write_bytes(sound)
    mended = run_nightly(sky.config(out, kinds), date=DAY_3)
    assert (mended.scenes_replaced, mended.failed) == (1, 0)
    assert json.loads((out / "collection.json").read_text("utf-8"))["remotereasoner:complete"] is True


def test_a_night_that_is_told_to_end_gives_its_lock_back(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert (tmp_path / lock.LOCK_FILE).exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert not (tmp_path / lock.LOCK_FILE).exists()


@pytest.mark.ray
@pytest.mark.slow
def test_a_night_on_ray_gives_the_bytes_of_one_in_a_loop(sky: Sky, tmp_path: Path) -> None:
    sky.add(0)
    kinds = sky.commonest(2)
    engines = ("loop", "ray")
    for engine in engines:
        run_nightly(sky.config(tmp_path / engine, kinds, engine=engine), date=DAY_1)
    sky.add(1)
    for engine in engines:
        run_nightly(sky.config(tmp_path / engine, kinds, engine=engine), date=DAY_2)
    loop, ray = (file_bytes(tmp_path / engine) for engine in engines)
    seen = {name for name in loop if name.startswith(("objects", "changes"))}
    assert len(seen) > 3
    assert {name: ray.get(name) for name in seen} == {name: loop[name] for name in seen}
