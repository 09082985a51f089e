"""Times the sampling of completions inside TRL's trainer, without changing what is sampled."""

import time
from dataclasses import dataclass
from typing import Any

from trl.trainer.grpo_trainer import GRPOTrainer


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """One step of policy optimisation, from one sampling to the next."""

    seconds: float
    """Wall time of the step."""
    generating: float
    """Part of that time spent sampling completions, seconds."""
    completions: int
    """Number of sampled completions."""
    tokens: int
    """Number of their tokens."""

    @property
    def share(self) -> float:
        """Share of the time spent sampling."""
        return self.generating / self.seconds


class Stopwatch:
    """Times the sampling of one trainer."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, float, list[int]]] = []

    def watched(self, trainer: GRPOTrainer) -> GRPOTrainer:
        """The trainer, with its sampling timed from now on."""
        sampler: Any = trainer
        sample = sampler._generate_single_turn

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            result = sample(*args, **kwargs)
            self._calls.append((began, time.perf_counter(), [len(ids) for ids in result[0]]))
            return result

        sampler._generate_single_turn = timed
        return trainer

    def steps(self) -> list[PolicyStep]:
        """The steps between two samplings; the first is left out as warm-up if there are several."""
        found = [
            PolicyStep(after[0] - began, ended - began, len(lengths), sum(lengths))
            for (began, ended, lengths), after in zip(self._calls, self._calls[1:], strict=False)
        ]
        return found[1:] or found
