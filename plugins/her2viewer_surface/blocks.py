"""From the pixels and the tumour probabilities of a block to its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    TissueMask,
)
from her2viewer_surface.plan import CELL, CELLS_PER_PATCH, HALO_CELLS, PATCH, PATCHES, Block, Plan
from her2viewer_surface.segmentation import TISSUE_UM, block_means, tissue_cells, tumour_mask

CLASSES = "HER2 class of the tumour surface"
TUMOUR = "Invasive tumour"
QUALITY = "Image quality"
LEAST_TUMOUR = 0.10
"""Share of a patch above which it is counted (section 3.5)."""
LEAST_TISSUE = 0.05
"""Share of a patch from which it is classed."""
QUALITY_STEP = 16
"""um."""


@dataclass(frozen=True)
class Picture:
    """The pixels of a block."""

    rgb: NDArray[np.uint8]
    """(BLOCK, BLOCK, 3) on white glass at 1 um/px."""
    unread: NDArray[np.bool_]
    """(PATCHES, PATCHES): patches that cannot be read."""


@dataclass
class Tally:
    """What comes together over the blocks."""

    pixel_size: PixelSize
    tumour_mm2: float = 0.0
    counted_mm2: float = 0.0
    """Tumour in patches that hold more than ``LEAST_TUMOUR`` of it."""
    artefacts_mm2: dict[int, float] = field(default_factory=dict)
    """Area by code of ``Quality``."""
    unread: int = 0
    """Blocks of which a part could not be read."""

    def add(self, class_map: ClassMap) -> None:
        """Count the tumour of a block."""
        area = self.pixel_size.mm2(class_map.grid.step**2)
        self.tumour_mm2 += float(class_map.weight.sum()) * area
        self.counted_mm2 += float(class_map.weight[class_map.shown].sum()) * area

    def add_quality(self, quality: ClassMap) -> None:
        """Count the artefacts of a block."""
        area = self.pixel_size.mm2(quality.grid.step**2)
        for code in Quality:
            if count := int((quality.classes == code).sum()):
                self.artefacts_mm2[code] = self.artefacts_mm2.get(code, 0.0) + count * area


@dataclass(frozen=True)
class Means:
    """What every block is answered with."""

    plan: Plan
    classifier: Network
    alphas: NDArray[np.float32]
    """(4,) factors of the logits."""
    threshold: float
    artefacts: ArtefactMap | None


def evidence_of(
    block: Block,
    picture: Picture,
    tumour: tuple[NDArray[np.float32], NDArray[np.bool_]],
    means: Means,
    tally: Tally,
) -> tuple[Evidence, ...]:
    """Mask, classes and artefacts of a block; what of them there is.

    Args:
        block: which one.
        picture: its pixels.
        tumour: probability and what was seen, with halo, as ``Segmentation.probability`` gives them.
        means: of the run.
        tally: is added to.
    """
    probability, seen = tumour
    readable = _cells_to_patches(seen[HALO_CELLS:-HALO_CELLS, HALO_CELLS:-HALO_CELLS]).all(axis=(1, 3))
    readable &= ~picture.unread
    inside = block.inside & readable
    if (block.inside & ~readable).any():
        tally.unread += 1
    tissue = block_means(tissue_cells(picture.rgb).astype(np.float32), PATCH // TISSUE_UM)
    wanted = inside & (tissue >= LEAST_TISSUE)
    quality = _quality(block, inside, means)
    found: list[Evidence] = []
    if wanted.any():
        mask = tumour_mask(probability, means.threshold) & _enlarged(wanted, CELLS_PER_PATCH)
        if quality is not None:
            mask &= ~_enlarged(_left_out(quality), QUALITY_STEP // CELL)
        weight = block_means(mask.astype(np.float32), CELLS_PER_PATCH)
        values = np.where(_enlarged(inside, CELLS_PER_PATCH), mask, NOT_SCORED).astype(np.uint8)
        class_map = _classes(block, picture.rgb, wanted, weight, means)
        tally.add(class_map)
        found += [TissueMask(TUMOUR, means.plan.grid(block, CELL), values), class_map]
    if quality is not None:
        tally.add_quality(quality)
        found.append(quality)
    return tuple(found)


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
    codes[~_enlarged(inside, PATCH // QUALITY_STEP)] = GOOD
    if (codes == GOOD).all():
        return None
    return ClassMap(QUALITY, grid, QUALITY_SCHEME, codes, np.ones(grid.shape, np.float32))


def _left_out(quality: ClassMap) -> NDArray[np.bool_]:
    """All but folds: dense glands may look like them."""
    return np.asarray((quality.classes != GOOD) & (quality.classes != Quality.FOLD))


def _enlarged(values: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """Each value as a square of ``times``."""
    return np.repeat(np.repeat(values, times, axis=0), times, axis=1)


def _cells_to_patches(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(PATCHES, cells, PATCHES, cells) of px of the mask."""
    return cells.reshape(PATCHES, CELLS_PER_PATCH, PATCHES, CELLS_PER_PATCH)
