"""A reasoner that runs a Hugging Face vision-language checkpoint in this process.

The chat and the reading of answers come from the profile.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils.logging import disable_progress_bar

from reasoner.answer import Answer, Completion, TileView
from reasoner.coordinates import Sizing
from reasoner.errors import ModelError
from reasoner.model_files import weights_digest
from reasoner.profiles import NANO, Profile
from reasoner.query import Query

_VISION_TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")


class TransformersReasoner:
    """Greedy answers of one checkpoint under one profile."""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        *,
        profile: Profile,
        digest: str,
        batch_size: int,
    ) -> None:
        # Held without types: the library types its generation and its processors only in part.
        self._model = cast(Any, model)
        self._processor = cast(Any, processor)
        self._model.eval()
        self._profile = profile
        self._digest = digest
        self._batch_size = batch_size
        self._model.generation_config = _greedy(model, processor, profile=profile)

    @property
    def digest(self) -> str:
        """Digest of the weights and of the prompt version."""
        return self._digest

    @property
    def tile_px(self) -> int:
        """Native tile size, pixels."""
        return self._profile.tile_px

    @property
    def profile(self) -> Profile:
        """The conventions it is asked and read by, with the sizing of its own processor."""
        return self._profile

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        """Answer every query about every view: one list per view, one completion per query in it."""
        pairs = [(view, query) for view in views for query in queries]
        completions = [one for batch in _batches(pairs, self._batch_size) for one in self._complete(batch)]
        count = len(queries)
        return [completions[number * count : (number + 1) * count] for number in range(len(views))]

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        """Read a completion about a tile of that size in pixels; never raises on bad text."""
        return self._profile.parse(completion, query, width=width, height=height)

    @torch.inference_mode()
    def _complete(self, pairs: Sequence[tuple[TileView, Query]]) -> list[Completion]:
        inputs = self._processor(
            text=[self._prompt(query) for _, query in pairs],
            images=[Image.fromarray(view.pixels) for view, _ in pairs],
            padding=True,
            return_tensors="pt",
        ).to(self._model.device, self._model.dtype)
        written = self._model.generate(**inputs)[:, inputs["input_ids"].shape[1] :]
        return [self._completion(tokens) for tokens in written.tolist()]

    def _prompt(self, query: Query) -> str:
        return str(
            self._processor.apply_chat_template(
                self._profile.messages(query), tokenize=False, add_generation_prompt=True
            )
        )

    def _completion(self, tokens: list[int]) -> Completion:
        ends = _ends(self._model.generation_config)
        stop = next((number for number, token in enumerate(tokens) if token in ends), None)
        kept = tokens if stop is None else tokens[:stop]
        text = self._processor.tokenizer.decode(kept, skip_special_tokens=False)
        return Completion(
            text, len(kept), truncated=stop is None and len(tokens) >= self._profile.max_new_tokens
        )


def open_transformers_reasoner(
    folder: Path, profile: Profile, *, device: str, batch_size: int = 16
) -> TransformersReasoner:
    """Load a checkpoint folder; safetensors only, no code of the checkpoint's is run.

    Raises:
        ModelError: the folder does not hold a complete image-text checkpoint.
    """
    model, processor = load_checkpoint(folder, exact=profile.name == NANO.name)
    fitted = dataclasses.replace(profile, sizing=fit_processor(processor, profile.sizing))
    digest = reasoner_digest(folder, profile)
    return TransformersReasoner(
        model.to(device), processor, profile=fitted, digest=digest, batch_size=batch_size
    )


def load_checkpoint(folder: Path, *, exact: bool) -> tuple[Any, Any]:
    """Load model and processor of a checkpoint folder; `exact` computes in float32, else as it was saved.

    Raises:
        ModelError: the folder does not hold a complete image-text checkpoint.
    """
    # Its bar of weights would stand between the lines of a program that draws its own.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    processors: Any = AutoProcessor
    models: Any = AutoModelForImageTextToText
    try:
        processor = processors.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        model, report = models.from_pretrained(
            folder,
            # The small embedded model gains no speed from half precision, and is exactly repeatable without.
            dtype=torch.float32 if exact else "auto",
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{folder} cannot be loaded as an image-text model: {error}") from error
    if report["missing_keys"]:
        # Missing weights would silently stay random.
        raise ModelError(f"{folder} lacks weights: {', '.join(sorted(report['missing_keys'])[:5])}")
    return model, processor


def reasoner_digest(folder: Path, profile: Profile) -> str:
    """Return the digest of a checkpoint under a profile, without loading it."""
    return f"{weights_digest(folder)}-{profile.digest}"


def fit_processor(processor: ProcessorMixin, sizing: Sizing) -> Sizing:
    """Cap the processor's image area at the profile's and pad on the left; return how it resizes then."""
    processor.tokenizer.padding_side = "left"
    images = processor.image_processor
    if not hasattr(images, "merge_size"):
        return sizing
    smallest = int(images.size["shortest_edge"])
    largest = max(smallest, min(int(images.size["longest_edge"]), sizing.max_pixels))
    images.size = {"shortest_edge": smallest, "longest_edge": largest}
    return Sizing(int(images.patch_size * images.merge_size), smallest, largest)


def vision_token_ids(model: PreTrainedModel) -> list[int]:
    """The tokens that represent images: generating one would crash the model, so all are suppressed."""
    ids = {getattr(model.config, name, None) for name in _VISION_TOKENS}
    return sorted(token for token in ids if isinstance(token, int) and token >= 0)


def _greedy(model: PreTrainedModel, processor: ProcessorMixin, *, profile: Profile) -> GenerationConfig:
    # Made anew: released checkpoints have a repetition penalty, which changes the digits of boxes.
    config: Any = GenerationConfig
    ends = model.generation_config.eos_token_id
    pad = processor.tokenizer.pad_token_id
    greedy: GenerationConfig = config(
        do_sample=False,
        max_new_tokens=profile.max_new_tokens,
        eos_token_id=processor.tokenizer.eos_token_id if ends is None else ends,
        pad_token_id=processor.tokenizer.eos_token_id if pad is None else pad,
        suppress_tokens=vision_token_ids(model) or None,
    )
    return greedy


def _ends(config: GenerationConfig) -> set[int]:
    ends = config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}


def _batches(
    pairs: Sequence[tuple[TileView, Query]], size: int
) -> Iterator[Sequence[tuple[TileView, Query]]]:
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]
