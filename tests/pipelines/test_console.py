"""In a log, progress is a line now and then; a quick run says nothing."""

from unittest.mock import patch

import pytest

from pipelines import console
from pipelines.progress import RunStarted
from pipelines.tasks import ChunkDone


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 3), (3600.0, 0)])
def test_a_log_gets_lines_at_intervals(
    seconds: float, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with patch.object(console, "LINE_S", seconds), console.progress_bar() as listener:
        listener(RunStarted(3, 3, 30))
        for number in range(3):
            listener(ChunkDone(str(number), "scene", 10, {"ok": 10}))
    said = capsys.readouterr().err
    assert said.count("\n") == lines
    assert ("30 of 30 tiles" in said) is (lines > 0)
