"""Turns model names of a request into cards and loaded models, with oracles for practice scenes."""

import os
from dataclasses import dataclass, replace

from pipelines import RequestError
from pipelines.plan.oracle_truth import Placement, Truth, question_classes, truth_digest
from reasoner import loading
from reasoner.engines.oracle import OracleReasoner, OracleSegmenter
from reasoner.model_name import ModelCard, ModelKind, ModelName
from reasoner.protocols import Reasoner, Segmenter
from reasoner.query import Query, Task
from tiling.storage import kept_copy

ORACLE_TILE_PX = 256


@dataclass(frozen=True, slots=True)
class ModelRecipe:
    """All that a worker needs to load both models; picklable, without weights."""

    reasoner: str
    """The reasoner's name."""
    segmenter: str
    """The segmenter's name."""
    profile: str | None
    """Model family, None if the checkpoint tells."""
    device: str
    """auto, cpu or cuda."""
    seed: int
    """Seed of sampling models."""
    placements: tuple[Placement, ...]
    """Where the planned scenes lie, for oracles; empty for other models."""

    def load_reasoner(self) -> Reasoner:
        """Build the reasoner.

        Raises:
            ModelError: it cannot be loaded.
            RequestError: an oracle's truth table cannot be read.
        """
        # Sums of floats differ in their last bits with the number of threads, and the answers must not depend
        # on the executor: one thread, as in Ray's workers, unless the user says otherwise.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        uri = ModelName.parse(self.reasoner).truth
        if uri is not None:
            lookup = Truth(uri, self.placements).load()
            return OracleReasoner(lookup, digest=_oracle_digest(uri), tile_px=ORACLE_TILE_PX)
        name = local_model(self.reasoner)
        return loading.load_reasoner(name, device=self.device, profile=self.profile, seed=self.seed)

    def load_segmenter(self) -> Segmenter:
        """Build the segmenter.

        Raises:
            ModelError: it cannot be loaded.
            RequestError: an oracle's truth table cannot be read.
        """
        uri = ModelName.parse(self.segmenter).truth
        if uri is not None:
            return OracleSegmenter(Truth(uri, self.placements).load(), digest=_oracle_digest(uri))
        return loading.load_segmenter(local_model(self.segmenter), device=self.device)


def reasoner_card(name: str, *, profile: str | None, queries: tuple[Query, ...]) -> ModelCard:
    """Digest and tile size of a reasoner, without loading it.

    Raises:
        ModelError: there is no such model.
        RequestError: an oracle's truth table cannot be read, or does not know a question.
    """
    uri = ModelName.parse(name).truth
    if uri is None:
        return replace(loading.describe_reasoner(local_model(name), profile=profile), name=name)
    digest = _oracle_digest(uri)
    _check_known(uri, queries)
    return ModelCard(name, digest, ORACLE_TILE_PX)


def segmenter_card(name: str) -> ModelCard:
    """Digest of a segmenter, without loading it.

    Raises:
        ModelError: there is no such model.
        RequestError: an oracle's truth table cannot be read.
    """
    uri = ModelName.parse(name).truth
    if uri is None:
        return replace(loading.describe_segmenter(local_model(name)), name=name)
    return ModelCard(name, _oracle_digest(uri), 0)


def local_model(name: str) -> str:
    """The name of a model to load; a model on object storage is copied here and named by the local folder.

    Raises:
        StorageError: there is no such model, or the storage refuses or is away.
    """
    return kept_copy(name) if ModelName.parse(name).kind is ModelKind.BUCKET else name


def _oracle_digest(uri: str) -> str:
    return f"oracle-{truth_digest(uri)}"


def _check_known(uri: str, queries: tuple[Query, ...]) -> None:
    known = question_classes(uri)
    for query in queries:
        if query.task is Task.LOCATE and query.text not in known:
            example = next(iter(known), "")
            raise RequestError(
                "ask",
                f"the oracle of {uri} does not know {query.text!r}",
                f"ask as in questions.json: {example!r}",
            )
