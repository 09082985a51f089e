"""The demo: practice scenes, two questions, a run, a score against the truth, a map. Draws no scene."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import geopandas
import pandas as pd

from pipelines.config import Engine, JobConfig, Question
from pipelines.dataset import object_files
from pipelines.map_page import write_map
from pipelines.plan_files import read_plan
from pipelines.progress import Listener, ignore
from pipelines.run_job import RunReport, run_job
from pipelines.scoring import Score, score_objects
from pipelines.storage import Store
from pipelines.truth import PREFIX, question_kinds

N_QUESTIONS = 2
"""The demo asks for the commonest kinds of things in its scenes."""

MakeScenes = Callable[[str, int], None]
"""Writes practice scenes into a folder, from a seed."""


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What the demo is told."""

    out: str
    """Local folder; scenes go to `practice`, the result to `answers` in it."""
    seed: int = 0
    """Seed of the scenes."""
    engine: Engine = Engine.RAY
    """What drives the steps."""
    oracle: bool = False
    """Use the exact truth in place of the embedded models, to see what perfect models would give."""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo did."""

    run: RunReport
    """The run's counts."""
    scores: dict[str, Score]
    """Score per question text."""
    objects: tuple[str, ...]
    """Addresses of the object files."""
    map: str
    """Address of the map."""
    next: str
    """A question not asked yet, and the scenes to ask it of, as a command."""


def demo(make_scenes: MakeScenes, request: DemoRequest, *, listener: Listener = ignore) -> DemoReport:
    """Run everything once, end to end, on scenes whose truth is known.

    Raises:
        RequestError: the folder holds another job.
        ModelError: the embedded models cannot be loaded.
        OSError: the folder cannot be written.
    """
    folder = Path(request.out)
    if not (folder / "practice" / "truth.parquet").exists():
        make_scenes(str(folder / "practice"), request.seed)
    truth = str(folder / "practice" / "truth.parquet")
    questions = _questions(folder / "practice")
    config = _config(request, folder, questions[:N_QUESTIONS])
    report = run_job(config, listener=listener)
    store = Store(config.out)
    scores = {question.text: _score(store, question, truth) for question in config.ask}
    files = tuple(store.path(name) for name in object_files(store))
    asked = f'"{config.scenes[0]}" --ask "{questions[N_QUESTIONS]}"'
    more = f"{_command()} run {asked} --out {folder / 'answers-2'}"
    return DemoReport(report, scores, files, write_map(store, read_plan(store)), more)


def _config(request: DemoRequest, folder: Path, questions: Sequence[str]) -> JobConfig:
    model = f"{PREFIX}{folder / 'practice' / 'truth.parquet'}" if request.oracle else "nano"
    return JobConfig(
        scenes=(str(folder / "practice" / "scenes" / "*.tif"),),
        ask=tuple(Question(text=text) for text in questions),
        out=str(folder / "answers"),
        reasoner=model,
        segmenter=model,
        seed=request.seed,
        engine=request.engine,
    )


def _command() -> str:
    """The product's command as one can type it here: its name, or its path where that is not known."""
    name = "remotereasoner"
    return name if shutil.which(name) else sys.argv[0]


def _questions(practice: Path) -> list[str]:
    texts = json.loads((practice / "questions.json").read_text(encoding="utf-8"))
    counts = Counter(geopandas.read_parquet(practice / "truth.parquet")["kind"])
    commonest = sorted(counts, key=lambda kind: (-counts[kind], kind))
    # The last questions of a kind do not name it: they are the ones that need reasoning.
    return [str(texts[kind]["ask"][-1]) for kind in commonest]


def _score(store: Store, question: Question, truth: str) -> Score:
    query = question.query()
    frames = [geopandas.read_parquet(BytesIO(store.read(name))) for name in object_files(store, query.id)]
    found = geopandas.GeoSeries(pd.concat([frame.geometry for frame in frames]), crs=frames[0].crs)
    true = geopandas.read_parquet(truth)
    return score_objects(found, true[true["kind"] == question_kinds(truth)[query.text]].geometry)
