"""Supervised training of the nano segmenter: masks from boxes that are a little wrong, as a reasoner's are.

Letters: N boxes of one image, H rows, W columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from segment_anything.modeling import Sam

from reasoner.sam_build import SamConfig, build_sam, save_sam
from training.optim import Optimizers, schedule
from training.sft import Report
from training.tiles import SceneRaster, TrainingTile, random_tile


@dataclass(frozen=True, slots=True)
class SegmenterRecipe:
    """How the nano segmenter is taught; the same recipe and seed give the same weights on one machine."""

    seed: int = 0
    """Seed of weights, tiles and box noise."""
    batch: int = 8
    """Images a step."""
    boxes: int = 5
    """Most boxes of one image a step."""
    steps: int = 6000
    """Steps."""
    lr: float = 3e-3
    """Peak learning rate."""
    bf16: bool = True
    """Multiply in bfloat16; faster where the processor has the instructions."""
    noise: float = 0.08
    """Spread of each box side's error, as a share of the box's size; 1.2 pixels are added."""
    save_every: int = 500
    """Steps between checkpoints."""
    sam: SamConfig = field(default_factory=SamConfig)
    """Sizes of the model."""


def train_segmenter(
    recipe: SegmenterRecipe, scenes: Sequence[SceneRaster], *, out: Path, report: Report
) -> None:
    """Train a nano segmenter from nothing and leave a loadable folder at `out`."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    sam = build_sam(recipe.sam)
    optimizers = Optimizers([(1.0, sam.named_parameters())], lr=recipe.lr)
    mean = np.zeros(2)
    for step in range(recipe.steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            loss, iou = segmenter_loss(sam, _filled(scenes, rng, recipe), rng, recipe)
        optimizers.step(loss, factor=schedule(step, recipe.steps, floor=0.02))
        now = np.array([float(loss.detach()), iou])
        mean = now if step == 0 else 0.98 * mean + 0.02 * now
        if step % 50 == 49:
            report("segmenter", step + 1, {"loss": float(mean[0]), "iou": float(mean[1])})
        if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
            save_sam(sam, recipe.sam, out)


def segmenter_loss(
    sam: Sam, tiles: Sequence[TrainingTile], rng: np.random.Generator, recipe: SegmenterRecipe
) -> tuple[torch.Tensor, float]:
    """Mean loss over the tiles' boxes and the mean IoU reached, as a number."""
    images = torch.from_numpy(np.stack([tile.pixels for tile in tiles])).permute(0, 3, 1, 2).float()
    features = sam.image_encoder((images - sam.pixel_mean) / sam.pixel_std)
    losses, ious = [], []
    for feature, tile in zip(features, tiles, strict=True):
        chosen = rng.permutation(len(tile.kinds))[: recipe.boxes]
        truth = torch.from_numpy(np.stack([tile.pieces == i + 1 for i in chosen])).float()
        boxes = noisy_boxes(tile.boxes[chosen], rng, noise=recipe.noise, tile_px=recipe.sam.image_size)
        logits, quality = decode(sam, feature[None], torch.from_numpy(boxes).float())
        loss, iou = mask_loss(logits, truth, quality)
        losses.append(loss)
        ious.append(iou)
    return torch.cat(losses).mean(), float(torch.cat(ious).mean())


def decode(sam: Sam, feature: torch.Tensor, boxes_n4: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask logits (N, H, W) at the model's image size and predicted IoU (N,) of the boxes of one image."""
    sparse, dense = sam.prompt_encoder(points=None, boxes=boxes_n4, masks=None)
    low, quality = sam.mask_decoder(
        image_embeddings=feature,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    size = sam.image_encoder.img_size
    if low.shape[-1] != size:
        low = F.interpolate(low, (size, size), mode="bilinear", align_corners=False)
    return low[:, 0], quality[:, 0]


def mask_loss(
    logits_nhw: torch.Tensor, truth_nhw: torch.Tensor, quality_n: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Per box: cross entropy over the pixels, dice, and the error of the predicted IoU; and the IoU."""
    pixels = logits_nhw.shape[-1] * logits_nhw.shape[-2]
    area = truth_nhw.sum((1, 2))
    entropy = F.binary_cross_entropy_with_logits(logits_nhw, truth_nhw, reduction="none").sum((1, 2))
    probability = logits_nhw.sigmoid()
    both = (probability * truth_nhw).sum((1, 2))
    dice = 1 - (2 * both + 1) / (probability.sum((1, 2)) + area + 1)
    with torch.no_grad():
        inside = logits_nhw > 0
        overlap = (inside & (truth_nhw > 0)).sum((1, 2))
        iou = overlap / (inside.sum((1, 2)) + area - overlap).clamp(min=1)
    per_area = entropy / (area + 0.01 * pixels)
    return dice + 0.5 * per_area + 0.1 * (quality_n - iou) ** 2, iou


def noisy_boxes(
    boxes: NDArray[np.int32], rng: np.random.Generator, *, noise: float, tile_px: int
) -> NDArray[np.float64]:
    """Boxes (N, 4) with each side moved by a normal error, clipped to the tile."""
    size = np.concatenate([boxes[:, 2:] - boxes[:, :2]] * 2, axis=1)
    moved = boxes + rng.normal(0, 1, boxes.shape) * (noise * size + 1.2) * rng.uniform(0, 1, (len(boxes), 1))
    low = np.clip(moved[:, :2], 0, tile_px - 2)
    return np.concatenate([low, np.clip(moved[:, 2:], low + 2, tile_px)], axis=1)


def _filled(
    scenes: Sequence[SceneRaster], rng: np.random.Generator, recipe: SegmenterRecipe
) -> list[TrainingTile]:
    tiles: list[TrainingTile] = []
    while len(tiles) < recipe.batch:
        tile = random_tile(scenes, rng, tile_px=recipe.sam.image_size)
        if len(tile.kinds):
            tiles.append(tile)
    return tiles
