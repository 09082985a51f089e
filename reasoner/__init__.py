"""Pixels and words: questions, prompts, parsing, reasoning models and segmenters.

The public names are loaded when they are asked for: `import reasoner` needs neither torch nor a model.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reasoner.answer import Answer as Answer
    from reasoner.answer import Masks as Masks
    from reasoner.loading import load_reasoner as load_reasoner
    from reasoner.loading import load_segmenter as load_segmenter
    from reasoner.model_name import ModelCard as ModelCard
    from reasoner.model_name import ModelName as ModelName
    from reasoner.protocols import Reasoner as Reasoner
    from reasoner.protocols import Segmenter as Segmenter
    from reasoner.query import Query as Query
    from reasoner.query import Task as Task

_HOMES = {
    "Answer": "answer",
    "Masks": "answer",
    "ModelCard": "model_name",
    "ModelName": "model_name",
    "Query": "query",
    "Reasoner": "protocols",
    "Segmenter": "protocols",
    "Task": "query",
    "load_reasoner": "loading",
    "load_segmenter": "loading",
}
"""Module of every public name."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
