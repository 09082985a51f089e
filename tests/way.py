"""The way of a mask to a file of objects, traced: `python -m tests.way` prints its files and types.

A small job of two questions about one chunk runs in this process. From the first outlined mask until the
result is published, every file of `pipelines` and `tiling` that runs a function counts, and every type of
theirs that is made. What runs and publishes a job of any kind is left out: it carries no mask.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from pipelines.jobs.run import run_job
from tests.worlds.fixtures import oracle_config
from training.scenery.practice import write_practice

ROOT = Path(__file__).parents[1]
FIRST, LAST = "fragments_of", "publish"
"""Functions at which the way begins and ends."""
RUN_CONTROL = (
    *("pipelines/jobs/", "pipelines/engine/", "pipelines/plan/", "pipelines/progress.py"),
    *("pipelines/tables/collection.py", "pipelines/tables/stac_items.py", "tiling/storage/"),
)
"""Starts of the names of files that run, plan, store or publish."""


def is_on_the_way(name: str) -> bool:
    """Whether a file, by its path from the root, is of the product and carries masks."""
    return name.startswith(("pipelines/", "tiling/")) and not name.startswith(RUN_CONTROL)


def traced(work: Callable[[], object]) -> tuple[set[str], set[str]]:
    """Files and types on the way while some work runs in this thread."""
    files: set[str] = set()
    types: set[str] = set()
    under_way = False

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal under_way
        code = frame.f_code
        if event == "call" and code.co_name in (FIRST, LAST):
            under_way = code.co_name == FIRST
        if event != "call" or not under_way:
            return
        files.add(code.co_filename.removeprefix(f"{ROOT}/"))
        if code.co_name == "__init__" and "self" in frame.f_locals:
            made = type(frame.f_locals["self"])
            types.add(f"{made.__module__.replace('.', '/')}.py {made.__name__}")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return {name for name in files if is_on_the_way(name)}, {name for name in types if is_on_the_way(name)}


def main() -> int:
    """Print the files and the types on the way of a job on a practice scene."""
    with TemporaryDirectory() as folder:
        practice = Path(folder) / "practice"
        write_practice(str(practice), scenes=1, size_px=260, seed=3, density=2.0)
        config = oracle_config(practice, out=f"{folder}/out", chunk=4096)
        files, types = traced(lambda: run_job(config))
    print(f"{len(files)} files", *sorted(files), f"{len(types)} types", *sorted(types), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
