"""A plan as a value that prints well, in a terminal and in a notebook."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from pipelines.notebook.html import table_html
from pipelines.plan import Estimate, Plan, PlanFigures


@dataclass(frozen=True, slots=True, repr=False)
class PlanSummary:
    """What a run would do, and what it would cost if a calibration was given."""

    plan: Plan
    """The plan itself."""
    figures: PlanFigures
    """Scenes, tiles, chunks, model calls, data to read."""
    cost: Estimate | None = None
    """Hours and money, None without a calibration."""

    def __repr__(self) -> str:
        rows = list(self._rows())
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {value}" for name, value in rows)

    def _repr_html_(self) -> str:
        """The figures as a notebook shows them."""
        return table_html(("plan", ""), self._rows())

    def _rows(self) -> Iterator[tuple[str, str]]:
        facts = asdict(self.figures) | (asdict(self.cost) if self.cost else {})
        for name, value in facts.items():
            if value is not None:
                yield name.replace("_", " "), _formatted(value)


def _formatted(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
