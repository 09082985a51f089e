"""What differs between two plans of one output folder, scene by scene. Reads no ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import shapely

from pipelines.plan import Plan, scene_outline
from pipelines.staging import Replaced


@dataclass(frozen=True, slots=True)
class Changed:
    """Scenes whose part in the result may have changed."""

    scene_ids: frozenset[str]
    """Scenes whose planned tiles or answers are new, other, or gone."""
    gone: tuple[shapely.Geometry, ...] = ()
    """Ground, longitude and latitude, that scenes covered which are gone or lay elsewhere before."""


def changed_between(old: Plan, new: Plan) -> Changed:
    """What a new plan of an output folder changes.

    A scene whose neighbour took or left it ground is among the changed ones: other tiles of it are planned.
    Answers given again under the same plan (tiles that had failed) are the caller's to add.

    Args:
        old: the plan the folder's objects were merged with.
        new: the plan they are to be merged with.
    """
    before, after = _chunks_by_scene(old), _chunks_by_scene(new)
    ids = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    gone = [scene_outline(item) for item in old.scenes if item.scene.scene_id in ids]
    return Changed(frozenset(ids), tuple(gone))


def at_stake(plan: Plan, beside: Sequence[Collection[int]], changed: Changed) -> list[int]:
    """Scenes (indexes in the plan) whose objects may change: the changed ones and those that overlap them.

    Args:
        plan: the plan to merge with.
        beside: per scene, those that share ground with it.
        changed: what differs from the merge before.
    """
    own = [index for index, item in enumerate(plan.scenes) if item.scene.scene_id in changed.scene_ids]
    near = set(own).union(*(beside[index] for index in own))
    # A scene beside one that is gone may be beside none any more, and has to speak for that ground alone.
    if changed.gone:
        tree = shapely.STRtree([scene_outline(item) for item in plan.scenes])
        near.update(tree.query(changed.gone, predicate="intersects")[1].tolist())
    return sorted(near)


def replaced_by(plan: Plan, scenes: Collection[int], changed: Changed) -> Replaced:
    """The rows that new objects of these scenes (indexes in the plan) stand for."""
    names = {plan.scenes[index].scene.scene_id for index in scenes}
    ground = [scene_outline(plan.scenes[index]) for index in sorted(scenes)]
    return Replaced(changed.scene_ids | names, (*ground, *changed.gone))


def _chunks_by_scene(plan: Plan) -> dict[str, frozenset[str]]:
    ids: dict[str, set[str]] = {item.scene.scene_id: set() for item in plan.scenes}
    for ref in plan.chunks:
        ids[plan.scenes[ref.scene].scene.scene_id].add(ref.chunk_id)
    return {name: frozenset(chunks) for name, chunks in ids.items()}
