"""The canvas with a clock on its frames, and the widgets that it is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from her2viewer.viewer.canvas.canvas import SlideCanvas


class Frame(NamedTuple):
    """One paint event."""

    at: float
    """When it was through, s."""
    cost: float
    """What it took the main thread with the orders for tiles, ms."""
    sharp: bool
    whole: bool
    """The whole view was painted: another view, not tiles that came."""
    downsample: float = 1.0
    """Of the view that it shows."""


class WatchedCanvas(SlideCanvas):
    """The canvas of the program, with a clock on its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.recording = False
        self.painted: list[Frame] = []
        self._before = 0.0
        """What the next frame has taken so far besides its painting, s."""

    @property
    def settled(self) -> bool:
        """Whether all that was ordered for this view is there, what is loaded ahead included."""
        ordered = self._ordered == self.aim and not self._orders_due
        return ordered and self.sharp and self.loader.outstanding == 0

    def count(self, act: Callable[[], object]) -> None:
        """Count what ``act`` takes to the next frame."""
        begun = time.perf_counter()
        act()
        self._before += time.perf_counter() - begun

    def _next_frame(self) -> None:
        self.count(super()._next_frame)

    def _zoom_came(self) -> None:
        self.count(super()._zoom_came)

    def paintEvent(self, event: QPaintEvent) -> None:
        """One frame."""
        begun = time.perf_counter()
        super().paintEvent(event)
        end = time.perf_counter()
        before, self._before = self._before, 0.0
        if not self.recording:
            return
        whole = event.rect() == self.rect()
        sharp, downsample = whole and self.sharp, self.frame_view.downsample
        self.painted.append(Frame(end, 1000 * (end - begun + before), sharp, whole, downsample))


class Blit(QWidget):
    """Paints one picture of its own size: no canvas of this kind can be quicker."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.picture = QImage(width, height, QImage.Format.Format_RGB32)
        self.picture.fill(0x808080)

    def paintEvent(self, event: QPaintEvent) -> None:
        """One frame."""
        painter = QPainter(self)
        painter.drawImage(0, 0, self.picture)
        painter.end()


class ScaledBlit(Blit):
    """Scales its picture in the quickest way: no frame of a zoom can be quicker."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """One frame."""
        painter = QPainter(self)
        painter.drawImage(QRectF(self.rect()), self.picture, QRectF(0, 0, self.width() / 1.3, self.height() / 1.3))
        painter.end()
