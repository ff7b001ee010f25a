"""Invasive tumour from overlapped windows, blended without seams, without specks and holes of a cell or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Network
from her2viewer_surface.plan import CELL, FRAME_CELLS, HALO, HALO_CELLS, TISSUE_UM, Block, Place, Plan

BRIGHTEST_TISSUE = 244
"""Mean of the darkest channel, glass being 255: pale stroma of a HER2 0 section lies near 235."""
LEAST_TISSUE_UM2 = 512
"""Tissue in a window's own square (as wide as the stride, in its middle) from which it is computed."""
SMALL_CELLS = 15
"""Specks and holes of up to so many px of the mask (240 um2, one or two tumour cells) are removed."""
_Square = tuple[slice, slice]

# A speck and then a hole of 15 px reach no further than 30 px: what lies within the halo decides, so that a block
# comes out the same whatever is scored beside it.
assert 2 * SMALL_CELLS < HALO_CELLS


def tissue_cells(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(h / 16, w / 16): where tissue lies, of a picture at 1 um/px on white glass whose sides are multiples of 16."""
    import cv2

    height, width = rgb.shape[:2]
    mean = cv2.resize(rgb, (width // TISSUE_UM, height // TISSUE_UM), interpolation=cv2.INTER_AREA)
    return np.asarray(mean.min(axis=2) < BRIGHTEST_TISSUE)


def _cell_means(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """(window / CELL, same): mean over each px of the mask."""
    import cv2

    cells = len(probability) // CELL
    means = cv2.resize(probability, (cells, cells), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


class Segmentation:
    """Tumour probabilities of windows, each computed once and kept until the last block that needs it is done."""

    def __init__(self, network: Network, plan: Plan, blocks: Iterable[Block]) -> None:
        self._network, self._plan = network, plan
        self._windows = {(b.column, b.row): plan.windows(b) for b in blocks}
        self._uses = Counter(at for windows in self._windows.values() for at in windows)
        self._claimed: set[Place] = set()
        self._known: dict[Place, NDArray[np.float32] | None] = {}
        self._weights = _blending_weights(plan)
        edge = plan.overlap // 2
        self._own = slice(edge, plan.window - edge)

    def claim(self, block: Block) -> list[Place]:
        """The windows that must be added for a block, in the order of the blocks: no two blocks get the same one."""
        places = [at for at in self._windows[(block.column, block.row)] if at not in self._claimed]
        self._claimed.update(places)
        return places

    def add(self, places: list[Place], pictures: list[NDArray[np.uint8] | None]) -> None:
        """Compute windows; where one has no tissue in its own square, its neighbours see what else there is.

        Args:
            places: of the windows.
            pictures: (window, window, 3) uint8 on white glass each; None where it cannot be read.

        Raises:
            Cancelled, ScorerError: from the network.
        """
        readable = [(at, rgb) for at, rgb in zip(places, pictures, strict=True) if rgb is not None]
        busy = []
        for at, rgb in readable:
            if tissue_cells(rgb[self._own, self._own]).sum() * TISSUE_UM**2 >= LEAST_TISSUE_UM2:
                busy.append((at, rgb))
            else:
                self._known[at] = None
        if not busy:
            return
        logits = self._network(np.stack([rgb for _, rgb in busy]))
        for (at, _), (other, tumour) in zip(busy, logits, strict=True):
            with np.errstate(over="ignore"):
                self._known[at] = _cell_means(1 / (1 + np.exp(other - tumour)))

    def probability(self, block: Block) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Probability of invasive tumour in a block and its halo; windows that no later block needs are forgotten.

        Returns:
            (FRAME_CELLS, FRAME_CELLS) probabilities per px of the mask, and bool of the same shape: whether any
            window has seen it.
        """
        total = np.zeros((FRAME_CELLS, FRAME_CELLS), np.float32)
        weight = np.zeros((FRAME_CELLS, FRAME_CELLS), np.float32)
        seen = np.zeros((FRAME_CELLS, FRAME_CELLS), bool)
        for at in self._windows[(block.column, block.row)]:
            if at in self._known:
                frame, window = self._overlap(block, at)
                seen[frame] = True
                if (found := self._known[at]) is not None:
                    weight[frame] += self._weights[window]
                    total[frame] += self._weights[window] * found[window]
            self._uses[at] -= 1
            if self._uses[at] == 0:
                self._known.pop(at, None)
        return np.asarray(total / np.maximum(weight, 1e-6), np.float32), seen

    def _overlap(self, block: Block, at: Place) -> tuple[_Square, _Square]:
        """Where a window lies in a block with its halo, and that part of the window, px of the mask."""
        x, y = self._plan.corner(at)
        left, top = (x - block.x + HALO) // CELL, (y - block.y + HALO) // CELL
        cells = self._plan.window // CELL
        y0, y1 = max(0, top), min(FRAME_CELLS, top + cells)
        x0, x1 = max(0, left), min(FRAME_CELLS, left + cells)
        return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))

    @property
    def kept(self) -> int:
        """How many windows are held in memory."""
        return len(self._known)


def tumour_mask(probability: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """(BLOCK / CELL, same): tumour of a block, of probabilities with halo; small specks and holes removed."""
    mask = probability >= threshold
    mask &= ~_small(mask)
    mask |= _small(~mask)
    return mask[HALO_CELLS:-HALO_CELLS, HALO_CELLS:-HALO_CELLS]


def _small(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected parts of up to ``SMALL_CELLS`` px."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] <= SMALL_CELLS
    small[0] = False
    found: NDArray[np.bool_] = small[labels]
    return found


def _blending_weights(plan: Plan) -> NDArray[np.float32]:
    """(window / CELL, same): a raised cosine over the overlap, as a network sees least around a pixel at the edge."""
    cells = plan.window // CELL
    centres = (np.arange(cells) + 0.5) * CELL
    inward = np.minimum(centres, plan.window - centres) / max(plan.overlap, 1)
    ramp = np.sin(np.pi / 2 * np.minimum(inward, 1)) ** 2
    weights = np.outer(ramp, ramp) + 1e-3
    return weights.astype(np.float32)
