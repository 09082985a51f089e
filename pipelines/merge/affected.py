"""What a change between two plans affects: the scenes near it, and the rows that new objects replace."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import shapely

from pipelines.merge.cell_step import Replaced
from pipelines.plan import Changed, Plan, SceneOverlap, scene_outline

NEAR_DEGREES = 1e-4
"""An object this near to changed ground may touch an edge there, degrees."""


@dataclass(frozen=True, slots=True)
class Affected:
    """The scenes and the ground that a change affects directly."""

    changed: frozenset[int]
    """The changed scenes, indexes in the plan."""
    near: frozenset[int]
    """The changed scenes and those that overlap their present or earlier footprints."""
    ground: shapely.Geometry
    """Footprints of the changed scenes, now and before, longitude and latitude."""


def affected_by(plan: Plan, beside: Sequence[Collection[int]], changed: Changed) -> Affected:
    """The scenes and the ground that a change affects directly.

    Args:
        plan: the plan to merge with.
        beside: per scene, the scenes that overlap it.
        changed: the change.
    """
    own = [index for index, item in enumerate(plan.scenes) if item.scene.scene_id in changed.scene_ids]
    near = set(own).union(*(beside[index] for index in own))
    if changed.gone and plan.config.scene_overlap is SceneOverlap.OWN:
        tree = shapely.STRtree([scene_outline(item) for item in plan.scenes])
        near.update(tree.query(changed.gone, predicate="intersects")[1].tolist())
    ground = shapely.union_all([*(scene_outline(plan.scenes[index]) for index in own), *changed.gone])
    return Affected(frozenset(own), frozenset(near), shapely.buffer(ground, NEAR_DEGREES))


def replaced_by(
    plan: Plan, scenes: Collection[int], changed: Changed, *, outlines: frozenset[bytes]
) -> Replaced:
    """The published rows that new objects replace.

    Args:
        plan: the plan to merge with.
        scenes: indexes of the scenes all of whose objects are new.
        changed: what differs from the merge before.
        outlines: WKB of new objects that may include fragments of other scenes.
    """
    names = {plan.scenes[index].scene.scene_id for index in scenes}
    ground = [scene_outline(plan.scenes[index]) for index in sorted(scenes)]
    return Replaced(changed.scene_ids | names, (*ground, *changed.gone), outlines)
