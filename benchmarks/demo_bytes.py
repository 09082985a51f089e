"""`python -m benchmarks.demo_bytes [--against REVISION]`: does the seeded demo still give the same bytes?

Runs the demo of this tree, and of another revision in a worktree of its own, on the very same practice
scenes, and compares `objects/`, `answers/` and `plan/` file by file. The ledger's wall times are left out.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
COMPARED = ("plan", "answers", "objects")
"""Folders of a result that hold nothing of the clock, but for one column."""
TIMES = "seconds"
"""Column of wall times in the ledger."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the digests, and with a revision the files that differ; 1 where some do."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_bytes", description=__doc__)
    parser.add_argument("--against", metavar="REVISION", help="a git revision whose demo is run as well")
    parser.add_argument("--seed", default="3", help="seed of the practice scenes (3)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="demo-bytes-") as folder:
        out = Path(folder) / "demo"
        now = digests_of(ROOT, out, given.seed)
        print(json.dumps(totals(now), indent=2))
        if given.against is None:
            return 0
        with worktree(given.against) as tree:
            before = digests_of(tree, out, given.seed)
    different = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
    print("\n".join(different) or f"all {len(now)} files are those of {given.against}")
    return int(bool(different))


def digests_of(tree: Path, out: Path, seed: str) -> dict[str, str]:
    """Run the demo of a tree and digest its result; practice scenes that are there already are kept.

    Args:
        tree: a checkout of this repository.
        out: folder of the demo, the same for all that are compared: addresses stand in the ledger.
        seed: of the practice scenes.
    """
    shutil.rmtree(out / "answers", ignore_errors=True)
    command = [sys.executable, "-m", "pipelines", "demo", "--out", str(out), "--seed", seed, "--json"]
    subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)
    files = (path for name in COMPARED for path in sorted((out / "answers" / name).rglob("*")))
    return {path.relative_to(out).as_posix(): digest_of(path) for path in files if path.is_file()}


def digest_of(path: Path) -> str:
    """SHA-256 of a file, of a ledger file that of its rows without their wall times."""
    data = path.read_bytes()
    if path.name.startswith("chunk="):
        data = repr(pq.read_table(path).drop_columns([TIMES]).to_pylist()).encode()
    return hashlib.sha256(data).hexdigest()


def totals(digests: Mapping[str, str]) -> dict[str, str]:
    """One digest a folder."""
    parts = {name: [item for item in digests.items() if item[0].split("/")[1] == name] for name in COMPARED}
    return {name: hashlib.sha256(repr(items).encode()).hexdigest() for name, items in parts.items()}


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A checkout of another revision for a block."""
    with tempfile.TemporaryDirectory(prefix="demo-bytes-tree-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(
            ["git", "worktree", "add", "--detach", "--quiet", str(tree), revision], cwd=ROOT, check=True
        )
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
