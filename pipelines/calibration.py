"""What a machine needs for a tile, measured once and kept in a file. Knows no plan and no scene."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pipelines.errors import RequestError


@dataclass(frozen=True, slots=True)
class Calibration:
    """Medians over sampled chunks, on one machine, of one model actor."""

    reasoner: str
    """Digest of the reasoner that was timed."""
    segmenter: str
    """Digest of the segmenter."""
    tile_px: int
    """Tile side, pixels."""
    device: str
    """What the models ran on, in the machine's own words."""
    seconds_per_answer: float
    """Model seconds of one tile and one question, with pixels; both models."""
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
        RequestError: it is not there or is no calibration.
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
