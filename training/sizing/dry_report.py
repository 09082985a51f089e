"""What a dry run found, for people as lines and for programs as a plain dict."""

from collections.abc import Mapping
from dataclasses import dataclass

from training.rl import Batches
from training.sizing.footprint import GB, GPU_BYTES, Footprint


@dataclass(frozen=True, slots=True)
class FirstPrompt:
    """The first question as the model would get it."""

    id: str
    """Name of its example."""
    text: str
    """The chat, `<image>` in the image's place."""
    size: tuple[int, int]
    """(height, width) of the image, pixels."""
    resized: tuple[int, int]
    """(height, width) the model sees, pixels."""
    boxes: tuple[tuple[float, ...], ...]
    """True boxes, x0, y0, x1, y1 half-open pixels of the image as it is."""
    answer: str = ""
    """True words of a caption or an answer, empty for boxes."""


@dataclass(frozen=True, slots=True)
class DryRunReport:
    """Everything that is known of a training before it starts."""

    model: str
    """Checkpoint it starts from."""
    profile: str
    """How the model is asked and read."""
    parameters: int
    """Numbers in the model's own weights."""
    trainable: int
    """Numbers that are trained; in low-rank training those of the added matrices."""
    footprint: Footprint
    """Estimated memory of one GPU."""
    image_tokens: int
    """Tokens of the largest image."""
    prompt_tokens: int
    """About how many tokens the longest prompt takes, its image included."""
    batches: Batches
    """How completions share out."""
    steps: int
    """Optimiser steps of the whole training."""
    examples: int
    """Questions."""
    problems: Mapping[str, int]
    """How often each problem was met in the data."""
    prompt: FirstPrompt
    """The first question."""

    @property
    def fits(self) -> bool:
        """The estimated peak is within an 80 GB GPU."""
        return self.footprint.total <= GPU_BYTES

    @property
    def share(self) -> float:
        """Trained numbers over all numbers of the model as it trains."""
        added = 0 if self.trainable == self.parameters else self.trainable
        return self.trainable / (self.parameters + added)

    def as_dict(self) -> dict[str, object]:
        """The report as JSON can hold it."""
        return {
            "model": self.model,
            "profile": self.profile,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "trainable_share": self.share,
            "memory_gb": self.footprint.terms(),
            "fits_80_gb": self.fits,
            "image_tokens": self.image_tokens,
            "prompt_tokens": self.prompt_tokens,
            "group": self.batches.group,
            "workers": self.batches.workers,
            "per_device_batch": self.batches.per_device_batch,
            "generation_batch": self.batches.generation_batch,
            "steps": self.steps,
            "examples": self.examples,
            "problems": dict(self.problems),
            "prompt": self._prompt(),
        }

    def lines(self) -> list[str]:
        """The report for people."""
        return [*self._model_lines(), *self._memory_lines(), *self._step_lines(), *self._data_lines()]

    def _prompt(self) -> dict[str, object]:
        prompt = self.prompt
        return {
            "id": prompt.id,
            "text": prompt.text,
            "size": list(prompt.size),
            "resized": list(prompt.resized),
            "boxes": [list(box) for box in prompt.boxes],
            "answer": prompt.answer,
        }

    def _model_lines(self) -> list[str]:
        return [
            f"model        {self.model}, asked as {self.profile}",
            f"parameters   {self.parameters:,}",
            f"trained      {self.trainable:,} ({self.share:.2%})",
        ]

    def _memory_lines(self) -> list[str]:
        terms = self.footprint.terms()
        named = [f"  {name:<13}{value:8.2f} GB" for name, value in terms.items()]
        verdict = "fits" if self.fits else "does not fit"
        return ["memory of one GPU, estimated", *named, f"  {verdict} {GPU_BYTES // GB} GB"]

    def _step_lines(self) -> list[str]:
        each = self.batches
        return [
            f"prompt       {self.prompt_tokens} tokens at most, {self.image_tokens} of them image",
            f"batch        {each.questions} questions × {each.group} completions, {each.workers} workers, "
            f"{each.per_device_batch} through a model at once",
            f"steps        {self.steps}",
        ]

    def _data_lines(self) -> list[str]:
        prompt = self.prompt
        left_out = [f"  {count} × {what}" for what, count in self.problems.items()]
        truth = prompt.answer or f"{len(prompt.boxes)} boxes {[list(box) for box in prompt.boxes]}"
        return [
            f"data         {self.examples} questions, {sum(self.problems.values())} problems",
            *left_out,
            f"example      {prompt.id}: {_by(prompt.size)} pixels, seen as {_by(prompt.resized)}; {truth}",
            *(f"  {line}" for line in prompt.text.splitlines()),
        ]


def _by(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width} × {height}"
