"""The public names of the package are those of its modules, and nothing heavy is loaded before its use."""

import subprocess
import sys

import pytest

import reasoner

NAMES = {
    "Answer", "Masks", "ModelCard", "ModelName", "Query", "Reasoner", "Segmenter", "Task", "load_reasoner",
    "load_segmenter",
}  # fmt: skip


def test_every_public_name_is_the_one_of_its_module() -> None:
    from reasoner import (
        Answer,
        ModelName,
        Query,
        Segmenter,
        answer,
        load_reasoner,
        loading,
        model_name,
        protocols,
        query,
    )

    assert (Answer, ModelName, Query) == (answer.Answer, model_name.ModelName, query.Query)
    assert (Segmenter, load_reasoner) == (protocols.Segmenter, loading.load_reasoner)
    assert set(dir(reasoner)) >= NAMES
    assert all(getattr(reasoner, name).__module__.startswith("reasoner.") for name in NAMES)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Readers'"):
        _ = reasoner.Readers  # type: ignore[attr-defined]


def test_importing_the_package_and_asking_for_a_question_loads_no_model_library() -> None:
    code = (
        "import sys, reasoner; reasoner.Query('ships'); "
        "print(sorted({'torch', 'transformers', 'numpy', 'lazy_loader', 'tenacity'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
