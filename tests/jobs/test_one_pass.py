"""Claim: geometry, region, contour and count come from one model call a tile and question, holes kept."""

from pathlib import Path

import geopandas as gpd
import pytest

from pipelines.jobs.run import run_job
from pipelines.plan import models
from reasoner.engines.oracle import OracleReasoner, OracleSegmenter
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, str]]]:
    """Every (tile, question) the models were called for, in order."""
    seen: dict[str, list[tuple[str, str]]] = {"generate": [], "segment": []}
    generate, segment = OracleReasoner.generate, OracleSegmenter.segment

    def counted_generate(self, views, queries):
        seen["generate"] += [(view.key, query.id) for view in views for query in queries]
        return generate(self, views, queries)

    def counted_segment(self, view, answers):
        seen["segment"] += [(view.key, answer.query.id) for answer in answers]
        return segment(self, view, answers)

    monkeypatch.setattr(models.OracleReasoner, "generate", counted_generate)
    monkeypatch.setattr(models.OracleSegmenter, "segment", counted_segment)
    return seen


def test_each_tile_and_question_is_asked_once(make_config: MakeConfig, calls):
    report = run_job(make_config(ask=[SHIPS, ATOLLS]))
    assert len(calls["generate"]) == len(set(calls["generate"])) == 2 * report.tiles
    assert len(calls["segment"]) == len(set(calls["segment"])) == report.ok


def test_all_granularities_agree_and_keep_holes(make_config: MakeConfig):
    config = make_config(ask=[ATOLLS])
    report = run_job(config)
    files = sorted(Path(config.out).glob("objects/*/*/objects.parquet"))
    rows = [row for file in files for _, row in gpd.read_parquet(file).iterrows()]
    assert len(rows) == report.objects > 0
    holed = [row for row in rows if row.geometry.interiors]
    assert holed
    for row in holed:
        assert len(row.contour.geoms) == 1 + len(row.geometry.interiors)
        assert row.region.buffer(1e-6).covers(row.geometry)
