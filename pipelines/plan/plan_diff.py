"""What is new, changed or gone between two plans of one standing dataset. Opens nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import shapely

from pipelines.plan.plan import Plan, PlannedScene, scene_outline
from reasoner.query import Query


@dataclass(frozen=True, slots=True)
class Changed:
    """Scenes whose part in the result may have changed."""

    scene_ids: frozenset[str]
    """Scenes whose planned tiles, answers or time are new, other, or gone."""
    gone: tuple[shapely.Geometry, ...] = ()
    """Ground, longitude and latitude, that scenes covered which are gone or lay elsewhere before."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What tells the new plan from the published one."""

    new: frozenset[str]
    """Ids of scenes that were not there before."""
    replaced: frozenset[str]
    """Ids of scenes whose file is another one now."""
    gone: frozenset[str]
    """Ids of scenes that are no longer there."""
    changed: Changed
    """All scenes whose part in the objects can be another than before: these, such as have other planned
    tiles because of them, and such as have another time."""
    new_queries: tuple[Query, ...]
    """Questions not asked before."""
    kept_queries: tuple[Query, ...]
    """Questions asked before and now."""
    n_gone_queries: int
    """Questions no longer asked."""


def difference(before: Plan, now: Plan) -> Difference:
    """Compare two plans that differ in nothing but scenes and questions."""
    old, new = _scenes(before), _scenes(now)
    both = old.keys() & new.keys()
    asked = {query.id for query in before.queries}
    return Difference(
        new=frozenset(new.keys() - old.keys()),
        replaced=frozenset(key for key in both if old[key].scene.identity != new[key].scene.identity),
        gone=frozenset(old.keys() - new.keys()),
        changed=changed_between(before, now),
        new_queries=tuple(query for query in now.queries if query.id not in asked),
        kept_queries=tuple(query for query in now.queries if query.id in asked),
        n_gone_queries=len(asked - {query.id for query in now.queries}),
    )


def is_same(before: Plan, now: Plan) -> bool:
    """Whether two plans are of the same scenes, tiles and questions."""
    return (before.scenes, before.chunks, before.queries) == (now.scenes, now.chunks, now.queries)


def _scenes(plan: Plan) -> Mapping[str, PlannedScene]:
    return {item.scene.scene_id: item for item in plan.scenes}


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


def _marks(plan: Plan) -> dict[str, tuple[str | None, frozenset[str]]]:
    """Time and chunk ids of every scene."""
    ids: dict[str, set[str]] = {item.scene.scene_id: set() for item in plan.scenes}
    for ref in plan.chunks:
        ids[plan.scenes[ref.scene].scene.scene_id].add(ref.chunk_id)
    times = {item.scene.scene_id: item.scene.datetime for item in plan.scenes}
    return {name: (times[name], frozenset(chunks)) for name, chunks in ids.items()}
