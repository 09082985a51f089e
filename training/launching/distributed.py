"""Several processes training one model: who takes which sample, and one gradient for all.

Every sample of a step has a seed of its own, so that any number of processes sees the same samples.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class World:
    """This process among all that train together."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """How many there are."""
    device: str = "cpu"
    """Where this one computes: cpu or cuda."""

    def mine(self, count: int) -> range:
        """Samples of a step that this process takes.

        Raises:
            ValueError: the count cannot be shared out evenly.
        """
        if count % self.size:
            raise ValueError(f"{count} samples a step cannot be shared evenly by {self.size} workers")
        return range(self.rank, count, self.size)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; a parameter without one counts as zero."""
        if self.size == 1:
            return
        held = [p for p in parameters if p.requires_grad]
        for p in held:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = torch.cat([p.grad.flatten() for p in held if p.grad is not None])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for p in held:
            assert p.grad is not None
            p.grad.copy_(flat[start : start + p.numel()].view_as(p))
            start += p.numel()

    def mean(self, figures: dict[str, float]) -> dict[str, float]:
        """Mean of each figure over the processes; all must give the same names."""
        if self.size == 1:
            return figures
        names = sorted(figures)
        values = torch.tensor([figures[name] for name in names], dtype=torch.float64, device=self.device)
        dist.all_reduce(values)
        return dict(zip(names, (values / self.size).tolist(), strict=True))
