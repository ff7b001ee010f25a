"""Landmarks as the reader sets them, one slide after the other, and the alignment that follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from her2viewer.domain.alignment import Alignment, AlignmentError, Landmark, Point, Similarity
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.compare.follow import relation

_DOUBTFUL = 0.2
"""Natural logarithm of the size of tissue against its size by the pixels: sections differ by a few percent."""


class Aligner(QObject):
    """How one other slide lies on the slide of the main view. Points are level-0 px of each slide as on file."""

    changed = Signal()
    """Alignment or landmarks."""
    settled = Signal()
    """The reader changed the alignment: it is worth keeping."""
    refused = Signal(str)
    """A sentence: a landmark that cannot be used."""

    def __init__(
        self, here: tuple[int, int], there: tuple[int, int], scale: float | None, parent: QObject | None = None
    ) -> None:
        """Start with middle on middle.

        Args:
            here: width and height of the slide of the main view, px.
            there: of the other slide.
            scale: px of the other slide per px of the main one, from the pixel sizes; None where one is unknown.
            parent: Qt's owner.
        """
        super().__init__(parent)
        self._scale = scale
        # As if both pictures were of the same width, where nothing better is known.
        self._guess = Alignment.guessed(here, there, there[0] / here[0] if scale is None else scale)
        self._there = there
        self.alignment = self._guess
        self.pending_here: Point | None = None
        """Set on the main slide, without its fellow yet."""
        self.pending_there: Point | None = None

    def guess_from(self, x: float, y: float) -> None:
        """Put the middle of the other slide on this place, where middle on middle would show nothing of it there.

        A small slide beside a large one would else open on an empty view.
        """
        there = self.alignment.transform.apply(x, y)
        if self.alignment.known or all(0 <= at <= side for at, side in zip(there, self._there, strict=True)):
            return
        start = Similarity(self.alignment.transform.scale)
        self._guess = Alignment(start.through(x, y, self._there[0] / 2, self._there[1] / 2))
        self.alignment = self._guess
        self.changed.emit()

    def restore(self, alignment: Alignment) -> None:
        """What the case knows."""
        self.alignment = alignment
        self.changed.emit()

    def mark_here(self, x: float, y: float) -> None:
        """A place on the main slide; another one moves it until its fellow is set."""
        self.pending_here = (x, y)
        self._pair()

    def mark_there(self, x: float, y: float) -> None:
        """A place on the other slide."""
        self.pending_there = (x, y)
        self._pair()

    def undo(self) -> bool:
        """Take back the last mark: half a landmark first; False where there is none."""
        if self.pending_here is not None or self.pending_there is not None:
            self.pending_here = self.pending_there = None
            self.changed.emit()
            return True
        marks = self.alignment.landmarks
        if not marks:
            return False
        self._try(lambda: self.alignment.fitted(marks[:-1]))
        return True

    def flip(self) -> None:
        """Turn the other slide over."""
        self._try(lambda: self.alignment.flipped(*self._there))

    def reset(self) -> None:
        """Begin anew."""
        self.pending_here = self.pending_there = None
        self.alignment = self._guess
        self.changed.emit()
        self.settled.emit()

    def take(self, here: Viewport, there: Viewport) -> None:
        """What both views show now lies on each other; earlier landmarks go.

        Args:
            here: view of the main slide.
            there: view of the other slide as it is displayed, that is of its mirror image where it is flipped.
        """
        shown = relation(here, there)
        if self.alignment.transform.flip:
            shown = shown.on_mirrored(self._there[0])
        self.pending_here = self.pending_there = None
        self.alignment = Alignment(shown, (), True)
        self.changed.emit()
        self.settled.emit()

    def words(self, mpp: float | None) -> str:
        """How far the reader is, in a few words."""
        number = len(self.alignment.landmarks) + 1
        if self.pending_here is not None:
            return f"landmark {number}: now A at the same place here"
        if self.pending_there is not None:
            return f"landmark {number}: now A at it in the main view"
        count = number - 1
        if not count:
            return "aligned by hand" if self.alignment.known else "not aligned: A at one place in both views"
        text = f"{count} landmark{'s' if count > 1 else ''}"
        size = self.alignment.transform.scale / self._scale if self._scale else 1.0
        if abs(math.log(size)) > _DOUBTFUL:
            return f"{text}, tissue {size:.2g} times as large: check them"
        missed = self.alignment.residual_um(mpp) if mpp is not None else None
        return text if missed is None else f"{text}, {missed:.0f} µm apart on average"

    def _pair(self) -> None:
        here, there = self.pending_here, self.pending_there
        if here is None or there is None:
            self.changed.emit()
            return
        self.pending_here = self.pending_there = None
        marks = (*self.alignment.landmarks, Landmark(here, there))
        self._try(lambda: self.alignment.fitted(marks))

    def _try(self, change: Callable[[], Alignment]) -> None:
        try:
            changed = change()
        except AlignmentError as error:
            self.refused.emit(f"{error} Set the landmark again elsewhere, far from the others.")
            self.changed.emit()
            return
        self.alignment = replace(changed, known=True)
        self.changed.emit()
        self.settled.emit()
