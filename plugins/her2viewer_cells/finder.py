"""Nuclei by a network: windows over a tile, how likely the middle of a nucleus is at a pixel, the peaks of that."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Network, Nuclei, ScorerError, watershed

Array = NDArray[np.float32]

PIXELS = 256
"""Side of the squares that the network learns from."""
WINDOW = 640
"""Side of a window in use. Of a small one more only helps; three by three of these cover a tile with its margin."""
HALO = 48
"""px of a window on each side that only help: a pixel depends on others up to 40 px away."""
ALIGN = 8
"""The network halves its picture three times: windows that lie a multiple of this apart agree on what both see."""
SMOOTHING = 0.85
"""um, Gaussian sigma on the probability."""
VALLEY = 0.03
"""Share of the lower of two peaks by which the ground between them must be lower; else they are one nucleus."""


@dataclass(frozen=True)
class Finder:
    """The network and from when on it is believed."""

    network: Network
    """Takes pictures of a side that is a multiple of ``ALIGN``."""
    least: float
    """Smoothed probability from which there is a nucleus."""
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        side = self.network.side
        if side <= 2 * HALO or side % ALIGN:
            raise ScorerError(
                f"The network for the nuclei takes pictures of {side} px; it must be more than {2 * HALO} px and a "
                f"multiple of {ALIGN}. Choose another one in the settings of the scorer."
            )

    def nuclei(self, stains: Array, um: float) -> Nuclei:
        """Nuclei of a picture, each by its middle.

        Args:
            stains: (h, w, 2) float32 OD of haematoxylin and DAB.
            um: um per px.

        Raises:
            Cancelled, ScorerError: from the network.
        """
        import cv2

        height = cv2.GaussianBlur(self.probability(stains), (0, 0), SMOOTHING / um)
        haematoxylin, dab = (np.ascontiguousarray(stains[..., k]) for k in (0, 1))
        return watershed(height, (height > self.least).astype(np.uint8), haematoxylin, dab, valley=VALLEY, least=0.0)

    def probability(self, stains: Array) -> Array:
        """(h, w) of the middle of a nucleus; within ``HALO`` of the border there is none.

        Raises:
            Cancelled, ScorerError: from the network.
        """
        rows, columns = stains.shape[:2]
        side, step = self.network.side, self.network.side - 2 * HALO
        out = np.zeros((rows, columns), np.float32)
        tops, lefts = range(0, max(1, rows - 2 * HALO), step), range(0, max(1, columns - 2 * HALO), step)
        padded = np.zeros((tops[-1] + side, lefts[-1] + side, 2), np.float32)
        padded[:rows, :columns] = stains[: len(padded), : padded.shape[1]]
        corners = [(top, left) for top in tops for left in lefts]
        at_once = max(1, self.network.batch)
        for start in range(0, len(corners), at_once):
            part = corners[start : start + at_once]
            windows = np.stack([padded[y : y + side, x : x + side] for y, x in part])
            with self._turn:
                logits = self.network(windows)
            odds = logits[:, 1] - logits[:, 0]
            for (y, x), picture in zip(part, 1 / (1 + np.exp(-odds)), strict=True):
                inner = out[y + HALO : y + HALO + step, x + HALO : x + HALO + step]
                inner[:] = picture[HALO : HALO + inner.shape[0], HALO : HALO + inner.shape[1]]
        return out
