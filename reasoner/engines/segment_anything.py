"""A segmenter that runs a `segment_anything` model: the embedded nano one or the released checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

from reasoner.answer import Answer, Masks, TileView
from reasoner.engines.box_prompts import BoxPrompts, Decoded, segment_all
from reasoner.engines.nano_sam import load_sam
from reasoner.errors import ModelError
from reasoner.model_files import weights_digest

_IGNORED = -1


class OriginalSam:
    """Boxes to masks: one encoding per view, all boxes of all answers decoded together."""

    def __init__(self, sam: Sam, *, digest: str) -> None:
        self._sam = sam.eval()
        self._digest = digest
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)

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
        resized = torch.from_numpy(self._resize.apply_image(view.pixels)).permute(2, 0, 1)
        image = self._sam.preprocess(resized.to(self._sam.device).float()[None])
        embedding = self._sam.image_encoder(image)
        shape, tile = (resized.shape[1], resized.shape[2]), view.pixels.shape[:2]
        return [self._decode(embedding, part, resized=shape, tile=(tile[0], tile[1])) for part in parts]

    def _decode(
        self, embedding: torch.Tensor, part: BoxPrompts, *, resized: tuple[int, int], tile: tuple[int, int]
    ) -> Decoded:
        sparse, dense = self._sam.prompt_encoder(
            points=self._points(part, tile), boxes=self._moved(part.boxes, tile, width=4), masks=None
        )
        logits, quality = self._sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=self._sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        full = self._sam.postprocess_masks(logits, input_size=resized, original_size=tile)
        return full[:, 0].sigmoid().float().cpu().numpy(), quality[:, 0].clamp(0, 1).float().cpu().numpy()

    def _points(self, part: BoxPrompts, tile: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor] | None:
        if not part.points.shape[1]:
            return None
        labels = torch.from_numpy(part.labels).to(self._sam.device)
        return self._moved(part.points, tile, width=2), labels

    def _moved(
        self,
        coordinates: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
        tile: tuple[int, int],
        *,
        width: int,
    ) -> torch.Tensor:
        """Scale tile pixels to the pixels of the model's image; the last axis stays `width` long."""
        pairs = coordinates.reshape(*coordinates.shape[:-1], width // 2, 2)
        moved = self._resize.apply_coords(pairs, tile).reshape(coordinates.shape)
        return torch.from_numpy(moved).float().to(self._sam.device)


def open_original_sam(source: Path, *, device: str) -> OriginalSam:
    """Load a nano folder (config.json, model.safetensors) or a released `.pth` checkpoint.

    Raises:
        ModelError: the folder or file does not hold such a model.
    """
    sam = load_sam(source) if source.is_dir() else _released(source)
    return OriginalSam(sam.to(device), digest=weights_digest(source))


def _released(checkpoint: Path) -> Sam:
    size = next((key for key in ("vit_b", "vit_l", "vit_h") if key in checkpoint.name), None)
    if size is None:
        raise ModelError(f"{checkpoint.name} does not say its size: its name must hold vit_b, vit_l or vit_h")
    sam = sam_model_registry[size](checkpoint=None)
    try:
        sam.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    except Exception as error:
        raise ModelError(f"{checkpoint} holds no {size} weights: {error}") from error
    return sam
