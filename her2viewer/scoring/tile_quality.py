"""What is wrong with the image of a tile, block by block: ink, dirt, bubbles, folds, blur."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Grid
from her2viewer.domain.region import Region
from her2viewer.scoring.tiles import PATCHES_PER_TILE, Tile, TilePlan
from her2viewer.slides.slide import RGBImage
from her2viewer.stains.artefacts import GOOD, QUALITY_SCHEME, ArtefactMap, Quality
from her2viewer.stains.quality import blurred

QUALITY = "Image quality"
QUALITY_PER_PATCH = 4
"""Blocks of the quality map per side of a patch: 16 um each."""
LEFT_OUT = (Quality.BLUR, Quality.PEN, Quality.BUBBLE, Quality.DIRT)
"""A fold may be a dense gland: it is shown, and its cells count."""
FOCUS_STEP = 16
"""px of a block in which focus is looked up."""


def tile_quality(
    tile: Tile, plan: TilePlan, artefacts: ArtefactMap, rgb: RGBImage, corner: tuple[float, float], *, least: float
) -> ClassMap:
    """Codes of the blocks of a tile.

    Args:
        tile: which one.
        plan: how the slide is read.
        artefacts: of the overview.
        rgb: (h, w, 3) the tile with its margin, or the part of it that was read.
        corner: of ``rgb``, level-0 px.
        least: sharpness below which a spot is blurred, as ``blurred`` takes it.
    """
    soft = blurred(rgb, plan.um, least, FOCUS_STEP)
    side = PATCHES_PER_TILE * QUALITY_PER_PATCH
    grid = Grid(tile.x, tile.y, plan.patch / QUALITY_PER_PATCH, side, side)
    x, y = grid.centres()
    codes = artefacts.at(x, y)
    column = np.floor((x - corner[0]) / plan.downsample / FOCUS_STEP).astype(np.int64)
    row = np.floor((y - corner[1]) / plan.downsample / FOCUS_STEP).astype(np.int64)
    seen = (row >= 0) & (row < soft.shape[0]) & (column >= 0) & (column < soft.shape[1])
    codes[seen] = np.where((codes[seen] == GOOD) & soft[row[seen], column[seen]], Quality.BLUR, codes[seen])
    return ClassMap(QUALITY, grid, QUALITY_SCHEME, codes, np.ones(grid.shape, np.float32))


def under_flaw(quality: ClassMap, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of n places (level-0 px) lie where the image is too bad for their cells to count, (n,)."""
    grid = quality.grid
    column = np.clip(((x - grid.x) // grid.step).astype(np.int64), 0, grid.columns - 1)
    row = np.clip(((y - grid.y) // grid.step).astype(np.int64), 0, grid.rows - 1)
    return np.isin(quality.classes[row, column], LEFT_OUT)


def flaws_within(quality: ClassMap | None, region: Region) -> ClassMap | None:
    """The map without what lies outside the region; None where nothing is left."""
    if quality is None or (quality.classes == GOOD).all():
        return None
    x, y = quality.grid.centres()
    inside = region.contains_points(x.ravel(), y.ravel()).reshape(quality.grid.shape)
    codes = np.where(inside, quality.classes, np.uint8(NOT_SCORED))
    return None if (codes == NOT_SCORED).all() else replace(quality, classes=codes)
