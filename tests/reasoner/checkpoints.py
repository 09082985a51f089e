"""Tiny random checkpoints in the layout of released ones, made where a test needs them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

VISION = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
VOCABULARY = [
    *[
        "<pad>",
        "<bos>",
        "<eos>",
        *VISION,
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "[",
        "]",
        ",",
        ":",
        "?",
    ],
    *["locate", "where", "could", "a", "ship", "moor", "is", "water", "the", "user", "image"],
    *[str(number) for number in range(40)],
]
IDS = {word: place for place, word in enumerate(VOCABULARY)}
VISION_IDS = {IDS[word] for word in VISION}

CHAT = (
    "{{ '<bos> ' }}{% for m in messages %}{% for c in m.content %}{% if c.type == 'image' %}"
    "{{ '<|vision_start|> <|image_pad|> <|vision_end|> ' }}{% else %}{{ c.text + ' ' }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def save_qwen3(folder: Path, *, seed: int = 0) -> Path:
    """Save a random Qwen3-VL of a few thousand parameters that calls itself nano."""
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config={**_text(), "head_dim": 16, "rope_parameters": _rope(interleaved=True)},
        vision_config={
            **_vision(patch_size=8),
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **_ids(),
    )
    config.remotereasoner_profile = "nano"
    model = Qwen3VLForConditionalGeneration(config)
    processor = Qwen3VLProcessor(
        image_processor=_images(patch_size=8, longest=64 * 64),
        tokenizer=_tokenizer(),
        video_processor=Qwen3VLVideoProcessor(patch_size=8, merge_size=2),
        chat_template=CHAT,
    )
    return _save(model, processor, folder)


def save_qwen2_5(folder: Path, *, seed: int = 0) -> Path:
    """Save a random Qwen2.5-VL of a few thousand parameters."""
    torch.manual_seed(seed)
    config = Qwen2_5_VLConfig(
        text_config={**_text(), "rope_parameters": _rope(interleaved=False)},
        vision_config={
            **_vision(patch_size=14),
            "out_hidden_size": 32,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        **_ids(),
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    processor = Qwen2_5_VLProcessor(
        image_processor=_images(patch_size=14, longest=28 * 28 * 16),
        tokenizer=_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(patch_size=14, merge_size=2),
        chat_template=CHAT,
    )
    return _save(model, processor, folder)


def _save(model: torch.nn.Module, processor: Qwen3VLProcessor | Qwen2_5_VLProcessor, folder: Path) -> Path:
    for parameter in model.parameters():
        # Random weights of the usual size answer everything alike; larger ones make every answer its own.
        parameter.data.mul_(3.0)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = IDS["<eos>"], IDS["<pad>"]
    model.generation_config.repetition_penalty = 1.5
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _text() -> dict[str, object]:
    return {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "bos_token_id": IDS["<bos>"],
        "eos_token_id": IDS["<eos>"],
        "pad_token_id": IDS["<pad>"],
        "tie_word_embeddings": False,
    }


def _rope(*, interleaved: bool) -> dict[str, object]:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
    return {**rope, "mrope_interleaved": True} if interleaved else rope


def _vision(*, patch_size: int) -> dict[str, object]:
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": patch_size,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }


def _ids() -> dict[str, object]:
    names = ["image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"]
    return {
        **{name: IDS[word] for name, word in zip(names, VISION, strict=True)},
        "tie_word_embeddings": False,
    }


def _images(*, patch_size: int, longest: int) -> Qwen2VLImageProcessor:
    size = {"shortest_edge": 4 * patch_size**2, "longest_edge": longest}
    return Qwen2VLImageProcessor(patch_size=patch_size, merge_size=2, temporal_patch_size=2, size=size)


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel(IDS, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="right",  # released ones pad on the right; the engine must not
        additional_special_tokens=VISION,
    )
    return tokenizer
