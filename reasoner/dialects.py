"""The written forms of an answer: reading text into boxes and writing boxes as text.

Tags, JSON and the order of numbers stand here; what the numbers measure stands in `reasoner.coordinates`.
"""

import json
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reasoner.errors import AnswerError

MAX_CHARS = 100_000
"""Longest completion that is read; a thousand boxes take about a fifth of it."""

_TAG = re.compile(r"<\s*(/\s*)?(think|answer)\s*>")


class Dialect(StrEnum):
    """How a model writes its boxes."""

    LIST = "list"
    """`<think>…</think><answer>[[x0,y0,x1,y1],…]</answer>`; one bare box is allowed, `[]` is none."""
    QWEN = "qwen"
    """JSON list of `{"bbox_2d": [x0,y0,x1,y1], "label": "…"}`, code fence and answer tags allowed."""
    BOX_POINTS = "box-points"
    """The same with `"positive_points": [[x,y],…]` in each entry."""


@dataclass(frozen=True, slots=True)
class WrittenBox:
    """One object as the model wrote it, in the model's units, unchecked."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1; may be not finite, inverted or out of the image."""
    points: tuple[tuple[float, float], ...] = ()
    """Positive points x, y."""
    label: str = ""
    """What the model called it."""


@dataclass(frozen=True, slots=True)
class Sections:
    """A completion taken apart at its tags."""

    thinking: str
    """What stood between the think tags, stripped."""
    answer: str | None
    """What stood between the answer tags, stripped; None without such tags."""
    rest: str
    """Everything after the thinking, stripped."""


def split_sections(text: str) -> Sections:
    """Take a completion apart.

    Raises:
        AnswerError: the text is too long, a part is not closed, or there is more than one answer.
    """
    if len(text) > MAX_CHARS:
        raise AnswerError(f"the completion has {len(text)} characters, more than {MAX_CHARS}")
    thinking, rest = _split_thinking(text)
    return Sections(thinking.strip(), _answer_part(rest), rest.strip())


def read_boxes(text: str, dialect: Dialect) -> tuple[Sections, list[WrittenBox]]:
    """Read the boxes of a completion, in the order written.

    Raises:
        AnswerError: the text does not follow the dialect.
    """
    sections = split_sections(text)
    if dialect is Dialect.LIST:
        return sections, _boxes_of_list(_json(_tagged(sections)))
    payload = sections.rest if sections.answer is None else sections.answer
    return sections, _boxes_of_entries(_json(_unfenced(payload)))


def read_text(text: str) -> tuple[Sections, str]:
    """Read a caption or an answer in words: the answer part, or all after the thinking.

    Raises:
        AnswerError: a part is not closed, or there is no answer.
    """
    sections = split_sections(text)
    words = sections.rest if sections.answer is None else sections.answer
    if not words:
        raise AnswerError("the answer says nothing")
    return sections, words


def write_boxes(found: Sequence[WrittenBox], dialect: Dialect, *, thinking: str = "") -> str:
    """Write boxes the way a model of that dialect does; reading it gives them back."""
    head = f"<think>{thinking}</think>" if thinking else ""
    if dialect is Dialect.LIST:
        return f"{head}<answer>{json.dumps([[_plain(v) for v in one.box] for one in found])}</answer>"
    return f"{head}<answer>{json.dumps([_entry(one, dialect) for one in found])}</answer>"


def _split_thinking(text: str) -> tuple[str, str]:
    tags = [(match[2], bool(match[1]), match) for match in _TAG.finditer(text)]
    closing = next((match for name, closes, match in tags if name == "think" and closes), None)
    opening = next((match for name, closes, match in tags if name == "think" and not closes), None)
    if opening is not None and (closing is None or closing.start() < opening.start()):
        raise AnswerError("the thinking part is not closed by </think>")
    if closing is None:
        return "", text
    # Some chat templates put the opening tag into the prompt, so only the closing one is written.
    start = opening.end() if opening is not None else 0
    return text[start : closing.start()], text[closing.end() :]


def _answer_part(rest: str) -> str | None:
    tags = [match for match in _TAG.finditer(rest) if match[2] == "answer"]
    if not tags:
        return None
    kinds = "".join("/" if match[1] else "<" for match in tags)
    if kinds == "<":
        raise AnswerError("the answer part is not closed by </answer>")
    if kinds != "</":
        raise AnswerError(
            f"expected one answer part, found {len(tags)} answer tags that do not pair up to it"
        )
    return rest[tags[0].end() : tags[1].start()].strip()


def _tagged(sections: Sections) -> str:
    if sections.answer is None:
        raise AnswerError("there is no <answer>…</answer> part")
    return sections.answer


def _unfenced(payload: str) -> str:
    parts = payload.split("```")
    if len(parts) == 1:
        return payload
    if len(parts) != 3:
        raise AnswerError(f"expected one fenced block, found {len(parts) - 1} fences")
    return parts[1].strip().removeprefix("json")


def _json(payload: str) -> object:
    if not payload.strip():
        raise AnswerError("the answer part is blank")
    try:
        return json.loads(payload)
    except RecursionError as error:
        raise AnswerError("the answer is nested too deeply") from error
    except ValueError as error:
        raise AnswerError(f"the answer is not JSON: {str(error)[:120]}") from error


def _boxes_of_list(value: object) -> list[WrittenBox]:
    if not isinstance(value, list):
        raise AnswerError(f"expected a list of boxes, found {_shown(value)}")
    if len(value) == 4 and not any(isinstance(entry, list) for entry in value):
        return [WrittenBox(_box(value, "the box"))]
    return [WrittenBox(_box(entry, f"box {number}")) for number, entry in enumerate(value, start=1)]


def _boxes_of_entries(value: object) -> list[WrittenBox]:
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list):
        raise AnswerError(f"expected a list of objects with bbox_2d, found {_shown(value)}")
    return [_found(entry, f"entry {number}") for number, entry in enumerate(entries, start=1)]


def _found(entry: object, name: str) -> WrittenBox:
    if not isinstance(entry, dict) or "bbox_2d" not in entry:
        raise AnswerError(f"{name} is {_shown(entry)}, not an object with bbox_2d")
    points, label = entry.get("positive_points", []), entry.get("label", "")
    if not isinstance(label, str):
        raise AnswerError(f"{name} has the label {_shown(label)}, not a text")
    if not isinstance(points, list):
        raise AnswerError(f"{name} has the points {_shown(points)}, not a list")
    return WrittenBox(_box(entry["bbox_2d"], name), tuple(_point(point, name) for point in points), label)


def _box(value: object, name: str) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = _numbers(value, 4, name)
    return x0, y0, x1, y1


def _point(value: object, name: str) -> tuple[float, float]:
    x, y = _numbers(value, 2, f"a point of {name}")
    return x, y


def _numbers(value: object, count: int, name: str) -> list[float]:
    if not isinstance(value, list) or len(value) != count:
        raise AnswerError(f"{name} is {_shown(value)}, not {count} numbers")
    return [_number(one, name) for one in value]


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AnswerError(f"{name} holds {_shown(value)}, not a number")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _entry(found: WrittenBox, dialect: Dialect) -> dict[str, object]:
    entry: dict[str, object] = {"bbox_2d": [_plain(v) for v in found.box]}
    if dialect is Dialect.BOX_POINTS:
        entry["positive_points"] = [[_plain(x), _plain(y)] for x, y in found.points]
    if found.label:
        entry["label"] = found.label
    return entry


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


def _shown(value: object) -> str:
    return reprlib.repr(value)
