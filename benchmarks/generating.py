"""Times the sampling of completions inside TRL's trainer. Changes nothing of what is sampled."""

import time
from dataclasses import dataclass
from typing import Any

from trl.trainer.grpo_trainer import GRPOTrainer


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """One step of policy optimisation, from one sampling to the next."""

    seconds: float
    """Wall time of all of it."""
    generating: float
    """Of that, in the sampling of completions, seconds."""
    completions: int
    """How many were sampled."""
    tokens: int
    """Their tokens together."""

    @property
    def share(self) -> float:
        """Share of the time spent sampling."""
        return self.generating / self.seconds


class Stopwatch:
    """Watches one trainer."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, float, list[int]]] = []

    def watched(self, trainer: GRPOTrainer) -> GRPOTrainer:
        """Return the trainer, its sampling timed."""
        sampler: Any = trainer
        sample = sampler._generate_single_turn

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            message = sample(*args, **kwargs)
            self._calls.append((began, time.perf_counter(), [len(ids) for ids in message[0]]))
            return message

        sampler._generate_single_turn = timed
        return trainer

    def steps(self) -> list[PolicyStep]:
        """Steps between two samplings, the first left out as warm-up where there are more."""
        found = [
            PolicyStep(after[0] - began, ended - began, len(lengths), sum(lengths))
            for (began, ended, lengths), after in zip(self._calls, self._calls[1:], strict=False)
        ]
        return found[1:] or found
