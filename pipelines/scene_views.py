"""What the scenes of a plan see, and which lie beside which. Reads no ledger."""

from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.ground import Ground
from pipelines.plan import Plan
from pipelines.settling import SeamViews
from tiling.coverage import covered, unplanned_beside
from tiling.scene_links import ScenePart
from tiling.seams import Shared, View, seam_of


@dataclass(frozen=True, slots=True)
class SceneViews:
    """A plan and which of its scenes overlap."""

    plan: Plan
    """The frozen plan."""
    ground: Ground
    """Which of its scenes overlap."""
    _seen: dict[int, View] = field(default_factory=dict, repr=False, compare=False)

    def of(self, scene: int) -> SeamViews | None:
        """What is seen in a scene and beside it, None where it is planned whole and shares no ground.

        Args:
            scene: index in the plan.
        """
        beside, whole = self.ground.beside[scene], self.plan.tiles_of(scene) is None
        if whole and not beside:
            return None
        first = set(self.ground.before(scene))
        return SeamViews(
            own=self._view(scene),
            before=tuple(self._view(other) for other in beside if other in first),
            after=tuple(self._view(other) for other in beside if other not in first),
            whole=whole,
        )

    def unplanned(self, scene: int) -> NDArray[np.int64]:
        """(k, 4) windows of the tiles of a scene that are not planned, beside planned ones, work pixels."""
        windows = unplanned_beside(self.plan.scenes[scene].grid, self.plan.tiles_of(scene))
        rows = [(window.x0, window.y0, window.x1, window.y1) for window in windows]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def part(self, scene: int, shared: Shared, silent: NDArray[np.int64]) -> ScenePart:
        """What a scene brings to its seams.

        Args:
            scene: index in the plan.
            shared: its things there.
            silent: (k, 4) windows of its tiles that gave no answer, work pixels.
        """
        views = self.of(scene)
        assert views is not None
        quiet: shapely.Geometry = shapely.Polygon()
        if len(silent):
            ground = seam_of(views.own, views.before, views.after).shared
            boxes = np.asarray(shapely.box(*silent.T.astype(np.float64)), dtype=object)
            shapely.prepare(ground)
            quiet = shapely.intersection(shapely.union_all(boxes[shapely.intersects(ground, boxes)]), ground)
        return ScenePart(self.ground.ranks[scene], views.own, shared, quiet)

    def _view(self, scene: int) -> View:
        if scene not in self._seen:
            claim, planned = self.ground.claims[scene], self.plan.scenes[scene]
            ground = covered(planned.grid, self.plan.tiles_of(scene))
            self._seen[scene] = View(claim.frame, ground, claim.ground)
        return self._seen[scene]
