"""Supervised training of the nano segmenter: masks from boxes that are a little wrong, as a reasoner's are.

Letters: N boxes of one image, H rows, W columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from segment_anything.modeling import Sam

from reasoner.engines.nano_sam import SamConfig, build_sam, load_sam, save_sam
from reasoner.model_files import Role, find_model
from training.data import TileSource, TrainingTile, sample_rng
from training.launching import State, World
from training.sft.optim import Optimizers, schedule


@dataclass(frozen=True, slots=True)
class SegmenterRecipe:
    """How the nano segmenter is trained; the same recipe and seed give the same weights on one machine."""

    seed: int = 0
    """Seed of weights, tiles and box noise."""
    start: str = ""
    """Model folder to go on from, or `nano` for the embedded one; empty to begin with random weights."""
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
    """Spread of each box side's error, as a share of the box's size."""
    shake_px: float = 1.2
    """Added to that spread, pixels."""
    check_every: int = 100
    """Steps between two checks on the validation tiles."""
    save_every: int = 500
    """Steps between checkpoints."""
    sam: SamConfig = field(default_factory=SamConfig)
    """Sizes of the model."""


class SegmenterStage:
    """Model and optimiser of a segmenter while it is trained; a `Stage` of the training loop."""

    def __init__(
        self,
        recipe: SegmenterRecipe,
        tiles: TileSource,
        *,
        checks: Mapping[str, TileSource],
        world: World,
    ) -> None:
        """Take tiles to train on, and by name tiles that are only checked."""
        torch.manual_seed(recipe.seed)
        world.mine(recipe.batch)
        self.recipe, self.source, self.world, self.device = recipe, tiles, world, world.device
        self.sam = _opened(recipe).to(self.device)
        self._optimizers = Optimizers([(1.0, self.sam.named_parameters())], lr=recipe.lr)
        self.checks = {
            name: [filled_tile(source, np.random.default_rng([2**20, slot])) for slot in range(48)]
            for name, source in checks.items()
        }

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.recipe.steps

    def step(self, number: int) -> dict[str, float]:
        """One step on noisy boxes of some objects of each tile."""
        recipe = self.recipe
        rngs = [sample_rng(recipe.seed, number, slot) for slot in self.world.mine(recipe.batch)]
        tiles = [filled_tile(self.source, rng) for rng in rngs]
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=recipe.bf16):
            loss, iou = segmenter_loss(self.sam, tiles, rngs, recipe)
        factor = schedule(number, recipe.steps, floor=0.02)
        self._optimizers.step(loss, factor=factor, world=self.world)
        figures = {"loss": float(loss.detach()), "iou": iou, "images": float(recipe.batch)}
        return {**self.world.mean(figures), **self._checked(number)}

    def state(self) -> State:
        """Weights and optimiser."""
        return {"model": self.sam.state_dict(), "optimizers": self._optimizers.state()}

    def load(self, state: State) -> None:
        """Stand again where a state was taken."""
        self.sam.load_state_dict(state["model"])
        self._optimizers.load(state["optimizers"])  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Write a folder that the loader accepts."""
        save_sam(self.sam, self.recipe.sam, folder)

    def _checked(self, number: int) -> dict[str, float]:
        """Mean IoU from true boxes on the validation tiles, now and then."""
        if (number + 1) % self.recipe.check_every and number + 1 != self.recipe.steps:
            return {}
        return {f"check_{name}": self.check(tiles) for name, tiles in self.checks.items()}

    @torch.no_grad()
    def check(self, tiles: Sequence[TrainingTile]) -> float:
        """Mean IoU over the tiles' objects, prompted by their true boxes; nothing is trained."""
        exact = replace(self.recipe, noise=0.0, shake_px=0.0, boxes=16)
        ious = [segmenter_loss(self.sam, [tile], [np.random.default_rng(0)], exact)[1] for tile in tiles]
        return float(np.mean(ious))


def filled_tile(source: TileSource, rng: np.random.Generator) -> TrainingTile:
    """A tile with at least one object on it."""
    while True:
        tile = source.tile(rng)
        if len(tile.classes):
            return tile


def _opened(recipe: SegmenterRecipe) -> Sam:
    if not recipe.start:
        return build_sam(recipe.sam)
    return load_sam(find_model(recipe.start, Role.SEGMENTER)).train()


def segmenter_loss(
    sam: Sam, tiles: Sequence[TrainingTile], rngs: Sequence[np.random.Generator], recipe: SegmenterRecipe
) -> tuple[torch.Tensor, float]:
    """Mean loss over the tiles' boxes and the mean IoU reached, as a number."""
    images = torch.from_numpy(np.stack([tile.pixels for tile in tiles])).permute(0, 3, 1, 2).float()
    images = images.to(sam.device)
    features = sam.image_encoder((images - sam.pixel_mean) / sam.pixel_std)
    losses, ious = [], []
    for feature, tile, rng in zip(features, tiles, rngs, strict=True):
        chosen = rng.permutation(len(tile.classes))[: recipe.boxes]
        truth = torch.from_numpy(np.stack([tile.pieces == i + 1 for i in chosen])).float().to(sam.device)
        boxes = noisy_boxes(tile.boxes[chosen], rng, recipe)
        logits, quality = decode(sam, feature[None], torch.from_numpy(boxes).float().to(sam.device))
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
    boxes: NDArray[np.int32], rng: np.random.Generator, recipe: SegmenterRecipe
) -> NDArray[np.float64]:
    """Boxes (N, 4) with each side moved by a normal error, clipped to the tile."""
    size = np.concatenate([boxes[:, 2:] - boxes[:, :2]] * 2, axis=1)
    spread = recipe.noise * size + recipe.shake_px
    moved = boxes + rng.normal(0, 1, boxes.shape) * spread * rng.uniform(0, 1, (len(boxes), 1))
    tile_px = recipe.sam.image_size
    low = np.clip(moved[:, :2], 0, tile_px - 2)
    return np.concatenate([low, np.clip(moved[:, 2:], low + 2, tile_px)], axis=1)
