"""A view that nobody moves shows the classes, although the mask that bounds them comes after them."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QColor, QImage, QPainter
from pytestqt.qtbot import QtBot

from her2viewer.domain.classes import TUMOUR_SCHEME
from her2viewer.domain.evidence import ClassMap, Grid, TissueMask
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.grids import ClassMapLayer


def test_classes_are_drawn_in_the_view_of_before_the_first_mask(qtbot: QtBot) -> None:
    view = Viewport(128, 128, 1.0, 256, 256)
    layer = ClassMapLayer("Classes", TUMOUR_SCHEME)
    layer.viewport_changed(view)
    full = np.ones((4, 4), np.float32)
    layer.append(ClassMap("Classes", Grid(0, 0, 64, 4, 4), TUMOUR_SCHEME, np.full((4, 4), 3, np.uint8), full))
    mask = TissueMask("Tumour", Grid(0, 0, 4, 64, 64), np.ones((64, 64), np.uint8))
    layer.set_masks([mask], mask.grid.bounds)
    try:
        qtbot.waitUntil(lambda: layer.idle, timeout=5000)
        qtbot.wait(50)
        picture = QImage(256, 256, QImage.Format.Format_RGB32)
        picture.fill(QColor(255, 255, 255))
        painter = QPainter(picture)
        layer.paint(painter, view)
        painter.end()
        assert picture.pixelColor(128, 128).getRgb()[:3] == tuple(layer.colors()[3].tolist())
    finally:
        layer.stop()
