"""What differs between two plans of one output folder, scene by scene. Reads no ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import shapely

from pipelines.config import SceneOverlap
from pipelines.plan import Plan, scene_outline
from pipelines.staging import Replaced

NEAR_DEGREES = 1e-4
"""A thing this near to changed ground may touch an edge there."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Scenes whose part in the result may have changed."""

    scene_ids: frozenset[str]
    """Scenes whose planned tiles, answers or time are new, other, or gone."""
    gone: tuple[shapely.Geometry, ...] = ()
    """Ground, longitude and latitude, that scenes covered which are gone or lay elsewhere before."""


def changed_between(old: Plan, new: Plan) -> Changed:
    """What a new plan of an output folder changes.

    A scene whose neighbour took or left it ground is among the changed ones: other tiles of it are planned.
    So is one that only has another time: its objects carry it. Answers given again under the same plan (tiles
    that had failed) are the caller's to add.

    Args:
        old: the plan the folder's objects were merged with.
        new: the plan they are to be merged with.
    """
    before, after = _marks(old), _marks(new)
    ids = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    gone = [scene_outline(item) for item in old.scenes if item.scene.scene_id in ids]
    return Changed(frozenset(ids), tuple(gone))


@dataclass(frozen=True, slots=True)
class Stake:
    """What a change touches directly."""

    changed: frozenset[int]
    """The changed scenes, indexes in the plan."""
    near: frozenset[int]
    """These and the scenes on whose ground they lie or lay."""
    ground: shapely.Geometry
    """Ground of the changed scenes, now and before, longitude and latitude."""


def at_stake(plan: Plan, beside: Sequence[Collection[int]], changed: Changed) -> Stake:
    """What differs from the merge before.

    Args:
        plan: the plan to merge with.
        beside: per scene, those that share ground with it.
        changed: the change.
    """
    own = [index for index, item in enumerate(plan.scenes) if item.scene.scene_id in changed.scene_ids]
    near = set(own).union(*(beside[index] for index in own))
    if changed.gone and plan.config.scene_overlap is SceneOverlap.OWN:
        tree = shapely.STRtree([scene_outline(item) for item in plan.scenes])
        near.update(tree.query(changed.gone, predicate="intersects")[1].tolist())
    ground = shapely.union_all([*(scene_outline(plan.scenes[index]) for index in own), *changed.gone])
    return Stake(frozenset(own), frozenset(near), shapely.buffer(ground, NEAR_DEGREES))


def replaced_by(
    plan: Plan, scenes: Collection[int], changed: Changed, *, outlines: frozenset[bytes]
) -> Replaced:
    """The rows that new objects stand for.

    Args:
        plan: the plan to merge with.
        scenes: indexes of the scenes all of whose objects are new.
        changed: what differs from the merge before.
        outlines: WKB of new objects in which other scenes may have a share.
    """
    names = {plan.scenes[index].scene.scene_id for index in scenes}
    ground = [scene_outline(plan.scenes[index]) for index in sorted(scenes)]
    return Replaced(changed.scene_ids | names, (*ground, *changed.gone), outlines)


def _marks(plan: Plan) -> dict[str, tuple[str | None, frozenset[str]]]:
    """Time and chunk ids of every scene."""
    ids: dict[str, set[str]] = {item.scene.scene_id: set() for item in plan.scenes}
    for ref in plan.chunks:
        ids[plan.scenes[ref.scene].scene.scene_id].add(ref.chunk_id)
    times = {item.scene.scene_id: item.scene.datetime for item in plan.scenes}
    return {name: (times[name], frozenset(chunks)) for name, chunks in ids.items()}
