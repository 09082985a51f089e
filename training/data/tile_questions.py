"""Random tiles with questions for training by reward: known and new wordings, and questions of a new form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reasoner.query import Query
from training import RecipeError
from training.data.classes import CATALOGUE, UNIONS, ObjectClass
from training.data.examples import ArrayImage, ArrayShapes, Example
from training.data.rng import sample_rng
from training.data.tiles import NAMES, TileSource, TrainingTile

WORDINGS = ("ask", "earned", "spare")
"""Wordings of a question about one class: trained with answers, trained by reward alone, never trained."""
UNION, UNION_HELD_OUT = "union", "union_spare"
"""Questions that mean several classes: trained by reward alone, never trained."""
FORMS = (*WORDINGS, UNION, UNION_HELD_OUT)
TRIES = 2000
"""Tiles drawn for one question before its form is given up."""


@dataclass(frozen=True, slots=True)
class QuestionMix:
    """How often which form of question is asked."""

    shares: Mapping[str, float] = field(default_factory=lambda: {"ask": 1.0, "earned": 1.0, "union": 1.0})
    """Share of each form; they are scaled to sum to one."""
    filled: float = 0.75
    """Share of the questions that have a target on their tile."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.shares) - set(FORMS))
        if unknown:
            raise RecipeError(f"questions.shares: no form {unknown[0]!r}, use {', '.join(FORMS)}")
        if min(self.shares.values(), default=0) < 0 or not sum(self.shares.values()):
            raise RecipeError("questions.shares: give at least one form a share above 0, none below")
        if not 0 <= self.filled <= 1:
            raise RecipeError(f"questions.filled {self.filled}: must be from 0 to 1")


@dataclass(frozen=True, slots=True)
class _Question:
    """One question about a tile."""

    text: str
    """In words."""
    targets: NDArray[np.bool_]
    """(n,) which of the tile's objects it means."""
    name: str
    """What it is about."""


def tile_examples(
    source: TileSource, mix: QuestionMix, *, count: int, seed: int, name: str
) -> tuple[Example, ...]:
    """Ask one question of each of `count` tiles; the same seed gives the same examples.

    A tile on which no question of the drawn form and fullness can be asked is drawn anew.

    Raises:
        RecipeError: a form cannot be asked of any of many tiles.
    """
    return tuple(_example(source, mix, seed=seed, number=number, name=name) for number in range(count))


def _example(source: TileSource, mix: QuestionMix, *, seed: int, number: int, name: str) -> Example:
    rng = sample_rng(seed, 0, number)
    shares = np.array([mix.shares.get(form, 0.0) for form in FORMS])
    form = FORMS[int(rng.choice(len(FORMS), p=shares / shares.sum()))]
    filled = bool(rng.random() < mix.filled)
    for _ in range(TRIES):
        tile = source.tile(rng)
        question = _ask(tile, form, rng, filled=filled)
        if question is not None:
            return _as_example(tile, question, f"{name}-{seed}-{number:06d}", source=f"{name}/{form}")
    raise RecipeError(f"none of {TRIES} tiles of {name} can be asked {form!r} with filled {filled}")


def _as_example(tile: TrainingTile, question: _Question, id: str, *, source: str) -> Example:
    side = tile.pixels.shape[0]
    return Example(
        id=id,
        source=source,
        place=source,
        query=Query(question.text),
        size=(side, side),
        boxes=tile.boxes[question.targets].astype(np.float64).reshape(-1, 4),
        picture=ArrayImage(tile.pixels),
        shapes=_shapes(tile, question.targets) if tile.outlined else None,
        class_name=question.name,
    )


def _shapes(tile: TrainingTile, targets: NDArray[np.bool_]) -> ArrayShapes:
    numbers = np.flatnonzero(targets) + 1
    return ArrayShapes(np.asarray(tile.pieces[None] == numbers[:, None, None]))


def _ask(tile: TrainingTile, form: str, rng: np.random.Generator, *, filled: bool) -> _Question | None:
    make = _about_several if form in (UNION, UNION_HELD_OUT) else _about_one
    return make(tile, form, rng, filled)


def _about_one(tile: TrainingTile, form: str, rng: np.random.Generator, filled: bool) -> _Question | None:
    here = np.isin(tile.known, tile.classes)
    open_numbers = [number for number, there in zip(tile.known, here, strict=True) if there == filled]
    if not open_numbers:
        return None
    object_class = CATALOGUE[int(rng.choice(open_numbers))]
    wording = _any(_WORDS[form](object_class), rng)
    return _Question(wording, tile.classes == NAMES.index(object_class.name), object_class.name)


def _about_several(tile: TrainingTile, form: str, rng: np.random.Generator, filled: bool) -> _Question | None:
    union = UNIONS[int(rng.integers(len(UNIONS)))]
    numbers = [NAMES.index(name) for name in union.classes]
    targets = np.isin(tile.classes, numbers)
    if not set(numbers) <= set(tile.known) or bool(targets.any()) != filled:
        return None
    return _Question(
        _any(union.held_out if form == UNION_HELD_OUT else union.reward_only, rng), targets, union.name
    )


def _any(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]


_WORDS: Mapping[str, Callable[[ObjectClass], Sequence[str]]] = {
    "ask": lambda each: each.wordings,
    "earned": lambda each: each.reward_only,
    "spare": lambda each: each.held_out,
}
