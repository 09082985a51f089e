"""A job's log as it streams in: passes its lines on, keeps the report and the last words. Knows no Ray."""

import json
from collections.abc import Callable, Mapping

ERRORS = ("error: ", "incomplete: ")
"""How a command's last sentence begins when it gives up."""


class JobLog:
    """Takes a log piece by piece and gives whole lines to a listener, the command's report apart."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""
        self._last = ""
        self._error = ""
        self._report: Mapping[str, object] = {}

    def take(self, piece: str) -> None:
        """Take the next piece, which may end inside a line."""
        *lines, self._rest = (self._rest + piece).split("\n")
        for line in lines:
            self._line(line)

    def close(self) -> None:
        """Take what is left as the last line."""
        self.take("\n")

    @property
    def report(self) -> Mapping[str, object]:
        """The JSON object that the command printed, empty where it printed none."""
        return self._report

    @property
    def error(self) -> str:
        """The last sentence that says what went wrong, else the last line of all."""
        return self._error or self._last

    def _line(self, line: str) -> None:
        # A progress bar returns to the line's start; what stands behind the last return is what one sees.
        shown = line.rstrip("\r").rsplit("\r", 1)[-1].rstrip()
        if not shown:
            return
        report = _report_in(shown)
        if report is not None:
            self._report = report
            return
        self._last = shown
        if shown.startswith(ERRORS):
            self._error = shown.split(": ", 1)[1]
        self._say(shown)


def _report_in(line: str) -> Mapping[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
