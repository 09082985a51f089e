"""What papers on the same figures disagree about, by the name of the paper."""

from dataclasses import dataclass
from enum import StrEnum

from training.datasets import Questions


class Divisor(StrEnum):
    """What the share of samples above an IoU is divided by."""

    ALL = "all"
    """Every sample."""
    PREDICTED = "predicted"
    """Samples with found pixels, or with any readable answer where there is no target."""


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """How a protocol treats the cases that the definition of a figure leaves open."""

    empty_score: float
    """IoU of a sample with neither truth nor prediction, 0 or 1."""
    strays_count: bool
    """Pixels found where an image has no target enter the union of cIoU."""
    divisor: Divisor
    """What P@X is divided by."""
    questions: Questions
    """Which wordings are asked where an image has several."""
    strict: bool
    """P@X wants an IoU above X, not just X."""


class Protocol(StrEnum):
    """Whose reading of the figures is used.

    | protocol  | empty and empty | strays in cIoU | P@X divided by | P@X wants | questions |
    |-----------|-----------------|----------------|----------------|-----------|-----------|
    | segearth  | 1               | yes            | all            | IoU > X   | first     |
    | think2seg | 1               | no             | predicted      | IoU >= X  | all       |
    | seg-zero  | 0               | yes            | all            | IoU >= X  | all       |
    | rmsin     | 0               | yes            | all            | IoU >= X  | all       |

    Of `seg-zero` the score of empty images alone is reported; its other columns follow `rmsin`.
    UniGeoSeg scores empty images as `segearth` does, Geo-R1 as `seg-zero` does. An answer that cannot be
    read scores 0 under every protocol, as in Think2Seg-RS.

    Source: released evaluation scripts: `segearth_r1/eval_and_test/eval.py` of SegEarth-R1,
    `src/eval/test_think2seg-rs_ref.py` and `geo_reward_func_ultra.py` of Think2Seg-RS, `test.py` of RMSIN.
    """

    SEGEARTH = "segearth"
    """SegEarth-R1."""
    THINK2SEG = "think2seg"
    """Think2Seg-RS."""
    SEG_ZERO = "seg-zero"
    """Seg-Zero."""
    RMSIN = "rmsin"
    """RMSIN, and LAVT before it."""

    @property
    def rules(self) -> ScoringRules:
        """The decisions of this protocol."""
        return _RULES[self]


_RULES = {
    Protocol.SEGEARTH: ScoringRules(1.0, True, Divisor.ALL, Questions.FIRST, True),
    Protocol.THINK2SEG: ScoringRules(1.0, False, Divisor.PREDICTED, Questions.ALL, False),
    Protocol.SEG_ZERO: ScoringRules(0.0, True, Divisor.ALL, Questions.ALL, False),
    Protocol.RMSIN: ScoringRules(0.0, True, Divisor.ALL, Questions.ALL, False),
}
