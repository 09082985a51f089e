"""Supervised training of the nano reasoner: a dense warm start of its vision tower, then conversations.

Letters: B images, S tokens, A answer tokens, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from training.data import TileSource, TrainingTile, sample_rng
from training.launching import State, World
from training.sft.dense import DenseHead, dense_targets
from training.sft.nano import NanoShape, build_nano, build_processor, build_tokenizer, open_nano
from training.sft.optim import Optimizers, schedule
from training.sft.sequences import Batch, Packer, Turn, all_texts, patches, turns_of


@dataclass(frozen=True, slots=True)
class SftRecipe:
    """How the nano reasoner is trained; the same recipe and seed give the same weights on one machine."""

    seed: int = 0
    """Seed of weights, tiles and questions."""
    start: str = ""
    """Model folder to go on from, or `nano` for the embedded one; empty to begin with random weights."""
    batch: int = 32
    """Images a step, over all workers."""
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
    check_every: int = 100
    """Steps between two checks on the validation tiles."""
    save_every: int = 500
    """Steps between checkpoints."""
    shape: NanoShape = field(default_factory=NanoShape)
    """Sizes of the model."""


@dataclass(frozen=True, slots=True)
class TileTurns:
    """Tiles with their questions and answers."""

    tiles: Sequence[TrainingTile]
    """B tiles."""
    turns: Sequence[Sequence[Turn]]
    """The questions and answers of each."""


class NanoStage:
    """Model, dense head and optimiser while they are trained; a `Stage` of the training loop."""

    def __init__(
        self,
        recipe: SftRecipe,
        tiles: TileSource,
        *,
        checks: Mapping[str, TileSource],
        world: World,
    ) -> None:
        """Take tiles to train on, and by name tiles that are only checked."""
        torch.manual_seed(recipe.seed)
        world.mine(recipe.batch)
        self.recipe, self.source, self.world, self.device = recipe, tiles, world, world.device
        self.tokenizer, self.model = _opened(recipe)
        self.model.to(torch.device(self.device))  # type: ignore[arg-type]
        self.head = DenseHead(recipe.shape.width).to(self.device)
        self.packer = Packer(self.tokenizer, recipe.shape)
        self.soft = soft_numbers(self.tokenizer, recipe).to(self.device)
        self.checks = {name: _fixed(source, recipe) for name, source in checks.items()}
        self._seen: list[torch.Tensor] = []
        self._optimizers: tuple[str, Optimizers] | None = None
        visual = self.model.model.visual
        visual.register_forward_hook(lambda _m, _i, out: self._seen.append(out.pooler_output))

    @property
    def steps(self) -> int:
        """Steps of both parts."""
        return self.recipe.dense_steps + self.recipe.steps

    def step(self, number: int) -> dict[str, float]:
        """One step: the vision tower alone at first, then questions with the dense task beside them."""
        recipe = self.recipe
        if number < recipe.dense_steps:
            return self._dense_step(number)
        return self._words_step(number, number - recipe.dense_steps)

    def state(self) -> State:
        """Weights of model and head, and the optimiser of the part that runs."""
        part, optimizers = self._optimizers or ("", None)
        return {
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "part": part,
            "optimizers": [] if optimizers is None else optimizers.state(),
        }

    def load(self, state: State) -> None:
        """Stand again where a state was taken."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.head.load_state_dict(state["head"])  # type: ignore[arg-type]
        if state["part"]:
            self._optimizer(str(state["part"])).load(state["optimizers"])  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Write a folder that the loader accepts."""
        self.model.save_pretrained(folder)
        build_processor(self.tokenizer, self.recipe.shape).save_pretrained(folder)

    def answer_loss(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the weighted cross entropies over the answer tokens, and the sum of their weights."""
        hidden = self.model.model(
            input_ids=batch.input_ids.to(self.device),
            pixel_values=batch.pixels.to(self.device),
            image_grid_thw=batch.grids.to(self.device),
            position_ids=batch.positions.to(self.device),
            attention_mask=batch.attention.to(self.device),
            use_cache=False,
        ).last_hidden_state
        asked = (batch.labels >= 0).to(self.device)
        logp_av = F.log_softmax(self.model.lm_head(hidden[asked]).float(), dim=-1)
        labels_a = batch.labels.to(self.device)[asked]
        weight_a = 1.0 + (self.soft[labels_a].max(dim=-1).values < 1).float()
        loss_a = -(self.soft[labels_a] * logp_av).sum(-1)
        return (loss_a * weight_a).sum(), weight_a.sum()

    def _dense_step(self, number: int) -> dict[str, float]:
        recipe = self.recipe
        tiles = self._tile_turns(number).tiles
        pixels, grids = patches([tile.pixels for tile in tiles], recipe.shape)
        with self._precision():
            self.model.model.visual(pixels.to(self.device), grid_thw=grids.to(self.device))
            loss, tokens = self._dense_loss(tiles)
        self._optimizer("dense").step(
            loss, factor=schedule(number, recipe.dense_steps, floor=0.1), world=self.world
        )
        figures = self.head.figures(tokens, *self._dense_targets(tiles))
        return self.world.mean({"dense": float(loss.detach()), **figures})

    def _words_step(self, number: int, since: int) -> dict[str, float]:
        recipe = self.recipe
        sample = self._tile_turns(number)
        batch = self.packer.pack(sample.tiles, sample.turns)
        with self._precision():
            total, weight = self.answer_loss(batch)
            dense, _ = self._dense_loss(sample.tiles)
        # The mean over the tokens of all workers, so that their number changes nothing.
        words = total / self.world.mean({"weight": float(weight.detach())})["weight"]
        factor = schedule(since, recipe.steps, floor=0.02, hold=recipe.hold)
        self._optimizer("words").step(words + recipe.dense_weight * dense, factor=factor, world=self.world)
        figures = {"loss": float(words.detach()), "dense": float(dense.detach())}
        figures["tokens"] = float((batch.labels >= 0).sum()) * self.world.size
        figures["images"] = float(recipe.batch)
        return {**self.world.mean(figures), **self._checked(since)}

    def _checked(self, since: int) -> dict[str, float]:
        """Loss on the validation tiles, now and then."""
        last = since + 1 == self.recipe.steps
        if (since + 1) % self.recipe.check_every and not last:
            return {}
        return {f"check_{name}": self.check(sample) for name, sample in self.checks.items()}

    @torch.no_grad()
    def check(self, sample: TileTurns) -> float:
        """Mean loss over the answer tokens of a sample; nothing is trained."""
        with self._precision():
            total, weight = self.answer_loss(self.packer.pack(sample.tiles, sample.turns))
        self._seen.clear()
        return float(total / weight)

    def _tile_turns(self, number: int) -> TileTurns:
        recipe = self.recipe
        rngs = [sample_rng(recipe.seed, number, slot) for slot in self.world.mine(recipe.batch)]
        tiles = [self.source.tile(rng) for rng in rngs]
        return TileTurns(tiles, [turns_of(tile, rng) for tile, rng in zip(tiles, rngs, strict=True)])

    def _optimizer(self, part: str) -> Optimizers:
        """Optimiser of a part; each part begins with a fresh one."""
        if self._optimizers is None or self._optimizers[0] != part:
            self._optimizers = (part, self._fresh(part))
        return self._optimizers[1]

    def _fresh(self, part: str) -> Optimizers:
        visual, head = list(self.model.model.visual.named_parameters()), list(self.head.named_parameters())
        if part == "dense":
            return Optimizers([(1.0, [*visual, *head])], lr=self.recipe.dense_lr)
        language = [*self.model.model.language_model.named_parameters(), *head]
        return Optimizers([(1.0, language), (self.recipe.vision_share, visual)], lr=self.recipe.lr)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.recipe.bf16)

    def _dense_targets(self, tiles: Sequence[TrainingTile]) -> tuple[torch.Tensor, torch.Tensor]:
        classes, boxes = dense_targets(tiles)
        return classes.to(self.device), boxes.to(self.device)

    def _dense_loss(self, tiles: Sequence[TrainingTile]) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self._seen.pop()
        self._seen.clear()
        flat = torch.cat(list(seen)) if isinstance(seen, (list, tuple)) else seen
        tokens_bp = flat.view(len(tiles), self.recipe.shape.image_tokens, -1)
        classes, boxes = self._dense_targets(tiles)
        foreground_bp = self.world.mean({"shown": float((classes > 0).sum())})["shown"]
        return self.head.loss(tokens_bp, classes, boxes, foreground=foreground_bp), tokens_bp


def soft_numbers(tokenizer: PreTrainedTokenizerFast, recipe: SftRecipe) -> torch.Tensor:
    """(V, V) target distribution of every token: itself, or for a number its neighbours too."""
    soft = torch.eye(len(tokenizer))
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(str(n)) for n in range(recipe.shape.tile_px + 1)])
    away = torch.arange(len(ids))[:, None] - torch.arange(len(ids))[None]
    spread = torch.exp(-0.5 * (away / recipe.number_sigma) ** 2)
    soft[ids[:, None], ids[None]] = spread / spread.sum(1, keepdim=True)
    return soft


def _opened(recipe: SftRecipe) -> tuple[PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration]:
    if recipe.start:
        return open_nano(recipe.start, all_texts(), shape=recipe.shape)
    tokenizer = build_tokenizer(all_texts(), tile_px=recipe.shape.tile_px)
    return tokenizer, build_nano(tokenizer, recipe.shape)


def _fixed(source: TileSource, recipe: SftRecipe, count: int = 48) -> TileTurns:
    """Tiles and questions that never change, whatever the recipe trains on."""
    rngs = [np.random.default_rng([2**20, slot]) for slot in range(count)]
    tiles = [source.tile(rng) for rng in rngs]
    return TileTurns(tiles, [turns_of(tile, rng) for tile, rng in zip(tiles, rngs, strict=True)])
