"""Pixel size of a slide with its source; a wrong one silently breaks every area and every scorer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

PLAUSIBLE_MIN_UM = 0.05
PLAUSIBLE_MAX_UM = 20.0


class PixelSizeSource(StrEnum):
    """Where a pixel size comes from; printed beside it wherever it is shown."""

    FILE = "from file"
    VENDOR = "from vendor property"
    RESOLUTION_TAG = "from TIFF resolution tag"
    USER = "entered by user"
    OBJECTIVE = "estimated from objective"


@dataclass(frozen=True)
class PixelSize:
    """Size of one level-0 pixel in um, along x and y."""

    x_um: float
    y_um: float
    source: PixelSizeSource
    detail: str = ""
    """Name of the property it was read from, or who entered it."""

    def __post_init__(self) -> None:
        if not (self.x_um > 0 and self.y_um > 0):
            raise ValueError(f"A pixel size must be positive, not {self.x_um} x {self.y_um} um.")

    @property
    def mpp(self) -> float:
        """Mean of both directions, um per level-0 px."""
        return (self.x_um + self.y_um) / 2

    @property
    def plausible(self) -> bool:
        """False below 0.05 or above 20 um/px: no slide scanner works there, so the user is asked."""
        return all(PLAUSIBLE_MIN_UM <= v <= PLAUSIBLE_MAX_UM for v in (self.x_um, self.y_um))

    @property
    def magnification(self) -> float:
        """Objective that gives this pixel size by the usual convention 10 um/px = 1x (0.25 um/px = 40x)."""
        return 10.0 / self.mpp

    def mm2(self, area_px: float) -> float:
        """Area in mm2 of ``area_px`` level-0 pixels."""
        return area_px * self.x_um * self.y_um * 1e-6


def mm2_number(mm2: float) -> str:
    """An area as it is printed: two decimals keep columns aligned; small areas get four, for "0.00" tells nothing."""
    return f"{mm2:,.2f}" if mm2 >= 0.01 or mm2 == 0 else f"{mm2:.4f}"


def mm2_column(amounts: Iterable[float]) -> tuple[str, ...]:
    """Areas that stand below one another, all with the same decimals: three where they come to less than 1 mm2."""
    values = tuple(amounts)
    decimals = 2 if sum(values) >= 1 else 3
    return tuple(f"{value:,.{decimals}f} mm²" for value in values)


def mpp_from_objective(power: float) -> float:
    """Estimate of um/px from the objective's magnification (10 um / power): a hint, never used unasked."""
    return 10.0 / power
