"""The request is validated once: unknown or wrong fields are refused by name, and flags win over the file."""

import pickle
from pathlib import Path

import pytest

from pipelines.errors import IncompleteError, RequestError
from pipelines.plan.config import Engine, JobConfig
from pipelines.plan.load_request import load_config
from reasoner.query import Task

BASE: dict[str, object] = {"scenes": ["a.tif"], "ask": ["where?"], "out": "o"}


def test_a_string_is_a_question_to_locate() -> None:
    config = load_config(None, BASE)
    assert [(query.text, query.task) for query in config.queries()] == [("where?", Task.LOCATE)]


def test_flags_win_over_the_file_and_unset_flags_do_not(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(
        "scenes: [a.tif, {R: r.tif, G: g.tif, B: b.tif}]\nask: [x, {text: y, task: vqa}]\nout: o\ntile: 99\n"
    )
    config = load_config(str(job), {"tile": None, "scenes": [], "out": "p", "engine": "loop"})
    assert (config.tile, config.out, config.engine) == (99, "p", Engine.LOOP)
    assert config.scenes == ("a.tif", {"R": "r.tif", "G": "g.tif", "B": "b.tif"})
    assert [query.task for query in config.queries()] == [Task.LOCATE, Task.VQA]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonsense", 1),
        ("tile", 0),
        ("overlap", -1),
        ("chunk", "wide"),
        ("gsd", 0),
        ("bands", [1, 2]),
        ("scaling", "per tile"),
        ("scaling", [[5, 5]]),
        ("engine", "dask"),
        ("workers", 0),
        ("ask", []),
        ("scenes", []),
        ("out", ""),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(field: str, value: object) -> None:
    fields = {**BASE, field: value}
    if value == []:
        fields.pop(field)
    with pytest.raises(RequestError) as caught:
        load_config(None, fields)
    assert caught.value.field.startswith(field)
    assert caught.value.remedy


def test_a_job_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text("- a\n- b\n")
    with pytest.raises(RequestError, match="holds no fields"):
        load_config(str(job), {})


def test_the_request_survives_json_and_cannot_be_changed() -> None:
    config = load_config(None, {**BASE, "scaling": [[0, 1], [0, 2], [0, 3]], "bands": [3, 2, 1]})
    assert JobConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValueError, match="frozen"):
        config.tile = 5  # type: ignore[misc]


def test_the_schema_names_every_field_and_allows_no_other() -> None:
    schema = JobConfig.model_json_schema()
    assert set(schema["properties"]) == set(JobConfig.model_fields)  # type: ignore[call-overload]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "error", [RequestError("tile", "too small", "give more"), IncompleteError("out", ("a", "b"))]
)
def test_errors_survive_pickling(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)
