"""The blocks of a scene's chunks that are merged apart, and which of their open fragments are one object.

Blocks are squares of chunks with about as many bytes each. Open fragments stay in spill files and
are known here by file and row.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.merge.rows import SceneTask
from pipelines.merge.steps import Block, BlockTask, BorderMatches, BorderTask, MergedBlock, UnionTask
from pipelines.plan import ChunkRef, Plan
from pipelines.tables import ledger_name
from tiling import Grid, Window
from tiling.geo import Ragged, concat_ragged, group_by
from tiling.merge import NO_WINDOWS, RUN, Evidence, Matches, concat_evidence, cut_into_runs, resolve_fragments

BLOCK_BYTES = 12_000_000
"""Bytes of ledger files in a block if they are spread evenly: some 80,000 small outlines."""
MAX_BLOCK_CHUNKS = 32
"""Chunks along one side of a block at most: even files without rows cost a request each."""
PIECES = 1
"""Pieces of objects with many members that one task unites."""


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


@dataclass(frozen=True, slots=True)
class RowReferences:
    """Rows of spill files, (n,) each."""

    names: tuple[str, ...]
    """Names of the files."""
    file: NDArray[np.int64]
    """Index of the file that each row is in."""
    row: NDArray[np.int64]
    """Its row number in that file."""

    def __len__(self) -> int:
        return len(self.file)

    def and_pieces(self, tasks: Sequence[UnionTask]) -> "RowReferences":
        """These references followed by references to the pieces that tasks make."""
        counts = [len(item.groups) for item in tasks]
        files = len(self.names) + np.arange(len(tasks))
        return RowReferences(
            (*self.names, *(item.name for item in tasks)),
            np.concatenate((self.file, np.repeat(files, counts))),
            np.concatenate((self.row, *(np.arange(count) for count in counts))),
        )


@dataclass(frozen=True, slots=True)
class BlockClusters:
    """The objects of one scene that lie in several blocks, by reference."""

    task: SceneTask
    """Scene and question."""
    references: RowReferences
    """The rows that the objects are made of."""
    groups: Ragged
    """Indexes of the references of every object, in the order of position."""
    name: str
    """Prefix of the names of the spill files made of them."""

    @property
    def is_long(self) -> bool:
        """Whether some object has more members than one task unites."""
        return bool((self.groups.lengths > RUN).any())

    def shortened(self) -> "tuple[list[UnionTask], BlockClusters]":
        """Tasks that unite the members of large objects in pieces, and objects made of these pieces."""
        is_long = self.groups.lengths > RUN
        pieces, regrouped = cut_into_runs(self.groups.take(np.flatnonzero(is_long)))
        numbers = np.arange(len(pieces))
        parts = [numbers[start : start + PIECES] for start in range(0, len(pieces), PIECES)]
        name = f"{self.name}-pieces-{len(self.references.names)}"
        tasks = [
            self._task(pieces.take(part), f"{name}-{place}", whole=False) for place, part in enumerate(parts)
        ]
        made = Ragged(regrouped.values + len(self.references), regrouped.starts)
        short = self.groups.take(np.flatnonzero(~is_long))
        order = np.argsort(np.concatenate((np.flatnonzero(~is_long), np.flatnonzero(is_long))))
        groups = concat_ragged([short, made]).take(order)
        return tasks, replace(self, references=self.references.and_pieces(tasks), groups=groups)

    def tasks(self) -> list[UnionTask]:
        """Tasks that unite all objects; objects whose first member is in the same file share a task."""
        homes = self.references.file[self.groups.values[self.groups.starts[:-1]]]
        return [
            self._task(self.groups.take(numbers), f"{self.name}-across-{homes[numbers[0]]}", whole=True)
            for numbers in group_by(homes)
        ]

    def _task(self, groups: Ragged, name: str, *, whole: bool) -> UnionTask:
        wanted = np.unique(groups.values)
        files, rows = self.references.file[wanted], self.references.row[wanted]
        sources = tuple((self.references.names[files[part[0]]], rows[part]) for part in group_by(files))
        members = Ragged(np.searchsorted(wanted, groups.values), groups.starts)
        return UnionTask(self.task, sources, members, name, whole)


@dataclass(frozen=True, slots=True)
class MergedBlocks:
    """The merged blocks of one scene and one question, in their order."""

    items: tuple[BlockTask, ...]
    """The blocks."""
    merged: tuple[MergedBlock, ...]
    """The result of merging each."""

    @property
    def open(self) -> dict[int, Evidence]:
        """The open fragments by the number of their block; blocks without any are left out."""
        return {number: each.open for number, each in enumerate(self.merged) if each.open is not None}

    def border_tasks(self) -> list[BorderTask]:
        """One task for each block with open fragments; every two neighbouring blocks meet in one of them."""
        around, opened = self._around(), self.open
        return [
            self._border_task(number, around[number], [other for other in around[number] if other in opened])
            for number in opened
        ]

    def _border_task(self, number: int, around: Sequence[int], opened: Sequence[int]) -> BorderTask:
        later = [other for other in opened if other > number]
        missing = [NO_WINDOWS, *(self.merged[other].missing for other in around)]
        item = self.items[number]
        return BorderTask(
            name=item.open_name,
            others=tuple(self.items[other].open_name for other in later),
            missing=np.concatenate(missing),
            transform=item.task.planned.work.transform,
        )

    def _around(self) -> dict[int, list[int]]:
        """By the number of each block, the numbers of the blocks whose tiles meet its own."""
        hulls = [item.block.hull for item in self.items]
        boxes = np.array([shapely.box(hull.x0, hull.y0, hull.x1, hull.y1) for hull in hulls])
        found: dict[int, list[int]] = {number: [] for number in range(len(boxes))}
        for one, other in zip(*shapely.STRtree(boxes).query(boxes, predicate="intersects"), strict=True):
            if one != other:
                found[int(one)].append(int(other))
        return {number: sorted(others) for number, others in found.items()}

    def clusters(self, tasks: Sequence[BorderTask], borders: Sequence[BorderMatches]) -> BlockClusters:
        """Find out which open fragments together are one object.

        Args:
            tasks: The border tasks.
            borders: The matches found by each.
        """
        opened = list(self.open.values())
        files = {item.name: place for place, item in enumerate(tasks)}
        starts = np.concatenate(([0], np.cumsum([len(each) for each in opened])))
        parts = [_with_border(each, border) for each, border in zip(opened, borders, strict=True)]
        between = list(_between(tasks, borders, {name: int(starts[at]) for name, at in files.items()}))
        evidence = concat_evidence(parts, between)
        tiles = np.concatenate([each.open_tiles for each in self.merged if each.open is not None])
        order = np.lexsort((np.arange(len(tiles)), tiles[:, 0], tiles[:, 1]))
        groups = resolve_fragments(evidence.take(order))
        lengths = np.diff(starts)
        references = RowReferences(
            names=tuple(files),
            file=np.repeat(np.arange(len(lengths)), lengths),
            row=np.arange(starts[-1]) - np.repeat(starts[:-1], lengths),
        )
        task = self.items[0].task
        return BlockClusters(
            task, references, Ragged(order[groups.values], groups.starts), self.items[0].name
        )


def _with_border(evidence: Evidence, border: BorderMatches) -> Evidence:
    """The evidence of a block, where fragments that a missing tile may have supported need no support."""
    needs_support = evidence.needs_support.copy()
    needs_support[border.near_missing] = False
    return replace(evidence, needs_support=needs_support)


def _between(
    tasks: Sequence[BorderTask], borders: Sequence[BorderMatches], starts: dict[str, int]
) -> Iterator[Matches]:
    """Pairs of fragments of different blocks, as indexes over the open fragments of all blocks."""
    for task, border in zip(tasks, borders, strict=True):
        for name, found in zip(task.others, border.matches, strict=True):
            yield replace(found, first=found.first + starts[task.name], second=found.second + starts[name])
