"""Draws the picture of a step of a zoom from what was kept when it began and from tiles at hand. For a worker thread.

Everything is given in whole px of the endless picture of some zoom, so that neighbours meet without a seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box, Pyramid, Scale, aligned, screen_origin
from her2viewer.viewer.canvas.ground import Kept, rim_of
from her2viewer.viewer.canvas.scaling import MOST_ROUGH, draw
from her2viewer.viewer.canvas.store import TileStore
from her2viewer.viewer.canvas.tissue import Scene

MOST_ENLARGED = 2.0
"""What was kept when the zoom began is enlarged by this much; then another picture is composed of tiles."""
LEAST_SHARE = 0.45
"""Made smaller than this it is of little use."""
SURROUNDING = 2.0
"""In a zoom out of the tissue a picture of so much more is composed once, for all steps up to there."""
SPARE = 0.1
"""Of the view: what the surrounding has on each side beyond what will be seen."""


class Part(NamedTuple):
    """A picture, or a block of one, in its place."""

    area: Box
    """Px of the endless picture of its zoom."""
    pixels: BGRAImage


@dataclass(frozen=True)
class Source:
    """A picture of some zoom that others are scaled from."""

    scale: Scale
    area: Box
    """What of it is valid."""
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, kept: Kept) -> Source:
        """What is kept of a view."""
        x, y = kept.area.x0, kept.area.y0
        parts = []
        for block in kept.blocks:
            left, top = x + block.area.x(), y + block.area.y()
            parts.append(Part(Box(left, top, left + block.area.width(), top + block.area.height()), block.pixels))
        return cls(kept.look.scale, kept.area, tuple(parts))


class Painted(NamedTuple):
    """What a picture was made of."""

    bare: list[Box]
    """Where there is tissue without overlays, px of the zoom."""
    afresh: bool
    """It was composed of tiles alone."""


class ZoomPainter:
    """Draws the steps of one zoom. For one thread."""

    def __init__(self, store: TileStore[Any]) -> None:
        self._store = store
        self._kept: Source | None = None
        self._around: Source | None = None

    def forget(self) -> None:
        """Give the memory back."""
        self._kept = self._around = None

    def paint(self, scene: Scene, kept: Source | None, pyramid: Pyramid, out: BGRAImage) -> Painted:
        """Fill ``out`` with the view of a scene and its rim.

        Args:
            scene: upright.
            kept: what was on the screen when the zoom began; None where that is of no use.
            pyramid: of the slide.
            out: (height, width, 4).
        """
        if kept is not self._kept:
            self._kept, self._around = kept, None
        shown = shown_box(scene)
        factor = kept.scale.downsample / scene.scale.downsample if kept is not None else 0.0
        if kept is None or not LEAST_SHARE <= factor <= MOST_ENLARGED:
            self._tiles(scene, shown, Box(0, 0, 0, 0), out)
            return Painted([shown], True)
        area = edges(kept.area, factor).intersected(shown)
        bare = list(beside(area, shown))
        if bare:
            if self._around is None:
                self._around = self._surroundings(scene, kept, pyramid)
            if not all(self._scaled(scene, self._around, hole, shown, out) for hole in bare):
                self._around = None
                self._tiles(scene, shown, Box(0, 0, 0, 0), out)
                return Painted([shown], True)
        self._scaled(scene, kept, area, shown, out)
        return Painted(bare, False)

    def _surroundings(self, scene: Scene, kept: Source, pyramid: Pyramid) -> Source:
        """What a zoom about the same point will have shown at ``SURROUNDING`` times less magnification."""
        view, start = scene.view, kept.scale.downsample
        downsample = SURROUNDING * start
        x, y = (kept.area.x0 + kept.area.x1) / 2 * start, (kept.area.y0 + kept.area.y1) / 2 * start
        # The middle of the view moves on a line, with the zoom.
        on = (downsample - start) / (view.downsample - start) if view.downsample > start * 1.001 else 0.0
        wide = replace(
            view,
            cx=x + on * (view.cx - x),
            cy=y + on * (view.cy - y),
            downsample=downsample,
            width=round((1 + 2 * SPARE) * view.width),
            height=round((1 + 2 * SPARE) * view.height),
        )
        wide = aligned(wide)
        beyond = replace(scene, view=wide, scale=pyramid.scale(downsample))
        box = shown_box(beyond)
        pixels = np.empty((box.height, box.width, 4), dtype=np.uint8)
        self._tiles(beyond, box, edges(kept.area, 1 / SURROUNDING), pixels)
        return Source(beyond.scale, box, (Part(box, pixels),))

    def _scaled(self, scene: Scene, source: Source, box: Box, shown: Box, out: BGRAImage) -> bool:
        """Fill ``box``; False where the source does not have all of it."""
        factor = source.scale.downsample / scene.scale.downsample
        if edges(source.area, factor).intersected(box) != box:
            return False
        for area, pixels in source.parts:
            target = edges(area, factor).intersected(box)
            if not target.empty:
                offset = ((target.x0 + 0.5) / factor - area.x0 - 0.5, (target.y0 + 0.5) / factor - area.y0 - 0.5)
                draw(pixels, _at(target, shown), (1 / factor, 1 / factor), offset, out, smooth=factor > MOST_ROUGH)
        return True

    def _tiles(self, scene: Scene, shown: Box, but: Box, out: BGRAImage) -> None:
        """Fill ``shown`` from tiles at hand; those that lie wholly in ``but`` are left out."""
        import cv2

        inside = shown.intersected(scene.scale.extent)
        pieces = [] if inside.empty else self._store.pieces(scene.scale, inside)
        covered = sum(part.width * part.height for part in (p.target.intersected(inside) for p in pieces))
        for box, colour in ((shown, scene.outside), (inside, scene.glass)):
            if (inside != shown) if box is shown else covered < inside.width * inside.height:
                at = _at(box, shown)
                bgra = (colour.blue(), colour.green(), colour.red(), 255)
                cv2.rectangle(out, (at.x0, at.y0), (at.x1 - 1, at.y1 - 1), bgra, cv2.FILLED)
        for target, tile, (x, y, width, height), exact in pieces:
            part = target.intersected(inside)
            if part.empty or part.intersected(but) == part:
                continue
            ratio = (1.0, 1.0) if exact else (width / target.width, height / target.height)
            offset = (
                x + (part.x0 - target.x0 + 0.5) * ratio[0] - 0.5,
                y + (part.y0 - target.y0 + 0.5) * ratio[1] - 0.5,
            )
            draw(tile.pixels, _at(part, shown), ratio, offset, out, smooth=min(ratio) * MOST_ROUGH < 1)


def shown_box(scene: Scene) -> Box:
    """The view of a scene with its rim, px of its zoom."""
    view, rim = scene.view, rim_of(scene.view)
    left, top = screen_origin(view)
    return Box(left - rim, top - rim, left + view.width + rim, top + view.height + rim)


def edges(box: Box, factor: float) -> Box:
    """``box`` in px of another zoom, each edge by one rule, so that neighbours meet."""
    x0, y0, x1, y1 = (int(np.floor(edge * factor + 0.5)) for edge in box)
    return Box(x0, y0, x1, y1)


def beside(box: Box, whole: Box) -> Iterator[Box]:
    """What of ``whole`` lies beside ``box``, at most four rectangles."""
    if box.empty:
        yield whole
        return
    for part in (
        Box(whole.x0, whole.y0, whole.x1, box.y0),
        Box(whole.x0, box.y1, whole.x1, whole.y1),
        Box(whole.x0, box.y0, box.x0, box.y1),
        Box(box.x1, box.y0, whole.x1, box.y1),
    ):
        if not part.empty:
            yield part


def _at(box: Box, shown: Box) -> Box:
    return Box(box.x0 - shown.x0, box.y0 - shown.y0, box.x1 - shown.x0, box.y1 - shown.y0)
