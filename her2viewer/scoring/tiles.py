"""The slide cut into tiles on one grid that starts at its origin: the same cells whatever the region."""

from __future__ import annotations

import math
from dataclasses import dataclass

import shapely

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.slides.slide import Slide

PATCH_UM = 64.0
"""Side of a heatmap patch, about; see ``TilePlan.patch``."""
PATCHES_PER_TILE = 12
MARGIN_UM = 40.0
"""Around each tile: half the surround of a nucleus plus a nucleus and its cell; cells are found alike then."""
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
class TilePlan:
    """How a slide is read, tile by tile."""

    downsample: float
    """Level-0 px per working px."""
    um: float
    """um per working px."""
    patch: float
    """Side of a heatmap patch, level-0 px, near ``PATCH_UM``: a multiple of 4 px, or of the working px."""
    margin: int
    """Margin around a tile, working px."""
    align: int = 1
    """What is read of a tile begins at a multiple of so many working px of it."""

    @property
    def tile_size(self) -> float:
        """Level-0 px."""
        return self.patch * PATCHES_PER_TILE

    @classmethod
    def of(
        cls, slide: Slide, pixel_size: PixelSize, working_um: float, *, exact: bool = False, align: int = 1
    ) -> TilePlan:
        """Working resolution of a slide: a native level near ``working_um``, else resampled to it.

        Args:
            slide: that is to be read.
            pixel_size: of its level 0.
            working_um: um/px that are wanted.
            exact: resample in any case, for networks that were trained at just this resolution.
            align: see the attribute; only with ``exact``.
        """
        downsample = working_um / pixel_size.mpp
        native = [v.downsample for v in slide.levels if NATIVE_FROM <= v.downsample * pixel_size.mpp <= NATIVE_TO]
        if native and not exact:
            downsample = min(native, key=lambda d: abs(d * pixel_size.mpp - working_um))
        if exact:
            # Whole working px: neighbouring tiles then lie on one grid of pixels, and see the same ones.
            patch = downsample * align * round(PATCH_UM / working_um / align)
        else:
            patch = max(4.0, 4.0 * round(PATCH_UM / pixel_size.mpp / 4))
        um = downsample * pixel_size.mpp
        return cls(
            downsample,
            um,
            patch,
            align * math.ceil(MARGIN_UM / um / align) if exact else round(MARGIN_UM / um),
            align,
        )

    def window(self, tile: Tile, region: Region) -> tuple[float, float, int, int]:
        """What is to be read of a tile: left, top (level-0 px), width and height (working px), with the margin.

        Only what the region touches, on the tile's own grid of pixels, so that any region sees the same pixels.
        """
        ds = self.downsample
        x0, y0, x1, y1 = region.intersection(tile.region).bounds
        first_x, first_y = (self.align * int(v // ds // self.align) for v in (x0 - tile.x, y0 - tile.y))
        width, height = math.ceil((x1 - tile.x) / ds) - first_x, math.ceil((y1 - tile.y) / ds) - first_y
        left, top = tile.x + (first_x - self.margin) * ds, tile.y + (first_y - self.margin) * ds
        return left, top, width + 2 * self.margin, height + 2 * self.margin

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
