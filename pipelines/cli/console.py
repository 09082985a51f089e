"""What the commands print: progress and tables on stderr, one JSON object on stdout."""

import html
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from threading import Lock, Timer
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipelines import ChunkDone, Event, Listener, MergeMoved, MergeStarted, RunStarted

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

    from pipelines.results import StatusReport

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]
STDERR = Console(stderr=True)
LINE_S = 30.0
"""Seconds between two lines of progress in a log."""
QUIET_S = 2.0
"""Seconds before a bar is drawn in a notebook: a bar that was drawn leaves a gap when it is removed."""
REDRAW_S = 0.5
"""Seconds between two drawings of that bar."""


def say(text: str) -> None:
    """Print a line for people on stderr."""
    STDERR.print(text, highlight=False, markup=False, soft_wrap=True)


def say_json(value: Mapping[str, object]) -> None:
    """Print the one JSON object of a command on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def say_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people on stderr."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row))
    STDERR.print(table)


def say_facts(title: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Print the result of a command as one JSON object or as a table."""
    if as_json:
        say_json(facts)
    else:
        say_table(title, ("what", "value"), list(facts.items()))


def say_status(report: "StatusReport") -> None:
    """Print how far a run is, for people."""
    plain = {name: value for name, value in asdict(report).items() if not isinstance(value, Mapping)}
    say_table("status", ("what", "value"), list(plain.items()))
    rows = [(item.text, f"{item.tiles_done} of {item.tiles}") for item in report.questions.values()]
    say_table("questions", ("question", "tiles"), rows)
    if report.failures:
        say_table(f"failures in {report.files_read} files", ("reason", "rows"), list(report.failures.items()))


@contextmanager
def progress_bar() -> Iterator[Listener]:
    """A listener that draws a bar of tiles from the first event to the end of the block.

    In a notebook the bar appears below the cell and disappears at the end. Where the output is not a
    terminal, as in a job's log, a line is printed now and then instead.
    """
    if STDERR.is_jupyter:
        shown = _NotebookListener()
        try:
            yield shown
        finally:
            shown.close()
        return
    if not STDERR.is_terminal:
        yield _LineListener()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=STDERR, transient=True)
    listener = _BarListener(progress)
    try:
        yield listener
    finally:
        listener.close()


class _LineListener:
    """Prints a line of progress now and then."""

    def __init__(self) -> None:
        self._message = time.monotonic()
        self._done = self._total = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._total = event.n_pending_tiles
        elif isinstance(event, MergeStarted) and self._total:
            self._say(f"merging {event.n_scenes} scenes")
        elif isinstance(event, MergeMoved):
            self._say(f"{event.doing}: {event.done} of {event.total}")
        elif isinstance(event, ChunkDone):
            self._done += event.n_tiles
            self._say(f"{self._done} of {self._total} tiles")

    def _say(self, text: str) -> None:
        if time.monotonic() - self._message > LINE_S:
            say(text)
            self._message = time.monotonic()


class _BarListener:
    """Shows the events as a progress bar in a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar: TaskID | None = None
        self._statuses: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, ChunkDone) and self._bar is not None:
            self._statuses.update(event.statuses)
            message = ", ".join(f"{count} {status}" for status, count in sorted(self._statuses.items()))
            self._progress.update(self._bar, advance=event.n_tiles, description=f"tiles ({message})")
        elif isinstance(event, MergeStarted) and self._bar is not None:
            self._progress.update(self._bar, description=f"merging {event.n_scenes} scenes")
        elif isinstance(event, MergeMoved) and self._bar is not None:
            self._progress.update(self._bar, description=event.doing, completed=event.done, total=event.total)

    def close(self) -> None:
        """Remove the bar if it was drawn; after a refused request no empty line is left."""
        if self._bar is not None:
            self._progress.stop()

    def _start(self, event: RunStarted) -> None:
        done = event.n_chunks - event.n_pending
        if done:
            say(f"resuming: {done} of {event.n_chunks} chunks are done")
        self._progress.start()
        self._bar = self._progress.add_task("loading models", total=event.n_pending_tiles)


class _NotebookListener:
    """Shows the bar as HTML below a notebook's cell, unless the run ends quickly."""

    def __init__(self) -> None:
        self._progress = Progress(disable=True)  # counts and estimates, and draws nothing itself
        self._bar = _BarListener(self._progress)
        self._lock = Lock()
        self._handle: DisplayHandle | None = None
        self._drawn = time.monotonic() - REDRAW_S + QUIET_S
        self._first = Timer(QUIET_S, self._draw)
        self._first.daemon = True

    def __call__(self, event: Event) -> None:
        self._bar(event)
        if isinstance(event, RunStarted):
            self._first.start()
        if time.monotonic() - self._drawn > REDRAW_S:
            self._draw()

    def close(self) -> None:
        """Take the bar away."""
        self._first.cancel()
        with self._lock:
            if self._handle is not None:
                self._handle.update({"text/html": "", "text/plain": ""}, raw=True)

    def _draw(self) -> None:
        from IPython.display import display

        with self._lock:
            self._drawn = time.monotonic()
            if self._handle is None:
                self._handle = display(self._bundle(), raw=True, display_id=True)
            else:
                self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        """The bar as HTML, and as plain text for notebooks that show no HTML."""
        task = self._progress.tasks[0]
        done, total = int(task.completed), int(task.total or 0)
        left = "" if task.time_remaining is None else f", {task.time_remaining:.0f} s left"
        message = f"{task.description}: {done} of {total}{left}"
        bar = f'<progress max="{total}" value="{done}"></progress> {html.escape(message)}'
        return {"text/html": bar, "text/plain": message}
