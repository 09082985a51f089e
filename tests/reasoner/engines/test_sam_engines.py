"""Every segmenter gives masks of the tile's size, the same for many boxes at once as for each alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2Model,
    Sam2Processor,
    Sam2VisionConfig,
    SamImageProcessor,
    SamModel,
    SamProcessor,
)
from transformers import SamConfig as HuggingSamConfig

from reasoner.answer import Answer, Parse, TileView
from reasoner.engines.nano_sam import EncoderConfig, SamConfig, build_sam, load_sam, read_config, save_sam
from reasoner.engines.segment_anything import OriginalSam
from reasoner.errors import ModelError
from reasoner.loading import describe_segmenter, load_segmenter
from reasoner.protocols import Segmenter
from reasoner.query import Query

BOXES = [(4.0, 5.0, 40.0, 30.0), (20.0, 20.0, 60.0, 47.0), (0.0, 0.0, 64.0, 48.0)]
SMALL = SamConfig(image_size=64, encoder=EncoderConfig(embed_dim=24, depth=2, global_attn_indexes=(1,)))


def answer_of(
    boxes: list[tuple[float, ...]], points: list[list[tuple[float, float]]] | None = None
) -> Answer:
    given = points or [[] for _ in boxes]
    return Answer(
        query=Query("ships"),
        parse=Parse.OK if boxes else Parse.EMPTY,
        text="",
        thinking="",
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        points=tuple(np.array(one, dtype=np.float64).reshape(-1, 2) for one in given),
        labels=tuple("" for _ in boxes),
        problem="",
        n_tokens=1,
    )


def view(*, width: int = 64, height: int = 48) -> TileView:
    rng = np.random.default_rng(5)
    return TileView(rng.integers(0, 255, (height, width, 3), dtype=np.uint8), "tile")


def save_original(folder: Path) -> Path:
    torch.manual_seed(0)
    save_sam(build_sam(SMALL), SMALL, folder)
    return folder


def _decoder(width: int) -> dict[str, int]:
    return {"hidden_size": width, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}


def _lively(model: torch.nn.Module) -> torch.nn.Module:
    """Give weights that pass signals on, so that masks differ by more than rounding."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    return model


def save_sam1(folder: Path) -> Path:
    torch.manual_seed(0)
    config = HuggingSamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "mlp_dim": 32, "num_pos_feats": 8, "image_size": 64, "patch_size": 8, "window_size": 4,
            "global_attn_indexes": [1],
        },
        prompt_encoder_config={
            "hidden_size": 16, "image_size": 64, "patch_size": 8, "image_embedding_size": 8,
        },
        mask_decoder_config=_decoder(16),
    )  # fmt: skip
    _lively(SamModel(config)).save_pretrained(folder)
    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    SamProcessor(SamImageProcessor(**sizes)).save_pretrained(folder)
    return folder


def save_sam2(folder: Path) -> Path:
    torch.manual_seed(0)
    backbone = Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, image_size=[64, 64], blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64], num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4], global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )  # fmt: skip
    vision = Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 32, 16, 8], fpn_hidden_size=32,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip
    config = Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    _lively(Sam2Model(config)).save_pretrained(folder)
    images = Sam2ImageProcessor(size={"height": 64, "width": 64}, mask_size={"height": 16, "width": 16})
    Sam2Processor(images).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[save_original, save_sam1, save_sam2], ids=["original", "sam", "sam2"])
def segmenter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    save: Callable[[Path], Path] = request.param
    folder = save(tmp_path_factory.mktemp("segmenter"))
    loaded = load_segmenter(str(folder), device="cpu")
    assert describe_segmenter(str(folder)).digest == loaded.digest
    return loaded


@pytest.mark.parametrize("size", [(64, 48), (64, 64), (100, 130), (40, 32)])
def test_masks_have_the_tiles_size_and_range(segmenter: Segmenter, size: tuple[int, int]) -> None:
    width, height = size
    (masks,) = segmenter.segment(view(width=width, height=height), [answer_of(BOXES[:2])])
    assert masks.probabilities.shape == (2, height, width)
    assert masks.probabilities.dtype == masks.scores.dtype == np.float32
    assert 0 <= masks.probabilities.min() < masks.probabilities.max() <= 1
    assert ((masks.scores >= 0) & (masks.scores <= 1)).all()


def test_many_boxes_at_once_equal_each_alone(segmenter: Segmenter) -> None:
    (together,) = segmenter.segment(view(), [answer_of(BOXES)])
    for place, box in enumerate(BOXES):
        (alone,) = segmenter.segment(view(), [answer_of([box])])
        assert np.abs(alone.probabilities[0] - together.probabilities[place]).max() < 1e-4
        assert abs(alone.scores[0] - together.scores[place]) < 1e-4
    assert np.abs(together.probabilities[0] - together.probabilities[1]).max() > 1e-3


def test_answers_get_their_own_masks_whether_asked_together_or_not(segmenter: Segmenter) -> None:
    answers = [answer_of(BOXES[:1]), answer_of([]), answer_of(BOXES[1:])]
    dealt = segmenter.segment(view(), answers)
    assert [len(masks.probabilities) for masks in dealt] == [1, 0, 2]
    (together,) = segmenter.segment(view(), [answer_of(BOXES)])
    assert np.abs(np.concatenate([m.probabilities for m in dealt]) - together.probabilities).max() < 1e-4


def test_more_boxes_than_one_decoding_holds_equal_each_alone(segmenter: Segmenter) -> None:
    (many,) = segmenter.segment(view(), [answer_of(BOXES * 23)])
    (few,) = segmenter.segment(view(), [answer_of(BOXES)])
    assert np.abs(many.probabilities[-3:] - few.probabilities).max() < 1e-4


def test_ragged_points_count_only_for_their_own_box(segmenter: Segmenter) -> None:
    points = [[(20.0, 20.0)], [(40.0, 30.0), (50.0, 40.0)]]
    (mixed,) = segmenter.segment(view(), [answer_of(BOXES[:2], points)])
    (plain,) = segmenter.segment(view(), [answer_of(BOXES[:2])])
    (second,) = segmenter.segment(view(), [answer_of(BOXES[1:2], points[1:])])
    assert np.abs(mixed.probabilities[1] - second.probabilities[0]).max() < 1e-4
    assert np.abs(mixed.probabilities - plain.probabilities).max() > 1e-4


def counting(sam: Sam) -> list[int]:
    calls: list[int] = []
    sam.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_the_image_is_encoded_once_and_only_for_boxes() -> None:
    sam = build_sam(SMALL)
    calls, segmenter = counting(sam), OriginalSam(sam, digest="d")
    (none, also_none) = segmenter.segment(view(), [answer_of([]), answer_of([])])
    assert (calls, none.probabilities.shape, also_none.scores.shape) == ([], (0, 48, 64), (0,))
    assert segmenter.segment(view(), []) == []
    segmenter.segment(view(), [answer_of(BOXES * 23), answer_of(BOXES)])
    assert calls == [1]


def test_the_original_agrees_with_the_librarys_own_forward() -> None:
    torch.manual_seed(1)
    sam = build_sam(SMALL).eval()
    shown = view(width=64, height=64)
    image = torch.from_numpy(shown.pixels).permute(2, 0, 1).float()
    boxes = torch.tensor(BOXES, dtype=torch.float32)
    with torch.inference_mode():
        given = [{"image": image, "original_size": (64, 64), "boxes": boxes}]
        (theirs,) = sam(given, multimask_output=False)
    (ours,) = OriginalSam(sam, digest="d").segment(shown, [answer_of(BOXES)])
    assert np.array_equal(ours.probabilities > 0.5, theirs["masks"][:, 0].numpy())


def test_nano_shapes_save_and_load_unchanged(tmp_path: Path) -> None:
    config = SamConfig()
    sam = build_sam(config).eval()
    save_sam(sam, config, tmp_path)
    assert read_config(tmp_path) == config
    loaded = load_sam(tmp_path)
    assert {k: v.tolist() for k, v in loaded.state_dict().items()} == {
        k: v.tolist() for k, v in sam.state_dict().items()
    }
    assert sum(p.numel() for p in loaded.parameters()) * 4 < 16e6
    (masks,) = OriginalSam(loaded, digest="d").segment(view(width=128, height=128), [answer_of(BOXES)])
    assert masks.probabilities.shape == (3, 128, 128)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("{}", "does not say"),
        ('{"kind": "segment_anything", "image": 3}', "does not describe"),
        ('{"kind": "segment_anything", "encoder": 3}', "does not describe"),
        ('{"kind": "segment_anything"', "cannot be read"),
        ('{"kind": "segment_anything"}', "model.safetensors is missing"),
    ],
)
def test_a_folder_that_describes_no_segmenter_is_refused(tmp_path: Path, written: str, reason: str) -> None:
    (tmp_path / "config.json").write_text(written)
    with pytest.raises(ModelError, match=reason):
        load_sam(tmp_path)


def test_weights_of_other_shapes_are_refused(tmp_path: Path) -> None:
    save_sam(build_sam(SMALL), SamConfig(), tmp_path)
    with pytest.raises(ModelError, match="does not fit"):
        load_segmenter(str(tmp_path), device="cpu")


def test_a_released_checkpoint_must_name_its_size_and_hold_its_weights(tmp_path: Path) -> None:
    for name, reason in [("sam.pth", "vit_b, vit_l or vit_h"), ("sam_vit_b_x.pth", "no vit_b weights")]:
        torch.save({"a": torch.zeros(1)}, tmp_path / name)
        with pytest.raises(ModelError, match=reason):
            load_segmenter(str(tmp_path / name), device="cpu")
