"""How a scene's chunks are divided for the merge: into squares of chunks with about as many bytes each."""

import math
from collections.abc import Mapping

from pipelines.merge.tasks import Block
from pipelines.plan import ChunkRef, Plan
from pipelines.tables import ledger_name
from tiling import Grid, Window

BLOCK_BYTES = 12_000_000
"""Bytes of ledger files in a block if they are spread evenly: some 80,000 small outlines."""
MAX_BLOCK_CHUNKS = 32
"""Chunks along one side of a block at most: even files without rows cost a request each."""


def blocks_of(plan: Plan, scene: int, query_id: str, sizes: Mapping[str, int]) -> list[Block]:
    """Blocks of one scene; every planned chunk is in exactly one of them.

    Args:
        plan: the frozen plan.
        scene: index of the scene.
        query_id: the question.
        sizes: bytes of every ledger file by name.
    """
    refs, grid = plan.chunks_of(scene), plan.scenes[scene].grid
    total = sum(sizes.get(ledger_name(query_id, ref.chunk_id), 0) for ref in refs)
    side = math.isqrt(max(1, int(BLOCK_BYTES * len(refs) / max(total, 1))))
    side = _even(
        min(max(side, 1), MAX_BLOCK_CHUNKS), 1 + max((max(ref.row, ref.col) for ref in refs), default=0)
    )
    found: dict[tuple[int, int], list[ChunkRef]] = {}
    for ref in refs:
        found.setdefault((ref.row // side, ref.col // side), []).append(ref)
    return [_block(grid, place, side, members) for place, members in sorted(found.items())]


def _even(side: int, count: int) -> int:
    """The smallest side that gives as many blocks in a row as `side`, so that blocks are similar."""
    return -(-count // -(-count // side))


def _block(grid: Grid, place: tuple[int, int], side: int, refs: list[ChunkRef]) -> Block:
    y0, y1, top, bottom = _span(grid, place[0], side, rows=True)
    x0, x1, left, right = _span(grid, place[1], side, rows=False)
    return Block(tuple(ref.chunk_id for ref in refs), Window(x0, y0, x1, y1), (left, top, right, bottom))


def _span(grid: Grid, place: int, side: int, *, rows: bool) -> tuple[int, int, int, int]:
    """Along one axis: begin and end of the block's tiles, and of the part that no other tile sees."""
    axis = grid.rows if rows else grid.columns
    first = place * side * grid.chunk_tiles
    end = min(first + side * grid.chunk_tiles, axis.count)
    start, stop = axis.start(first), axis.start(end - 1) + grid.tile_px
    before = axis.start(first - 1) + grid.tile_px if first else start - grid.tile_px
    after = axis.start(end) if end < axis.count else stop + grid.tile_px
    return start, stop, before, after
