"""Builds the nano reasoner: a tiny Qwen3-VL, its closed vocabulary and its processor."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from reasoner.model_files import Role, find_model, read_json
from training import RecipeError

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
IMAGE, VIDEO, VISION_START, VISION_END = "<image>", "<video>", "<vision_start>", "<vision_end>"
SPECIAL = (PAD, BOS, EOS, UNK, IMAGE, VIDEO, VISION_START, VISION_END)
MARKS = (
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "[[",
    "],[",
    "]]",
    "[]",
    "[",
    "]",
    ",",
    "?",
    ".",
    ":",
)
WORD = r"</?[a-z_]+>|\[\[|\]\]|\[\]|\],\[|\d+|[a-z]+|[^\sa-z0-9]"
TEMPLATE = (
    "{{ '<bos>' }}{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type == 'image' %}{{ '<vision_start><image><vision_end>' }}"
    "{% elif c.type == 'text' %}{{ ' ' + c.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' ' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class NanoShape:
    """Sizes of the nano reasoner; a few million parameters in all."""

    tile_px: int = 128
    """Side of the square image, pixels."""
    patch_px: int = 8
    """Side of a vision patch, pixels; 2 × 2 patches make one token."""
    width: int = 128
    """Hidden size of both towers."""
    text_layers: int = 3
    """Decoder layers."""
    vision_layers: int = 4
    """Vision encoder layers."""
    heads: int = 4
    """Attention heads of both towers."""

    @property
    def image_tokens(self) -> int:
        """Tokens one image takes in the prompt."""
        return (self.tile_px // self.patch_px // 2) ** 2


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """Id of one token of the vocabulary."""
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found


def words_of(texts: Iterable[str]) -> list[str]:
    """Every distinct word-level token of the texts, sorted."""
    return sorted({token for text in texts for token in re.findall(WORD, text.lower())})


def build_tokenizer(texts: Iterable[str], *, tile_px: int) -> PreTrainedTokenizerFast:
    """A word-level tokenizer over the texts, whole numbers up to the tile size as single tokens."""
    numbers = [str(n) for n in range(tile_px + 1)]
    fixed = [*SPECIAL, *MARKS, *numbers]
    return _tokenizer_over([*fixed, *(w for w in words_of(texts) if w not in fixed)])


def _tokenizer_over(words: Sequence[str]) -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(words)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNK,
        padding_side="left",
        extra_special_tokens={
            "image_token": IMAGE,
            "video_token": VIDEO,
            "vision_bos_token": VISION_START,
            "vision_eos_token": VISION_END,
        },
    )


def build_processor(tokenizer: PreTrainedTokenizerFast, shape: NanoShape) -> Qwen3VLProcessor:
    """The ordinary Qwen3-VL processor, fixed to the nano tile size."""
    area = shape.tile_px**2
    image = Qwen2VLImageProcessor(
        patch_size=shape.patch_px,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": area, "longest_edge": area},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    video = Qwen3VLVideoProcessor(patch_size=shape.patch_px, merge_size=2)
    return Qwen3VLProcessor(  # type: ignore[no-untyped-call]
        image_processor=image, tokenizer=tokenizer, video_processor=video, chat_template=TEMPLATE
    )


def nano_config(tokenizer: PreTrainedTokenizerFast, shape: NanoShape) -> Qwen3VLConfig:
    """The model's config; `remotereasoner_profile` tells the loader which prompts it was trained on."""
    head = shape.width // shape.heads
    third = head // 6
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": shape.width,
            "intermediate_size": shape.width * 3,
            "num_hidden_layers": shape.text_layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "head_dim": head,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [head // 2 - 2 * third, third, third],
                "mrope_interleaved": True,
            },
            "pad_token_id": token_id(tokenizer, PAD),
            "bos_token_id": token_id(tokenizer, BOS),
            "eos_token_id": token_id(tokenizer, EOS),
        },
        vision_config={
            "depth": shape.vision_layers,
            "hidden_size": shape.width,
            "intermediate_size": shape.width * 3,
            "num_heads": shape.heads,
            "out_hidden_size": shape.width,
            "patch_size": shape.patch_px,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": (shape.tile_px // shape.patch_px) ** 2,
            "deepstack_visual_indexes": [0, shape.vision_layers - 2],
        },
        image_token_id=token_id(tokenizer, IMAGE),
        video_token_id=token_id(tokenizer, VIDEO),
        vision_start_token_id=token_id(tokenizer, VISION_START),
        vision_end_token_id=token_id(tokenizer, VISION_END),
        tie_word_embeddings=True,
        remotereasoner_profile="nano",  # type: ignore[call-arg]
    )


def build_nano(tokenizer: PreTrainedTokenizerFast, shape: NanoShape) -> Qwen3VLForConditionalGeneration:
    """A nano reasoner with random weights, its number tokens laid out on sinusoids of their value."""
    model = Qwen3VLForConditionalGeneration(nano_config(tokenizer, shape))
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        **{
            f"{name}_token_id": token_id(tokenizer, mark)
            for name, mark in (("pad", PAD), ("bos", BOS), ("eos", EOS))
        }
    )
    embedding: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    ids = torch.tensor([token_id(tokenizer, str(n)) for n in range(shape.tile_px + 1)])
    with torch.no_grad():
        embedding[ids] = ordinal_embedding(shape.tile_px + 1, shape.width)
    return model


def open_nano(
    name: str, texts: Iterable[str], *, shape: NanoShape
) -> tuple[PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration]:
    """A trained nano reasoner whose vocabulary is widened by the words of the texts that it lacks.

    Raises:
        ModelError: there is no such model.
        RecipeError: it is of another architecture or of other sizes than the recipe's.
    """
    folder = find_model(name, Role.REASONER)
    stated = read_json(folder / "config.json")
    if stated.get("model_type") != "qwen3_vl":
        raise RecipeError(f"start: {name} is a {stated.get('model_type')!r}, not a nano reasoner (qwen3_vl)")
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    old = PreTrainedTokenizerFast.from_pretrained(folder).get_vocab()
    known = sorted(old, key=old.__getitem__)
    _check_shape(model.config, name, shape)
    tokenizer = _tokenizer_over([*known, *(word for word in words_of(texts) if word not in old)])
    if len(tokenizer) > len(known):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return tokenizer, model


def _check_shape(config: Qwen3VLConfig, name: str, shape: NanoShape) -> None:
    wanted = nano_config(build_tokenizer([], tile_px=shape.tile_px), shape)
    for part, key in (
        ("text_config", "hidden_size"),
        ("text_config", "num_hidden_layers"),
        ("vision_config", "depth"),
        ("vision_config", "patch_size"),
        ("vision_config", "num_position_embeddings"),
    ):
        has, asked = getattr(getattr(config, part), key), getattr(getattr(wanted, part), key)
        if has != asked:
            raise RecipeError(f"start: {name} has {part}.{key} {has}, the recipe's shape asks for {asked}")


def ordinal_embedding(count: int, width: int) -> torch.Tensor:
    """(count, width) sinusoids over five octaves, so that near numbers start out near one another."""
    octave = torch.arange(width // 2) / (width // 2) * 5
    phase = torch.arange(count)[:, None] / count * math.pi * 2**octave
    return torch.cat([torch.sin(phase), torch.cos(phase)], dim=1) * 0.04
