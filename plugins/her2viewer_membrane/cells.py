"""Cells around the nuclei of a tile, the DAB on their membranes, and their class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import SECTORS, Nuclei, Rings, membrane_of, outlines_of, parts_of, stands_out
from her2viewer_membrane.rules import PATTERNS, MembraneRules, NotTumourRules, Rules

NOT_TUMOUR = 4
"""Class code in ``CELL_SCHEME``."""
ALWAYS_OUT = 2
UNITS = {
    "membrane_od": "OD",
    "completeness": "%",
    "pattern": "0 none, 1 incomplete, 2 basolateral, 3 complete",
    "cytoplasm_od": "OD",
    "nucleus_od": "OD",
    "nucleus_dab_od": "OD",
    "nucleus_area_um2": "um2",
    "nucleus_roundness": "",
}
"""Feature columns and their units, in this order."""


@dataclass(frozen=True)
class Measured:
    """Cells of a tile, n of them, in px of the tile."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    classes: NDArray[np.uint8]
    features: dict[str, NDArray[np.float32]]
    outlines: NDArray[np.float32]
    """(n, OUTLINE_POINTS, 2)."""


def measure(
    nuclei: Nuclei, rings: Rings, hue: NDArray[np.float64], *, typical_density: float, um: float, rules: Rules
) -> Measured:
    """Features and class of each cell.

    Args:
        nuclei: nuclei of the tile.
        rings: their membranes.
        hue: (n,) (OD red - OD blue) / OD sum of each nucleus.
        typical_density: median haematoxylin OD of the larger nuclei of this slide.
        um: um per px.
        rules: limits and tables.
    """
    membrane_od, completeness, pattern, intensity = staining(rings, rules.membrane)
    shapes = nuclei.shapes
    area = shapes[:, 0] * um * um
    roundness = shapes[:, 4] / np.maximum(shapes[:, 3], 1e-6)
    with np.errstate(all="ignore"):
        known = ~np.isnan(rings.rest)
        cytoplasm = np.where(known, rings.rest, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    classes = np.asarray(rules.table, dtype=np.uint8)[intensity, pattern]
    left_out = not_tumour(shapes, hue, typical_density, um, rules.not_tumour)
    classes = np.where(left_out & (completeness < rules.not_tumour.stained), NOT_TUMOUR, classes).astype(np.uint8)
    columns = (
        membrane_od,
        100 * completeness,
        pattern,
        cytoplasm,
        shapes[:, 5],
        shapes[:, 6],
        area,
        roundness,
    )
    features = {name: np.asarray(c, np.float32) for name, c in zip(UNITS, columns, strict=True)}
    if rules.for_calibration:
        features |= calibration_columns(rings, left_out, rules.membrane)
    return Measured(shapes[:, 1], shapes[:, 2], classes, features, outlines_of(nuclei, rings))


def staining(
    rings: Rings, rules: MembraneRules
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Membrane OD, completeness (0 to 1), pattern and intensity codes of n cells.

    A sector is stained when its peak reaches ``faint`` and stands out from the cytoplasm on the same ray; single
    stained or unstained sectors are noise and follow their two neighbours. Sectors weigh by their length on the
    nucleus edge. Membrane OD is the weighted mean peak of the stained sectors, of all sectors where none is.
    """
    membrane_od, completeness, arc = membrane_of(rings, rules.faint, rules.contrast)
    pattern = np.zeros(len(membrane_od), np.int64)
    pattern[completeness >= rules.incomplete] = PATTERNS.index("incomplete")
    pattern[arc >= rules.basolateral] = PATTERNS.index("basolateral")
    pattern[completeness >= rules.complete] = PATTERNS.index("complete")
    limits = [rules.faint, rules.moderate, rules.intense]
    intensity = np.where(pattern > 0, np.searchsorted(limits, membrane_od, side="right"), 0)
    return membrane_od, completeness, pattern, intensity


def calibration_columns(
    rings: Rings, left_out: NDArray[np.bool_], rules: MembraneRules
) -> dict[str, NDArray[np.float32]]:
    """The membrane of n cells sector by sector, without any limit on its density.

    ``peak_00`` ...: OD of a sector, negative where it does not stand out; ``part_00`` ...: the sector's part of the
    ring; ``left_out``: 1 for a cell that is no tumour unless its membrane is stained, ``ALWAYS_OUT`` for artefacts.
    """
    peak = np.where(stands_out(rings, rules.contrast), np.maximum(rings.peak, 0), -np.abs(rings.peak))
    part = parts_of(rings)
    columns = {f"peak_{k:02d}": peak[:, k] for k in range(SECTORS)}
    columns |= {f"part_{k:02d}": part[:, k] for k in range(SECTORS)}
    columns["left_out"] = left_out
    return {name: np.asarray(c, np.float32) for name, c in columns.items()}


def not_tumour(
    shapes: NDArray[np.float64],
    hue: NDArray[np.float64],
    typical_density: float,
    um: float,
    rules: NotTumourRules,
) -> NDArray[np.bool_]:
    """Cells that look like lymphocytes, stroma, debris or red cells, bool (n,)."""
    area = shapes[:, 0] * um * um
    roundness = shapes[:, 4] / np.maximum(shapes[:, 3], 1e-6)
    density, nuclear_dab = shapes[:, 5], shapes[:, 6]
    out = area < rules.debris_area_max
    dark = density > rules.dark * typical_density
    if rules.lymphocytes:
        out |= (area < rules.lymphocyte_area_max) & (roundness > rules.lymphocyte_roundness) & dark
    if rules.stroma:
        out |= (roundness < rules.stroma_roundness) | ((roundness < rules.stroma_dark_roundness) & dark)
    # DAB over a nucleus pulls its hue to grey and beyond; only nuclei free of it can be judged by hue.
    out |= (np.abs(hue) < rules.grey_hue) & (nuclear_dab < 0.05)
    return out
