"""Shares of the four HER2 classes, with what was counted and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CountedUnit(StrEnum):
    """What a scorer counts. A surface is a proxy of the cells that the guideline asks for."""

    CELLS = "tumour cells"
    SURFACE = "tumour surface"


@dataclass(frozen=True)
class Shares:
    """Amounts per HER2 class 0, 1+, 2+, 3+; fractions and percentages follow from them, never rounded."""

    amounts: tuple[float, float, float, float]
    """Cells (count) or surface (mm2) per class."""
    unit: CountedUnit
    excluded: float = 0.0
    """Cells or mm2 that were seen and left out (not tumour)."""
    half_width: tuple[float, float, float, float] | None = None
    """Half width of the 95 % interval of each fraction, 0 to 1, where the scorer gives one."""

    def __post_init__(self) -> None:
        if any(a < 0 for a in self.amounts) or self.excluded < 0:
            raise ValueError("Amounts of a share cannot be negative.")

    @property
    def total(self) -> float:
        """Denominator: all tumour cells or all tumour surface."""
        return float(sum(self.amounts))

    @property
    def fractions(self) -> tuple[float, float, float, float]:
        """Fractions 0 to 1 of the classes; all zero when nothing was counted."""
        total = self.total
        if total <= 0:
            return (0.0, 0.0, 0.0, 0.0)
        a, b, c, d = self.amounts
        return (a / total, b / total, c / total, d / total)

    @property
    def percent(self) -> tuple[float, float, float, float]:
        """Percentages of the classes, unrounded."""
        a, b, c, d = self.fractions
        return (100 * a, 100 * b, 100 * c, 100 * d)

    @classmethod
    def from_percent(
        cls, percent: tuple[float, float, float, float], unit: CountedUnit = CountedUnit.CELLS
    ) -> Shares:
        """Shares given as percentages, for rules and their tests; the amounts are the percentages."""
        return cls(percent, unit)
