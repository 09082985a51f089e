"""A model's prompt as a person reads it, and about how many tokens its words take."""

import math
from collections.abc import Iterable, Mapping

from reasoner.profiles import Profile
from reasoner.query import Query

IMAGE = "<image>"
"""Stands where the image goes."""

_CHARACTERS_A_TOKEN = 3
# The chat template adds turns' marks, the image's two marks and, where a profile has none, a system turn.
_TEMPLATE_TOKENS = 32


def prompt_text(profile: Profile, query: Query) -> str:
    """The chat about one image, one turn after another, `<image>` in the image's place."""
    return "\n".join(f"{turn['role']}: {_content(turn['content'])}" for turn in profile.messages(query))


def text_tokens(profile: Profile, query: Query) -> int:
    """About how many tokens a prompt takes beside its image, rather too many.

    English runs at about four characters a token; three leave room for numbers and tags.
    """
    words = sum(len(str(_content(turn["content"]))) for turn in profile.messages(query))
    return _TEMPLATE_TOKENS + math.ceil(words / _CHARACTERS_A_TOKEN)


def _content(parts: object) -> str:
    assert isinstance(parts, Iterable)
    return "".join(_part(part) for part in parts)


def _part(part: object) -> str:
    assert isinstance(part, Mapping)
    return IMAGE if part["type"] == "image" else str(part["text"])
