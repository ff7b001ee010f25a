"""Views side by side: kept with the case, divided by the reader, following a run."""

# ruff: noqa: F811  (fixtures of the neighbouring file)

from __future__ import annotations

import numpy as np
import pytest
import shapely
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QSplitter

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region
from her2viewer.scoring.job import JobRequest
from her2viewer.viewer.compare.view import Kind
from her2viewer.viewer.scoring_watcher import Run
from tests.viewer.test_compare_window import (  # noqa: F401
    PATIENCE_MS,
    cells,
    copy_file,
    new_window,
    second,
    slide_file,
    window,
)


def outline(window):
    window.session.add(Annotation.drawn(shapely.box(50, 50, 1150, 850), Role.ROI), "Draw")


def shut(window):
    window.comparing.keeping.keep()
    window.close()


def test_four_views_come_back_with_their_case(new_window, window, qtbot, slide_file, copy_file):
    outline(window)
    window.controller.restore(cells(window, "first", 300))
    window.keeper.save_result(window.controller.result)
    window.commands["second_plain"].trigger()
    window.comparing.show_scorer("first")
    view = second(qtbot, window, copy_file)
    view.set_linked(False)
    window.compare.dividers = (0.3, 0.6)
    window.canvas.overlays_hidden = True
    shut(window)
    again = new_window(slide_file)
    qtbot.waitUntil(lambda: len(again.compare.views) == 3, timeout=PATIENCE_MS)
    assert [v.kind for v in again.compare.views] == [Kind.PLAIN, Kind.SCORER, Kind.OTHER]
    assert [v.canvas.linked for v in again.compare.views] == [True, True, False]
    assert again.compare.views[1].evidence.layers
    qtbot.waitUntil(lambda: again.compare.views[2].other is not None, timeout=PATIENCE_MS)
    assert again.compare.dividers == pytest.approx((0.3, 0.6), abs=0.01)
    assert again.canvas.overlays_hidden
    assert not again.commands["overlays"].isChecked()


def test_two_views_come_back_one_above_the_other(new_window, window, qtbot, slide_file):
    outline(window)
    window.commands["second_plain"].trigger()
    window.commands["stack_views"].trigger()
    shut(window)
    again = new_window(slide_file)
    qtbot.waitUntil(lambda: len(again.compare.views) == 1, timeout=PATIENCE_MS)
    assert again.commands["stack_views"].isChecked()
    (view,) = again.compare.views
    assert view.mapTo(again, QPoint(0, 0)).y() > again.canvas.mapTo(again, QPoint(0, again.canvas.height())).y()


def test_a_slide_that_is_gone_is_left_out_with_a_sentence_and_kept_in_mind(
    new_window, window, qtbot, slide_file, copy_file
):
    outline(window)
    second(qtbot, window, copy_file)
    window.commands["second_plain"].trigger()
    shut(window)
    hidden = copy_file.rename(copy_file.with_name("elsewhere.bak"))
    again = new_window(slide_file)
    qtbot.waitUntil(lambda: bool(again.compare.views), timeout=PATIENCE_MS)
    assert [v.kind for v in again.compare.views] == [Kind.PLAIN]
    assert any(copy_file.name in m.text and "found neither" in m.text for m in again.messages.shown)
    # Something else changes: the slide that is gone for now is not forgotten.
    again.commands["link_views"].trigger()
    shut(again)
    hidden.rename(copy_file)
    third = new_window(slide_file)
    qtbot.waitUntil(lambda: len(third.compare.views) == 2, timeout=PATIENCE_MS)


def test_views_that_the_reader_closed_stay_closed(new_window, window, qtbot, slide_file):
    outline(window)
    window.commands["second_plain"].trigger()
    window.comparing.keeping.keep()
    window.commands["close_views"].trigger()
    shut(window)
    again = new_window(slide_file)
    assert again.keeper.views is not None
    QTest.qWait(300)
    assert not again.compare.views


def test_the_next_slide_does_not_take_the_views_of_the_one_before(new_window, window, qtbot, slide_file, copy_file):
    outline(window)
    window.commands["second_plain"].trigger()
    window.comparing.keeping.keep()
    window.open_slide(copy_file)
    qtbot.waitUntil(lambda: window.session.slide.path == copy_file, timeout=PATIENCE_MS)
    QTest.qWait(500)
    assert not window.compare.views
    assert window.keeper.views is None
    window.open_slide(slide_file)
    qtbot.waitUntil(lambda: len(window.compare.views) == 1, timeout=PATIENCE_MS)


def test_a_damaged_file_of_views_costs_nothing_but_the_views(new_window, window, qtbot, slide_file):
    outline(window)
    window.commands["second_plain"].trigger()
    shut(window)
    folder = slide_file.with_name(slide_file.name + ".her2case")
    (folder / "views.json").write_text("{")
    again = new_window(slide_file)
    assert len(again.session.annotations) == 1
    assert not again.compare.views
    assert any("views.json" in m.text for m in again.messages.shown)
    assert list(folder.glob("views.json.damaged-*"))


def test_dividers_are_dragged_and_both_rows_keep_in_line(window, qtbot):
    window.commands["four_views"].trigger()
    QApplication.processEvents()
    top = window.compare.findChildren(QSplitter)[1]
    assert top.orientation() is Qt.Orientation.Horizontal
    handle = top.handle(1)
    middle = handle.rect().center()
    QTest.mousePress(handle, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(handle, middle - QPoint(60, 0))
    QTest.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=middle)
    QApplication.processEvents()
    first, second_, third = window.compare.views
    assert window.canvas.width() < first.width() - 60
    assert abs(window.canvas.width() - second_.width()) <= 1
    assert abs(first.width() - third.width()) <= 1
    share = window.compare.dividers[0]
    window.resize(1500, 900)
    QApplication.processEvents()
    assert window.canvas.width() / (window.canvas.width() + first.width()) == pytest.approx(share, abs=0.01)


def test_a_view_of_a_scorer_follows_its_run(window, qtbot):
    outline(window)
    controller, session = window.controller, window.session
    view = window.comparing.show_scorer(controller.scorer)
    # What the scoring thread tells, in its order; the process itself is not needed for that.
    request = JobRequest(
        scorer=controller.scorer,
        slide_path=str(session.slide.path),
        slide_identity=session.slide.identity,
        pixel_size=session.pixel_size,
        region=session.region,
        control=Region.of(()),
        settings={},
    )
    controller._known.begin(controller.scorer, "cells", session.pixel_size)
    controller._run = Run(1, request, controller.manifest, None)
    # The slide was shown just now, and while the view moves parts wait a little.
    controller.moving = lambda: False
    for number in (1, 2, 3):
        x = np.full(20, 100.0 * number, dtype=np.float32)
        y = np.linspace(100, 800, 20, dtype=np.float32)
        part = CellTable("cells", CELL_SCHEME, x, y, np.full(20, 3, dtype=np.uint8))
        controller._on_partial(1, (part,), Region.rectangle(50, 50, 100 * number, 800))
        (layer,) = view.evidence.layers
        assert layer.readout(100.0 * number, 100, view.canvas.viewport) is not None
    # An edit meanwhile makes no layer anew.
    session.add(Annotation.drawn(shapely.box(60, 60, 70, 70), Role.EXCLUDE), "Exclude")
    assert view.evidence.layers[0] is layer
    controller._run = None
