"""Many outlines are kept with the tissue: frames do not paint them anew, and look as if they did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtGui import QPainter
from pytestqt.qtbot import QtBot
from shapely import Point, Polygon, box

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.viewer.canvas import layered, view
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.annotation_layer import KEPT_CORNERS, KEPT_FROM, AnnotationLayer
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.drawing_state import DrawingState
from tests.helpers.canvases import MakeCanvas, rgb, wait_idle
from tests.helpers.gated_slide import GatedSlide

SIZE = (12_000, 9_000)
TISSUE = (180, 120, 60)


class Watched(AnnotationLayer):
    """Counts its paintings."""

    painted = 0

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        self.painted += 1
        super().paint(painter, viewport)


def outlines(count: int) -> list[Annotation]:
    """Squares of 500 px all over the slide, each fourth one left out of the region, with a name."""
    made = []
    for i in range(count):
        x, y = 200 + 1000 * (i % 11), 200 + 1000 * (i // 11 % 8)
        role = Role.EXCLUDE if i % 4 == 0 else Role.ROI
        made.append(Annotation.drawn(box(x, y, x + 500, y + 500), role, name=f"Part {i}"))
    return made


class Sheet:
    """A canvas with a session's outlines over one colour."""

    def __init__(self, make_canvas: MakeCanvas, qtbot: QtBot, *annotations: Annotation) -> None:
        self.session, self.state = Session(), DrawingState()
        self.session.set_slide(None, None, AnnotationSet(annotations))
        self.layer = Watched(self.session, self.state)
        self.canvas: SlideCanvas = make_canvas(GatedSlide(*SIZE, (1, 4, 16), colour=TISSUE), 700, 500)
        self.canvas.overview.shown = False
        self.canvas.scale_bar_visible = False
        self.canvas.add_layer(self.layer)
        self.canvas.add_layer(self.layer.texts)
        self.canvas.set_viewport(replace(self.canvas.viewport, downsample=4.0, cx=6000, cy=4500))
        wait_idle(qtbot, self.canvas)
        self.canvas.repaint()

    def shown(self) -> np.ndarray:
        return rgb(self.canvas.grab().toImage())

    def afresh(self) -> np.ndarray:
        return rgb(self.canvas.grab_view(scale_bar=False))


@pytest.fixture
def many(make_canvas: MakeCanvas, qtbot: QtBot) -> Sheet:
    return Sheet(make_canvas, qtbot, *outlines(KEPT_FROM + 40))


def test_few_outlines_are_painted_in_each_frame_and_many_are_kept(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    few = Sheet(make_canvas, qtbot, *outlines(KEPT_FROM))
    assert not few.layer.composed
    few.layer.painted = 0
    few.canvas.repaint()
    assert few.layer.painted == 1
    few.session.edit("more", few.session.annotations.added(*outlines(1)))
    few.canvas.repaint()
    assert few.layer.composed
    few.layer.painted = 0
    few.canvas.repaint()
    assert few.layer.painted == 0
    corners = np.linspace(0, 2 * np.pi, KEPT_CORNERS + 2)
    rough = np.column_stack([6000 + 900 * np.cos(corners), 4500 + 900 * np.sin(corners)])
    one = Sheet(make_canvas, qtbot, Annotation.drawn(Polygon(rough), Role.ROI))
    assert one.layer.composed


def test_a_pan_over_kept_outlines_shows_what_a_fresh_painting_shows(many: Sheet, qtbot: QtBot) -> None:
    for dx, dy in ((37, 11), (-120, 60), (8, -200), (300, 90)):
        many.canvas.set_viewport(many.canvas.viewport.panned(dx, dy))
        wait_idle(qtbot, many.canvas)
        many.canvas.repaint()
        assert np.array_equal(many.shown(), many.afresh())


def test_names_stay_within_the_view_whatever_is_kept(many: Sheet, qtbot: QtBot) -> None:
    # The square from 5200 to 5700 px reaches over the left edge: its name keeps to the view.
    many.canvas.set_viewport(replace(many.canvas.viewport, downsample=1.0, cx=5550 + 350, cy=4400))
    wait_idle(qtbot, many.canvas)
    many.canvas.repaint()
    named = many.shown()
    many.layer.show_names = False
    many.canvas.repaint()
    bare = many.shown()
    rows, columns = np.nonzero((named != bare).any(axis=2))
    assert len(rows) > 100
    assert columns.min() <= 10
    many.layer.visible = False
    assert (many.shown() == TISSUE).all()


def test_a_zoom_shows_outlines_everywhere_and_the_main_thread_paints_none(
    make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "REST_MS", 60_000)
    monkeypatch.setattr(layered, "PAUSE_MS", 60_000)
    many = Sheet(make_canvas, qtbot, *outlines(80))
    many.layer.painted = 0
    canvas = many.canvas
    for _ in range(10):
        canvas.zoom_by(-0.15, smooth=False)
        qtbot.waitUntil(lambda: canvas.frame_view == canvas.aim)
        moving = many.shown()
    assert many.layer.painted == 0
    still = many.afresh()
    assert many.layer.painted == 1
    ink, expected = (moving != TISSUE).any(axis=2), (still != TISSUE).any(axis=2)
    for part in (np.s_[:, :100], np.s_[:, 300:400], np.s_[:, -100:]):
        assert ink[part].sum() > 0.5 * expected[part].sum() > 50


def test_what_is_being_changed_is_drawn_under_the_pointer_and_kept_afterwards(many: Sheet, qtbot: QtBot) -> None:
    one = next(a for a in many.session.annotations if a.geometry.intersects(Point(6400, 4400)))
    before = many.shown()
    many.state.set_live({one.id: one.with_geometry(box(6300, 4300, 6900, 4900))})
    assert not many.layer.composed
    moved = many.shown()
    assert (moved != before).any()
    assert np.array_equal(moved, many.afresh())
    many.state.set_live({})
    assert np.array_equal(many.shown(), before)


def test_selecting_one_shows_at_once(many: Sheet, qtbot: QtBot) -> None:
    one = next(a for a in many.session.annotations if a.geometry.intersects(Point(6400, 4400)))
    before = many.shown()
    many.session.select([one.id])
    many.canvas.repaint()
    assert (many.shown() != before).any()
    assert np.array_equal(many.shown(), many.afresh())


def test_notes_among_many_have_their_text_and_it_keeps_to_the_view(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    note = replace(Annotation.drawn(Point(6900, 4500), Role.NOTE), text="look here again, please")
    sheet = Sheet(make_canvas, qtbot, *outlines(60), note)
    y = sheet.canvas.viewport.to_screen(6900, 4500)[1]
    with_note = sheet.shown()
    sheet.session.edit("gone", sheet.session.annotations.removed(note.id))
    without = sheet.shown()
    rows, columns = np.nonzero((with_note != without).any(axis=2))
    assert columns.max() - columns.min() > 80, "more than its disc"
    assert abs(rows.mean() - y) < 12
    assert columns.max() < 700


def test_notes_elsewhere_do_not_take_the_texts_of_those_in_view(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    far = [replace(Annotation.drawn(Point(20 * i, 8800), Role.NOTE), text="far away") for i in range(60)]
    note = replace(Annotation.drawn(Point(6000, 4300), Role.NOTE), text="look here again, please")
    sheet = Sheet(make_canvas, qtbot, *outlines(60), *far, note)
    with_note = sheet.shown()
    sheet.session.edit("gone", sheet.session.annotations.removed(note.id))
    columns = np.nonzero((with_note != sheet.shown()).any(axis=2))[1]
    assert columns.max() - columns.min() > 80, "more than its disc"
