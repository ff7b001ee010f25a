"""PySide6 6.12.0 loses references to None in void calls on CPython 3.11 and ends the process (decision 0002)."""

from __future__ import annotations

import sys

from PySide6.QtGui import QImage, QPainter


def test_void_calls_of_a_painter_do_not_use_up_references_to_none(qapp: object) -> None:
    target, source = (QImage(64, 64, QImage.Format.Format_RGB32) for _ in range(2))
    painter = QPainter(target)
    before = sys.getrefcount(None)
    for _ in range(2000):
        painter.drawImage(0, 0, source)
    after = sys.getrefcount(None)
    painter.end()
    assert after > before - 500
