"""A canvas with a slide, a session and all tools, worked with pointer and keys as a person does."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, AnnotationSet
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.overlays.annotation_layer import AnnotationLayer
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.toolbox import ToolBox
from tests.helpers.array_slide import ArraySlide

NONE = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier
LEFT = Qt.MouseButton.LeftButton

Point = tuple[float, float]
"""Level-0 px of the slide."""


class Desk:
    """The slide is 4000 x 3000 px at 0.5 um/px, the canvas 800 x 600: about 5 slide px a screen px."""

    def __init__(self, qtbot: QtBot, mpp: float | None = 0.5) -> None:
        self.session = Session()
        self.toolbox = ToolBox(self.session)
        self.layer = AnnotationLayer(self.session, self.toolbox.state)
        self.canvas = SlideCanvas(workers=1)
        qtbot.addWidget(self.canvas, before_close_func=lambda canvas: canvas.shutdown())
        self.canvas.resize(800, 600)
        self.canvas.add_layer(self.layer)
        self.toolbox.attach(self.canvas, self.layer)
        self.messages: list[str] = []
        self.toolbox.state.message.connect(self.messages.append)
        slide = ArraySlide(np.full((3000, 4000, 3), 235, dtype=np.uint8), mpp=mpp)
        self.session.set_slide(slide, slide.pixel_size, AnnotationSet())
        self.canvas.set_slide(slide, slide.pixel_size)
        self.canvas.show()
        qtbot.waitExposed(self.canvas)
        self.canvas.setFocus()

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        return self.session.annotations.items

    @property
    def only(self) -> Annotation:
        """The one annotation there is."""
        (one,) = self.annotations
        return one

    def put(self, *annotations: Annotation) -> None:
        """Start from these annotations, with an empty history."""
        self.session.set_slide(self.session.slide, self.session.pixel_size, AnnotationSet(annotations))

    def screen(self, point: Point) -> QPointF:
        return QPointF(*self.canvas.viewport.to_screen(*point))

    def send(
        self,
        kind: QEvent.Type,
        point: Point,
        button: Qt.MouseButton,
        held: Qt.MouseButton,
        keys: Qt.KeyboardModifier = NONE,
    ) -> None:
        at = self.screen(point)
        event = QMouseEvent(kind, at, QPointF(self.canvas.mapToGlobal(at.toPoint())), button, held, keys)
        QApplication.sendEvent(self.canvas, event)

    def press(self, point: Point, keys: Qt.KeyboardModifier = NONE, button: Qt.MouseButton = LEFT) -> None:
        self.send(QEvent.Type.MouseButtonPress, point, button, button, keys)

    def move(self, point: Point, keys: Qt.KeyboardModifier = NONE, held: Qt.MouseButton = LEFT) -> None:
        self.send(QEvent.Type.MouseMove, point, Qt.MouseButton.NoButton, held, keys)

    def release(self, point: Point, keys: Qt.KeyboardModifier = NONE, button: Qt.MouseButton = LEFT) -> None:
        self.send(QEvent.Type.MouseButtonRelease, point, button, Qt.MouseButton.NoButton, keys)

    def hover(self, point: Point) -> None:
        self.move(point, held=Qt.MouseButton.NoButton)

    def click(self, point: Point, keys: Qt.KeyboardModifier = NONE, button: Qt.MouseButton = LEFT) -> None:
        self.hover(point)
        self.press(point, keys, button)
        self.release(point, keys, button)

    def double_click(self, point: Point) -> None:
        """What Qt sends: a click, then a double click in place of the second press."""
        self.click(point)
        self.send(QEvent.Type.MouseButtonDblClick, point, LEFT, LEFT)
        self.release(point)

    def drag(self, points: Iterable[Point], keys: Qt.KeyboardModifier = NONE) -> None:
        path = list(points)
        self.hover(path[0])
        self.press(path[0], keys)
        for a, b in pairwise(path):
            for share in (0.25, 0.5, 0.75, 1.0):
                self.move((a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share), keys)
        self.release(path[-1], keys)

    def key(self, key: Qt.Key, keys: Qt.KeyboardModifier = NONE) -> None:
        QTest.keyClick(self.canvas, key, keys)

    def use(self, tool_id: str) -> None:
        self.toolbox.choose(tool_id)
