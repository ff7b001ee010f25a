"""Helpers of the canvas tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.canvas import SlideCanvas


def rgb(image: QImage) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 of an image, device px."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    flat = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    return flat[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()


def tissue(canvas: SlideCanvas) -> NDArray[np.uint8]:
    """What the canvas shows without layers and scale bar."""
    return rgb(canvas.grab_view(layers=False, scale_bar=False))


def wait_sharp(qtbot: QtBot, canvas: SlideCanvas) -> None:
    """Until all visible tiles are there."""
    qtbot.waitUntil(lambda: canvas.sharp, timeout=15_000)


def wait_idle(qtbot: QtBot, canvas: SlideCanvas) -> None:
    """Until the workers have nothing left to do for this view."""
    qtbot.waitUntil(lambda: canvas.sharp and canvas.loader.outstanding == 0, timeout=20_000)


def move_mouse(
    widget: QWidget,
    x: float,
    y: float,
    buttons: Qt.MouseButton = Qt.MouseButton.NoButton,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """A move with buttons held, which ``QTest`` cannot make."""
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(x, y),
        QPointF(widget.mapToGlobal(QPointF(x, y))),
        Qt.MouseButton.NoButton,
        buttons,
        modifiers,
    )
    QApplication.sendEvent(widget, event)


def drag(widget: QWidget, *points: tuple[int, int], button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
    """Press at the first point, move through the others, release at the last."""
    QTest.mousePress(widget, button, pos=QPoint(*points[0]))
    for x, y in points[1:]:
        move_mouse(widget, x, y, button)
    QTest.mouseRelease(widget, button, pos=QPoint(*points[-1]))


def turn_wheel(widget: QWidget, x: float, y: float, angle: int = 0, pixels: int = 0) -> None:
    """One wheel event: ``angle`` in eighths of a degree (120 a notch), ``pixels`` of a trackpad."""
    event = QWheelEvent(
        QPointF(x, y),
        QPointF(widget.mapToGlobal(QPointF(x, y))),
        QPoint(0, pixels),
        QPoint(0, angle),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


MakeCanvas = Callable[..., SlideCanvas]


@contextmanager
def canvases(qtbot: QtBot) -> Iterator[MakeCanvas]:
    """Makes shown canvases and shuts them down."""
    made: list[SlideCanvas] = []

    def make(slide: Slide | None = None, width: int = 800, height: int = 600, **options: Any) -> SlideCanvas:
        canvas = SlideCanvas(**options)
        made.append(canvas)
        qtbot.addWidget(canvas)
        canvas.resize(width, height)
        with qtbot.waitExposed(canvas):
            canvas.show()
        if slide is not None:
            canvas.set_slide(slide, slide.pixel_size)
        return canvas

    yield make
    for canvas in made:
        gate = getattr(canvas.slide, "gate", None)
        if gate is not None:
            gate.set()
        canvas.shutdown()
