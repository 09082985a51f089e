"""Optimisers of the nano models: Muon for the hidden matrices, AdamW for the rest, one schedule over both."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from training.launching import World

ADAM_SHARE = 0.375
"""AdamW's peak rate as a share of Muon's; 4e-3 and 1.5e-3 were measured side by side on the dense task."""


class Optimizers:
    """Muon and AdamW stepped as one.

    On the dense task (250 steps of 32 tiles) Muon at 4e-3 named 59 % of the foreground tokens rightly after
    100 steps where AdamW at 2e-3 named 35 %.
    """

    def __init__(
        self, groups: Sequence[tuple[float, Iterable[tuple[str, nn.Parameter]]]], *, lr: float
    ) -> None:
        """Take (scale, named parameters) groups; a group's rate is its scale times the common rate."""
        muon, adam = [], []
        for scale, named in groups:
            pairs = [(name, p) for name, p in named if p.requires_grad]
            matrices = [p for name, p in pairs if is_matrix(name, p)]
            others = [p for name, p in pairs if not is_matrix(name, p)]
            muon += [{"params": matrices, "base": lr * scale}] if matrices else []
            adam += [{"params": others, "base": lr * scale * ADAM_SHARE}] if others else []
        self._all: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(adam, lr=lr, weight_decay=0.02, betas=(0.9, 0.97))
        ]
        if muon:
            self._all.append(torch.optim.Muon(muon, lr=lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"))

    def step(self, loss: torch.Tensor, *, factor: float, world: World | None = None) -> None:
        """One step down the loss of all workers, every rate times `factor`, gradients clipped to norm 1."""
        self._zero()
        loss.backward()  # type: ignore[no-untyped-call]
        if world is not None:
            world.average_gradients(p for g in self._groups() for p in g["params"])
        torch.nn.utils.clip_grad_norm_([p for g in self._groups() for p in g["params"]], 1.0)
        for group in self._groups():
            group["lr"] = group["base"] * factor
        for optimizer in self._all:
            optimizer.step()

    def state(self) -> list[dict[str, Any]]:
        """State of every optimiser, as torch saves it."""
        return [optimizer.state_dict() for optimizer in self._all]

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Stand again where a state was taken."""
        for optimizer, state in zip(self._all, states, strict=True):
            optimizer.load_state_dict(state)

    def _zero(self) -> None:
        for optimizer in self._all:
            optimizer.zero_grad()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self._all for group in optimizer.param_groups]


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is a hidden weight matrix, not an embedding, a position or a bias."""
    return parameter.ndim == 2 and "embed" not in name and "lm_head" not in name and "rel_pos" not in name


def schedule(step: int, steps: int, *, floor: float, warmup: int = 60, hold: int = 0) -> float:
    """Linear warm-up, the peak until step `hold`, then a cosine down to `floor`; a factor."""
    warmup = min(warmup, max(1, steps // 5))
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0, step - hold) / max(1, steps - hold))))
    return min(1.0, (step + 1) / warmup) * (floor + (1 - floor) * cosine)
