"""An evaluation whose data, models and reports may lie on object storage; the command and Python call it."""

from contextlib import ExitStack
from os import fspath
from typing import TypeVar

from reasoner.model_name import ModelKind, ModelName
from tiling.storage import Address, at_hand, delivered, kept_copy
from training import DatasetError
from training.evaluation.data import DataChoice
from training.evaluation.evaluate import EvalListener
from training.evaluation.formats import DataFormat
from training.evaluation.job import EvalReport, EvalRequest, run_eval
from training.evaluation.protocols import Protocol

Choice = TypeVar("Choice", DataFormat, Protocol)


def evaluate_model(
    data: Address,
    *,
    reasoner: str = "nano",
    segmenter: str = "nano",
    profile: str | None = None,
    data_format: str = DataFormat.PRACTICE,
    split: str = "test",
    protocol: str = Protocol.SEGEARTH,
    limit: int | None = None,
    tiles: int | None = None,
    seed: int = 0,
    spare: bool = False,
    boxes_only: bool = False,
    out: Address | None = None,
    compare: Address | None = None,
    listener: EvalListener | None = None,
) -> EvalReport:
    """Measure a model on labelled images: counts, boxes, masks, contours and words, with 95 % intervals.

    Args:
        data: the dataset's folder, or for `real` and `tiles` a YAML file.
        reasoner: nano, a folder, a hub id, http://host:port/v1#model, or truth for the true boxes.
        segmenter: nano, a folder, a .pth file, a hub id, or none for boxes alone.
        profile: conventions of the reasoner; None takes the checkpoint's own.
        data_format: practice, earthreason, rrsisd, refsegrs, risbench, tiles or real.
        split: train, val or test.
        protocol: whose reading of the figures: segearth, think2seg, seg-zero or rmsin.
        limit: at most so many examples, drawn by the seed.
        tiles: so many random tiles of a practice folder.
        seed: of draws and intervals.
        spare: ask in wordings that training never sees.
        boxes_only: no captions and no answers in words.
        out: folder for eval.json, eval.md and eval.html; None writes nothing.
        compare: an earlier eval.json, to say what has changed.
        listener: receives the number of items done and of all items.

    Raises:
        DatasetError: the data or the earlier evaluation is not what the request names.
        ModelError: a model cannot be loaded.
        StorageError: object storage refuses or is away.
        OSError: the output folder cannot be written.
    """
    layout, reading = _known(DataFormat, "format", data_format), _known(Protocol, "protocol", protocol)
    named = fspath(data)
    with ExitStack() as near:
        root = near.enter_context(at_hand(named))
        choice = DataChoice(
            root,
            format=layout,
            split=split,
            limit=limit,
            seed=seed,
            held_out=spare,
            boxes_only=boxes_only,
            tiles=tiles,
            named=named,
        )
        request = EvalRequest(
            choice,
            reasoner=_brought(reasoner),
            segmenter=_brought(segmenter),
            profile=profile,
            protocol=reading,
            seed=seed,
            out=near.enter_context(delivered(fspath(out))) if out else None,
            before=near.enter_context(at_hand(fspath(compare))) if compare else None,
        )
        return run_eval(request, listener=listener)


def _brought(model: str) -> str:
    """The name of a model; one on object storage is brought here and named by its local folder."""
    return kept_copy(model) if ModelName.parse(model).kind is ModelKind.BUCKET else model


def _known(kind: type[Choice], field: str, name: str) -> Choice:
    try:
        return kind(name)
    except ValueError as error:
        raise DatasetError(f"{field} {name!r} is unknown: give {', '.join(kind)}") from error
