"""How each family of models is prompted and its answers are read: prompts, tile size, coordinates, dialect.

A profile's digest is part of every plan, so that a changed wording counts as another model.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from reasoner.answer import Answer, Completion
from reasoner.coordinates import Coordinates, CoordinateScale, Sizing, coordinate_scale
from reasoner.dialects import Dialect
from reasoner.errors import ModelError
from reasoner.parsing import Rules, parse_answer
from reasoner.query import Query, Task


@dataclass(frozen=True, slots=True)
class Prompt:
    """The user's turn around the image; `{question}` is replaced by the question."""

    after: str
    """Text after the image."""
    before: str = ""
    """Text before the image, the same for every question so that its encoding can be shared."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The conventions of one family of models."""

    name: str
    """Name on the command line."""
    version: int
    """Rises with every change of wording or reading; part of the digest."""
    prompts: Mapping[Task, Prompt]
    """The user's turn for every task."""
    tile_px: int
    """Native tile size, pixels."""
    sizing: Sizing
    """How the processor resizes; the engine replaces it by what the checkpoint's processor does."""
    coordinates: Coordinates
    """The unit of the numbers in answers."""
    dialect: Dialect
    """The written form of boxes."""
    max_new_tokens: int
    """Limit of a completion; one that reaches it is malformed."""
    system: str = ""
    """System turn, left out where empty."""
    lower_case: bool = False
    """Questions are put in lower case, for vocabularies that know no other."""
    centre_points: bool = False
    """The segmenter is given each box's centre beside the box."""

    @property
    def digest(self) -> str:
        """Digest of everything that changes what is asked or how it is read, 16 hex digits."""
        described = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    def messages(self, query: Query) -> list[dict[str, object]]:
        """Return the chat about one image: the system turn if any, then the user's with one image."""
        prompt = self.prompts[query.task]
        question = query.text.lower() if self.lower_case else query.text
        after = prompt.after.replace("{question}", question)
        turn = [_words(prompt.before), {"type": "image"}, _words(after)]
        content = [part for part in turn if part.get("text") != ""]
        user: dict[str, object] = {"role": "user", "content": content}
        return [{"role": "system", "content": [_words(self.system)]}, user] if self.system else [user]

    def scale(self, *, width: int, height: int) -> CoordinateScale:
        """Return the scale of the model's coordinates for a tile of that size in pixels."""
        return coordinate_scale(self.coordinates, self.sizing, width=width, height=height)

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        """Read a completion about a tile of that size in pixels; never raises on bad text."""
        rules = Rules(self.dialect, centre_points=self.centre_points)
        return parse_answer(completion, query, rules=rules, scale=self.scale(width=width, height=height))


_CAPTION = Prompt("Describe this overhead image in a few sentences.")
_VQA = Prompt("Answer the question about this overhead image briefly. Question: {question}")

_LIST_LOCATE = Prompt(
    before=(
        "Find the targets that the description below means in this remote sensing image. Reason about it "
        "inside <think> </think>, then write the bounding boxes of the targets inside <answer> </answer> as "
        "a list in whole pixels of the image: [[x1,y1,x2,y2]] for one target, "
        "[[x1,y1,x2,y2],[x1,y1,x2,y2]] for several, [] if there is none.\n"
    ),
    after="\nText description: {question}",
)
_LIST_CAPTION = Prompt(
    before="Describe this remote sensing image. Reason inside <think> </think>, then write the "
    "description inside <answer> </answer>.\n",
    after="",
)
_LIST_VQA = Prompt(
    before="Answer the question below about this remote sensing image. Reason inside <think> </think>, "
    "then write the answer inside <answer> </answer>.\n",
    after="\nQuestion: {question}",
)
_QWEN_LOCATE = Prompt(
    'Locate every target that answers this: "{question}". Report a JSON list with one object per target, '
    '{"bbox_2d": [x1, y1, x2, y2], "label": "its name"}, and nothing else; report [] if there is none.'
)
_POINTS_LOCATE = Prompt(
    'Find every target in this overhead image that answers this: "{question}". Reason inside '
    "<think> </think>, then write inside <answer> </answer> a JSON list with one object per target: "
    '{"bbox_2d": [x1, y1, x2, y2], "positive_points": [[x, y], [x, y]]} with two points on the target; '
    "write [] if there is none."
)

REMOTEREASONER = Profile(
    name="remotereasoner",
    version=1,
    prompts={Task.LOCATE: _LIST_LOCATE, Task.CAPTION: _LIST_CAPTION, Task.VQA: _LIST_VQA},
    tile_px=840,
    # The reference was trained on images of at most 802,816 pixels; larger ones leave its experience.
    sizing=Sizing(multiple=28, min_pixels=3136, max_pixels=802_816),
    coordinates=Coordinates.RESIZED_PIXELS,
    dialect=Dialect.LIST,
    max_new_tokens=1024,
    centre_points=True,
)
QWEN2_5_VL = Profile(
    name="qwen2.5-vl",
    version=1,
    prompts={Task.LOCATE: _QWEN_LOCATE, Task.CAPTION: _CAPTION, Task.VQA: _VQA},
    tile_px=840,
    sizing=Sizing(multiple=28, min_pixels=3136, max_pixels=1_003_520),
    coordinates=Coordinates.RESIZED_PIXELS,
    dialect=Dialect.QWEN,
    max_new_tokens=1024,
)
QWEN3_VL = dataclasses.replace(
    QWEN2_5_VL,
    name="qwen3-vl",
    tile_px=1024,
    sizing=Sizing(multiple=32, min_pixels=65_536, max_pixels=1_310_720),
    coordinates=Coordinates.THOUSAND,
)
THINK2SEG = dataclasses.replace(
    QWEN2_5_VL,
    name="think2seg",
    prompts={Task.LOCATE: _POINTS_LOCATE, Task.CAPTION: _CAPTION, Task.VQA: _VQA},
    dialect=Dialect.BOX_POINTS,
)
NANO = Profile(
    name="nano",
    version=1,
    prompts={
        Task.LOCATE: Prompt("locate : {question}"),
        Task.CAPTION: Prompt("caption :"),
        Task.VQA: Prompt("answer : {question}"),
    },
    tile_px=128,
    # At its own tile size the nano processor resizes nothing, so resized pixels are tile pixels there.
    sizing=Sizing(multiple=16, min_pixels=128 * 128, max_pixels=128 * 128),
    coordinates=Coordinates.RESIZED_PIXELS,
    dialect=Dialect.LIST,
    max_new_tokens=160,
    lower_case=True,
)

PROFILES: Mapping[str, Profile] = {
    profile.name: profile for profile in (REMOTEREASONER, QWEN2_5_VL, QWEN3_VL, THINK2SEG, NANO)
}
"""Every profile by its name."""

_BY_MODEL_TYPE = {"qwen2_5_vl": QWEN2_5_VL, "qwen3_vl": QWEN3_VL, "qwen3_vl_moe": QWEN3_VL}


def profile_named(name: str) -> Profile:
    """Return the profile of that name.

    Raises:
        ModelError: there is none.
    """
    if name not in PROFILES:
        raise ModelError(f"no such profile {name!r}: use one of {', '.join(PROFILES)}")
    return PROFILES[name]


def profile_for(
    name: str, config: Mapping[str, object], *, args: Mapping[str, object] | None = None
) -> Profile:
    """Choose the profile of a checkpoint.

    Args:
        name: the model's name as the user gave it.
        config: its config.json.
        args: its args.json as ms-swift writes it, whose `system` is the system turn; None without one.

    Raises:
        ModelError: the architecture is of no known family.
    """
    stated = config.get("remotereasoner_profile")
    if isinstance(stated, str):
        return profile_named(stated)
    model_type = config.get("model_type")
    family = _BY_MODEL_TYPE.get(model_type) if isinstance(model_type, str) else None
    if family is None:
        known = ", ".join(_BY_MODEL_TYPE)
        raise ModelError(
            f"{name} is a {model_type!r}, not one of {known}: choose its conventions with --profile"
        )
    return _relative(name, family, args or {})


def _relative(name: str, family: Profile, args: Mapping[str, object]) -> Profile:
    """Return the descendant of Qwen2.5-VL a name or a system turn gives away, else the family itself."""
    if family is not QWEN2_5_VL:
        return family
    if "think2seg" in name.lower():
        return THINK2SEG
    system = args.get("system")
    if isinstance(system, str) and system.strip():
        return dataclasses.replace(REMOTEREASONER, system=system)
    return REMOTEREASONER if "remotereasoner" in name.lower() else family


def _words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
