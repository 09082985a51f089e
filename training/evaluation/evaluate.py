"""Asks a dataset's questions as a run would, and sums up how good the answers are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reasoner.protocols import Reasoner, Segmenter
from training.data import Example, Problem
from training.evaluation.bootstrap import Interval, differences, intervals
from training.evaluation.predict import grouped, oracle_predictions, picture_key, predict
from training.evaluation.protocols import Protocol
from training.evaluation.scoring import ExampleRecord, ExampleResult, score_image

EvalListener = Callable[[int, int], None]
"""Called after every call of a model with the part that is done and the whole; each example counts twice."""
MetricIntervals = Mapping[str, Interval]
"""Figures by name; undefined ones are left out."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a model is on a dataset."""

    protocol: Protocol
    """Whose reading of the figures is used."""
    seed: int
    """Seed of the intervals."""
    results: tuple[ExampleResult, ...]
    """In the order of the examples."""
    problems: tuple[Problem, ...]
    """Examples that could not be scored because their files cannot be read."""
    overall: MetricIntervals
    """Figures of all examples."""
    by_task: Mapping[str, MetricIntervals]
    """Figures of each task."""
    by_class: Mapping[str, MetricIntervals]
    """Figures of each class that a source names."""
    by_source: Mapping[str, MetricIntervals]
    """Figures of each dataset."""

    @property
    def records(self) -> list[ExampleRecord]:
        """The scores, in the order of the results."""
        return [result.record for result in self.results]


def evaluate(
    examples: Sequence[Example],
    reasoner: Reasoner | None,
    segmenter: Segmenter | None = None,
    *,
    protocol: Protocol = Protocol.SEGEARTH,
    batch: int = 16,
    seed: int = 0,
    listener: EvalListener | None = None,
) -> Evaluation:
    """Ask every question about its image and score the answers.

    An answer that cannot be read is data and scores as one; an image or a mask that cannot be read is a
    problem and leaves its example out.

    Args:
        examples: what to ask and what is true, images of any size.
        reasoner: answers; examples of one question, or of one image, are handed to it together. None takes
            the true boxes for the answers and leaves questions to be answered in words out, which scores the
            segmenter alone.
        segmenter: makes masks of the boxes; None leaves pixel and contour figures out.
        protocol: whose reading of the figures is used.
        batch: most examples handed to the reasoner at once.
        seed: of the bootstrap intervals; answers do not depend on it.
        listener: called with the progress.
    """
    advance = _progress(len(examples), listener)
    predictions, problems = oracle_predictions(examples), list[Problem]()
    if reasoner is not None:
        predictions, problems = predict(examples, reasoner, batch=batch, advance=advance)
    results: dict[int, ExampleResult] = {}
    for image, members in enumerate(grouped(predictions, lambda index: picture_key(examples[index]))):
        scored = score_image(
            [predictions[index] for index in members], segmenter, protocol.rules, image=image
        )
        results |= {i: one for i, one in zip(members, scored, strict=True) if isinstance(one, ExampleResult)}
        problems += [one for one in scored if isinstance(one, Problem)]
        advance(len(members))
    return _summed([results[index] for index in sorted(results)], problems, protocol, seed)


def figures_of(records: Sequence[ExampleRecord], *, seed: int) -> MetricIntervals:
    """Figures of a set of examples with their 95 % intervals; examples of one image are drawn together."""
    names = _names(records)
    if not names:
        return {}
    found = intervals(_sums(records, names), seed=seed, places=[str(record.image) for record in records])
    return {name: one for name, one in zip(names, found, strict=True) if np.isfinite(one.mean)}


def compare(before: Sequence[ExampleRecord], after: Sequence[ExampleRecord], *, seed: int) -> MetricIntervals:
    """By how much each figure rose on the examples that both have, with paired 95 % intervals."""
    old = {record.key: record for record in before}
    new = [record for record in after if record.key in old]
    kept = [old[record.key] for record in new]
    names = [name for name in _names(new) if name in _names(kept)]
    if not names:
        return {}
    places = [str(record.image) for record in new]
    risen = differences(_sums(kept, names), _sums(new, names), seed=seed, places=places)
    return {name: one for name, one in zip(names, risen, strict=True) if np.isfinite(one.mean)}


def _progress(count: int, listener: EvalListener | None) -> Callable[[int], None]:
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if listener is not None:
            listener(done, 2 * count)

    return advance


def _summed(
    results: Sequence[ExampleResult], problems: Sequence[Problem], protocol: Protocol, seed: int
) -> Evaluation:
    def by(name: Callable[[ExampleResult], str]) -> Mapping[str, MetricIntervals]:
        groups: dict[str, list[ExampleRecord]] = {}
        for result in results:
            groups.setdefault(name(result), []).append(result.record)
        return {key: figures_of(groups[key], seed=seed) for key in sorted(groups) if key}

    return Evaluation(
        protocol=protocol,
        seed=seed,
        results=tuple(results),
        problems=tuple(problems),
        overall=figures_of([result.record for result in results], seed=seed),
        by_task=by(lambda result: str(result.example.query.task)),
        by_class=by(lambda result: result.example.class_name),
        by_source=by(lambda result: result.example.source),
    )


def _names(records: Sequence[ExampleRecord]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.scores))


def _sums(records: Sequence[ExampleRecord], names: Sequence[str]) -> NDArray[np.float64]:
    """(n, k, 2) numerators and denominators; a figure that an example does not have is 0 of 0."""
    return np.array([[record.scores.get(name, (0.0, 0.0)) for name in names] for record in records])
