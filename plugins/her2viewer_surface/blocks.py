"""From the pixels and the tumour probabilities of a block to its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import (
    GOOD,
    NOT_SCORED,
    QUALITY_SCHEME,
    TUMOUR_SCHEME,
    ArtefactMap,
    ClassMap,
    Evidence,
    Network,
    PixelSize,
    Quality,
    Region,
    TissueMask,
)
from her2viewer_surface.plan import BLOCK, CELL, CELLS_PER_PATCH, PATCH, PATCHES, Block, Plan
from her2viewer_surface.segmentation import TISSUE_UM, tissue_cells

CLASSES = "HER2 class of the tumour surface"
TUMOUR = "Invasive tumour"
QUALITY = "Image quality"
LEAST_TUMOUR = 0.10
"""Share of a patch above which it is classed and counted (section 3.5)."""
LEAST_TISSUE = 0.05
QUALITY_STEP = 16
"""um."""
LEFT_OUT = (Quality.PEN, Quality.BUBBLE, Quality.DIRT)


@dataclass
class Tally:
    """What comes together over the blocks, inside the region."""

    pixel_size: PixelSize
    tumour_mm2: float = 0.0
    classed_mm2: float = 0.0
    artefacts_mm2: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Means:
    """What every block is answered with."""

    plan: Plan
    region: Region
    classifier: Network
    alphas: NDArray[np.float32]
    """(4,) factors of the logits."""
    threshold: float
    artefacts: ArtefactMap | None
    tally: Tally


@dataclass(frozen=True)
class Answer:
    """Evidence of one block; empty where nothing of it is tissue of the region."""

    evidence: tuple[Evidence, ...]
    weight: NDArray[np.float32] | None
    """(PATCHES, PATCHES) tumour in each patch."""


def answer_of(block: Block, rgb: NDArray[np.uint8], probability: NDArray[np.float32], means: Means) -> Answer:
    """Mask, classes and artefacts of a block.

    Args:
        block: which one.
        rgb: (BLOCK, BLOCK, 3) on white glass at 1 um/px.
        probability: (BLOCK, BLOCK) of invasive tumour.
        means: of the run.
    """
    inside = means.plan.patches_in(block, means.region)
    tissue = _blocks_mean(tissue_cells(rgb).astype(np.float32), PATCH // TISSUE_UM)
    wanted = inside & (tissue >= LEAST_TISSUE)
    quality = _quality(block, inside, means)
    if not wanted.any():
        return Answer(() if quality is None else (quality,), None)
    mask = _blocks_mean(probability, CELL) >= means.threshold
    if quality is not None:
        bad = np.isin(quality.classes, LEFT_OUT)
        mask &= ~np.repeat(np.repeat(bad, QUALITY_STEP // CELL, axis=0), QUALITY_STEP // CELL, axis=1)
    weight = np.where(inside, _blocks_mean(mask.astype(np.float32), CELLS_PER_PATCH), 0).astype(np.float32)
    class_map = _classes(block, rgb, wanted, weight, means)
    looked_at = np.repeat(np.repeat(inside, CELLS_PER_PATCH, axis=0), CELLS_PER_PATCH, axis=1)
    values = np.where(looked_at, mask, NOT_SCORED).astype(np.uint8)
    _count(means, class_map, weight)
    found: tuple[Evidence, ...] = (TissueMask(TUMOUR, means.plan.grid(block, CELL), values), class_map)
    return Answer(found if quality is None else (*found, quality), weight)


def _classes(
    block: Block, rgb: NDArray[np.uint8], wanted: NDArray[np.bool_], weight: NDArray[np.float32], means: Means
) -> ClassMap:
    """Every patch with tissue gets a class, so that an edit of the tumour needs no new run."""
    patches = rgb.reshape(PATCHES, PATCH, PATCHES, PATCH, 3).swapaxes(1, 2)[wanted]
    logits = means.classifier(np.ascontiguousarray(patches)) * means.alphas
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = np.zeros((PATCHES, PATCHES, 4), np.float32)
    probabilities[wanted] = odds / odds.sum(axis=1, keepdims=True)
    classes = np.full((PATCHES, PATCHES), NOT_SCORED, np.uint8)
    classes[wanted] = logits.argmax(axis=1)
    grid = means.plan.grid(block, PATCH)
    return ClassMap(CLASSES, grid, TUMOUR_SCHEME, classes, weight, probabilities, LEAST_TUMOUR)


def _quality(block: Block, inside: NDArray[np.bool_], means: Means) -> ClassMap | None:
    """Artefacts of the region's part of a block; None where there are none."""
    if means.artefacts is None:
        return None
    grid = means.plan.grid(block, QUALITY_STEP)
    codes = means.artefacts.at(*grid.centres())
    outside = ~np.repeat(np.repeat(inside, PATCH // QUALITY_STEP, axis=0), PATCH // QUALITY_STEP, axis=1)
    codes[outside] = GOOD
    if (codes == GOOD).all():
        return None
    area = means.tally.pixel_size.mm2(grid.step**2)
    for code in Quality:
        count = int((codes == code).sum())
        if count:
            found = means.tally.artefacts_mm2
            found[code] = found.get(code, 0.0) + count * area
    return ClassMap(QUALITY, grid, QUALITY_SCHEME, codes, np.ones(grid.shape, np.float32))


def _count(means: Means, class_map: ClassMap, weight: NDArray[np.float32]) -> None:
    area = means.tally.pixel_size.mm2(class_map.grid.step**2)
    means.tally.tumour_mm2 += float(weight.sum()) * area
    means.tally.classed_mm2 += float(weight[class_map.shown].sum()) * area


def _blocks_mean(values: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Mean over squares of ``side``."""
    rows, columns = values.shape
    mean: NDArray[Any] = values.reshape(rows // side, side, columns // side, side).mean(axis=(1, 3))
    return mean.astype(np.float32)


assert BLOCK % QUALITY_STEP == 0
