"""Which test files share a worker where several run at once, and which of them begin.

The files that need the S3 server, Ray or the browser are one group each, so that one of them serves all; any
other file is a group of its own, so that what it makes for all its tests is made once. (The marks that
pytest-xdist 3.8 has for this have no effect with pytest 9.2, and files are what its controller knows.)
"""

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
NEEDS = {
    "ray": re.compile(r"\bray_here\b|^pytestmark = pytest\.mark\.ray\b", re.MULTILINE),
    "s3": re.compile(r"\bs3_server\b|\bbucket: str\b|getfixturevalue\('bucket'\)"),
    "browser": re.compile(r"\bbrowser: object\b"),
}
"""What a file that needs it holds, by group."""
FIRST = (*NEEDS, "tests/benchmarks/", "tests/jobs/", "tests/pipelines/", "tests/training/")
"""The starts of the names of groups that take longest, which begin."""


@cache
def group_of(file: str) -> str:
    """The group of a test file, given by its path from the root."""
    text = (ROOT / file).read_text("utf-8")
    return next((name for name, pattern in NEEDS.items() if pattern.search(text)), file)


def place_of(file: str) -> int:
    """Where the group of a file stands in the order."""
    group = group_of(file)
    return next((at for at, start in enumerate(FIRST) if group.startswith(start)), len(FIRST))


class GroupScheduling(LoadScopeScheduling):
    """Gives each worker one group after the other, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.split("::")[0])
