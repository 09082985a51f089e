"""Each profile asks in its family's form, and a known box comes back at the same pixel on any tile shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from reasoner.answer import Completion, Parse
from reasoner.coordinates import CoordinateScale, Sizing
from reasoner.dialects import WrittenBox, write_boxes
from reasoner.errors import ModelError
from reasoner.profiles import NANO, PROFILES, Profile, profile_for, profile_named
from reasoner.query import Query, Task
from tests.reasoner.scales import in_model_units

QUERY = Query("Where could {a} Ship moor?")


@given(st.integers(20, 3000), st.integers(20, 3000), st.sampled_from([16, 28, 32]), st.integers(1, 2_000_000))
@settings(deadline=None)
def test_resizing_is_that_of_the_processor(width: int, height: int, multiple: int, max_pixels: int) -> None:
    sizing = Sizing(multiple, min_pixels=min(3136, max_pixels), max_pixels=max_pixels)
    theirs = smart_resize(height, width, multiple, sizing.min_pixels, sizing.max_pixels)
    assert sizing.resized(width, height) == theirs[::-1]


@pytest.mark.parametrize("size", [(840, 840), (1000, 700), (333, 1201), (56, 40), (2048, 2048)])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_known_box_comes_back_at_the_same_pixel(profile: Profile, size: tuple[int, int]) -> None:
    width, height = size
    box = (0.25 * width, 0.125 * height, 0.75 * width, 0.5 * height)
    scale = profile.scale(width=width, height=height)
    # Models write whole numbers, so half a unit of theirs is the best that can come back.
    spoken = [float(round(v)) for v in in_model_units(scale, box)]
    text = write_boxes([WrittenBox((spoken[0], spoken[1], spoken[2], spoken[3]))], profile.dialect)
    answer = profile.parse(Completion(text, 9), QUERY, width=width, height=height)
    half_unit = 0.5 * max(width / scale.model_width, height / scale.model_height)
    assert answer.parse is Parse.OK
    assert np.abs(answer.boxes - np.array([box])).max() <= half_unit + 1e-9


def test_coordinate_scales_are_those_of_the_families() -> None:
    assert PROFILES["remotereasoner"].scale(width=840, height=840) == CoordinateScale(840, 840, 840, 840)
    assert PROFILES["remotereasoner"].scale(width=1000, height=700) == CoordinateScale(1008, 700, 1000, 700)
    assert PROFILES["remotereasoner"].scale(width=2048, height=2048) == CoordinateScale(896, 896, 2048, 2048)
    assert PROFILES["qwen3-vl"].scale(width=640, height=480) == CoordinateScale(1000, 1000, 640, 480)
    assert NANO.scale(width=128, height=128) == CoordinateScale(128, 128, 128, 128)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_native_tiles_are_seen_without_resizing(profile: Profile) -> None:
    assert profile.sizing.resized(profile.tile_px, profile.tile_px) == (profile.tile_px, profile.tile_px)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_question_stands_last_and_every_task_shows_one_image(profile: Profile) -> None:
    for task in Task:
        messages = profile.messages(Query(QUERY.text, task))
        content = messages[-1]["content"]
        assert isinstance(content, list)
        assert [part["type"] for part in content].count("image") == 1
        if task is not Task.CAPTION:
            assert QUERY.text.lower() in content[-1]["text"].lower()


def test_nano_prompts_are_the_ones_it_was_trained_on() -> None:
    prompts = {task: NANO.messages(Query("Where could a Ship moor?", task)) for task in Task}
    texts = {task: messages[0]["content"][-1]["text"] for task, messages in prompts.items()}  # type: ignore[index]
    assert texts == {
        Task.LOCATE: "locate : where could a ship moor?",
        Task.CAPTION: "caption :",
        Task.VQA: "answer : where could a ship moor?",
    }


def test_profiles_are_chosen_by_what_the_checkpoint_says() -> None:
    qwen = {"model_type": "qwen2_5_vl"}
    assert profile_for("x", {"model_type": "qwen3_vl", "remotereasoner_profile": "nano"}).name == "nano"
    assert profile_for("Qwen/Qwen3-VL-2B-Instruct", {"model_type": "qwen3_vl"}).name == "qwen3-vl"
    assert profile_for("Qwen/Qwen2.5-VL-7B-Instruct", qwen).name == "qwen2.5-vl"
    assert profile_for("RicardoString/Think2Seg-RS-3B", qwen).name == "think2seg"
    assert profile_for("1e12Leon/RemoteReasoner", qwen).name == "remotereasoner"


def test_the_system_turn_is_read_from_the_folder() -> None:
    profile = profile_for("folder", {"model_type": "qwen2_5_vl"}, args={"system": "You look down."})
    assert profile.name == "remotereasoner"
    assert profile.messages(QUERY)[0] == {
        "role": "system",
        "content": [{"type": "text", "text": "You look down."}],
    }
    assert profile.digest != PROFILES["remotereasoner"].digest


def test_unknown_families_and_profiles_are_refused_with_the_remedy() -> None:
    with pytest.raises(ModelError, match="--profile"):
        profile_for("x", {"model_type": "llava"})
    with pytest.raises(ModelError, match="remotereasoner"):
        profile_named("nanoo")


def test_digests_tell_profiles_apart() -> None:
    assert len({profile.digest for profile in PROFILES.values()}) == len(PROFILES)
