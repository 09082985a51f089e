"""Rewards of one completion, each in [0, 1], numpy only: format, location, quantity, mask, and their sum."""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reasoner.answer import Answer, Parse
from reasoner.dialects import Dialect, split_sections
from reasoner.errors import AnswerError
from reasoner.query import Task
from training import RecipeError
from training.data import count_hits, match

NGRAM = 4
"""Words in a row whose second appearance counts as repetition."""

FLAW = 0.5
"""What each flaw of form leaves of the format reward."""

_TAG = re.compile(r"<\s*(/?)\s*(think|answer)\s*>")
_WORD = re.compile(r"\d+(?:\.\d+)?|\w+")
_SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)|\n")
_INNER_LIST = re.compile(r"\[([^\[\]]*)\]")


def format_reward(answer: Answer, text: str, *, dialect: Dialect = Dialect.LIST) -> float:
    """Judge the form: 0 malformed, 1 exact, and half of that for each of two flaws.

    The flaws: the parser dropped or clipped something; and, where the dialect has tags, the completion is
    not thinking and answer in their tags with nothing else around them, or it does not think at all.

    Args:
        answer: the completion as parsed.
        text: the same completion as written, without special tokens.
        dialect: the form it was asked for.
    """
    if answer.parse is Parse.MALFORMED:
        return 0.0
    untidy = _is_tagged(answer, dialect) and not (answer.thinking and _tags_are_exact(text))
    return FLAW ** (bool(answer.problem) + untidy)


def repetition_reward(text: str) -> float:
    """Return 1 minus the largest of three shares that were there before.

    They are the shares of repeated sentences and of repeated runs of four words in the thinking, and of
    repeated boxes in the answer; what is not there repeats nothing. A text whose tags cannot be read is
    taken as thinking and as answer at once.
    """
    try:
        sections = split_sections(text)
        thinking, rest = sections.thinking, sections.rest
    except AnswerError:
        thinking, rest = text, text
    words = _words(thinking)
    runs = list(zip(*(words[start:] for start in range(NGRAM)), strict=False))
    sentences = [tuple(_words(part)) for part in _SENTENCE_END.split(thinking)]
    boxes = ["".join(inner.split()) for inner in _INNER_LIST.findall(rest) if inner.count(",") == 3]
    return 1 - max(_repeated(units) for units in (runs, [one for one in sentences if one], boxes))


def text_reward(found: str, true: str) -> float:
    """Return the F1 of the words two texts have in common, in any order, case ignored.

    Texts without words are compared letter by letter.
    """
    ours, right = Counter(_words(found)), Counter(_words(true))
    if not ours or not right:
        return float(found.strip().lower() == true.strip().lower())
    return 2 * (ours & right).total() / (ours.total() + right.total())


def _is_tagged(answer: Answer, dialect: Dialect) -> bool:
    """Whether the prompts of that dialect ask for tags in this task."""
    return dialect is Dialect.LIST or (dialect is Dialect.BOX_POINTS and answer.query.task is Task.LOCATE)


def _tags_are_exact(text: str) -> bool:
    # Some chat templates put the opening <think> into the prompt: the completion then starts inside it.
    pieces = _TAG.split(text)
    texts, tags = pieces[::3], [slash + name for slash, name in zip(pieces[1::3], pieces[2::3], strict=True)]
    if tags[:1] == ["/think"]:
        texts, tags = ["", *texts], ["think", *tags]
    outside = texts[::2]
    return tags == ["think", "/think", "answer", "/answer"] and not any(part.strip() for part in outside)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _repeated(units: Sequence[Hashable]) -> float:
    return 1 - len(set(units)) / len(units) if units else 0.0


@dataclass(frozen=True, slots=True)
class RewardWeights:
    """How much each part counts; those that do not apply to a task drop out of its mean."""

    format: float = 1.0
    """Tags and boxes written exactly as asked."""
    location: float = 1.0
    """Boxes lie on the true ones."""
    quantity: float = 0.5
    """As many boxes as there are targets."""
    accuracy: float = 1.0
    """Targets hit at an IoU of 0.5."""
    repetition: float = 0.25
    """Nothing is repeated."""
    mask: float = 1.0
    """The segmenter's masks cover the true ones."""
    text: float = 1.0
    """Words of the caption or answer."""

    def __post_init__(self) -> None:
        weights = dataclasses.asdict(self)
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise RecipeError(f"the weight of the {name} reward is {weight}: give a number of at least 0")
        if not any(weights.values()):
            raise RecipeError(f"every reward weighs 0: give one of {', '.join(weights)} a weight above 0")

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> Self:
        """Return weights by name; a part that is not named counts nothing.

        Raises:
            RecipeError: a name is unknown, a weight is negative, or all are 0.
        """
        names = [one.name for one in dataclasses.fields(cls)]
        unknown = sorted(set(weights) - set(names))
        if unknown:
            raise RecipeError(f"no such reward {', '.join(unknown)}: use {', '.join(names)}")
        return cls(**{name: float(weights.get(name, 0.0)) for name in names})


@dataclass(frozen=True, slots=True)
class TrueAnswer:
    """What the right answer is."""

    boxes: NDArray[np.float64]
    """(m, 4) x0, y0, x1, y1 of the true targets, pixels of the tile image; (0, 4) where there is none."""
    text: str = ""
    """True caption or answer in words; read for those tasks only."""


@dataclass(frozen=True, slots=True)
class MaskPair:
    """The ground an answer marks, beside the true one."""

    found: NDArray[np.bool_]
    """(height, width), True where any mask made from the answer's boxes lies."""
    true: NDArray[np.bool_]
    """(height, width), True on the targets."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """The parts of one completion's reward, each from 0 to 1, None where it does not apply to the task."""

    composite: float
    """Weighted mean of the parts that apply."""
    format: float
    """Form of the completion."""
    repetition: float
    """Share that is not repeated."""
    location: float | None = None
    """Overlap of boxes."""
    quantity: float | None = None
    """Number of boxes."""
    accuracy: float | None = None
    """Targets hit."""
    mask: float | None = None
    """Overlap of masks."""
    text: float | None = None
    """Words in common."""

    def figures(self) -> dict[str, float]:
        """Return the parts that apply and the composite by name, for a log."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def location_reward(found: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the largest sum of IoU of one-to-one pairs, divided by the larger number of boxes.

    Args:
        found: (n, 4) x0, y0, x1, y1.
        true: (m, 4) in the same unit.

    Returns:
        0 to 1; 1 where both are empty, 0 where one is.
    """
    most = max(len(found), len(true))
    return min(1.0, float(match(found, true)[2].sum()) / most) if most else 1.0


def quantity_reward(n_found: int, n_true: int) -> float:
    """Return 1 minus the difference of two numbers divided by the larger; 1 where both are 0."""
    return 1 - abs(n_found - n_true) / (max(n_found, n_true) or 1)


def accuracy_reward(found: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the number of one-to-one pairs with an IoU of at least 0.5, over the larger number.

    Args:
        found: (n, 4) x0, y0, x1, y1.
        true: (m, 4) in the same unit.

    Returns:
        0 to 1; 1 where both are empty, 0 where one is. With one target it is what Acc@0.5 averages.
    """
    most = max(len(found), len(true))
    return count_hits(found, true) / most if most else 1.0


def mask_reward(union_found: NDArray[np.bool_], union_true: NDArray[np.bool_]) -> float:
    """Return the IoU of two masks, 1 where both are empty.

    Args:
        union_found: (height, width), True inside any mask that was found.
        union_true: (height, width), True inside any target.

    Raises:
        ValueError: their shapes differ.
    """
    if union_found.shape != union_true.shape:
        raise ValueError(f"masks of {union_found.shape} and {union_true.shape} pixels cannot be compared")
    union = np.count_nonzero(union_found | union_true)
    return np.count_nonzero(union_found & union_true) / union if union else 1.0


def score_completion(
    answer: Answer,
    text: str,
    *,
    truth: TrueAnswer,
    weights: RewardWeights,
    dialect: Dialect = Dialect.LIST,
    masks: MaskPair | None = None,
) -> Rewards:
    """Reward one completion.

    Args:
        answer: the completion as parsed.
        text: the same completion as written, without special tokens.
        truth: the right answer to the same question.
        weights: what each part counts.
        dialect: the form the completion was asked for.
        masks: masks to compare, None where nobody made any; not read where the answer is malformed.

    Raises:
        RecipeError: no part that applies to the task has a weight.
        ValueError: the masks differ in shape.
    """
    if answer.parse is Parse.MALFORMED:
        names = _parts_of(answer.query.task, masked=masks is not None)
        return Rewards(composite=0.0, **dict.fromkeys(names, 0.0))
    parts = {
        "format": format_reward(answer, text, dialect=dialect),
        "repetition": repetition_reward(text),
        **_answer_parts(answer, truth, masks),
    }
    return Rewards(composite=_weighted_mean(parts, weights), **parts)


def _answer_parts(answer: Answer, truth: TrueAnswer, masks: MaskPair | None) -> dict[str, float]:
    if answer.query.task is not Task.LOCATE:
        return {"text": text_reward(answer.text, truth.text)}
    parts = {
        "location": location_reward(answer.boxes, truth.boxes),
        "quantity": quantity_reward(len(answer.boxes), len(truth.boxes)),
        "accuracy": accuracy_reward(answer.boxes, truth.boxes),
    }
    return parts if masks is None else {**parts, "mask": mask_reward(masks.found, masks.true)}


def _parts_of(task: Task, *, masked: bool) -> tuple[str, ...]:
    if task is not Task.LOCATE:
        return ("format", "repetition", "text")
    return ("format", "repetition", "location", "quantity", "accuracy", *(("mask",) if masked else ()))


def _weighted_mean(parts: Mapping[str, float], weights: RewardWeights) -> float:
    weighed = {name: float(getattr(weights, name)) for name in parts}
    total = sum(weighed.values())
    if not total:
        raise RecipeError(f"none of the rewards that apply, {', '.join(parts)}, has a weight: give one")
    return min(1.0, math.fsum(weighed[name] * parts[name] for name in parts) / total)
