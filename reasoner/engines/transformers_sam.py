"""A segmenter that runs a SAM, SAM 2 or SAM 3 checkpoint of transformers, prompted by boxes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from reasoner.answer import Answer, Masks, TileView
from reasoner.engines.box_prompts import BoxPrompts, Decoded, segment_all
from reasoner.errors import ModelError
from reasoner.model_files import weights_digest

CLASSES: Mapping[str, tuple[str, str]] = {
    "sam": ("SamModel", "SamProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    "sam2_video": ("Sam2Model", "Sam2Processor"),
    "sam3_tracker": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    "sam3_video": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
}
"""Model and processor class in transformers by a checkpoint's model_type."""

_IGNORED = -10


class TransformersSam:
    """Boxes to masks: one encoding per view, all boxes of all answers decoded together."""

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin, *, digest: str) -> None:
        # Held without types: the library types its processors only in part.
        self._model = cast(Any, model)
        self._processor = cast(Any, processor)
        self._model.eval()
        self._digest = digest

    @property
    def digest(self) -> str:
        """Digest of the weights."""
        return self._digest

    def segment(self, view: TileView, answers: Sequence[Answer]) -> list[Masks]:
        """Masks for each answer, in order; the image is encoded once, and only if some answer has a box."""
        height, width = view.pixels.shape[:2]
        return segment_all(
            answers,
            size=(height, width),
            padding_label=_IGNORED,
            decode=lambda parts: self._decode_all(view, parts),
        )

    @torch.inference_mode()
    def _decode_all(self, view: TileView, parts: list[BoxPrompts]) -> list[Decoded]:
        image = Image.fromarray(view.pixels)
        embeddings = None
        decoded = []
        for part in parts:
            inputs = self._processor(image, **_nested(part), return_tensors="pt").to(self._model.device)
            pixels = inputs.pop("pixel_values").to(self._model.dtype)
            if embeddings is None:
                embeddings = self._model.get_image_embeddings(pixels)
            decoded.append(self._decode(embeddings, inputs))
        return decoded

    def _decode(
        self, embeddings: torch.Tensor | list[torch.Tensor], inputs: transformers.BatchEncoding
    ) -> Decoded:
        sizes = {key: inputs.pop(key) for key in ("original_sizes", "reshaped_input_sizes") if key in inputs}
        output = self._model(image_embeddings=embeddings, multimask_output=False, **inputs)
        (masks,) = self._processor.post_process_masks(output.pred_masks.float(), binarize=False, **sizes)
        scores = output.iou_scores[0, :, 0].clamp(0, 1)
        return masks[:, 0].sigmoid().float().cpu().numpy(), scores.float().cpu().numpy()


def open_transformers_sam(folder: Path, model_type: str, *, device: str) -> TransformersSam:
    """Load a checkpoint folder; safetensors only, no code of the checkpoint's is run.

    Raises:
        ModelError: transformers has no such model or the folder is not complete.
    """
    if model_type not in CLASSES or not hasattr(transformers, CLASSES[model_type][0]):
        raise ModelError(f"{folder} is a {model_type!r}, not a segmenter: use one of {', '.join(CLASSES)}")
    model_class, processor_class = (getattr(transformers, name) for name in CLASSES[model_type])
    try:
        processor = processor_class.from_pretrained(folder, local_files_only=True)
        model, report = model_class.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{folder} cannot be loaded as a segmenter: {error}") from error
    if report["missing_keys"]:
        raise ModelError(f"{folder} lacks weights: {', '.join(sorted(report['missing_keys'])[:5])}")
    return TransformersSam(model.to(device), processor, digest=weights_digest(folder))


def _nested(part: BoxPrompts) -> dict[str, list[object]]:
    nested: dict[str, list[object]] = {"input_boxes": [part.boxes.tolist()]}
    if part.points.shape[1]:
        nested["input_points"] = [part.points.tolist()]
        nested["input_labels"] = [part.labels.tolist()]
    return nested
