"""The benchmark `show`: how fast the served map of very many objects appears in a browser."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.browser import find_chromium, opened
from benchmarks.many_objects import Crowd, crowded_run
from benchmarks.measure import Aim, Row
from benchmarks.processes import end_tree
from benchmarks.settings import Settings
from benchmarks.watched import RunError
from tiling.storage.store import Store

NAME = "show"
BUDGET_S = 5.0
"""Seconds to a first paint that a person accepts."""
READY_MS = 120_000
SEED = 7
VIEW = {"width": 1280, "height": 800}


def measure(settings: Settings) -> list[Row]:
    """Seconds to the first paint and to the drawn map over what is allowed, and what making the map takes.

    Raises:
        RunError: there is no browser, or the command does not serve.
    """
    chromium = find_chromium()
    if chromium is None:
        raise RunError(NAME, "no Chromium is installed: apt-get install chromium")
    store = crowded_run(settings.out / "show", Crowd(settings.show_objects, SEED))
    store.remove_folder("map")
    began = time.perf_counter()
    with _served(store) as address:
        made = time.perf_counter() - began
        with opened(chromium) as browser:
            visits = [_visit(browser, address) for _ in range(settings.repeats)]
    what = f"{settings.show_objects:,} objects served"
    first, drawn = ([visit[kind] / BUDGET_S for visit in visits] for kind in ("first", "drawn"))
    rate = made / settings.show_objects * 100_000
    return [
        _row(f"{what}: first paint over {BUDGET_S:g} s", first, Aim(maximum=1.0)),
        _row(f"{what}: map drawn over {BUDGET_S:g} s", drawn, Aim(maximum=1.0)),
        Row(NAME, f"{what}: seconds to make the map per 100,000", (rate,), f"{made:.0f} s"),
    ]


def _row(what: str, ratios: list[float], aim: Aim) -> Row:
    detail = ", ".join(f"{ratio * BUDGET_S:.2f}" for ratio in ratios)
    return Row(NAME, what, tuple(ratios), f"{detail} s", aim)


def _visit(browser: Any, address: str) -> dict[str, float]:
    """Seconds from asking for the page to its first paint and to the drawn map, with nothing cached."""
    context = browser.new_context(viewport=VIEW)
    page = context.new_page()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("body[data-ready]", timeout=READY_MS)
    first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    drawn = float(page.evaluate("document.body.dataset.ready"))
    context.close()
    return {"first": first / 1000, "drawn": drawn / 1000}


@contextmanager
def _served(store: Store) -> Iterator[str]:
    """Address of the map that the command makes and serves; the command is stopped afterwards."""
    command = [sys.executable, "-m", "pipelines", "show", store.root, "--serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise RunError(" ".join(command), "ended without serving")
            yield str(json.loads(line)["address"])
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
        finally:
            if process.poll() is None:
                end_tree(process.pid)
