"""In a log, progress is a line now and then; a quick run says nothing."""

from unittest.mock import patch

import pytest

from pipelines.cli import console
from pipelines.jobs.run import run_job
from pipelines.progress import ChunkDone, Event, MergeMoved, RunStarted
from tests.worlds.fixtures import MakeConfig


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 4), (3600.0, 0)])
def test_a_log_gets_lines_at_intervals(
    seconds: float, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with patch.object(console, "LINE_S", seconds), console.progress_bar() as listener:
        listener(RunStarted(3, 3, 30))
        for number in range(3):
            listener(ChunkDone(str(number), "scene", 10, {"ok": 10}))
        listener(MergeMoved("writing cells", 1, 2))
    said = capsys.readouterr().err
    assert said.count("\n") == lines
    assert ("30 of 30 tiles" in said) is (lines > 0)
    assert ("writing cells: 1 of 2" in said) is (lines > 0)


def test_a_run_tells_of_every_item_of_its_merge(make_config: MakeConfig) -> None:
    events: list[Event] = []
    run_job(make_config(), listener=events.append)
    moved = [event for event in events if isinstance(event, MergeMoved)]
    assert {event.doing for event in moved} >= {"merging blocks of chunks", "writing cells"}
    assert all(1 <= event.done <= event.total for event in moved)
    assert moved[-1].done == moved[-1].total
