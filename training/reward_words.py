"""The parts of a reward that judge what was written: its form, its repetitions and its words.

Knows tags and sentences. Knows no box on the ground, no weight and no model.
"""

import re
from collections import Counter
from collections.abc import Hashable, Sequence

from reasoner.answer import Answer, Parse
from reasoner.dialects import Dialect, split_sections
from reasoner.errors import AnswerError
from reasoner.query import Task

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
    said, right = Counter(_words(found)), Counter(_words(true))
    if not said or not right:
        return float(found.strip().lower() == true.strip().lower())
    return 2 * (said & right).total() / (said.total() + right.total())


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
