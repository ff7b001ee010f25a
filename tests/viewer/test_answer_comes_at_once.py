"""An answer comes: its rows stood on top of one another for some frames, until Qt had laid out the column."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import shapely
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.viewer.main_window import MainWindow
from tests.helpers.cell_evidence import cells_result, lattice_cells
from tests.viewer.test_main_window import write_slide
from tests.viewer.test_surface_window import new_window, open_in


def rows(window: MainWindow) -> list[tuple[int, int]]:
    """Top and bottom of each row of the guideline as it would be painted now, px of the window."""
    why = window.panels.why
    found = [
        (cell.mapTo(window, QPoint()).y(), cell.mapTo(window, QPoint()).y() + cell.height())
        for cell in why.findChildren(QLabel, "traceCell")
        if cell.isVisible() and cell.x() < why.width() // 4
    ]
    return sorted(found)


def test_rows_of_an_answer_lie_below_one_another_before_the_first_frame(qtbot: QtBot, tmp_path: Path) -> None:
    window = new_window(qtbot)
    open_in(qtbot, window, write_slide(tmp_path / "cells.ome.tif", 0.5, (1000, 1300)))
    window.session.add(Annotation.drawn(shapely.box(0, 0, 1300, 1000), Role.ROI), "Draw region")
    size = window.session.pixel_size
    assert size is not None
    assert rows(window) == []
    window.controller.restore(cells_result((lattice_cells(),), window.session.region, size))
    # Whatever is painted now, without a further round of events, is this.
    assert len(window.panels.why.row_texts) > 3
    found = rows(window)
    assert len(found) == len(window.panels.why.row_texts)
    for (_, above), (below, _) in pairwise(found):
        assert below >= above
    margin = window.panels.why.findChild(QLabel, "marginLine")
    assert margin is not None
    assert margin.mapTo(window, QPoint()).y() >= found[-1][1]
