"""Supervised training of the nano reasoner: a dense warm start of its vision tower, then conversations.

Letters: B images, S tokens, A answer tokens, V vocabulary.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from training.dense import DenseHead, dense_targets
from training.nano import NanoShape, build_nano, build_processor, build_tokenizer
from training.optim import Optimizers, schedule
from training.sequences import Batch, Packer, all_texts, patches, turns_of
from training.tiles import SceneRaster, TrainingTile, random_tile

Report = Callable[[str, int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class SftRecipe:
    """How the nano reasoner is taught; the same recipe and seed give the same weights on one machine."""

    seed: int = 0
    """Seed of weights, tiles and questions."""
    batch: int = 32
    """Images a step."""
    dense_steps: int = 1500
    """Steps of the dense warm start."""
    steps: int = 5000
    """Steps of questions and answers."""
    hold: int = 0
    """Of these, steps at the peak rate before it falls."""
    lr: float = 4e-3
    """Peak learning rate of the hidden matrices."""
    dense_lr: float = 7e-3
    """The same in the dense warm start."""
    vision_share: float = 0.5
    """The vision tower's share of that rate in the second stage."""
    bf16: bool = True
    """Multiply in bfloat16; a quarter faster where the processor has the instructions."""
    number_sigma: float = 0.7
    """Spread of the soft target over neighbouring numbers, pixels."""
    dense_weight: float = 0.3
    """Weight of the dense task while questions are trained."""
    save_every: int = 500
    """Steps between checkpoints."""
    shape: NanoShape = field(default_factory=NanoShape)
    """Sizes of the model."""


class NanoTrainer:
    """Holds model, dense head and optimiser while they are trained."""

    def __init__(self, recipe: SftRecipe, scenes: Sequence[SceneRaster], *, report: Report) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.scenes, self.report = recipe, scenes, report
        self.tokenizer: PreTrainedTokenizerFast = build_tokenizer(all_texts(), tile_px=recipe.shape.tile_px)
        self.model: Qwen3VLForConditionalGeneration = build_nano(self.tokenizer, recipe.shape)
        self.head = DenseHead(recipe.shape.width)
        self.packer = Packer(self.tokenizer, recipe.shape)
        self.soft = _soft_numbers(self.tokenizer, recipe)
        self.rng = np.random.default_rng(recipe.seed)
        self._seen: list[torch.Tensor] = []
        visual = self.model.model.visual
        visual.register_forward_hook(lambda _m, _i, out: self._seen.append(out.pooler_output))

    def tiles(self) -> list[TrainingTile]:
        """One batch of random tiles."""
        px = self.recipe.shape.tile_px
        return [random_tile(self.scenes, self.rng, tile_px=px) for _ in range(self.recipe.batch)]

    def warm_start(self) -> None:
        """Stage one: the vision tower alone learns kinds and boxes densely."""
        visual = self.model.model.visual
        named = [*visual.named_parameters(), *self.head.named_parameters()]
        optimizers = Optimizers([(1.0, named)], lr=self.recipe.dense_lr)
        for step in range(self.recipe.dense_steps):
            tiles = self.tiles()
            pixels, grids = patches([tile.pixels for tile in tiles], self.recipe.shape)
            with self._precision():
                visual(pixels, grid_thw=grids)
                loss, tokens = self._dense_loss(tiles)
            optimizers.step(loss, factor=schedule(step, self.recipe.dense_steps, floor=0.1))
            if step % 50 == 49:
                figures = self.head.figures(tokens, *dense_targets(tiles))
                self.report("dense", step + 1, {"loss": float(loss.detach()), **figures})

    def converse(self, out: Path) -> None:
        """Stage two: questions and answers, the dense task kept beside them."""
        recipe = self.recipe
        language = [*self.model.model.language_model.named_parameters(), *self.head.named_parameters()]
        visual = list(self.model.model.visual.named_parameters())
        optimizers = Optimizers([(1.0, language), (recipe.vision_share, visual)], lr=recipe.lr)
        mean = 0.0
        for step in range(recipe.steps):
            tiles = self.tiles()
            batch = self.packer.pack(tiles, [turns_of(tile, self.rng) for tile in tiles])
            with self._precision():
                words = self.answer_loss(batch)
                dense, _ = self._dense_loss(tiles)
            factor = schedule(step, recipe.steps, floor=0.02, hold=recipe.hold)
            optimizers.step(words + recipe.dense_weight * dense, factor=factor)
            mean = float(words.detach()) if step == 0 else 0.98 * mean + 0.02 * float(words.detach())
            if step % 50 == 49:
                self.report("sft", step + 1, {"loss": mean, "dense": float(dense.detach())})
            if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
                self.save(out)

    def answer_loss(self, batch: Batch) -> torch.Tensor:
        """Mean cross entropy over the answer tokens, numbers against softened targets."""
        hidden = self.model.model(
            input_ids=batch.input_ids,
            pixel_values=batch.pixels,
            image_grid_thw=batch.grids,
            position_ids=batch.positions,
            attention_mask=batch.attention,
            use_cache=False,
        ).last_hidden_state
        asked = batch.labels >= 0
        logp_av = F.log_softmax(self.model.lm_head(hidden[asked]).float(), dim=-1)
        labels_a = batch.labels[asked]
        weight_a = 1.0 + (self.soft[labels_a].max(dim=-1).values < 1).float()
        loss_a = -(self.soft[labels_a] * logp_av).sum(-1)
        return (loss_a * weight_a).sum() / weight_a.sum()

    def save(self, out: Path) -> None:
        """Write a folder that the loader accepts."""
        self.model.save_pretrained(out)
        build_processor(self.tokenizer, self.recipe.shape).save_pretrained(out)

    def _precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16)

    def _dense_loss(self, tiles: Sequence[TrainingTile]) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self._seen.pop()
        self._seen.clear()
        flat = torch.cat(list(seen)) if isinstance(seen, (list, tuple)) else seen
        tokens_bp = flat.view(len(tiles), self.recipe.shape.image_tokens, -1)
        return self.head.loss(tokens_bp, *dense_targets(tiles)), tokens_bp


def train_reasoner(recipe: SftRecipe, scenes: Sequence[SceneRaster], *, out: Path, report: Report) -> None:
    """Train a nano reasoner from nothing and leave a loadable folder at `out`."""
    trainer = NanoTrainer(recipe, scenes, report=report)
    trainer.warm_start()
    trainer.converse(out)


def print_report() -> Report:
    """A listener that prints one line per report, with images per second left to the reader's division."""
    start = time.monotonic()

    def report(stage: str, step: int, figures: dict[str, float]) -> None:
        shown = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        print(f"{stage} {step}  {shown}  {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)

    return report


def _soft_numbers(tokenizer: PreTrainedTokenizerFast, recipe: SftRecipe) -> torch.Tensor:
    soft = torch.eye(len(tokenizer))
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(str(n)) for n in range(recipe.shape.tile_px + 1)])
    away = torch.arange(len(ids))[:, None] - torch.arange(len(ids))[None]
    spread = torch.exp(-0.5 * (away / recipe.number_sigma) ** 2)
    soft[ids[:, None], ids[None]] = spread / spread.sum(1, keepdim=True)
    return soft
