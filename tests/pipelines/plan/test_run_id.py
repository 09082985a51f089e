"""Claim: how answers are made is in the digest of a run; which scenes and questions, in that of a job."""

import pytest

from pipelines.errors import RequestError
from pipelines.jobs.run import run_job
from pipelines.plan.planning import make_plan
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig


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
