"""Invasive tumour of a block from overlapped windows, blended without seams."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Network
from her2viewer_surface.plan import BLOCK, STRIDE, WINDOW, Block

TISSUE_UM = 16
"""Side of what is judged to be tissue or not, um."""
BRIGHTEST_TISSUE = 244
"""Mean of the darkest channel, glass being 255: pale stroma of a HER2 0 section lies near 235."""
TISSUE_IN_WINDOW = 0.01
KEPT_WINDOWS = 1500
"""About 100 MB: windows that neighbouring blocks share are not computed again."""


def tissue_cells(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(h / 16, w / 16): where tissue lies, of a picture at 1 um/px on white glass whose sides are multiples of 16."""
    import cv2

    height, width = rgb.shape[:2]
    darkest = rgb.min(axis=2)
    mean = cv2.resize(darkest, (width // TISSUE_UM, height // TISSUE_UM), interpolation=cv2.INTER_AREA)
    return np.asarray(mean < BRIGHTEST_TISSUE)


def blending_weights() -> NDArray[np.float32]:
    """(WINDOW, WINDOW): a raised cosine, small at the edges, where a network sees least around a pixel."""
    ramp = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2
    weights = np.outer(ramp, ramp) + 1e-3
    return weights.astype(np.float32)


class Segmentation:
    """Tumour probabilities of windows, kept for the neighbours that need them, too."""

    def __init__(self, network: Network, keep: int = KEPT_WINDOWS) -> None:
        self._network = network
        self._kept: OrderedDict[tuple[int, int], NDArray[np.uint8] | None] = OrderedDict()
        self._keep = keep
        self._weights = blending_weights()

    def missing(self, block: Block) -> list[tuple[int, int]]:
        """The windows of a block that are still to be computed."""
        return [at for at in block.windows() if at not in self._kept]

    def add(self, places: list[tuple[int, int]], pictures: list[NDArray[np.uint8]]) -> None:
        """Compute windows; those without tissue are known to hold no tumour.

        Args:
            places: (column, row) on the grid of strides.
            pictures: (WINDOW, WINDOW, 3) uint8 on white glass each.
        """
        busy = [k for k, rgb in enumerate(pictures) if tissue_cells(rgb).mean() >= TISSUE_IN_WINDOW]
        for k, at in enumerate(places):
            if k not in busy:
                self._kept[at] = None
        if busy:
            logits = self._network(np.stack([pictures[k] for k in busy]))
            probability = 1 / (1 + np.exp(np.clip(logits[:, 0] - logits[:, 1], -60, 60)))
            for k, p in zip(busy, probability, strict=True):
                self._kept[places[k]] = np.rint(255 * p).astype(np.uint8)

    def probability(self, block: Block) -> NDArray[np.float32]:
        """(BLOCK, BLOCK) probability of invasive tumour at 1 um/px; the block's windows must have been added."""
        total = np.zeros((BLOCK, BLOCK), np.float32)
        weight = np.full((BLOCK, BLOCK), 1e-6, np.float32)
        for column, row in block.windows():
            found = self._kept[(column, row)]
            self._kept.move_to_end((column, row))
            left, top = column * STRIDE - block.x, row * STRIDE - block.y
            y0, y1, x0, x1 = max(0, top), min(BLOCK, top + WINDOW), max(0, left), min(BLOCK, left + WINDOW)
            share = self._weights[y0 - top : y1 - top, x0 - left : x1 - left]
            weight[y0:y1, x0:x1] += share
            if found is not None:
                total[y0:y1, x0:x1] += share * found[y0 - top : y1 - top, x0 - left : x1 - left]
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return total / (255 * weight)
