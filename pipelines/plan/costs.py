"""Estimates what a plan will cost in hours and money from a calibration, which `bench` measures."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pipelines import RequestError
from pipelines.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Calibration:
    """Median times and sizes over sampled chunks, for one model actor on one machine."""

    reasoner: str
    """Digest of the reasoner that was timed."""
    segmenter: str
    """Digest of the segmenter."""
    tile_px: int
    """Tile side, pixels."""
    device: str
    """The device the models ran on, as the machine names it."""
    seconds_per_answer: float
    """Seconds of both models for one tile with data and one question."""
    read_seconds_per_gigabyte: float
    """Seconds of one core to read and decode 1e9 decoded bytes."""
    commit_seconds: float
    """Seconds to commit one chunk and question."""
    ledger_bytes_per_answer: float
    """Bytes that one tile and one question take in the ledger."""
    answers: int
    """Tiles times questions that were timed."""
    chunks: int
    """Chunks that were timed."""


def write_calibration(path: str, calibration: Calibration) -> None:
    """Keep a calibration as JSON.

    Raises:
        RequestError: the file cannot be written.
    """
    try:
        Path(path).write_text(json.dumps(asdict(calibration), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RequestError(
            "out", f"{path} cannot be written ({error})", "name a file you may write"
        ) from error


def read_calibration(path: str) -> Calibration:
    """A calibration from its file.

    Raises:
        RequestError: the file is missing or is not a calibration.
    """
    remedy = "write one with: remotereasoner bench SCENES --ask … --out calibration.json"
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        kinds = {field.name: field.type for field in fields(Calibration)}
        if not isinstance(values, dict) or set(values) != set(kinds):
            raise ValueError(f"its fields are not {', '.join(kinds)}")
        return Calibration(**{name: _typed(kinds[name], values[name]) for name in kinds})  # type: ignore[arg-type]
    except (OSError, ValueError) as error:
        raise RequestError("calibration", f"{path} cannot be read ({error})", remedy) from error


def _typed(kind: object, value: object) -> object:
    wanted = (int, float) if kind is float else (kind,)
    if type(value) not in wanted:
        raise ValueError(f"{value!r} is no {getattr(kind, '__name__', kind)}")
    return value


GIGABYTE = 1e9
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Upper bounds of what a plan costs: tiles without a valid pixel are counted as if a model saw them."""

    model_hours: float
    """Hours of one model actor (a GPU's, where the calibration ran on one)."""
    read_hours: float
    """Hours of one core that reads and decodes."""
    commit_hours: float
    """Hours of one core that writes the ledger."""
    ledger_gigabytes: float
    """Size of the ledger."""
    puts: int
    """Files written to the ledger: chunks times questions."""
    hours: float
    """Wall time with the requested workers; reads and commits run beside the models."""
    cost: float | None
    """Model hours times the price, in its currency; None where no price is given."""
    measured_on: str
    """The device of the calibration."""


def estimate(
    plan: Plan, calibration: Calibration, *, price: float | None = None, workers: int | None = None
) -> Estimate:
    """Estimate hours and money of a plan.

    Args:
        plan: the plan.
        calibration: what this machine, or one like the cluster's, needs for a tile.
        price: of one hour of one model actor's machine, in any currency.
        workers: model actors at work at once, None for one.

    Raises:
        RequestError: the calibration is of other models or another tile size.
    """
    _check_fits(plan, calibration)
    puts = len(plan.chunks) * len(plan.queries)
    model_hours = plan.n_model_calls * calibration.seconds_per_answer / HOUR_S
    return Estimate(
        model_hours=model_hours,
        read_hours=plan.read_bytes / GIGABYTE * calibration.read_seconds_per_gigabyte / HOUR_S,
        commit_hours=puts * calibration.commit_seconds / HOUR_S,
        ledger_gigabytes=plan.n_model_calls * calibration.ledger_bytes_per_answer / GIGABYTE,
        puts=puts,
        hours=model_hours / (workers or 1),
        cost=None if price is None else model_hours * price,
        measured_on=calibration.device,
    )


def _check_fits(plan: Plan, calibration: Calibration) -> None:
    tile_px = plan.scenes[0].grid.tile_px
    planned = (plan.reasoner.digest, plan.segmenter.digest, tile_px)
    timed = (calibration.reasoner, calibration.segmenter, calibration.tile_px)
    if planned != timed:
        names = ("reasoner", "segmenter", "tile")
        other = [name for name, a, b in zip(names, planned, timed, strict=True) if a != b]
        raise RequestError(
            "calibration",
            f"it was measured with another {' and '.join(other)} than the plan's",
            "measure again with: remotereasoner bench, giving it the same models and --tile",
        )
