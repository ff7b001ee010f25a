"""What a block needs of the slide, in one read where that goes, else piece by piece around what is damaged."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Runtime, Slide, TileError, on_white_glass
from her2viewer_surface.blocks import Picture
from her2viewer_surface.plan import BLOCK, PATCH, PATCHES, Block, Place, Plan

Pixels = NDArray[np.uint8]

TILE = 512
"""Side of what is read at a time, px of 1 um, on a grid from the slide's origin."""
PIECE = 32
"""Largest side of what is tried alone in a damaged window, px of 1 um."""
KEPT_TILES = 128
"""Tiles that stay in memory (100 MB) for the blocks and windows beside; windows overlap, and blocks go in rings."""


@dataclass(frozen=True)
class Reader:
    """Reads one slide at 1 um/px, on white glass; for one thread."""

    slide: Slide
    plan: Plan
    glass: tuple[float, float, float]
    """Grey levels of the slide's glass."""
    _kept: OrderedDict[tuple[int, int], Pixels] = field(default_factory=OrderedDict, init=False, repr=False)

    def read(self, block: Block, places: list[Place], runtime: Runtime) -> tuple[Picture, list[Pixels | None]]:
        """A block and the windows at ``places``, (window, window, 3) each; None for those that cannot be read.

        Raises:
            Cancelled: from ``runtime.check()``.
            SlideError: the slide is gone.
        """
        corners, side = [self.plan.corner(at) for at in places], self.plan.window
        x0, y0 = min([block.x, *(x for x, _ in corners)]), min([block.y, *(y for _, y in corners)])
        x1 = max([block.x + BLOCK, *(x + side for x, _ in corners)])
        y1 = max([block.y + BLOCK, *(y + side for _, y in corners)])
        with runtime.timed("Reading", (x1 - x0) * (y1 - y0)):
            try:
                rgb = self._from_tiles(x0, y0, x1, y1, runtime)
            except TileError:
                return self._piecemeal(block, corners, runtime)
        inner = rgb[block.y - y0 : block.y - y0 + BLOCK, block.x - x0 : block.x - x0 + BLOCK]
        windows = [rgb[y - y0 : y - y0 + side, x - x0 : x - x0 + side] for x, y in corners]
        return Picture(inner, np.zeros((PATCHES, PATCHES), bool)), list(windows)

    def _from_tiles(self, x0: int, y0: int, x1: int, y1: int, runtime: Runtime) -> Pixels:
        rgb = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        for row in range(y0 // TILE, -(-y1 // TILE)):
            for column in range(x0 // TILE, -(-x1 // TILE)):
                runtime.check()
                left, top = column * TILE, row * TILE
                xs, ys = slice(max(x0, left), min(x1, left + TILE)), slice(max(y0, top), min(y1, top + TILE))
                tile = self._tile(column, row)
                rgb[ys.start - y0 : ys.stop - y0, xs.start - x0 : xs.stop - x0] = tile[
                    ys.start - top : ys.stop - top, xs.start - left : xs.stop - left
                ]
        return rgb

    def _tile(self, column: int, row: int) -> Pixels:
        tile = self._kept.pop((column, row), None)
        if tile is None:
            tile = self._pixels(column * TILE, row * TILE, TILE, TILE)
        self._kept[(column, row)] = tile
        while len(self._kept) > KEPT_TILES:
            self._kept.popitem(last=False)
        return tile

    def _piecemeal(
        self, block: Block, corners: list[tuple[int, int]], runtime: Runtime
    ) -> tuple[Picture, list[Pixels | None]]:
        rgb = np.full((BLOCK, BLOCK, 3), 255, np.uint8)
        unread = np.zeros((PATCHES, PATCHES), bool)
        for row, column in np.argwhere(block.inside):
            runtime.check()
            x, y = int(column) * PATCH, int(row) * PATCH
            piece = self._whole_or_none(block.x + x, block.y + y, PATCH)
            if piece is None:
                unread[row, column] = True
            else:
                rgb[y : y + PATCH, x : x + PATCH] = piece
        windows = []
        for x, y in corners:
            runtime.check()
            windows.append(self._window(x, y, runtime))
        return Picture(rgb, unread), windows

    def _window(self, x: int, y: int, runtime: Runtime) -> Pixels | None:
        """A window with glass where it cannot be read, so that damage costs what lies on it; None if nothing can."""
        side = self.plan.window
        whole = self._whole_or_none(x, y, side)
        if whole is not None:
            return whole
        rgb = np.full((side, side, 3), 255, np.uint8)
        found, step = False, math.gcd(side, PIECE)
        for top in range(0, side, step):
            for left in range(0, side, step):
                runtime.check()
                piece = self._whole_or_none(x + left, y + top, step)
                if piece is not None:
                    rgb[top : top + step, left : left + step] = piece
                    found = True
        return rgb if found else None

    def _whole_or_none(self, x: int, y: int, side: int) -> Pixels | None:
        try:
            return self._pixels(x, y, side, side)
        except TileError:
            return None

    def _pixels(self, x: int, y: int, width: int, height: int) -> Pixels:
        d = self.plan.downsample
        return on_white_glass(self.slide.read_at(d, x * d, y * d, width, height), self.glass)
