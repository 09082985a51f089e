"""How questions and completions share out over slices, workers and optimiser steps, as TRL counts them."""

import math
from dataclasses import dataclass

from training import RecipeError


@dataclass(frozen=True, slots=True)
class Batches:
    """What goes through the model together.

    Source: `GRPOConfig.__post_init__` and `RepeatSampler` of TRL 1.16, to which a test holds this.
    """

    group: int
    """Completions of one question whose rewards are compared, at least 2."""
    per_device_batch: int
    """Completions a worker takes through the model at once."""
    workers: int = 1
    """Processes that train together."""
    grad_accum: int = 1
    """Slices of per_device_batch completions added up for one optimiser step."""
    steps_per_generation: int | None = None
    """Slices that are sampled together; None samples those of one optimiser step."""
    iterations: int = 1
    """How often sampled completions are learned from."""

    def __post_init__(self) -> None:
        check_group(self.group)
        for name in ("per_device_batch", "workers", "grad_accum", "slices", "iterations"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} {getattr(self, name)}: must be at least 1")
        if self.generation_batch % self.group:
            raise RecipeError(self._remedy())

    @property
    def slices(self) -> int:
        """Slices that are sampled together."""
        return self.grad_accum if self.steps_per_generation is None else self.steps_per_generation

    @property
    def generation_batch(self) -> int:
        """Completions sampled together over all workers."""
        return self.per_device_batch * self.workers * self.slices

    @property
    def questions(self) -> int:
        """Questions sampled together over all workers."""
        return self.generation_batch // self.group

    def steps(self, examples: int, *, epochs: float | None, max_steps: int | None = None) -> int:
        """Optimiser steps over that many questions; the incomplete last batch of a pass is left out.

        Args:
            examples: questions there are.
            epochs: passes over them; None takes max_steps alone.
            max_steps: the most there may be; None sets no bound.

        Raises:
            RecipeError: there are fewer questions than are sampled together, or no end is given.
        """
        if examples < self.questions:
            raise RecipeError(
                f"{examples} questions are fewer than the {self.questions} sampled together: give more data, "
                "or lower prompts_per_step or workers"
            )
        if epochs is None and max_steps is None:
            raise RecipeError("give epochs, max_steps or both: nothing says when the training ends")
        bounds = [] if max_steps is None else [max_steps]
        if epochs is not None:
            bounds.append(math.ceil(epochs * self._steps_per_epoch(examples)))
        return min(bounds)

    def _steps_per_epoch(self, examples: int) -> int:
        passes = examples // self.questions * self.iterations * self.slices
        return max(math.ceil(passes / self.grad_accum), 1)

    def _remedy(self) -> str:
        groups = nearest(self.group, divisors(self.generation_batch)[1:])
        unit = self.group // math.gcd(self.group, self.workers * self.slices)
        below = self.per_device_batch // unit * unit
        sizes = nearest(self.per_device_batch, tuple(size for size in (below, below + unit) if size))
        return (
            f"group {self.group} does not divide the generation batch of {self.generation_batch} "
            f"(per_device_batch {self.per_device_batch} × workers {self.workers} × slices {self.slices}): "
            f"use {f'a group of {groups} or ' if groups else ''}a per_device_batch of {sizes}"
        )


def check_group(group: int) -> None:
    """Refuse a group that cannot be compared within itself.

    Raises:
        RecipeError: it holds fewer than two completions.
    """
    if group < 2:
        raise RecipeError(f"group {group}: rewards are compared within a group, give at least 2")


def slice_size(completions: int, grad_accum: int) -> int:
    """Completions of each of `grad_accum` equal slices.

    Raises:
        RecipeError: they cannot be of equal size.
    """
    if completions % grad_accum:
        fitting = nearest(grad_accum, divisors(completions))
        raise RecipeError(
            f"grad_accum {grad_accum} does not divide the {completions} completions of a worker's step "
            f"(group × prompts_per_step): use {fitting}"
        )
    return completions // grad_accum


def divisors(number: int) -> tuple[int, ...]:
    """All divisors of a positive number, rising."""
    return tuple(each for each in range(1, number + 1) if number % each == 0)


def nearest(value: int, among: tuple[int, ...]) -> str:
    """Name the nearest of some rising numbers below and above a value, as `2 or 4`."""
    below = [str(each) for each in among if each < value][-1:]
    above = [str(each) for each in among if each > value][:1]
    return " or ".join(below + above)
