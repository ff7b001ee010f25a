"""Which places of a slide were looked at closely: a raster over the slide, and its share of a region."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.region import Region
from her2viewer.domain.region_squares import Raster, RegionSquares

CELL_UM = 25.0
"""Side of a square of the raster, about two cells: a field at 20x has a thousand of them."""
LEAST_CELL_PX = 8
MOST_CELLS = 4_000_000
"""A huge slide gets larger squares instead."""
MAGNIFICATION = 20.0
"""From this magnification on, staining of membranes can be judged, and a look counts."""


@dataclass(frozen=True, eq=False)
class ReviewedMap:
    """Squares of a slide that were looked at. Immutable; a look makes a new one.

    A square counts by its middle, so that neighbouring fields share no square and leave none out.
    """

    step: float
    """Side of a square, level-0 px."""
    mpp: float
    """Pixel size with which it was decided what is close enough, um/px."""
    seen: NDArray[np.bool_]
    """(rows, columns); not to be written to."""

    @classmethod
    def empty(cls, width: int, height: int, mpp: float) -> ReviewedMap:
        """Nothing was looked at yet.

        Args:
            width: of the slide, level-0 px.
            height: of the slide, level-0 px.
            mpp: pixel size, um/px.
        """
        least = math.sqrt(width * height / MOST_CELLS)
        step = max(float(LEAST_CELL_PX), CELL_UM / mpp, least)
        rows, columns = max(1, math.ceil(height / step)), max(1, math.ceil(width / step))
        return cls(step, mpp, np.zeros((rows, columns), dtype=bool))

    @property
    def raster(self) -> Raster:
        """Its squares, whatever was seen of them."""
        return Raster(self.step, *self.seen.shape)

    @property
    def nothing(self) -> bool:
        """True where no place was looked at."""
        return not bool(self.seen.any())

    def squares(self, corners: Sequence[tuple[float, float]]) -> tuple[slice, slice, NDArray[np.bool_]]:
        """Squares whose middle lies in a convex polygon.

        Args:
            corners: level-0 px, in either direction round.

        Returns:
            Rows and columns of the smallest window that holds them, and which of it they are, bool (rows, columns).
        """
        points = np.asarray(corners, dtype=float)
        rows, columns = self.seen.shape
        x0, y0 = np.floor(points.min(axis=0) / self.step).astype(int)
        x1, y1 = np.ceil(points.max(axis=0) / self.step).astype(int)
        window = (slice(max(0, y0), min(rows, max(0, y1))), slice(max(0, x0), min(columns, max(0, x1))))
        x = (np.arange(window[1].start, window[1].stop) + 0.5) * self.step
        y = (np.arange(window[0].start, window[0].stop) + 0.5) * self.step
        following = np.roll(points, -1, axis=0)
        # Twice the signed area: which way round the corners go.
        turn = np.sign(np.sum(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]))
        inside = np.ones((len(y), len(x)), dtype=bool)
        for (ax, ay), (bx, by) in zip(points, following, strict=True):
            inside &= turn * ((bx - ax) * (y[:, None] - ay) - (by - ay) * (x[None, :] - ax)) >= 0
        return window[0], window[1], inside

    def with_squares(self, rows: slice, columns: slice, which: NDArray[np.bool_]) -> ReviewedMap:
        """These squares were looked at too; the same map where all were already.

        Args:
            rows: of the window.
            columns: of the window.
            which: of the window, bool.
        """
        before = self.seen[rows, columns]
        if not (which & ~before).any():
            return self
        seen = self.seen.copy()
        seen[rows, columns] |= which
        seen.flags.writeable = False
        return ReviewedMap(self.step, self.mpp, seen)

    def with_view(self, corners: Sequence[tuple[float, float]]) -> ReviewedMap:
        """All that lies in a convex polygon (level-0 px) was looked at too."""
        return self.with_squares(*self.squares(corners))

    def at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
        """For each place (level-0 px) whether it was looked at; False beyond the slide."""
        rows, columns = self.seen.shape
        row, column = np.floor(y / self.step).astype(np.int64), np.floor(x / self.step).astype(np.int64)
        on = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        return np.asarray(on & self.seen[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)])

    def share(self, region: Region) -> float | None:
        """Share of a region that was looked at, 0 to 1; None where the region is empty."""
        target = RegionSquares.of(region, self.raster)
        return None if target is None else target.share(self.seen)


def share_text(share: float) -> str:
    """A share 0 to 1 in words: all of it only where it is all, and never nothing where it is something."""
    if 0 < share < 0.01:
        return "<1 %"
    return f"{math.floor(100 * share + 1e-9)} %"


def reviewed_to_json(reviewed: ReviewedMap) -> dict[str, Any]:
    """A JSON object: the size of the raster and its squares, packed."""
    rows, columns = reviewed.seen.shape
    packed = zlib.compress(np.packbits(reviewed.seen).tobytes(), 9)
    return {
        "step_px": reviewed.step,
        "mpp": reviewed.mpp,
        "rows": rows,
        "columns": columns,
        "seen": base64.b64encode(packed).decode("ascii"),
    }


def reviewed_from_json(data: Mapping[str, Any]) -> ReviewedMap:
    """The map of a JSON object.

    Raises:
        ValueError: it is damaged.
    """
    try:
        step, mpp = float(data["step_px"]), float(data["mpp"])
        rows, columns = int(data["rows"]), int(data["columns"])
        if not (0 < step < math.inf and 0 < mpp < math.inf and rows > 0 and columns > 0):
            raise ValueError
        if rows * columns > 4 * MOST_CELLS:
            raise ValueError
        size = -(-rows * columns // 8)
        unpacker = zlib.decompressobj()
        # One byte more than is right shows what is too long, and never a gigabyte.
        packed = unpacker.decompress(base64.b64decode(data["seen"], validate=True), size + 1)
        if len(packed) != size:
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError, zlib.error, binascii.Error) as error:
        raise ValueError("the map of what was looked at is damaged") from error
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=rows * columns)
    seen = bits.astype(bool).reshape(rows, columns)
    seen.flags.writeable = False
    return ReviewedMap(step, mpp, seen)
