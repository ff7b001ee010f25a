"""Blocks, windows and patches on one grid that starts at the slide's origin: the same ones whatever the region."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from her2viewer.api import Grid, PixelSize, Region, ScorerError

PATCH = 64
"""Side of a patch, um; as the networks work at 1 um/px, px too."""
BLOCK = 512
"""Side of what is delivered at a time, um: whole patches; small, so that the first classes are soon on the screen."""
CELL = 4
"""Side of a px of the tumour mask, um."""
TISSUE_UM = 16
"""Side of what is judged to be tissue or not, um."""
HALO = 128
"""um around a patch that decide whether a speck or a hole in it is a small one; see ``segmentation``."""
LEAST_COVER = 1e-6
"""Share of a patch below which an outline that touches it does not count."""
PATCHES = BLOCK // PATCH
CELLS = BLOCK // CELL
CELLS_PER_PATCH = PATCH // CELL
HALO_CELLS = HALO // CELL
FRAME_CELLS = (BLOCK + 2 * HALO) // CELL
"""Side of a block with its halo, px of the mask."""

Place = tuple[int, int]
"""(column, row) of a window on the grid of strides."""


@dataclass(frozen=True)
class Block:
    """One square of the grid of blocks, with the patches that are asked for."""

    column: int
    row: int
    cover: NDArray[np.float32]
    """(PATCHES, PATCHES): share of each patch that lies in the region, 0 to 1."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(PATCHES, PATCHES): patches that share area with the region."""
        return np.asarray(self.cover > 0)

    @property
    def x(self) -> int:
        """Left edge, um from the slide's origin."""
        return self.column * BLOCK

    @property
    def y(self) -> int:
        """Upper edge, um."""
        return self.row * BLOCK


@dataclass(frozen=True)
class Plan:
    """The grid of a slide."""

    downsample: float
    """Level-0 px per um."""
    window: int
    """Side of what the segmentation sees at a time, um; a multiple of ``TISSUE_UM``."""
    overlap: int
    """Of neighbouring windows, um; a multiple of twice ``TISSUE_UM``, smaller than a window."""

    @classmethod
    def of(cls, pixel_size: PixelSize, window: int, overlap: int) -> Plan:
        """For a slide of this pixel size.

        Raises:
            ScorerError: windows do not fit the grid.
        """
        if window % TISSUE_UM or window <= overlap:
            raise ScorerError(
                f"The network for the tumour takes images of {window} px, which does not fit an overlap of {overlap} "
                f"um. Choose a smaller overlap, or a network whose side is a multiple of {TISSUE_UM} px."
            )
        return cls(1.0 / pixel_size.mpp, window, overlap)

    @property
    def stride(self) -> int:
        """Between windows of the segmentation, um."""
        return self.window - self.overlap

    def square(self, block: Block) -> Region:
        """A block as a region."""
        side = BLOCK * self.downsample
        return Region.rectangle(block.column * side, block.row * side, side, side)

    def grid(self, block: Block, step: int) -> Grid:
        """Grid of a block with cells of ``step`` um."""
        d, count = self.downsample, BLOCK // step
        return Grid(block.x * d, block.y * d, step * d, count, count)

    def blocks(self, region: Region, focus: tuple[float, float] | None = None) -> list[Block]:
        """Blocks that share area with the region, the nearest to ``focus`` (level-0 px) first.

        Without a focus, or where it lies outside the region's bounds, from the middle of the region outwards.
        """
        if region.empty:
            return []
        side = BLOCK * self.downsample
        x0, y0, x1, y1 = region.bounds
        across, down = np.meshgrid(
            np.arange(math.floor(x0 / side), math.floor(x1 / side) + 1),
            np.arange(math.floor(y0 / side), math.floor(y1 / side) + 1),
        )
        columns, rows = across.ravel(), down.ravel()
        squares = shapely.box(columns * side, rows * side, (columns + 1) * side, (rows + 1) * side)
        shapely.prepare(region.geometry)
        whole = shapely.contains_properly(region.geometry, squares)
        found = []
        for k in np.flatnonzero(shapely.intersects(region.geometry, squares)):
            column, row = int(columns[k]), int(rows[k])
            cover = np.ones((PATCHES, PATCHES), np.float32) if whole[k] else self._cover(column, row, region)
            if cover.any():
                found.append(Block(column, row, cover))
        if focus is None or not (x0 <= focus[0] <= x1 and y0 <= focus[1] <= y1):
            focus = ((x0 + x1) / 2, (y0 + y1) / 2)
        fx, fy = focus[0] / side - 0.5, focus[1] / side - 0.5
        return sorted(found, key=lambda b: ((b.column - fx) ** 2 + (b.row - fy) ** 2, b.row, b.column))

    def windows(self, block: Block) -> list[Place]:
        """All windows that see a wanted patch of a block or the halo around one, row by row."""
        wanted, halo = _spread(block.inside), HALO // PATCH

        def span(edge: int) -> range:
            first, last = edge - HALO, edge + BLOCK + HALO
            return range((first - self.window) // self.stride + 1, -(-last // self.stride))

        found = []
        for row in span(block.y):
            top = row * self.stride - block.y
            for column in span(block.x):
                left = column * self.stride - block.x
                rows = slice(max(0, top // PATCH + halo), -(-(top + self.window) // PATCH) + halo)
                columns = slice(max(0, left // PATCH + halo), -(-(left + self.window) // PATCH) + halo)
                if wanted[rows, columns].any():
                    found.append((column, row))
        return found

    def corner(self, place: Place) -> tuple[int, int]:
        """Upper left corner of a window, um."""
        return place[0] * self.stride, place[1] * self.stride

    def _cover(self, column: int, row: int, region: Region) -> NDArray[np.float32]:
        """(PATCHES, PATCHES): share of each patch of a block that lies in the region."""
        step = PATCH * self.downsample
        columns, rows = np.meshgrid(np.arange(PATCHES), np.arange(PATCHES))
        x, y = (column * PATCHES + columns) * step, (row * PATCHES + rows) * step
        squares = shapely.box(x, y, x + step, y + step)
        cover = np.asarray(shapely.contains_properly(region.geometry, squares), np.float32)
        crossed = (cover == 0) & shapely.intersects(region.geometry, squares)
        cover[crossed] = shapely.area(shapely.intersection(squares[crossed], region.geometry)) / step**2
        # Less is the rounding of outlines: touching along an edge is no area.
        cover[cover < LEAST_COVER] = 0
        return cover


def _spread(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(PATCHES + 2 halo, same): the patches that are asked for and those of their halo."""
    import cv2

    halo = HALO // PATCH
    padded = np.pad(inside.astype(np.uint8), halo)
    return np.asarray(cv2.dilate(padded, np.ones((2 * halo + 1, 2 * halo + 1), np.uint8)), dtype=bool)
