"""What the merged blocks of one scene and one question have in common. Reads nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from pipelines.border_step import Border, BorderTask
from pipelines.merge_step import BlockMerge, BlockTask, Open
from pipelines.references import References, Standing
from tiling.deciding import Evidence, all_evidence, decide
from tiling.matching import Matches
from tiling.merging import NO_WINDOWS
from tiling.ragged import Runs


@dataclass(frozen=True, slots=True)
class MergedBlocks:
    """What the blocks of one scene came to, in their order."""

    items: tuple[BlockTask, ...]
    """The blocks."""
    merges: tuple[BlockMerge, ...]
    """What each came to."""

    @property
    def open(self) -> dict[int, Open]:
        """By number of its block, what is open."""
        return {number: each.open for number, each in enumerate(self.merges) if each.open is not None}

    def border_tasks(self) -> list[BorderTask]:
        """One task for each block in which something is open: every two blocks meet in one of them."""
        around, opened = self._around(), self.open
        return [
            self._border_task(number, around[number], [other for other in around[number] if other in opened])
            for number in opened
        ]

    def _border_task(self, number: int, around: Sequence[int], opened: Sequence[int]) -> BorderTask:
        later = [other for other in opened if other > number]
        unread = [NO_WINDOWS, *(self.merges[other].unread for other in around)]
        item = self.items[number]
        return BorderTask(
            name=item.open_name,
            others=tuple(self.items[other].open_name for other in later),
            unread=np.concatenate(unread),
            transform=item.task.planned.work.transform,
        )

    def _around(self) -> dict[int, list[int]]:
        """By number of its block, the blocks whose tiles meet its own."""
        hulls = [item.block.hull for item in self.items]
        boxes = np.array([shapely.box(hull.x0, hull.y0, hull.x1, hull.y1) for hull in hulls])
        found: dict[int, list[int]] = {number: [] for number in range(len(boxes))}
        for one, other in zip(*shapely.STRtree(boxes).query(boxes, predicate="intersects"), strict=True):
            if one != other:
                found[int(one)].append(int(other))
        return {number: sorted(others) for number, others in found.items()}

    def standing(self, tasks: Sequence[BorderTask], borders: Sequence[Border]) -> Standing:
        """Which open sightings stand for a thing together.

        Args:
            tasks: The border tasks.
            borders: What was found at each.
        """
        opened = list(self.open.values())
        files = {item.name: place for place, item in enumerate(tasks)}
        starts = np.concatenate(([0], np.cumsum([len(each.evidence) for each in opened])))
        parts = [_spared(each.evidence, border) for each, border in zip(opened, borders, strict=True)]
        between = list(_between(tasks, borders, {name: int(starts[at]) for name, at in files.items()}))
        evidence = all_evidence(parts, between)
        tiles = np.concatenate([each.tiles for each in opened])
        order = np.lexsort((np.arange(len(tiles)), tiles[:, 0], tiles[:, 1]))
        groups = decide(evidence.take(order))
        lengths = np.diff(starts)
        references = References(
            names=tuple(files),
            file=np.repeat(np.arange(len(lengths)), lengths),
            row=np.arange(starts[-1]) - np.repeat(starts[:-1], lengths),
        )
        task = self.items[0].task
        return Standing(task, references, Runs(order[groups.values], groups.starts), self.items[0].name)


def _spared(evidence: Evidence, border: Border) -> Evidence:
    """What is known of a block's sightings, with what tiles around that gave no answer may have confirmed."""
    deniable = evidence.deniable.copy()
    deniable[border.spared] = False
    return replace(evidence, deniable=deniable)


def _between(
    tasks: Sequence[BorderTask], borders: Sequence[Border], starts: dict[str, int]
) -> Iterator[Matches]:
    """Pairs of sightings of different blocks, counted over all that is open."""
    for task, border in zip(tasks, borders, strict=True):
        for name, found in zip(task.others, border.matches, strict=True):
            yield replace(found, first=found.first + starts[task.name], second=found.second + starts[name])
