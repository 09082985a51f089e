"""Whole things of a scene are put aside as rows, or kept for scenes beside. Knows no block and no cell."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import shapely

from pipelines.dataset import Origin, by_cell, part_cells, row_bytes
from pipelines.object_rows import Placed, object_rows
from pipelines.open_sightings import Told
from pipelines.plan import PlannedScene
from pipelines.scratch import put
from pipelines.storage import Store
from reasoner.query import Query
from tiling.seams import Shared, View, seam_of, sort_out


@dataclass(frozen=True, slots=True)
class SeamViews:
    """What a scene and those beside it see."""

    own: View
    """The scene."""
    before: tuple[View, ...]
    """Those beside it that own what they share with it."""
    after: tuple[View, ...]
    """Those beside it that do not."""
    whole: bool
    """All tiles of the scene are planned."""


@dataclass(frozen=True, slots=True)
class SceneTask:
    """One scene and one question: all a worker needs to know of the plan."""

    planned: PlannedScene
    """The scene."""
    query: Query
    """The question."""
    views: SeamViews | None
    """What is seen beside it, None where it is planned whole and shares no ground."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of objects, put aside until their cells are known."""

    name: str
    """Of the file among those put aside."""
    cells: Counter[str]
    """Bytes of well-known binary per deepest cell: as many as its rows have, were all rows of one size."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some things of one scene."""

    part: Part | None
    """Those on ground that no other scene sees, None where there are none."""
    shared: Shared | None
    """Those that scenes beside have a say in, None where the scene shares no ground."""
    thinking: Mapping[str, str]
    """By tile, what the reasoner thought where a shared thing was seen best."""


def put_part(scratch: Store, name: str, rows: pa.Table) -> Part | None:
    """Put rows of objects aside; None where there are none.

    Raises:
        OSError: the storage refuses.
    """
    if not len(rows):
        return None
    ordered = by_cell(rows)
    put(scratch, name, ordered)
    size = row_bytes(ordered)
    return Part(name, Counter({cell: size * rows for cell, rows in Counter(part_cells(ordered)).items()}))


@dataclass(frozen=True, slots=True)
class Settling:
    """Places whole things on the ground; a plain picklable callable."""

    store: Store
    """The output folder."""
    scratch: Store
    """Where tables are put aside."""
    run_id: str
    """Digest of the job."""
    aoi: shapely.Geometry | None
    """Area of interest, longitude and latitude; None for no bounds."""

    def __call__(self, task: SceneTask, told: Told, name: str) -> Outcome:
        """Put aside what is settled.

        Args:
            task: scene and question.
            told: things of the scene that no tile elsewhere has a say in.
            name: of the file.

        Raises:
            SceneError: a coordinate has no place in longitude and latitude or the CRS of a scene beside.
            OSError: the storage refuses.
        """
        if task.views is None:
            return Outcome(self._part(task, Placed(told, told.things.touches_scene_edge), name), None, {})
        views = task.views
        seam = seam_of(views.own, views.before, views.after)
        if views.whole and shapely.is_empty(seam.shared):
            return Outcome(self._part(task, Placed(told, told.things.touches_scene_edge), name), None, {})
        found = sort_out(told.things, views.own, seam)
        settled = Told(found.settled, told.thinking[found.alone])
        seen_best = found.shared.things.seen_best.tolist()
        thinking = dict(zip(seen_best, told.thinking[found.others].tolist(), strict=True))
        part = self._part(task, Placed(settled, found.settled_at_edge), name)
        return Outcome(part, found.shared, thinking)

    def _part(self, task: SceneTask, placed: Placed, name: str) -> Part | None:
        rows = object_rows(placed, task.planned, Origin(task.query, self.run_id), aoi=self.aoi)
        return put_part(self.scratch, name, rows)
