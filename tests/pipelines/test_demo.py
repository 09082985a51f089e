"""The demo runs end to end, scores exact models as exact, and points at files that exist."""

from pathlib import Path

from pipelines.cli.demo import demo_facts, say_demo
from pipelines.demo import DemoRequest, run_demo
from pipelines.plan.config import Engine
from training.scenery.practice import write_practice


def test_the_demo_finds_everything_with_exact_models(tmp_path: Path) -> None:
    made: list[str] = []

    def make_scenes(folder: str, seed: int) -> None:
        made.append(folder)
        write_practice(folder, scenes=1, size_px=260, seed=seed)

    request = DemoRequest(str(tmp_path), seed=5, engine=Engine.LOOP, oracle=True)
    report = run_demo(make_scenes, request)
    assert len(report.scores) == 2
    assert all(score.f1 == 1.0 and score.true > 0 for score in report.scores.values())
    assert all(Path(name).exists() for name in (*report.objects, report.map))
    again = run_demo(make_scenes, request)
    assert (len(made), again.run.chunks_done) == (1, 0)
    assert set(demo_facts(report)) >= {"scores", "map", "objects", "tiles"}
    say_demo(report)
