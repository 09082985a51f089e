"""The difference between two plans of one dataset, for nightly updates: what is new, changed or gone."""

from collections.abc import Mapping
from dataclasses import dataclass

import shapely

from pipelines.plan.plan import Plan, PlannedScene, scene_outline
from reasoner.query import Query


@dataclass(frozen=True, slots=True)
class Changed:
    """Scenes whose objects in the result may have changed."""

    scene_ids: frozenset[str]
    """Ids of scenes whose planned tiles, answers or time are new, different or gone."""
    gone: tuple[shapely.Geometry, ...] = ()
    """Earlier footprints, longitude and latitude, of scenes that are gone or have moved."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How the new plan differs from the published one."""

    new: frozenset[str]
    """Ids of scenes that were not there before."""
    replaced: frozenset[str]
    """Ids of scenes whose file is a different one now."""
    gone: frozenset[str]
    """Ids of scenes that are no longer there."""
    changed: Changed
    """All scenes whose objects may have changed: those above, those whose planned tiles are different because
    of these, and those with a different time."""
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
    """The scenes that a new plan of an output folder changes.

    A scene also counts as changed if a neighbour now owns more or less of their shared ground, since its
    planned tiles are then different, or if only its time is different, since its objects hold the time. If
    tiles that had failed are answered again under the same plan, the caller adds their scenes.

    Args:
        old: the plan with which the folder's objects were merged.
        new: the plan with which they are to be merged.
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
