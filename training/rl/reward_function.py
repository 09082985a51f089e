"""The reward function that the policy trainer calls: completions of known examples in, one number each out.

Completions are read by the same profile as in a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reasoner.answer import Answer, Completion
from reasoner.profiles import Profile
from training.data import Example
from training.rl.mask_union import MaskMaker
from training.rl.rewards import MaskPair, Rewards, RewardWeights, TrueAnswer, score_completion


@dataclass(frozen=True, slots=True)
class CompletionReader:
    """How token ids become the text that the parser reads."""

    decode: Callable[[Sequence[int]], str]
    """Token ids to text, special tokens kept."""
    ends: frozenset[int]
    """Tokens that end a completion."""
    longest: int
    """Limit of a completion, tokens; one that reaches it without an end is cut off."""

    def completion(self, ids: Sequence[int]) -> Completion:
        """Read what was sampled, as the inference engine does."""
        stop = next((place for place, token in enumerate(ids) if token in self.ends), None)
        kept = ids if stop is None else ids[:stop]
        return Completion(self.decode(kept), len(kept), truncated=stop is None and len(ids) >= self.longest)


class Rewarder:
    """Rewards completions of a list of examples; the trainer calls it."""

    __name__ = "composite"

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        profile: Profile,
        reader: CompletionReader,
        weights: RewardWeights,
        masks: MaskMaker | None = None,
    ) -> None:
        """Take the examples the trainer names by number, and how completions are read and weighed."""
        self._examples, self._profile, self._reader = examples, profile, reader
        self._weights, self._masks = weights, masks

    def __call__(
        self,
        *,
        completion_ids: Sequence[Sequence[int]],
        number: Sequence[int],
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float]:
        """Reward each completion; the mean of every part is logged."""
        rewards = self.rewards(completion_ids, number)
        if log_metric is not None:
            for part, value in mean_parts(rewards).items():
                log_metric(f"reward_{part}", value)
        return [reward.composite for reward in rewards]

    def rewards(self, completion_ids: Sequence[Sequence[int]], number: Sequence[int]) -> list[Rewards]:
        """Every part of every completion's reward."""
        examples = [self._examples[n] for n in number]
        completions = [self._reader.completion(ids) for ids in completion_ids]
        answers = [self._parsed(one, example) for one, example in zip(completions, examples, strict=True)]
        pairs = self._pairs(answers, examples)
        return [
            score_completion(
                answer,
                one.text,
                truth=TrueAnswer(example.boxes, example.text),
                weights=self._weights,
                dialect=self._profile.dialect,
                masks=pair,
            )
            for answer, one, example, pair in zip(answers, completions, examples, pairs, strict=True)
        ]

    def _parsed(self, completion: Completion, example: Example) -> Answer:
        height, width = example.size
        return self._profile.parse(completion, example.query, width=width, height=height)

    def _pairs(self, answers: Sequence[Answer], examples: Sequence[Example]) -> list[MaskPair | None]:
        if self._masks is None or not self._weights.mask:
            return [None] * len(answers)
        masked = [place for place, example in enumerate(examples) if example.shapes is not None]
        found = self._masks.union_masks(
            [examples[place].picture.pixels() for place in masked], [answers[place].boxes for place in masked]
        )
        pairs: list[MaskPair | None] = [None] * len(answers)
        for place, union in zip(masked, found, strict=True):
            pairs[place] = MaskPair(union, _true_union(examples[place]))
        return pairs


def mean_parts(rewards: Sequence[Rewards]) -> dict[str, float]:
    """Mean of every part over the completions it applies to."""
    figures = [reward.figures() for reward in rewards]
    names = sorted({name for each in figures for name in each})
    return {name: float(np.mean([each[name] for each in figures if name in each])) for name in names}


def _true_union(example: Example) -> NDArray[np.bool_]:
    assert example.shapes is not None
    masks = example.shapes.masks()
    return np.asarray(masks.any(axis=0)) if len(masks) else np.zeros(example.size, dtype=np.bool_)
