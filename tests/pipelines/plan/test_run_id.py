"""Claim: how answers are made is in the digest of a run; which scenes and questions, in that of a job."""

from dataclasses import replace

import pytest
from pydantic import Field

from pipelines.errors import RequestError
from pipelines.jobs.run import run_job
from pipelines.plan import config as config_module
from pipelines.plan.config import Identity, JobConfig, identity_of
from pipelines.plan.plan_files import check_same_job, read_job
from pipelines.plan.planning import make_plan
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig
from tiling.storage.store import Store


def test_scenes_and_questions_may_join_without_changing_the_run(make_config: MakeConfig) -> None:
    both = make_plan(make_config())
    one = make_plan(make_config(scenes=[both.scenes[0].scene.uri]))
    asked = make_plan(make_config(ask=[SHIPS]))
    assert both.run_id == one.run_id == asked.run_id
    assert len({both.job_id, one.job_id, asked.job_id}) == 3


@pytest.mark.parametrize("other", [{"gsd": 0.9}, {"bands": (3, 2, 1)}, {"tile": 64}, {"reasoner": "null"}])
def test_what_answers_are_made_with_makes_another_run(
    make_config: MakeConfig, other: dict[str, object]
) -> None:
    assert make_plan(make_config()).run_id != make_plan(make_config(**other)).run_id


def test_another_list_of_scenes_or_questions_is_still_another_job(make_config: MakeConfig) -> None:
    config = make_config(reasoner="null", segmenter="null", tile=224, chunk=4096)
    run_job(config)
    fewer = config.model_copy(update={"scenes": (make_plan(config).scenes[0].scene.uri,)})
    with pytest.raises(RequestError, match="scenes differ"):
        run_job(fewer)
    asked = make_config(reasoner="null", segmenter="null", tile=224, chunk=4096, ask=[ATOLLS])
    with pytest.raises(RequestError, match="queries differ"):
        run_job(asked)


def test_every_field_of_the_request_says_what_another_value_makes_of_a_job() -> None:
    marks = {name: identity_of(name) for name in JobConfig.model_fields}
    assert {name for name, mark in marks.items() if mark is Identity.NONE} == {
        "out", "sign", "device", "workers", "engine", "address", "allow_drivers",
    }  # fmt: skip
    bare = Field(default=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(JobConfig.model_fields, "seed", bare)
        with pytest.raises(TypeError, match="seed has no mark of identity"):
            identity_of("seed")


OTHERS = {
    "mosaic": {"composite": "median"},
    "assets": ("B04",),
    "gsd": 0.9,
    "bands": (3, 2, 1),
    "assume_crs": "EPSG:32631",
    "scene_overlap": "keep-all",
    "seed": 5,
}
"""Another value of every field that is compared as it is given."""


@pytest.mark.parametrize("field", OTHERS)
def test_another_value_of_a_compared_field_is_another_job(make_config: MakeConfig, field: str) -> None:
    assert set(OTHERS) == set(JobConfig.marked(Identity.ANSWER, Identity.PIXELS, Identity.JOB))
    config = make_config(reasoner="null", segmenter="null", tile=224, chunk=4096)
    run_job(config)
    store = Store(config.out)
    plan = make_plan(config)
    job = read_job(store)
    assert job is not None
    check_same_job(store, plan, job)
    other = JobConfig.model_validate({**config.model_dump(), field: OTHERS[field]})
    with pytest.raises(RequestError, match=field):
        check_same_job(store, replace(plan, config=other), job)


def test_a_field_that_changes_answers_enters_every_digest_unless_default(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make_plan(make_config(seed=0))
    real = config_module.identity_of
    marked = {"seed": Identity.ANSWER}
    monkeypatch.setattr(config_module, "identity_of", lambda name: marked.get(name) or real(name))
    same, other = make_plan(make_config(seed=0)), make_plan(make_config(seed=5))
    assert (same.run_id, same.chunks) == (before.run_id, before.chunks)
    assert other.run_id != before.run_id
    assert {ref.chunk_id for ref in other.chunks}.isdisjoint(ref.chunk_id for ref in before.chunks)
