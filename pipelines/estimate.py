"""What a plan will cost, before any pixel is read. Opens nothing and loads no model."""

from dataclasses import dataclass

from pipelines.calibration import Calibration
from pipelines.errors import RequestError
from pipelines.plan import Plan

GIGABYTE = 1e9
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Upper bounds: tiles without a pixel are counted as if a model saw them."""

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
    """Wall time with the workers asked for; reads and commits run beside the models."""
    cost: float | None
    """Model hours times the price, in its currency; None where no price is given."""
    measured_on: str
    """The device of the calibration."""


def estimate(
    plan: Plan, calibration: Calibration, *, price: float | None = None, workers: int | None = None
) -> Estimate:
    """Work out hours and money of a plan.

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
