"""What is new, changed or gone between two plans of one standing dataset. Opens nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import shapely

from pipelines.collection import scene_outline
from pipelines.plan import Plan, PlannedScene
from reasoner.query import Query


@dataclass(frozen=True, slots=True)
class Difference:
    """What tells tonight's plan from the published one."""

    new: frozenset[str]
    """Ids of scenes that were not there before."""
    replaced: frozenset[str]
    """Ids of scenes whose file is another one now."""
    gone: frozenset[str]
    """Ids of scenes that are no longer there."""
    affected: frozenset[str]
    """Ids of all scenes, before or now, whose objects can be others than before: these, and such whose planned
    tiles changed with them."""
    new_queries: tuple[Query, ...]
    """Questions not asked before."""
    kept_queries: tuple[Query, ...]
    """Questions asked before and now."""
    n_gone_queries: int
    """Questions no longer asked."""


def difference(before: Plan, now: Plan) -> Difference:
    """Compare two plans that differ in nothing but scenes and questions."""
    old, new = _scenes(before), _scenes(now)
    prints = _prints(before), _prints(now)
    both = old.keys() & new.keys()
    asked = {query.id for query in before.queries}
    return Difference(
        new=frozenset(new.keys() - old.keys()),
        replaced=frozenset(key for key in both if old[key].scene.identity != new[key].scene.identity),
        gone=frozenset(old.keys() - new.keys()),
        affected=frozenset(
            key for key in old.keys() | new.keys() if prints[0].get(key) != prints[1].get(key)
        ),
        new_queries=tuple(query for query in now.queries if query.id not in asked),
        kept_queries=tuple(query for query in now.queries if query.id in asked),
        n_gone_queries=len(asked - {query.id for query in now.queries}),
    )


def is_same(before: Plan, now: Plan) -> bool:
    """Whether two plans are of the same scenes, tiles and questions."""
    return (before.scenes, before.chunks, before.queries) == (now.scenes, now.chunks, now.queries)


def outlines(before: Plan, now: Plan, scenes: frozenset[str]) -> list[shapely.Geometry]:
    """Where scenes lie or lay, longitude and latitude."""
    items = [item for plan in (before, now) for item in plan.scenes if item.scene.scene_id in scenes]
    return [scene_outline(item) for item in items]


def _scenes(plan: Plan) -> Mapping[str, PlannedScene]:
    return {item.scene.scene_id: item for item in plan.scenes}


def _prints(plan: Plan) -> Mapping[str, tuple[object, ...]]:
    """Per scene all that its objects depend on: its chunks' ids and its time."""
    return {
        item.scene.scene_id: (item.scene.datetime, *(ref.chunk_id for ref in plan.chunks_of(index)))
        for index, item in enumerate(plan.scenes)
    }
