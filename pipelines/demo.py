"""The demo: practice scenes, two questions, a run, a score against the truth, a map."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from pipelines.jobs import RunReport, run_job
from pipelines.map import write_map
from pipelines.plan import Engine, JobConfig, Question, question_classes, read_plan
from pipelines.progress import Listener, ignore
from pipelines.tables import object_files
from reasoner.model_name import ModelName
from tiling.geo import greedy_pairs
from tiling.storage import Store

MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """How well the found objects of one question agree with the true ones."""

    true: int
    """True objects."""
    found: int
    """Found objects."""
    right: int
    """Found objects that match a true object; each true object is matched once at most."""

    @property
    def precision(self) -> float:
        """Share of the found objects that are right; 1 if nothing is found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true objects that are found; 1 if there are none."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def score_objects(found: geopandas.GeoSeries, true: geopandas.GeoSeries, *, iou: float = MATCH_IOU) -> Score:
    """Match each object to at most one other, best overlap first.

    Args:
        found: polygons in any CRS.
        true: polygons in any CRS.
        iou: intersection over union from which two are the same.
    """
    if found.empty or true.empty:
        return Score(len(true), len(found), 0)
    lonlat = true.to_crs("OGC:CRS84")
    west, south, east, north = lonlat.total_bounds
    flat = f"+proj=laea +lon_0={(west + east) / 2} +lat_0={(south + north) / 2}"
    ious, pairs = _overlaps(found.to_crs(flat).to_numpy(), lonlat.to_crs(flat).to_numpy())
    keep = ious >= iou
    return Score(len(true), len(found), len(greedy_pairs(pairs[0, keep], pairs[1, keep], ious[keep])))


def _overlaps(
    found: NDArray[np.object_], true: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Overlap (n,) of all touching pairs, and the pairs (2, n): indexes of found and true, sorted."""
    pairs = shapely.STRtree(true).query(found, predicate="intersects")
    pairs = pairs[:, np.lexsort((pairs[1], pairs[0]))]
    both = shapely.area(shapely.intersection(found[pairs[0]], true[pairs[1]]))
    either = shapely.area(found[pairs[0]]) + shapely.area(true[pairs[1]]) - both
    return both / either, pairs


N_QUESTIONS = 2
"""Questions that the demo asks, about the commonest classes of objects in its scenes."""

MakeScenes = Callable[[str, int], None]
"""Writes practice scenes into a folder, from a seed."""


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What the demo runs with."""

    out: str
    """Local folder; scenes go to `practice`, the result to `answers` in it."""
    seed: int = 0
    """Seed of the scenes."""
    engine: Engine = Engine.RAY
    """What runs the steps."""
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
    """A command that asks a further question of the same scenes."""


def run_demo(make_scenes: MakeScenes, request: DemoRequest, *, listener: Listener = ignore) -> DemoReport:
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
    truth = folder / "practice" / "truth.parquet"
    model = ModelName.oracle(str(truth)).text if request.oracle else "nano"
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
    """The product's command as it can be typed here: its name if that is on the path, else its full path."""
    name = "remotereasoner"
    return name if shutil.which(name) else sys.argv[0]


def _questions(practice: Path) -> list[str]:
    texts = json.loads((practice / "questions.json").read_text(encoding="utf-8"))
    counts = Counter(geopandas.read_parquet(practice / "truth.parquet")["kind"])
    commonest = sorted(counts, key=lambda kind: (-counts[kind], kind))
    # The last questions of a class do not name it, so that they need reasoning.
    return [str(texts[kind]["ask"][-1]) for kind in commonest]


def _score(store: Store, question: Question, truth: str) -> Score:
    query = question.query()
    tables = [geopandas.read_parquet(BytesIO(store.read(name))) for name in object_files(store, query.id)]
    found = geopandas.GeoSeries(pd.concat([frame.geometry for frame in tables]), crs=tables[0].crs)
    true = geopandas.read_parquet(truth)
    return score_objects(found, true[true["kind"] == question_classes(truth)[query.text]].geometry)
