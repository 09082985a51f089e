"""A small true training: a line fitted by momentum descent, which misbehaves as its settings state."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.data.rng import sample_rng
from training.launching.distributed import World
from training.launching.stage import State


class Toy:
    """Linear regression on samples drawn by step and number."""

    def __init__(self, config: Mapping[str, Any], world: World) -> None:
        torch.manual_seed(int(config.get("seed", 0)))
        self.config, self.world = config, world
        self.model = torch.nn.Linear(int(config.get("width", 3)), 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)

    @property
    def steps(self) -> int:
        return int(self.config["steps"])

    def step(self, number: int) -> Mapping[str, float]:
        self.misbehave(number)
        count = int(self.config.get("samples", 4))
        xs = np.array(
            [sample_rng(7, number, i).normal(size=self.model.in_features) for i in self.world.mine(count)]
        )
        x = torch.tensor(xs, dtype=torch.float32)
        loss = ((self.model(x)[:, 0] - x.sum(dim=1) - 2) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.world.average_gradients(self.model.parameters())
        self.optimizer.step()
        return self.world.mean({"loss": float(loss.detach())}) | {"images": float(count)}

    def misbehave(self, number: int) -> None:
        """Die or raise as often as the settings say; they name the file that counts."""
        tally = Path(str(self.config.get("tally", "")))
        if number != self.config.get("fail_at") or self.world.rank != self.world.size - 1:
            return
        past = len(tally.read_text()) if tally.exists() else 0
        if past < int(self.config["failures"]):
            tally.write_text("x" * (past + 1))
            if self.config.get("raises"):
                raise OSError("the disk\nis full")
            os._exit(1)

    def state(self) -> State:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: State) -> None:
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        if "resumed" in self.config:
            torch.save(self.state(), f"{self.config['resumed']}-{self.world.rank}.pt")

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.state_dict(), folder / "weights.pt")


def weights(checkpoint: str) -> torch.Tensor:
    """All weights of a model folder, flat."""
    return torch.cat([value.flatten() for value in torch.load(Path(checkpoint) / "weights.pt").values()])
