"""What is new, changed or gone between two plans of one standing dataset. Opens nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.changed import Changed, changed_between
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
