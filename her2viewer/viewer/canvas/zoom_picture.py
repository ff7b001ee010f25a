"""Draws the picture of a step of a zoom from what was kept when it began and from tiles at hand. For a worker thread.

Everything is given in whole px of the endless picture of some zoom, so that neighbours meet without a seam.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box, Pyramid, Scale, aligned, screen_origin
from her2viewer.viewer.canvas.ground import Kept, rim_of
from her2viewer.viewer.canvas.rasters import LayerRasters, bands, lay_over
from her2viewer.viewer.canvas.scaling import MOST_ROUGH, draw
from her2viewer.viewer.canvas.store import TileStore
from her2viewer.viewer.canvas.tissue import Scene
from her2viewer.viewer.canvas.viewport import Viewport

MOST_ENLARGED = 2.0
"""A picture is enlarged by this much; then another one is composed of tiles."""
MOST_ENLARGED_IN_NEED = 4.0
"""But by this much before a frame has to wait until it is put together from tiles."""
LEAST_SHARE = 0.45
"""Made smaller than this it is of little use."""
NEXT = 2.0
"""Zooms of pictures that are composed ahead differ by this factor."""
DUE_OUT, DUE_IN = 2.0, 1.05
"""A picture is composed ahead as soon as the coarsest one at hand is no coarser than this many times the view, or the
finest one is enlarged by so much.
"""
LEAST_OUT = 1.1
LATE_IN, LEAST_LATE_IN = 0.95, 0.8
SPARE = 0.1
"""Of the view: what a picture that is composed ahead has on each side beyond what will be seen."""
MOST_COMPOSED = 2
ROOM = 1 << 18
"""Pictures have memory in multiples of so many px: of one view they differ by a row or two."""
IN_PAGE = 1024
"""Px from one page of memory to the next."""


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
    memory: NDArray[np.uint8] | None = None
    """That of the only part, (pixels, 4), where it may be used again."""

    @classmethod
    def of(cls, kept: Kept) -> Source:
        """What is kept of a view."""
        x, y = kept.area.x0, kept.area.y0
        parts = []
        for block in kept.blocks:
            left, top = x + block.area.x(), y + block.area.y()
            parts.append(Part(Box(left, top, left + block.area.width(), top + block.area.height()), block.pixels))
        return cls(kept.look.scale, kept.area, tuple(parts))


class _Middle(NamedTuple):
    """Of a view: level-0 px per px, and the point in level-0 px."""

    downsample: float
    cx: float
    cy: float

    @classmethod
    def of(cls, source: Source) -> _Middle:
        downsample, area = source.scale.downsample, source.area
        return cls(downsample, (area.x0 + area.x1) / 2 * downsample, (area.y0 + area.y1) / 2 * downsample)


class _Due(NamedTuple):
    """A picture that is to be composed ahead; zooms as level-0 px per px, as multiples of the view's."""

    zoom: float
    least: float
    most: float
    """One that was begun with a zoom between these is as good."""


class Painted(NamedTuple):
    """What a picture was made of."""

    bare: list[Box]
    """Where nothing of what was kept is shown, px of the zoom."""
    afresh: bool
    """It was composed of tiles alone."""


class ZoomPainter:
    """Draws the steps of one zoom. For one thread."""

    def __init__(self, store: TileStore[Any]) -> None:
        self._store = store
        self._kept: Source | None = None
        self._composed: list[Source] = []
        """Pictures that were composed of tiles since."""
        self._memory: list[NDArray[np.uint8]] = []
        """Of pictures that are no longer used."""
        self._last: _Middle | None = None
        self._making: tuple[Source, Iterator[None]] | None = None
        self.behind = False
        """The last picture needed tiles: those that follow will, too, until what is due is composed."""

    def forget(self) -> None:
        """Give the memory back."""
        self._kept = self._last = self._making = None
        self._composed, self._memory = [], []

    def paint(
        self,
        scene: Scene,
        kept: Source | None,
        overlays: Sequence[LayerRasters],
        out: BGRAImage,
        around: Source | None = None,
    ) -> Painted:
        """Fill ``out`` with the view of a scene and its rim.

        Args:
            scene: upright.
            kept: what was on the screen when the zoom began, overlays included; None where that is of no use.
            overlays: what lies on the tissue where it is composed anew.
            out: (height, width, 4).
            around: what ``around`` composed of what was on the screen.
        """
        if kept is not self._kept:
            self._restart(kept, around)
        shown = shown_box(scene)
        bare, left = [shown], [shown]
        self.behind = False
        for source in self._sources(scene):
            self.behind |= bool(left) and _factor(source, scene) > MOST_ENLARGED
            left = list(self._scaled(scene, source, left, shown, out))
            if source is kept:
                bare = list(beside(edges(source.area, _factor(source, scene)).intersected(shown), shown))
        self.behind |= bool(left)
        for box in left:
            for _ in self._from_tiles(scene, box, overlays, shown, out):
                pass
        return Painted(bare, left == [shown])

    def ahead(self, scene: Scene, overlays: Sequence[LayerRasters], pyramid: Pyramid) -> Iterator[None]:
        """After ``paint``: compose the picture that the zoom will need next, piece by piece, where one is due.

        Left off at any step, it is taken up where it was by the next call that finds it still due.
        """
        kept, before = self._kept, self._last
        self._last = _Middle(scene.scale.downsample, scene.view.cx, scene.view.cy)
        if kept is None:
            return
        before = _Middle.of(kept) if before is None else before
        now = scene.scale.downsample
        if before.downsample == now:
            return
        due = self._due(scene, before)
        if due is None:
            return
        if self._making is None or not due.least <= _factor(self._making[0], scene) <= due.most:
            view = _expected(before, scene.view, due.zoom * now)
            self._making = self._begun(view, scene, overlays, pyramid)
        source, steps = self._making
        for _ in steps:
            yield
        self._making = None
        self._composed.append(source)
        while len(self._composed) > MOST_COMPOSED:
            # The one that is furthest from what is seen.
            furthest = max(self._composed[:-1], key=lambda each: abs(np.log(_factor(each, scene))))
            self._drop(furthest)

    def around(
        self, scene: Scene, overlays: Sequence[LayerRasters], pyramid: Pyramid
    ) -> tuple[Source, Iterator[None]]:
        """Of a view that stays: the picture that a zoom out of it will need first, about whatever point, and the
        steps that draw it.
        """
        self._restart(None, None)
        view = scene.view
        return self._begun(replace(view, downsample=NEXT * view.downsample), scene, overlays, pyramid)

    def _restart(self, kept: Source | None, around: Source | None) -> None:
        self._kept, self._making, self._last = kept, None, None
        while self._composed:
            self._drop(self._composed[0])
        if around is not None:
            self._composed.append(around)

    def _drop(self, source: Source) -> None:
        self._composed = [each for each in self._composed if each is not source]
        self.reuse(source)

    def reuse(self, source: Source) -> None:
        """A picture that was composed is of no use any more: its memory is."""
        if source.memory is not None and len(self._memory) < MOST_COMPOSED:
            self._memory.append(source.memory)

    def _due(self, scene: Scene, before: _Middle) -> _Due | None:
        """What is to be composed ahead now; None where there is enough."""
        now = scene.scale.downsample
        zooms = [_factor(source, scene) for source in self._known() if _serves(source, scene, before)]
        if now > before.downsample:
            last = max((z for z in zooms if 1 <= z <= NEXT * MOST_ENLARGED), default=1.0)
            return None if last >= DUE_OUT else _Due(NEXT * last, LEAST_OUT, NEXT * MOST_ENLARGED)
        last = min((z for z in zooms if 1 <= z <= MOST_ENLARGED), default=0.0)
        if last == 0:
            # It is late: what is composed now is to be of use at once.
            return _Due(LATE_IN, LEAST_LATE_IN, DUE_IN)
        if any(LEAST_SHARE <= z <= DUE_IN for z in zooms):
            return None
        return _Due(last / NEXT, LEAST_SHARE, DUE_IN)

    def _known(self) -> list[Source]:
        return [*self._composed] if self._kept is None else [self._kept, *self._composed]

    def _sources(self, scene: Scene) -> list[Source]:
        """What the view can be scaled from: the finest first, what would have to be enlarged a lot last."""
        fit = [s for s in self._known() if LEAST_SHARE <= _factor(s, scene) <= MOST_ENLARGED_IN_NEED]
        return sorted(fit, key=lambda source: source.scale.downsample)

    def _begun(
        self, view: Viewport, scene: Scene, overlays: Sequence[LayerRasters], pyramid: Pyramid
    ) -> tuple[Source, Iterator[None]]:
        """The picture of a view with something to spare, and the steps that draw it."""
        wide = replace(view, width=round((1 + 2 * SPARE) * view.width), height=round((1 + 2 * SPARE) * view.height))
        beyond = replace(scene, view=aligned(wide), scale=pyramid.scale(view.downsample))
        box = shown_box(beyond)
        size = box.width * box.height
        memory = next((m for m in self._memory if len(m) >= size), None)
        fresh = memory is None
        if memory is None:
            memory = np.empty((-(-size // ROOM) * ROOM, 4), dtype=np.uint8)
        self._memory = [m for m in self._memory if m is not memory]
        pixels = memory[:size].reshape(box.height, box.width, 4)
        source = Source(beyond.scale, box, (Part(box, pixels),), memory)
        steps = self._from_tiles(beyond, box, overlays, box, pixels)
        return source, chain(_touched(memory), steps) if fresh else steps

    def _scaled(
        self, scene: Scene, source: Source, boxes: Sequence[Box], shown: Box, out: BGRAImage
    ) -> Iterator[Box]:
        """Fill of ``boxes`` what the source has; gives what is left of them."""
        factor = _factor(source, scene)
        valid, ratio = edges(source.area, factor), (1 / factor, 1 / factor)
        for box in boxes:
            there = valid.intersected(box)
            yield from beside(there, box)
            for area, pixels in source.parts:
                target = edges(area, factor).intersected(there)
                if not target.empty:
                    x, y = (target.x0 + 0.5) / factor - 0.5, (target.y0 + 0.5) / factor - 0.5
                    # Never smoothly, which takes five times as long: what is enlarged a lot is late already.
                    draw(pixels, _at(target, shown), ratio, (x - area.x0, y - area.y0), out, smooth=False)

    def _from_tiles(
        self, scene: Scene, box: Box, overlays: Sequence[LayerRasters], shown: Box, out: BGRAImage
    ) -> Iterator[None]:
        """Fill ``box`` of a picture of ``shown`` from tiles at hand and lay the overlays over it, piece by piece."""
        import cv2

        inside = box.intersected(scene.scale.extent)
        pieces = [] if inside.empty else self._store.pieces(scene.scale, inside)
        covered = sum(part.width * part.height for part in (p.target.intersected(inside) for p in pieces))
        for area, colour in ((box, scene.outside), (inside, scene.glass)):
            if (inside != box) if area is box else covered < inside.width * inside.height:
                at = _at(area, shown)
                bgra = (colour.blue(), colour.green(), colour.red(), 255)
                cv2.rectangle(out, (at.x0, at.y0), (at.x1 - 1, at.y1 - 1), bgra, cv2.FILLED)
        for target, tile, (x, y, width, height), exact in pieces:
            part = target.intersected(inside)
            if part.empty:
                continue
            ratio = (1.0, 1.0) if exact else (width / target.width, height / target.height)
            smooth = min(ratio) * MOST_ROUGH < 1
            # A coarse tile may fill all of a large screen: 80 ms in one piece.
            for piece in bands(part) if smooth else (part,):
                offset = (
                    x + (piece.x0 - target.x0 + 0.5) * ratio[0] - 0.5,
                    y + (piece.y0 - target.y0 + 0.5) * ratio[1] - 0.5,
                )
                draw(tile.pixels, _at(piece, shown), ratio, offset, out, smooth=smooth)
                yield
        yield from lay_over(overlays, out, box, (shown.x0, shown.y0), scene.scale.downsample)


def _touched(memory: NDArray[np.uint8]) -> Iterator[None]:
    """Of fresh memory the system hands out a page when it is first touched: 80 ms for a picture of 4K."""
    for begin in range(0, len(memory), ROOM):
        memory[begin : begin + ROOM : IN_PAGE] = 0
        yield


def _expected(before: _Middle, view: Viewport, downsample: float) -> Viewport:
    """What a zoom about the same point will show at ``downsample``: the middle moves on a line, with the zoom."""
    on = (downsample - view.downsample) / (view.downsample - before.downsample)
    cx, cy = view.cx + on * (view.cx - before.cx), view.cy + on * (view.cy - before.cy)
    return replace(view, cx=cx, cy=cy, downsample=downsample)


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


def _serves(source: Source, scene: Scene, before: _Middle) -> bool:
    """Whether all of the view can be scaled from a picture, or will be when the zoom has come to it."""
    if _factor(source, scene) < 1:
        view = _expected(before, scene.view, source.scale.downsample)
        scene = replace(scene, view=aligned(view), scale=source.scale)
    area = edges(source.area, _factor(source, scene))
    shown = shown_box(scene).intersected(scene.scale.extent)
    return shown.empty or area.intersected(shown) == shown


def _factor(source: Source, scene: Scene) -> float:
    return source.scale.downsample / scene.scale.downsample


def _at(box: Box, shown: Box) -> Box:
    return Box(box.x0 - shown.x0, box.y0 - shown.y0, box.x1 - shown.x0, box.y1 - shown.y0)
