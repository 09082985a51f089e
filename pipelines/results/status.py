"""How far a run is, by its plan and one listing of its ledger; `status` can read that on any machine."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise

import pyarrow as pa

from pipelines.inference import open_chunks
from pipelines.plan import PARALLEL_READS, Plan, read_plan
from pipelines.tables import COLLECTION_FILE, LedgerKey, Status, commit_times, ledger_name, read_table
from tiling import StorageError
from tiling.storage import Store

RECENT = 400
"""Number of newest ledger files from which the rate is computed."""
PAUSE_S = 900.0
"""A longer time between two files is a pause between runs and does not count in the rate."""
MAX_FILES_READ = 400
"""Ledger files that are read for the reasons of failures, unless all are requested."""


@dataclass(frozen=True, slots=True)
class QuestionStatus:
    """How far one question is."""

    text: str
    """The question as it was asked."""
    tiles_done: int
    """Tiles with a row."""
    tiles: int
    """Tiles planned."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How far a run is."""

    tiles: int
    """Tiles planned."""
    tiles_done: int
    """Tiles with a row for every question."""
    chunks_planned: int
    """Chunks planned."""
    chunks_done: int
    """Chunks with all their questions committed."""
    files_planned: int
    """Ledger files planned: chunks times questions."""
    files_done: int
    """Ledger files committed."""
    tiles_per_second: float | None
    """Tiles answered for all questions a second, by the newest files; None if that is not known."""
    eta_seconds: float | None
    """Time to the last tile at that rate; None if no files are being written or all is done."""
    silent_seconds: float | None
    """Time since the newest file by this machine's clock; None before the first."""
    questions: Mapping[str, QuestionStatus]
    """By question id."""
    failures: Mapping[str, int]
    """Failed and malformed rows in the files that were read, by reason, the most frequent first."""
    files_read: int
    """Files that were read for these reasons; only some of them if there are many."""
    published: bool
    """Whether collection.json exists."""
    out: str
    """The output folder."""


def read_status(store: Store, *, read_all: bool = False) -> StatusReport:
    """Read the status of a run, during or after it.

    Args:
        store: the output folder.
        read_all: read every ledger file for reasons of failures, instead of a sample.

    Raises:
        RequestError: the folder holds no plan.
        OSError: the storage does not answer.
    """
    plan = read_plan(store)
    tiles = {(query.id, ref.chunk_id): ref.n_tiles for query in plan.queries for ref in plan.chunks}
    times = {key: at for key, at in commit_times(store).items() if key in tiles}
    pending = open_chunks(plan, times.keys())
    rate = _rate([(at, tiles[key]) for key, at in times.items()], n_questions=len(plan.queries))
    idle = max(0.0, time.time() - max(times.values())) if times else None
    files_read = _some(sorted(times), len(times) if read_all else MAX_FILES_READ)
    left = (sum(tiles.values()) - sum(tiles[key] for key in times)) / len(plan.queries)
    moving = rate and left and idle is not None and idle < PAUSE_S
    return StatusReport(
        tiles=plan.n_tiles,
        tiles_done=plan.n_tiles - sum(item.ref.n_tiles for item in pending),
        chunks_planned=len(plan.chunks),
        chunks_done=len(plan.chunks) - len(pending),
        files_planned=len(tiles),
        files_done=len(times),
        tiles_per_second=round(rate, 3) if rate else None,
        eta_seconds=round(left / rate, 1) if rate and moving else None,
        silent_seconds=None if idle is None else round(idle, 1),
        questions=_questions(plan, tiles, times),
        failures=_failures(store, files_read),
        files_read=len(files_read),
        published=store.exists(COLLECTION_FILE),
        out=store.root,
    )


def _rate(commits: Sequence[tuple[float, int]], *, n_questions: int) -> float | None:
    """Tiles a second over the newest commits since the last pause.

    Args:
        commits: (time, tiles) of each, in any order.
        n_questions: a tile counts once all its questions are answered.
    """
    newest = sorted(commits)[-RECENT:]
    pauses = [at for at, (a, b) in enumerate(pairwise(newest)) if b[0] - a[0] > PAUSE_S]
    since = newest[pauses[-1] + 1 :] if pauses else newest
    span = since[-1][0] - since[0][0] if since else 0.0
    if span <= 0:
        return None
    return sum(tiles for _, tiles in since[1:]) / n_questions / span


def _questions(
    plan: Plan, tiles: Mapping[LedgerKey, int], done: Mapping[LedgerKey, float]
) -> dict[str, QuestionStatus]:
    counts: Counter[str] = Counter()
    for key in done:
        counts[key[0]] += tiles[key]
    return {query.id: QuestionStatus(query.text, counts[query.id], plan.n_tiles) for query in plan.queries}


def _some(keys: Sequence[LedgerKey], most: int) -> list[LedgerKey]:
    """At most `most` keys, spread evenly over all of them."""
    count = min(len(keys), most)
    return [keys[index * len(keys) // count] for index in range(count)]


def _failures(store: Store, keys: Sequence[LedgerKey]) -> dict[str, int]:
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        found = Counter(chain.from_iterable(pool.map(lambda key: _reasons(store, key), keys)))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _reasons(store: Store, key: LedgerKey) -> list[str]:
    try:
        table = read_table(store, ledger_name(*key), ["status", "problem", "scene_uri", "tile_id"])
    except StorageError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        return [f"unreadable: {type(error).__name__}"]
    return [_grouped(*row) for row in _bad_rows(table)]


def _bad_rows(table: pa.Table) -> Iterator[tuple[str, str, str, str]]:
    names = ("status", "problem", "scene_uri", "tile_id")
    for row in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        if row[0] in (Status.FAILED, Status.MALFORMED):
            yield row


def _grouped(kind: str, problem: str, scene: str, tile: str) -> str:
    """A reason without the names of scene and tile, so that equal reasons are counted together."""
    plain = problem.replace(scene, "the scene").replace(tile, "the tile")
    return f"{kind}: {plain.splitlines()[0][:120] if plain else 'no reason given'}"
