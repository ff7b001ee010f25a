"""Shares of the four HER2 classes, with what was counted and how much of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class CountedUnit(StrEnum):
    """What a scorer counts. A surface is a proxy of the cells that the guideline asks for."""

    CELLS = "tumour cells"
    SURFACE = "tumour surface"


CONCORDANT_ENTROPY, DISCORDANT_ENTROPY = 0.71, 1.04
"""Median entropy of the slides on which a reader and the scorer agreed, and of the others (Vandenberghe 2017)."""


@dataclass(frozen=True)
class Interval:
    """95 % interval of each share, by drawing blocks of the tissue anew."""

    low: tuple[float, float, float, float]
    """Fraction 0 to 1 of each class."""
    high: tuple[float, float, float, float]
    block_um: float
    """Side of the blocks, um."""


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
    unclassified: float = 0.0
    """mm2 of tumour that has no class, because its patch holds too little tumour or was not classed."""
    interval: Interval | None = None
    """None where there are too few blocks of tissue to tell."""
    left_out: tuple[tuple[str, float], ...] = ()
    """What ``excluded`` is made of: name of the class and amount; empty where the scorer tells no kinds apart."""

    def __post_init__(self) -> None:
        if any(a < 0 for a in self.amounts) or self.excluded < 0 or self.unclassified < 0:
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

    @property
    def entropy(self) -> float | None:
        """Shannon entropy of the four fractions, natural logarithm: 0 for one class, ln 4 = 1.39 for equal shares.

        None where nothing was counted.
        """
        if self.total <= 0:
            return None
        return -sum(f * math.log(f) for f in self.fractions if f > 0) + 0.0

    @property
    def unclassified_fraction(self) -> float:
        """Part 0 to 1 of all tumour that has no class."""
        whole = self.total + self.unclassified
        return self.unclassified / whole if whole > 0 else 0.0

    @classmethod
    def from_percent(
        cls, percent: tuple[float, float, float, float], unit: CountedUnit = CountedUnit.CELLS
    ) -> Shares:
        """Shares given as percentages, for rules and their tests; the amounts are the percentages."""
        return cls(percent, unit)


def percent_text(percent: float, decimals: int = 1, limits: Iterable[float] = (10.0, 100.0)) -> str:
    """A percentage as it is printed, with its sign; rounding never puts it onto or across a limit.

    Never ``0.0 %`` for something that is there nor ``10.0 %`` for what is not exactly ten: one more decimal, or
    ``<10 %`` and ``>10 %`` where that does not tell it apart either.

    Args:
        percent: unrounded.
        decimals: as many as the number has elsewhere.
        limits: what it is compared with.
    """
    least = 10.0**-decimals
    if 0 < percent < least / 2:
        return f"<{least:g} %"
    for limit in limits:
        if math.isclose(percent, limit, rel_tol=1e-12) or round(percent, decimals) != limit:
            continue
        finer = round(percent, decimals + 1)
        return f"{finer:.{decimals + 1}f} %" if finer != limit else f"{'<' if percent < limit else '>'}{limit:g} %"
    return f"{percent:.{decimals}f} %"
