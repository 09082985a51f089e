"""A folder of practice scenes that changes between updates, its exact truth, one model for all updates."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from pipelines.plan import models
from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from reasoner.engines.oracle import OracleReasoner
from training.scenery.practice import write_practice

Edit = Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]
"""Changes the truth of a scene."""


@dataclass
class Sky:
    """The scenes in the folder at the next update, and the true objects in them."""

    archive: Path
    """Practice folder with all scenes that may be added."""
    folder: Path
    """The scenes of the next update, their truth and questions."""
    truth: dict[str, gpd.GeoDataFrame] = field(default_factory=dict)
    """True objects by scene."""

    def add(self, *numbers: int) -> None:
        """Add scenes."""
        known = gpd.read_parquet(self.archive / "truth.parquet")
        (self.folder / "scenes").mkdir(parents=True, exist_ok=True)
        for name in map(scene_name, numbers):
            shutil.copy2(self.archive / "scenes" / f"{name}.tif", self.folder / "scenes")
            self.truth[name] = known[known["scene_id"] == name]
        self._write()

    def remove(self, number: int) -> None:
        """Remove a scene."""
        (self.folder / "scenes" / f"{scene_name(number)}.tif").unlink()
        del self.truth[scene_name(number)]
        self._write()

    def replace(self, number: int, edit: Edit) -> None:
        """Replace a scene's file by another one, which shows other objects."""
        name = scene_name(number)
        path = self.folder / "scenes" / f"{name}.tif"
        path.write_bytes(path.read_bytes() + b"\0")
        self.truth[name] = edit(self.truth[name])
        self._write()

    def true_objects(self, kinds: Sequence[str]) -> gpd.GeoDataFrame:
        """The true objects of these classes."""
        table = gpd.read_parquet(self.folder / "truth.parquet")
        return table[table["kind"].isin(list(kinds))]

    def commonest(self, count: int) -> list[str]:
        """The classes with the most objects."""
        counts = gpd.read_parquet(self.archive / "truth.parquet")["kind"].value_counts()
        return sorted(counts.index, key=lambda kind: (-counts[kind], kind))[:count]

    def config(
        self, out: Path | str, kinds: Sequence[str], *, caption: bool = False, **fields: object
    ) -> JobConfig:
        """A request for the exact models in a plain loop: where are objects of these classes?"""
        asked = json.loads((self.archive / "questions.json").read_text("utf-8"))
        given: dict[str, object] = {
            "scenes": [f"{self.folder}/scenes"],
            "ask": [*(asked[kind]["ask"][0] for kind in kinds), *([{"task": "caption"}] if caption else [])],
            "out": str(out),
            "reasoner": f"oracle:{self.folder}/truth.parquet",
            "segmenter": f"oracle:{self.folder}/truth.parquet",
            "engine": "loop",
            "tile": 128,
            "chunk": 230,
        }
        return load_config(None, {**given, **fields})

    def _write(self) -> None:
        table = pd.concat([self.truth[name] for name in sorted(self.truth)], ignore_index=True)
        table.to_parquet(self.folder / "truth.parquet", index=False, schema_version="1.1.0")
        shutil.copy2(self.archive / "questions.json", self.folder)


def scene_name(number: int) -> str:
    """Id of a practice scene."""
    return f"scene-{number:04d}"


def draw_archive(folder: Path, *, scenes: int, zones: int = 1, density: float = 2.0, size: int = 260) -> Path:
    """Practice scenes, in turn in UTM zones whose centres lie in cells of their own."""
    systems = tuple(f"EPSG:{32631 + zone}" for zone in range(zones))
    write_practice(str(folder), scenes=scenes, size_px=size, seed=3, density=density, crs=systems)
    return folder


@contextmanager
def one_model() -> Iterator[None]:
    """The exact models act as one model with fixed weights, although the truth they answer from grows."""
    with patch.object(models, "_oracle_digest", lambda _: "oracle-of-all-nights"):
        yield


@contextmanager
def counted_calls() -> Iterator[list[str]]:
    """Every question asked of the model about a tile, as it is asked."""
    asked: list[str] = []
    answer = OracleReasoner.generate

    def counting(self: OracleReasoner, views: Sequence[object], queries: Sequence[object]) -> object:
        asked.extend(query.text for query in queries for _ in views)  # type: ignore[attr-defined]
        return answer(self, views, queries)  # type: ignore[arg-type]

    with patch.object(OracleReasoner, "generate", counting):
        yield asked


def moved(shape: shapely.Geometry, share: float) -> shapely.Geometry:
    """The shape moved by a share of its own width."""
    west, _, east, _ = shape.bounds
    return shapely.transform(shape, lambda xy: xy + np.array([share * (east - west), 0.0]))


def objects_in(out: Path) -> gpd.GeoDataFrame:
    """All objects of a result, by question and place."""
    tables = [gpd.read_parquet(path) for path in sorted((out / "objects").rglob("*.parquet"))]
    table = gpd.GeoDataFrame(pd.concat(tables, ignore_index=True), crs=tables[0].crs)
    order = np.lexsort((shapely.to_wkb(np.asarray(table.geometry), hex=True), table["query_id"]))
    return table.iloc[order].reset_index(drop=True)


def changes_in(out: Path, date: str) -> gpd.GeoDataFrame:
    """An update's change table."""
    return gpd.read_parquet(out / "changes" / f"date={date}" / "changes.parquet")
