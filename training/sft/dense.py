"""The dense auxiliary task: every vision token says which class lies over it and where that piece's box is.

Letters: B images, P image tokens, K classes. A throw-away head; it trains the tower to locate.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from training.data import NAMES, TrainingTile

CELL_PX = 16
MIN_CELL_PX = 20
"""A piece owns a token from so many pixels of its cell on, or from half of its own area on."""


class DenseHead(nn.Module):
    """Linear head on vision tokens: K + 1 class logits and four box sides in tile fractions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, len(NAMES) + 1 + 4)

    def forward(self, tokens_bp: torch.Tensor) -> torch.Tensor:
        """Logits and box sides (B, P, K + 1 + 4), float32 whatever the tower ran in."""
        with torch.autocast(tokens_bp.device.type, enabled=False):
            raw: torch.Tensor = self.linear(self.norm(tokens_bp.float()))
        return raw

    def loss(
        self,
        tokens_bp: torch.Tensor,
        classes_bp: torch.Tensor,
        boxes_bp: torch.Tensor,
        *,
        foreground: float | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy of the class plus six times the mean L1 distance of the foreground's box sides.

        Args:
            tokens_bp: (B, P, width) vision tokens.
            classes_bp: (B, P) int64, 0 for ground.
            boxes_bp: (B, P, 4) tile fractions.
            foreground: Number of foreground tokens the distance is divided by; None takes those given.
                Several workers give their mean number, so that together they weigh every token alike.
        """
        y = self(tokens_bp)
        split = len(NAMES) + 1
        class_loss = F.cross_entropy(y[..., :split].flatten(0, 1), classes_bp.flatten())
        foreground_bp = classes_bp > 0
        count = float(foreground_bp.sum()) if foreground is None else foreground
        away = (y[..., split:][foreground_bp] - boxes_bp[foreground_bp]).abs().sum() / 4
        whole: torch.Tensor = class_loss + 6 * away / max(count, 1.0)
        return whole

    @torch.no_grad()
    def figures(
        self, tokens_bp: torch.Tensor, classes_bp: torch.Tensor, boxes_bp: torch.Tensor
    ) -> dict[str, float]:
        """Share of foreground tokens with the right class, and the mean box error in tile fractions."""
        y = self(tokens_bp)
        split = len(NAMES) + 1
        fg = classes_bp > 0
        right = (y[..., :split].argmax(-1) == classes_bp)[fg].float().mean()
        return {"kind": float(right), "box": float((y[..., split:][fg] - boxes_bp[fg]).abs().mean())}


def dense_targets(tiles: Sequence[TrainingTile]) -> tuple[torch.Tensor, torch.Tensor]:
    """Class (B, P) int64, 0 for ground, and box (B, P, 4) float32 in tile fractions, tokens row by row."""
    both = [_targets(tile) for tile in tiles]
    classes = torch.from_numpy(np.stack([number for number, _ in both]))
    return classes, torch.from_numpy(np.stack([box for _, box in both]))


def _targets(tile: TrainingTile) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    size, n = tile.pieces.shape[0], len(tile.classes)
    grid = size // CELL_PX
    cells = tile.pieces.reshape(grid, CELL_PX, grid, CELL_PX).transpose(0, 2, 1, 3).reshape(grid * grid, -1)
    counts = np.zeros((grid * grid, n + 1), np.int64)
    np.add.at(counts, (np.repeat(np.arange(grid * grid), CELL_PX**2), cells.ravel()), 1)
    counts[:, 0] = 0
    total = np.maximum(counts.sum(axis=0), 1)
    counts[(counts < MIN_CELL_PX) & (counts < 0.5 * total)] = 0
    owner = counts.argmax(axis=1)
    classes = np.concatenate([[0], tile.classes.astype(np.int64) + 1])[owner]
    boxes = np.concatenate([np.zeros((1, 4)), tile.boxes / size])[owner]
    return classes, boxes.astype(np.float32)
