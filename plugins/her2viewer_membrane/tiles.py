"""The slide cut into tiles on one grid that starts at its origin: the same cells whatever the region."""

from __future__ import annotations

from dataclasses import dataclass

import shapely

from her2viewer.api import PixelSize, Region, Slide

PATCH_UM = 64.0
"""Side of a heatmap patch, about; see ``Plan.patch``."""
PATCHES_PER_TILE = 12
MARGIN_UM = 40.0
"""Around each tile: half the surround of a nucleus plus a nucleus and its cell."""
NATIVE_FROM, NATIVE_TO = 0.44, 0.56
"""A level with um/px in this range is used as it is: resampling it would only blur it."""


@dataclass(frozen=True)
class Tile:
    """One square of the grid, level-0 px."""

    x: float
    y: float
    size: float

    @property
    def region(self) -> Region:
        """The square."""
        return Region.rectangle(self.x, self.y, self.size, self.size)


@dataclass(frozen=True)
class Plan:
    """How a slide is read."""

    downsample: float
    """Level-0 px per working px."""
    um: float
    """um per working px."""
    patch: float
    """Side of a heatmap patch, level-0 px: a multiple of 4 px near ``PATCH_UM``."""
    margin: int
    """Margin around a tile, working px."""

    @property
    def tile_size(self) -> float:
        """Level-0 px."""
        return self.patch * PATCHES_PER_TILE

    @classmethod
    def of(cls, slide: Slide, pixel_size: PixelSize, working_um: float) -> Plan:
        """Working resolution of a slide: a native level near ``working_um``, else resampled to it."""
        downsample = working_um / pixel_size.mpp
        native = [v.downsample for v in slide.levels if NATIVE_FROM <= v.downsample * pixel_size.mpp <= NATIVE_TO]
        if native:
            downsample = min(native, key=lambda d: abs(d * pixel_size.mpp - working_um))
        patch = max(4.0, 4.0 * round(PATCH_UM / pixel_size.mpp / 4))
        um = downsample * pixel_size.mpp
        return cls(downsample, um, patch, round(MARGIN_UM / um))

    def tiles(self, region: Region) -> list[Tile]:
        """Tiles that share area with the region, row by row."""
        if region.empty:
            return []
        size = self.tile_size
        x0, y0, x1, y1 = region.bounds
        shapely.prepare(region.geometry)
        found = []
        for row in range(int(y0 // size), int(y1 // size) + 1):
            for column in range(int(x0 // size), int(x1 // size) + 1):
                square = shapely.box(column * size, row * size, (column + 1) * size, (row + 1) * size)
                if region.geometry.intersects(square) and region.geometry.intersection(square).area > 0:
                    found.append(Tile(column * size, row * size, size))
        return found
