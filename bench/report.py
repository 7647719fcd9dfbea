"""The results of a section, and how they are printed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One figure. `better` is the good direction; `aim` is the value that we want, in the same unit.

    `baseline` is another figure of the same run with its name, to compare this one with.
    """

    name: str
    value: float
    unit: str
    better: str = "higher"
    aim: float | None = None
    baseline: tuple[str, float] | None = None
    note: str = ""

    def line(self) -> str:
        """Return the figure as one line of the report."""
        parts = [f"  {self.name:<52} {_number(self.value):>9} {self.unit:<6}"]
        if self.baseline:
            name, value = self.baseline
            parts.append(f"{self.value / value:.2f} x {name}")
        if self.aim is not None:
            parts.append(f"aim {_number(self.aim)}: {'reached' if self.reached() else 'MISSED'}")
        if self.note:
            parts.append(self.note)
        return "  ".join(parts).rstrip()

    def reached(self) -> bool:
        """Tell whether the aim is met; true if there is none."""
        if self.aim is None:
            return True
        return self.value >= self.aim if self.better == "higher" else self.value <= self.aim


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentiles(seconds: Sequence[float]) -> str:
    """Return `p50 … p99 …` of durations, in milliseconds."""
    if len(seconds) < 2:
        return ""
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"
