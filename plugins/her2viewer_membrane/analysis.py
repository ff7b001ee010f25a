"""One tile from pixels to cells. Pure: the same tile gives the same cells on any thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import (
    CELL_SCHEME,
    OUTLINE_POINTS,
    PATCHES_PER_TILE,
    SECTORS,
    ArtefactMap,
    CellTable,
    ClassMap,
    Deconvolution,
    Grid,
    Heatmap,
    Region,
    RGBImage,
    Rings,
    Slide,
    Tile,
    TilePlan,
    deconvolve,
    flaws_within,
    rings_of,
    tile_quality,
    under_flaw,
)
from her2viewer_membrane.cells import (
    ALWAYS_OUT,
    NOT_TUMOUR,
    UNITS,
    Measured,
    calibration_columns,
    measure,
)
from her2viewer_membrane.nuclei import detect
from her2viewer_membrane.rules import Rules

CELLS = "Cells"
HEATMAP = "Mean membrane OD"
HEATMAP_HIGH = 1.0
"""OD shown in the last colour of the heatmap."""
EMPTY_DENSITY = 0.01
"""A tile whose 99th percentile of the OD of its grey, over 4 x 4 px, stays below this holds nothing to look at."""


@dataclass(frozen=True)
class Stain:
    """What the whole slide has in common."""

    background: tuple[float, float, float]
    tables: Deconvolution
    typical_density: float
    """Median haematoxylin OD of the larger nuclei."""
    artefacts: ArtefactMap | None = None
    """None: artefacts are not looked for."""


def cells_in(rgb: RGBImage, um: float, stain: Stain, rules: Rules) -> Measured:
    """All cells of a picture, in its px.

    Args:
        rgb: (h, w, 3) uint8 at working resolution.
        um: um per px.
        stain: of the slide.
        rules: limits and tables.
    """
    if _empty(rgb, stain.background):
        return _nothing(rules)
    haematoxylin, dab = deconvolve(rgb, stain.tables)
    nuclei = detect(haematoxylin, dab, um, rules.nuclei)
    if len(nuclei) == 0:
        return _nothing(rules)
    rings = rings_of(nuclei, dab, um, rules.cells)
    hue = nuclei.hue(rgb, stain.background)
    return measure(nuclei, rings, hue, typical_density=stain.typical_density, um=um, rules=rules)


def score_tile(
    slide: Slide, tile: Tile, plan: TilePlan, region: Region, *, stain: Stain, rules: Rules
) -> tuple[CellTable, Heatmap, ClassMap | None]:
    """Cells of one tile that lie in the region, the mean membrane OD of its patches, and what is wrong with the image
    (None where nothing is).

    Cells belong to the tile in which the centre of their nucleus lies; the margin around the tile is only looked at.

    Raises:
        TileError: the area cannot be read.
    """
    ds = plan.downsample
    left, top, width, height = plan.window(tile, region)
    rgb = slide.read_at(ds, left, top, width, height)
    found = cells_in(rgb, plan.um, stain, rules)
    x, y = left + (found.x + 0.5) * ds, top + (found.y + 0.5) * ds
    quality = None
    if stain.artefacts is not None:
        quality = tile_quality(tile, plan, stain.artefacts, rgb, (left, top), least=rules.verdict.blurred)
        found = _left_out(found, x, y, quality)
    own = (x >= tile.x) & (x < tile.x + tile.size) & (y >= tile.y) & (y < tile.y + tile.size)
    inside = own & region.contains_points(x, y)
    xy = np.stack([x, y], axis=1)
    heatmap = _heatmap(tile, plan, xy, _membrane_of(found, own), inside)
    outlines = (found.outlines.astype(np.float64) + 0.5) * ds + (left, top)
    return _table(found, xy, outlines, inside), heatmap, flaws_within(quality, region)


def _left_out(found: Measured, x: NDArray[Any], y: NDArray[Any], quality: ClassMap) -> Measured:
    """The cells, those under artefacts as not tumour."""
    bad = under_flaw(quality, x, y)
    if not bad.any():
        return found
    features = found.features
    if "left_out" in features:
        features = {**features, "left_out": np.where(bad, np.float32(ALWAYS_OUT), features["left_out"])}
    return replace(found, classes=np.where(bad, np.uint8(NOT_TUMOUR), found.classes), features=features)


def _table(found: Measured, xy: NDArray[np.float64], outlines: Any, keep: NDArray[np.bool_]) -> CellTable:
    n = int(keep.sum())
    return CellTable(
        name=CELLS,
        scheme=CELL_SCHEME,
        x=xy[keep, 0].astype(np.float32),
        y=xy[keep, 1].astype(np.float32),
        classes=found.classes[keep],
        features={k: v[keep] for k, v in found.features.items()},
        feature_units=dict(UNITS),
        contours=outlines[keep].reshape(-1, 2).astype(np.float32),
        contour_starts=np.arange(n + 1, dtype=np.int64) * OUTLINE_POINTS,
    )


def _membrane_of(found: Measured, own: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Membrane OD of the tile's own tumour cells, NaN for all others, (n,)."""
    tumour = own & (found.classes != NOT_TUMOUR)
    return np.where(tumour, found.features["membrane_od"].astype(np.float64), np.nan)


def _heatmap(
    tile: Tile, plan: TilePlan, xy: NDArray[np.float64], membrane: NDArray[np.float64], inside: NDArray[np.bool_]
) -> Heatmap:
    """Mean over all tumour cells of a patch, given where at least one of them lies in the region.

    Cells of the patch outside the region count too: so a patch has one value however the region is drawn.
    """
    side = PATCHES_PER_TILE
    tumour = ~np.isnan(membrane)
    column = ((xy[:, 0] - tile.x) / plan.patch).astype(np.int64)
    row = ((xy[:, 1] - tile.y) / plan.patch).astype(np.int64)
    patch = row * side + column
    total = np.bincount(patch[tumour], weights=membrane[tumour], minlength=side * side)
    number = np.bincount(patch[tumour], minlength=side * side)
    shown = np.bincount(patch[tumour & inside], minlength=side * side) > 0
    values = np.where(shown, total / np.maximum(number, 1), np.nan).astype(np.float32)
    grid = Grid(tile.x, tile.y, plan.patch, side, side)
    return Heatmap(HEATMAP, grid, values.reshape(side, side), "OD", 0.0, HEATMAP_HIGH)


def _empty(rgb: RGBImage, background: tuple[float, float, float]) -> bool:
    import cv2

    small: Any = cv2.resize(rgb, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    counts = np.bincount(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).ravel(), minlength=256)
    darkest = int(np.searchsorted(np.cumsum(counts), 0.01 * counts.sum()))
    red, green, blue = background
    glass = 0.299 * red + 0.587 * green + 0.114 * blue
    return bool(np.log10(glass / max(darkest, 1)) < EMPTY_DENSITY)


def _nothing(rules: Rules) -> Measured:
    none = np.zeros(0)
    columns = [*UNITS]
    if rules.for_calibration:
        empty = np.zeros((0, SECTORS), np.float32)
        columns += calibration_columns(Rings(empty, empty, empty, empty), np.zeros(0, bool), rules.membrane)
    return Measured(
        none,
        none,
        np.zeros(0, np.uint8),
        {name: np.zeros(0, np.float32) for name in columns},
        np.zeros((0, OUTLINE_POINTS, 2), np.float32),
    )
