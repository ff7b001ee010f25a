"""Cells around the nuclei of a tile, the DAB on their membranes, and their class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer_membrane.nuclei import Array, Nuclei
from her2viewer_membrane.rules import PATTERNS, CellRules, MembraneRules, NotTumourRules, Rules

NOT_TUMOUR = 4
"""Class code in ``CELL_SCHEME``."""
OUTLINE_POINTS = 16
SECTORS = 32
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
class Rings:
    """Membrane of n cells, each (n, sectors) float32."""

    peak: Array
    """Highest DAB along the ray, OD."""
    rest: Array
    """DAB along the ray away from the peak, OD; NaN where the ray is too short to tell."""
    outline: Array
    """Distance of the cell outline from the nucleus centre, px."""
    core: Array
    """Distance of the nucleus edge from its centre, px."""


@dataclass(frozen=True)
class Measured:
    """Cells of a tile, n of them, in px of the tile."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    classes: NDArray[np.uint8]
    features: dict[str, NDArray[np.float32]]
    outlines: NDArray[np.float32]
    """(n, OUTLINE_POINTS, 2)."""


def rings_of(nuclei: Nuclei, dab: Array, um: float, rules: CellRules) -> Rings:
    """Expand nuclei to cells and read the DAB profile around each.

    Args:
        nuclei: nuclei of the tile.
        dab: (h, w) float32 OD.
        um: um per px.
        rules: how far cells and membranes reach.
    """
    import cv2

    from her2viewer_membrane import kernels

    smooth = cv2.GaussianBlur(dab, (0, 0), max(0.4, rules.smoothing / um))
    free = (nuclei.labels == 0).astype(np.uint8)
    distance, nearest = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # OpenCV numbers the labels from 1 on, one for each pixel that belongs to a nucleus.
    of_index = kernels.index_of(nuclei.labels, nearest, int(free.size - free.sum()) + 1)
    cells = kernels.expand(nuclei.labels, nearest, distance, of_index, rules.expansion / um)
    centres = np.ascontiguousarray(nuclei.shapes[:, 1:3])
    reach = (rules.expansion / um, rules.beyond / um, rules.inside / um)
    return Rings(*kernels.rings(nuclei.labels, cells, smooth, centres, reach))


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
    return Measured(shapes[:, 1], shapes[:, 2], classes, features, _outlines(nuclei, rings))


def staining(
    rings: Rings, rules: MembraneRules
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Membrane OD, completeness (0 to 1), pattern and intensity codes of n cells.

    A sector is stained when its peak reaches ``faint`` and stands out from the cytoplasm on the same ray; single
    stained or unstained sectors are noise and follow their two neighbours. Sectors weigh by their length on the
    nucleus edge. Membrane OD is the weighted mean peak of the stained sectors, of all sectors where none is.
    """
    weight = parts_of(rings)
    completeness, amount, arc = stained_part(rings.peak, stands_out(rings, rules), weight, rules.faint)
    mean_all = (weight * rings.peak).sum(axis=1)
    membrane_od = np.where(completeness > 0, amount / np.maximum(completeness, 1e-9), mean_all)
    pattern = np.zeros(len(weight), np.int64)
    pattern[completeness >= rules.incomplete] = PATTERNS.index("incomplete")
    pattern[arc >= rules.basolateral] = PATTERNS.index("basolateral")
    pattern[completeness >= rules.complete] = PATTERNS.index("complete")
    limits = [rules.faint, rules.moderate, rules.intense]
    intensity = np.where(pattern > 0, np.searchsorted(limits, membrane_od, side="right"), 0)
    return membrane_od.astype(np.float32), completeness.astype(np.float32), pattern, intensity


def stands_out(rings: Rings, rules: MembraneRules) -> NDArray[np.bool_]:
    """Sectors whose peak stands out from the cytoplasm on the same ray, (n, sectors)."""
    rest = np.where(np.isnan(rings.rest), 0, np.maximum(rings.rest, 0))
    found: NDArray[np.bool_] = rings.peak - rest >= rules.contrast * rings.peak
    return found


def parts_of(rings: Rings) -> NDArray[np.float64]:
    """Part of the ring that each sector makes up, (n, sectors)."""
    length = rings.core.astype(np.float64)
    part: NDArray[np.float64] = length / np.maximum(length.sum(axis=1, keepdims=True), 1e-9)
    return part


def stained_part(
    peak: Array, apart: NDArray[np.bool_], weight: NDArray[np.float64], faint: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Stained part of the ring, that part times its OD, and the longest unbroken arc, each (n,).

    Args:
        peak: (n, sectors) OD.
        apart: (n, sectors) whether the sector stands out.
        weight: (n, sectors) part of the ring.
        faint: OD from which a sector is stained.
    """
    stained = (peak >= faint) & apart
    votes = stained.astype(np.int8) + np.roll(stained, 1, axis=1) + np.roll(stained, -1, axis=1)
    stained = votes >= 2
    part: NDArray[np.float64] = weight * stained
    return part.sum(axis=1), (part * peak).sum(axis=1), _longest_arc(stained, weight)


def calibration_columns(
    rings: Rings, left_out: NDArray[np.bool_], rules: MembraneRules
) -> dict[str, NDArray[np.float32]]:
    """The membrane of n cells sector by sector, without any limit on its density.

    ``peak_00`` ...: OD of a sector, negative where it does not stand out; ``part_00`` ...: the sector's part of the
    ring; ``left_out``: 1 for a cell that is no tumour unless its membrane is stained, ``ALWAYS_OUT`` for artefacts.
    """
    peak = np.where(stands_out(rings, rules), np.maximum(rings.peak, 0), -np.abs(rings.peak))
    part = parts_of(rings)
    columns = {f"peak_{k:02d}": peak[:, k] for k in range(SECTORS)}
    columns |= {f"part_{k:02d}": part[:, k] for k in range(SECTORS)}
    columns["left_out"] = left_out
    return {name: np.asarray(c, np.float32) for name, c in columns.items()}


def _longest_arc(stained: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the longest unbroken run of stained sectors around the ring, (n,)."""
    twice, weights = np.tile(stained, 2), np.tile(weight, 2)
    run = np.zeros(len(stained))
    best = np.zeros(len(stained))
    for k in range(twice.shape[1]):
        run = np.where(twice[:, k], run + weights[:, k], 0)
        best = np.maximum(best, run)
    whole: NDArray[np.float64] = (stained * weight).sum(axis=1)
    return np.minimum(best, whole)


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


def _outlines(nuclei: Nuclei, rings: Rings) -> NDArray[np.float32]:
    sectors = rings.outline.shape[1]
    # A median over neighbouring rays takes out spikes between neighbours.
    around = np.stack([np.roll(rings.outline, k, axis=1) for k in (-1, 0, 1)])
    radius = np.median(around, axis=0)[:, :: sectors // OUTLINE_POINTS]
    angle = 2 * np.pi * np.arange(OUTLINE_POINTS) / OUTLINE_POINTS
    x = nuclei.shapes[:, 1, None] + radius * np.cos(angle)
    y = nuclei.shapes[:, 2, None] + radius * np.sin(angle)
    out: NDArray[Any] = np.stack([x, y], axis=2).astype(np.float32)
    return out
