"""Blocks, windows and patches on one grid that starts at the slide's origin: the same ones whatever the region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from her2viewer.api import Grid, PixelSize, Region

PATCH = 64
"""Side of a patch, um; as the networks work at 1 um/px, px too."""
WINDOW = 256
STRIDE = 192
"""Between windows of the segmentation, um."""
BLOCK = 768
"""Side of what is delivered at a time, um: whole patches and whole strides."""
CELL = 4
"""Side of a px of the tumour mask, um."""
PATCHES = BLOCK // PATCH
CELLS = BLOCK // CELL
CELLS_PER_PATCH = PATCH // CELL


@dataclass(frozen=True)
class Block:
    """One square of the grid of blocks."""

    column: int
    row: int

    @property
    def x(self) -> int:
        """Left edge, um from the slide's origin."""
        return self.column * BLOCK

    @property
    def y(self) -> int:
        """Upper edge, um."""
        return self.row * BLOCK

    def windows(self) -> list[tuple[int, int]]:
        """(column, row) on the grid of strides of all windows that see a part of the block."""
        reach = (WINDOW - 1) // STRIDE
        first = (self.column * BLOCK // STRIDE - reach, self.row * BLOCK // STRIDE - reach)
        count = BLOCK // STRIDE + reach
        return [(first[0] + c, first[1] + r) for r in range(count) for c in range(count)]


@dataclass(frozen=True)
class Plan:
    """The grid of a slide."""

    downsample: float
    """Level-0 px per um."""

    @classmethod
    def of(cls, pixel_size: PixelSize) -> Plan:
        """For a slide of this pixel size."""
        return cls(1.0 / pixel_size.mpp)

    def square(self, x: float, y: float, side: float) -> shapely.Polygon:
        """A square given in um, as level-0 px."""
        d = self.downsample
        return shapely.box(x * d, y * d, (x + side) * d, (y + side) * d)

    def region_of(self, block: Block) -> Region:
        """A block as a region."""
        return Region(self.square(block.x, block.y, BLOCK))

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
        shapely.prepare(region.geometry)
        found = []
        for row in range(int(y0 // side), int(y1 // side) + 1):
            for column in range(int(x0 // side), int(x1 // side) + 1):
                square = self.square(column * BLOCK, row * BLOCK, BLOCK)
                if region.geometry.intersects(square) and region.geometry.intersection(square).area > 0:
                    found.append(Block(column, row))
        if focus is None or not (x0 <= focus[0] <= x1 and y0 <= focus[1] <= y1):
            focus = ((x0 + x1) / 2, (y0 + y1) / 2)
        fx, fy = focus[0] / side - 0.5, focus[1] / side - 0.5
        return sorted(found, key=lambda b: ((b.column - fx) ** 2 + (b.row - fy) ** 2, b.row, b.column))

    def patches_in(self, block: Block, region: Region) -> NDArray[np.bool_]:
        """(PATCHES, PATCHES): the patches of a block that share area with the region."""
        grid = self.grid(block, PATCH)
        columns, rows = np.meshgrid(np.arange(PATCHES), np.arange(PATCHES))
        x, y = grid.x + columns * grid.step, grid.y + rows * grid.step
        squares = shapely.box(x, y, x + grid.step, y + grid.step)
        shapely.prepare(region.geometry)
        # Touching at a point is no area; a hair's breadth off the squares' edges decides that.
        inner = shapely.buffer(squares, -1e-3 * grid.step, join_style="mitre")
        return np.asarray(shapely.intersects(inner, region.geometry), dtype=bool)
