"""Checkpoints of both families load from a folder, answer alike in batches and alone, write no picture."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reasoner.answer import Completion, TileView
from reasoner.engines.transformers_engine import (
    TransformersReasoner,
    open_transformers_reasoner,
    vision_token_ids,
)
from reasoner.errors import ModelError
from reasoner.loading import describe_reasoner, load_reasoner
from reasoner.profiles import NANO, PROFILES
from reasoner.query import Query
from tests.reasoner.checkpoints import VISION_IDS, save_qwen2_5, save_qwen3

QUERIES = [Query("where could a ship moor ?"), Query("where is the water ?"), Query("water")]
SHORT = 12


@pytest.fixture(scope="module", params=["qwen3", "qwen2.5"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    save = save_qwen3 if request.param == "qwen3" else save_qwen2_5
    return save(tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def reasoner(folder: Path) -> TransformersReasoner:
    return short_reasoner(folder)


def short_reasoner(folder: Path, *, batch_size: int = 5) -> TransformersReasoner:
    profile = dataclasses.replace(NANO, max_new_tokens=SHORT)
    return open_transformers_reasoner(folder, profile, device="cpu", batch_size=batch_size)


def views(count: int, *, width: int = 56, height: int = 56) -> list[TileView]:
    rng = np.random.default_rng(3)
    shape = (height, width, 3)
    return [TileView(rng.integers(0, 255, shape, dtype=np.uint8), f"tile-{place}") for place in range(count)]


def test_batches_of_views_and_queries_equal_one_by_one(reasoner: TransformersReasoner) -> None:
    shown = views(3)
    together = reasoner.generate(shown, QUERIES)
    alone = [[reasoner.generate([view], [query])[0][0] for query in QUERIES] for view in shown]
    assert together == alone
    assert len({completion.text for row in together for completion in row}) > 1


def test_vision_tokens_never_appear_even_where_the_model_wants_nothing_else(folder: Path) -> None:
    reasoner = short_reasoner(folder)
    model = reasoner._model
    assert set(vision_token_ids(model)) == VISION_IDS
    first, second, *_ = sorted(VISION_IDS)
    # Two opposite directions, so for any hidden state one of the two tokens has by far the highest logit.
    model.lm_head.weight.data[first] = 1e3
    model.lm_head.weight.data[second] = -1e3
    completions = [completion for row in reasoner.generate(views(2), QUERIES) for completion in row]
    assert all("vision" not in one.text and "_pad|" not in one.text for one in completions)
    model.generation_config.suppress_tokens, model.generation_config.max_new_tokens = None, 1
    wanted = reasoner.generate(views(1), QUERIES[:1])[0][0].text
    assert "vision" in wanted or "_pad|" in wanted


def test_no_view_or_no_query_is_no_work(reasoner: TransformersReasoner) -> None:
    assert reasoner.generate([], QUERIES) == []
    assert reasoner.generate(views(2), []) == [[], []]


def test_reaching_the_limit_is_truncation_and_the_end_token_is_not(reasoner: TransformersReasoner) -> None:
    end = reasoner._model.generation_config.eos_token_id
    cut, ended = reasoner._completion([20] * SHORT), reasoner._completion([20, 21, end, 0, 0])
    assert (cut.truncated, cut.n_tokens) == (True, SHORT)
    assert (ended.truncated, ended.n_tokens) == (False, 2)
    assert not reasoner._completion([20] * (SHORT - 1) + [end]).truncated


@pytest.mark.parametrize("size", [(56, 56), (100, 60), (300, 200), (17, 80)])
def test_the_coordinate_scale_is_the_size_the_processor_really_makes(
    reasoner: TransformersReasoner, size: tuple[int, int]
) -> None:
    width, height = size
    view = views(1, width=width, height=height)[0]
    processor = reasoner._processor
    made = processor.image_processor(images=[Image.fromarray(view.pixels)], return_tensors="pt")
    rows, columns = made["image_grid_thw"][0, 1:].tolist()
    patch = processor.image_processor.patch_size
    scale = reasoner.profile.scale(width=width, height=height)
    assert (scale.model_width, scale.model_height) == (columns * patch, rows * patch)


def test_a_box_in_the_processors_pixels_lands_on_the_tile(reasoner: TransformersReasoner) -> None:
    scale = reasoner.profile.scale(width=300, height=200)
    half = f"<answer>[[0,0,{scale.model_width / 2},{scale.model_height / 2}]]</answer>"
    answer = reasoner.parse(Completion(half, 9), QUERIES[0], width=300, height=200)
    assert np.allclose(answer.boxes, [[0, 0, 150, 100]])


def test_the_profile_caps_the_image_area(tmp_path: Path) -> None:
    folder = save_qwen2_5(tmp_path)
    small = dataclasses.replace(PROFILES["qwen2.5-vl"].sizing, max_pixels=28 * 28 * 4)
    profile = dataclasses.replace(PROFILES["qwen2.5-vl"], sizing=small, max_new_tokens=2)
    reasoner = open_transformers_reasoner(folder, profile, device="cpu")
    assert reasoner.profile.scale(width=500, height=500).model_width == 56
    assert reasoner._processor.image_processor.size["longest_edge"] == 28 * 28 * 4


def test_greedy_without_the_checkpoints_penalties(reasoner: TransformersReasoner) -> None:
    config = reasoner._model.generation_config
    assert config.do_sample is False
    assert config.repetition_penalty in (None, 1.0)


def test_load_reasoner_opens_a_folder_by_its_own_profile(folder: Path) -> None:
    loaded = load_reasoner(str(folder), device="cpu")
    assert isinstance(loaded, TransformersReasoner)
    assert loaded.profile.name == ("nano" if "qwen3" in folder.name else "qwen2.5-vl")
    card = describe_reasoner(str(folder))
    assert (card.digest, card.tile_px) == (loaded.digest, loaded.tile_px)


def test_a_checkpoint_with_missing_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_qwen3(tmp_path)
    weights = load_file(folder / "model.safetensors")
    dropped = next(name for name in weights if "mlp" in name)
    save_file(
        {k: v for k, v in weights.items() if k != dropped}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ModelError, match="lacks weights"):
        load_reasoner(str(folder), device="cpu")
