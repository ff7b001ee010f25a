"""From the pixels and the tumour probabilities of a block to its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
from her2viewer_surface.calibration import logit_maps
from her2viewer_surface.plan import CELL, CELLS, CELLS_PER_PATCH, HALO_CELLS, PATCH, PATCHES, TISSUE_UM, Block, Plan
from her2viewer_surface.segmentation import tissue_cells, tumour_mask

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
    """What comes together over the blocks, in the region."""

    pixel_size: PixelSize
    tumour_mm2: float = 0.0
    counted_mm2: float = 0.0
    """Tumour in patches that hold more than ``LEAST_TUMOUR`` of it."""
    artefacts_mm2: dict[int, float] = field(default_factory=dict)
    """Area by code of ``Quality``."""
    unread: int = 0
    """Blocks of which a part could not be read."""

    def add(self, answer: Answer, evidence: tuple[Evidence, ...]) -> None:
        """Count the final evidence of a block."""
        self.unread += bool((answer.block.inside & ~answer.inside).any())
        for item in evidence:
            if not isinstance(item, ClassMap):
                continue
            area = self.pixel_size.mm2(item.grid.step**2)
            if item.scheme.counted:
                tumour = item.weight * answer.block.cover
                self.tumour_mm2 += float(tumour.sum()) * area
                self.counted_mm2 += float(tumour[item.shown].sum()) * area
                continue
            for code in Quality:
                if count := int((item.classes == code).sum()):
                    self.artefacts_mm2[code] = self.artefacts_mm2.get(code, 0.0) + count * area


@dataclass(frozen=True)
class Means:
    """What every block is answered with."""

    plan: Plan
    classifier: Network
    alphas: NDArray[np.float32]
    """(4,) factors of the logits."""
    threshold: float
    with_logits: bool = False
    """Whether the logits are handed over, too."""


@dataclass(frozen=True)
class Answer:
    """What the networks say of a block, before artefacts are left out."""

    block: Block
    inside: NDArray[np.bool_]
    """(PATCHES, PATCHES): patches of the region that could be read."""
    mask: NDArray[np.bool_]
    """(BLOCK / CELL, same): tumour."""
    class_map: ClassMap | None
    """None where there is no tissue."""
    logits: tuple[Evidence, ...] = ()
    """For a calibration: the logits times the factors, one map for each class."""


def answer_of(
    block: Block, picture: Picture, tumour: tuple[NDArray[np.float32], NDArray[np.bool_]], means: Means
) -> Answer:
    """Tumour and classes of a block.

    Args:
        block: which one.
        picture: its pixels.
        tumour: probability and what was seen, with halo, as ``Segmentation.probability`` gives them.
        means: of the run.

    Raises:
        Cancelled, ScorerError: from the network.
    """
    probability, seen = tumour
    readable = _cells_to_patches(seen[HALO_CELLS:-HALO_CELLS, HALO_CELLS:-HALO_CELLS]).all(axis=(1, 3))
    inside = block.inside & readable & ~picture.unread
    tissue = tissue_cells(picture.rgb).reshape(PATCHES, PATCH // TISSUE_UM, PATCHES, PATCH // TISSUE_UM)
    wanted = inside & (tissue.mean(axis=(1, 3)) >= LEAST_TISSUE)
    if not wanted.any():
        return Answer(block, inside, np.zeros((CELLS, CELLS), bool), None)
    mask = tumour_mask(probability, means.threshold) & _enlarged(wanted, CELLS_PER_PATCH)
    return Answer(block, inside, mask, *_classes(block, picture.rgb, wanted, _weight(mask), means))


def evidence_of(answer: Answer, plan: Plan, artefacts: ArtefactMap | None) -> tuple[Evidence, ...]:
    """Mask and classes of a block, what lies under artefacts taken out of the mask, and the artefacts, if any."""
    mask, class_map = answer.mask, answer.class_map
    quality = None if artefacts is None else _quality(answer, plan, artefacts)
    found: list[Evidence] = []
    if class_map is not None:
        if quality is not None:
            mask = mask & ~_enlarged(_left_out(quality), QUALITY_STEP // CELL)
            class_map = replace(class_map, weight=_weight(mask))
        values = np.where(_enlarged(answer.inside, CELLS_PER_PATCH), mask, NOT_SCORED).astype(np.uint8)
        found += [TissueMask(TUMOUR, plan.grid(answer.block, CELL), values), class_map, *answer.logits]
    if quality is not None:
        found.append(quality)
    return tuple(found)


def _weight(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(PATCHES, PATCHES): share of each patch that is tumour."""
    return np.asarray(_cells_to_patches(mask).mean(axis=(1, 3)), np.float32)


def _classes(
    block: Block, rgb: NDArray[np.uint8], wanted: NDArray[np.bool_], weight: NDArray[np.float32], means: Means
) -> tuple[ClassMap, tuple[Evidence, ...]]:
    """Every patch with tissue gets a class, so that an edit of the tumour needs no new run; logits if asked for."""
    patches = rgb.reshape(PATCHES, PATCH, PATCHES, PATCH, 3).swapaxes(1, 2)[wanted]
    logits = means.classifier(np.ascontiguousarray(patches)) * means.alphas
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = np.zeros((PATCHES, PATCHES, 4), np.float32)
    probabilities[wanted] = odds / odds.sum(axis=1, keepdims=True)
    classes = np.full((PATCHES, PATCHES), NOT_SCORED, np.uint8)
    classes[wanted] = logits.argmax(axis=1)
    grid = means.plan.grid(block, PATCH)
    class_map = ClassMap(CLASSES, grid, TUMOUR_SCHEME, classes, weight, probabilities, LEAST_TUMOUR)
    return class_map, logit_maps(grid, wanted, logits) if means.with_logits else ()


def _quality(answer: Answer, plan: Plan, artefacts: ArtefactMap) -> ClassMap | None:
    """Artefacts of the region's part of a block; None where there are none."""
    grid = plan.grid(answer.block, QUALITY_STEP)
    codes = artefacts.at(*grid.centres())
    codes[~_enlarged(answer.inside, PATCH // QUALITY_STEP)] = GOOD
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
