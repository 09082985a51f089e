"""Progress is a line now and then in a log and a bar in a notebook while it lasts; quick runs say nothing."""

from unittest.mock import MagicMock, patch

import pytest
from rich.console import Console

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
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == lines
    assert ("30 of 30 tiles" in stderr) is (lines > 0)
    assert ("writing cells: 1 of 2" in stderr) is (lines > 0)


def test_a_run_tells_of_every_item_of_its_merge(make_config: MakeConfig) -> None:
    events: list[Event] = []
    run_job(make_config(), listener=events.append)
    moved = [event for event in events if isinstance(event, MergeMoved)]
    assert {event.doing for event in moved} >= {"merging blocks of chunks", "writing cells"}
    assert all(1 <= event.done <= event.total for event in moved)
    assert moved[-1].done == moved[-1].total


@pytest.mark.parametrize(("quiet", "drawn"), [(0.0, True), (3600.0, False)])
def test_a_notebook_shows_a_bar_that_goes_when_the_run_ends(quiet: float, drawn: bool) -> None:
    display = pytest.importorskip("IPython.display", reason="IPython is not installed")
    show, handle = MagicMock(), MagicMock()
    show.return_value = handle
    with (
        patch.object(console, "STDERR", Console(force_jupyter=True)),
        patch.object(console, "QUIET_S", quiet),
        patch.object(console, "REDRAW_S", 0.0),
        patch.object(display, "display", show),
        console.progress_bar() as listener,
    ):
        listener(RunStarted(3, 3, 30))
        for number in range(3):
            listener(ChunkDone(str(number), "scene", 10, {"<b>": 10}))
    assert show.called is drawn
    bundles = [call.args[0] for call in handle.update.call_args_list]
    assert bool(bundles) is drawn
    if drawn:
        assert "30 of 30" in bundles[-2]["text/plain"]
        assert '<progress max="30" value="30">' in bundles[-2]["text/html"]
        assert "&lt;b&gt;" in bundles[-2]["text/html"]
        assert bundles[-1] == {"text/html": "", "text/plain": ""}
