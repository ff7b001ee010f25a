"""How sure shares are: an interval over blocks of the tissue, since neighbouring cells and patches are no witnesses
of their own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.shares import Interval

FINEST_UM = 250.0
"""Side of the smallest blocks; larger ones are made of these."""
_MERGES = (4, 2, 1)
"""Blocks of 1, 0.5 or 0.25 mm: the largest of which there are enough."""
LEAST_BLOCKS = 10
"""Fewer blocks with tumour than this say nothing of how the shares vary."""
_MOST_BLOCKS = 2048
"""Above it neighbours are joined: more blocks make the interval no better."""
_MOST_ACROSS = 1024
"""Finest blocks along a side; on an immense slide they are larger."""
DRAWS = 1000
_SEED = 2022


Sums = NDArray[np.float64]
"""(blocks, 4): amounts by block and class."""


class BlockTable:
    """Which block each of many places lies in: made once, summed for each region."""

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64], mpp: float) -> None:
        """``x`` and ``y`` are level-0 px, each (n,); ``mpp`` um per level-0 px."""
        extent = mpp * max(float(np.ptp(x)), float(np.ptp(y))) if len(x) else 0.0
        self._finest_um = max(FINEST_UM, extent / _MOST_ACROSS)
        column = np.floor(x * (mpp / self._finest_um)).astype(np.int64)
        row = np.floor(y * (mpp / self._finest_um)).astype(np.int64)
        # The corner is a multiple of the largest block, so that blocks lie on the slide whatever the region.
        large = _MERGES[0]
        self._shape = (large, large)
        if len(column):
            column -= column.min() // large * large
            row -= row.min() // large * large
            self._shape = (_up(int(row.max()) + 1, large), _up(int(column.max()) + 1, large))
        self._block = row * self._shape[1] + column

    def sums(self, places: NDArray[np.int64], her2: NDArray[np.int64], amounts: NDArray[np.float64]) -> Sums:
        """Amounts by block and class of what lies at some of the places.

        Args:
            places: (k,) numbers of places; one may come more than once.
            her2: (k,) class 0 to 3.
            amounts: (k,) cells or mm2.
        """
        count = self._shape[0] * self._shape[1]
        found = np.bincount(self._block[places] * 4 + her2, amounts, minlength=count * 4)
        return np.asarray(found.reshape(count, 4), dtype=np.float64)

    def sums_by_class(self, places: NDArray[np.int64], amounts: NDArray[np.float64]) -> Sums:
        """As ``sums``, for places that hold several classes: ``amounts`` is (k, 4)."""
        count, blocks = self._shape[0] * self._shape[1], self._block[places]
        columns = [np.bincount(blocks, amounts[:, c], minlength=count) for c in range(4)]
        return np.stack(columns, axis=1).astype(np.float64)

    def interval(self, sums: Sums) -> Interval | None:
        """The interval of the shares; None where fewer than ``LEAST_BLOCKS`` blocks hold tumour."""
        fine = sums.reshape(*self._shape, 4)
        for merge in _MERGES:
            rows, columns = self._shape[0] // merge, self._shape[1] // merge
            blocks = fine.reshape(rows, merge, columns, merge, 4).sum(axis=(1, 3)).reshape(-1, 4)
            blocks = blocks[blocks.sum(axis=1) > 0]
            if len(blocks) > _MOST_BLOCKS:
                blocks = np.add.reduceat(blocks, np.arange(0, len(blocks), -(-len(blocks) // _MOST_BLOCKS)))
            if len(blocks) >= LEAST_BLOCKS:
                low, high = bootstrap(blocks)
                return Interval(_four(low), _four(high), merge * self._finest_um)
        return None


def bootstrap(blocks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % interval of the shares of four classes over blocks (n, 4) of their amounts: low and high, each (4,).

    Each draw gives every block a Poisson weight of mean 1, as a bootstrap of many blocks does, and takes the ratio of
    sums. The draws are the same each time: the same tissue has the same interval.
    """
    weights = _weights(_capacity(len(blocks)))[: len(blocks)]
    # Classes by draws, so that each class lies in one piece.
    sums = blocks.T @ weights
    totals = sums.sum(axis=0)
    drawn = np.sort(sums[:, totals > 0] / totals[totals > 0], axis=1)
    at = 0.025 * (drawn.shape[1] - 1)
    low, high = drawn[:, round(at)], drawn[:, -1 - round(at)]
    return low, high


@lru_cache(maxsize=4)
def _weights(count: int) -> NDArray[np.float64]:
    return np.random.default_rng(_SEED).poisson(1.0, (count, DRAWS)).astype(np.float64)


def _capacity(count: int) -> int:
    return 1 << max(6, (count - 1).bit_length())


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _four(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    a, b, c, d = (min(1.0, max(0.0, float(v))) for v in values)
    return (a, b, c, d)
