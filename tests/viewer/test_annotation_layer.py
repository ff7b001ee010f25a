"""What the annotation layer draws and finds, looked at in pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtGui import QImage, QPainter
from pytestqt.qtbot import QtBot
from shapely import MultiPolygon, Point, Polygon, box

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.annotation_layer import SELECTED, AnnotationLayer
from her2viewer.viewer.overlays.outlines import Outline
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.drawing_state import DrawingState

VIEW = Viewport(2000, 1500, 5.0, 800, 600)
WHITE = 255


class Sheet:
    """A session and its layer, painted on white paper."""

    def __init__(self, *annotations: Annotation) -> None:
        self.session = Session()
        self.state = DrawingState()
        self.layer = AnnotationLayer(self.session, self.state)
        self.session.set_slide(None, None, AnnotationSet(annotations))

    def paint(self, view: Viewport = VIEW) -> NDArray[np.uint8]:
        """(h, w, 3) RGB in device px."""
        image = QImage(view.width, view.height, QImage.Format.Format_RGB888)
        image.setDevicePixelRatio(view.dpr)
        image.fill(0xFFFFFF)
        painter = QPainter(image)
        self.layer.paint(painter, view)
        painter.end()
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(view.height, image.bytesPerLine())
        return rows[:, : 3 * view.width].reshape(view.height, view.width, 3).copy()

    def ink(self, point: tuple[float, float], view: Viewport = VIEW, reach: int = 3) -> bool:
        """Whether anything is drawn near a slide point."""
        x, y = (round(v * view.dpr) for v in view.to_screen(*point))
        return bool((self.paint(view)[y - reach : y + reach + 1, x - reach : x + reach + 1] < WHITE).any())


@pytest.fixture
def roi() -> Annotation:
    return Annotation.drawn(box(1000, 1000, 2000, 2000), Role.ROI)


def test_an_outline_is_drawn_and_its_inside_left_to_the_tissue(qtbot: QtBot, roi: Annotation) -> None:
    sheet = Sheet(roi)
    assert sheet.ink((1000, 1500))
    assert not sheet.ink((1500, 1500), reach=30)


@pytest.mark.parametrize("rotation", [0, 90, 37])
@pytest.mark.parametrize("dpr", [1.0, 2.0])
def test_outlines_turn_with_the_slide_on_every_screen(
    qtbot: QtBot, roi: Annotation, rotation: float, dpr: float
) -> None:
    view = replace(VIEW, rotation=rotation, dpr=dpr)
    sheet = Sheet(roi)
    for point in ((1000, 1500), (1500, 1000), (2000, 1500), (1500, 2000)):
        assert sheet.ink(point, view)
    assert not sheet.ink((1500, 1500), view, reach=20)


def test_an_exclusion_is_hatched_and_the_hatch_spares_its_holes(qtbot: QtBot) -> None:
    area = box(1000, 500, 3000, 2500) - box(1800, 1300, 2200, 1700)
    sheet = Sheet(Annotation.drawn(area, Role.EXCLUDE))
    sheet.layer.show_names = False
    assert sheet.ink((1300, 900), reach=10)
    assert not sheet.ink((2000, 1500), reach=10)


def test_control_tissue_is_dashed(qtbot: QtBot) -> None:
    def inked(role: Role) -> float:
        sheet = Sheet(Annotation.drawn(box(500, 500, 3500, 2500), role))
        sheet.layer.show_names = False
        return float((sheet.paint() < WHITE).any(axis=2).mean())

    assert 0.4 < inked(Role.CONTROL) / inked(Role.ROI) < 0.85


def test_a_selected_outline_looks_different(qtbot: QtBot, roi: Annotation) -> None:
    sheet = Sheet(roi)
    plain = sheet.paint()
    sheet.session.select((roi.id,))
    assert (sheet.paint() != plain).any()


def test_a_tiny_region_is_marked_at_low_power(qtbot: QtBot) -> None:
    sheet = Sheet(Annotation.drawn(box(2000, 1500, 2003, 1503), Role.ROI))
    x, y = 400, 300
    assert (sheet.paint()[y - 3 : y + 3, x - 3 : x + 3] < WHITE).any(axis=2).all()


def test_a_note_shows_its_text_and_is_found_by_its_mark(qtbot: QtBot) -> None:
    note = replace(Annotation.drawn(Point(2000, 1500), Role.NOTE), text="weak membrane stain")
    sheet = Sheet(note)
    assert sheet.ink((2000, 1500))
    assert sheet.ink((2300, 1500), reach=5)
    assert sheet.layer.annotation_at(2030, 1500, VIEW) == note
    assert sheet.layer.annotation_at(2100, 1500, VIEW) is None
    assert sheet.layer.readout(2000, 1500, VIEW) == "Note: weak membrane stain"


def test_hidden_it_draws_nothing_and_finds_nothing(qtbot: QtBot, roi: Annotation) -> None:
    sheet = Sheet(roi)
    sheet.layer.visible = False
    assert (sheet.paint() == WHITE).all()
    assert sheet.layer.annotation_at(1500, 1500, VIEW) is None


def test_what_is_being_edited_is_drawn_as_it_is_under_the_pointer(qtbot: QtBot, roi: Annotation) -> None:
    sheet = Sheet(roi)
    asked: list[bool] = []
    sheet.layer.changed.connect(lambda: asked.append(True))
    sheet.state.set_live({roi.id: roi.with_geometry(box(2500, 1000, 3500, 2000))})
    assert asked
    assert sheet.ink((3500, 1500))
    assert not sheet.ink((1000, 1500))
    sheet.state.set_live({})
    assert sheet.ink((1000, 1500))


def test_every_change_asks_for_a_repaint(qtbot: QtBot, roi: Annotation) -> None:
    sheet = Sheet(roi)
    for change in (
        lambda: sheet.session.select((roi.id,)),
        lambda: sheet.session.edit("Delete", AnnotationSet()),
        sheet.session.undo_stack.undo,
        lambda: setattr(sheet.layer, "show_names", False),
        lambda: setattr(sheet.layer, "visible", False),
    ):
        with qtbot.waitSignal(sheet.layer.changed, timeout=100):
            change()


def test_the_outline_wins_over_a_smaller_area_below_the_pointer(qtbot: QtBot, roi: Annotation) -> None:
    inner = Annotation.drawn(box(900, 1400, 1100, 1600), Role.EXCLUDE)
    sheet = Sheet(inner, roi)
    assert sheet.layer.annotation_at(1000, 1500, VIEW) == roi
    assert sheet.layer.annotation_at(1050, 1500, VIEW) == inner
    assert sheet.layer.annotation_at(1500, 1500, VIEW) == roi
    assert sheet.layer.annotation_at(2500, 2500, VIEW) is None


def test_an_empty_outline_is_neither_drawn_nor_found(qtbot: QtBot) -> None:
    sheet = Sheet(Annotation.drawn(Polygon(), Role.ROI), Annotation.drawn(Point(), Role.NOTE))
    assert (sheet.paint() == WHITE).all()
    assert sheet.layer.annotation_at(0, 0, VIEW) is None


def wavy(n: int) -> Polygon:
    angles = np.arange(n) * 2 * np.pi / n
    r = 20_000 * (1 + 0.05 * np.sin(40 * angles))
    return Polygon(np.column_stack([30_000 + r * np.cos(angles), 30_000 + r * np.sin(angles)]))


def test_a_hundred_thousand_corners_are_thinned_to_what_the_zoom_shows(qtbot: QtBot) -> None:
    outline = Outline(wavy(100_000))
    everything = (0.0, 0.0, 60_000.0, 60_000.0)
    whole = outline.pieces(everything, 1 / 100)
    assert 100 < sum(p.size() for p in whole) < 3_000
    near = outline.pieces((49_000.0, 29_000.0, 52_000.0, 31_000.0), 1.0)
    assert 0 < sum(p.size() for p in near) < 10_000


@pytest.mark.parametrize("scale", [1 / 100, 1 / 8, 1.0])
def test_thinning_moves_an_outline_by_less_than_a_screen_pixel_or_two(qtbot: QtBot, scale: float) -> None:
    geometry = wavy(20_000)
    pieces = Outline(geometry).pieces((0.0, 0.0, 60_000.0, 60_000.0), scale)
    drawn = np.array([(p.x(), p.y()) for piece in pieces for p in piece.toList()])
    assert Polygon(drawn).exterior.hausdorff_distance(geometry.exterior) * scale < 2


def test_a_fill_clipped_to_the_view_is_right_inside_it(qtbot: QtBot) -> None:
    sheet = Sheet(Annotation.drawn(MultiPolygon([wavy(50_000), box(60_000, 0, 61_000, 1_000)]), Role.EXCLUDE))
    sheet.layer.show_names = False
    inside = Viewport(30_000, 30_000, 1.0, 300, 300)
    assert (sheet.paint(inside) < WHITE).any()
    outside = Viewport(55_000, 55_000, 1.0, 300, 300)
    assert (sheet.paint(outside) == WHITE).all()


def test_many_corners_in_view_are_still_drawn_in_the_right_place(qtbot: QtBot) -> None:
    rng = np.random.default_rng(5)
    centres = rng.uniform(200, 2800, (150, 2))
    angles = np.arange(200) * 2 * np.pi / 200
    rough = [
        Polygon(
            c
            + (60 * (1 + 0.3 * rng.standard_normal(200)))[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
        )
        for c in centres
    ]
    probe = Annotation.drawn(box(3000, 500, 3800, 2500), Role.ROI)
    sheet = Sheet(*(Annotation.drawn(g.buffer(0), Role.ROI) for g in rough), probe)
    assert sheet.ink((3800, 1500))
    assert not sheet.ink((3400, 1500), reach=20)


def _cells(count: int) -> list[Annotation]:
    """Far smaller than a mark at low power, side by side in rows."""
    return [Annotation.drawn(box(x, y, x + 12, y + 12), Role.ROI) for i in range(count) for x, y in [_place(i)]]


def _place(i: int) -> tuple[float, float]:
    return 400.0 + 100 * (i % 30), 400.0 + 100 * (i // 30)


def test_thousands_of_marks_say_what_is_selected_by_one_and_by_all(qtbot: QtBot) -> None:
    cells = _cells(600)
    sheet = Sheet(*cells)

    def at(i: int) -> tuple[int, ...]:
        x, y = (round(v) for v in VIEW.to_screen(_place(i)[0] + 6, _place(i)[1] + 6))
        return tuple(int(v) for v in sheet.paint()[y, x])

    plain = at(7)
    assert at(8) == plain == (200, 0, 0)
    sheet.session.select([cells[7].id])
    assert at(8) == plain
    one = sheet.paint()
    sheet.session.select([c.id for c in cells])
    accent = (SELECTED.red(), SELECTED.green(), SELECTED.blue())
    assert {at(i) for i in (0, 7, 8, 599)} == {accent}
    assert (one != sheet.paint()).any()


def test_among_thousands_a_moved_one_is_drawn_where_it_is_and_not_where_it_was(qtbot: QtBot) -> None:
    cells = _cells(600)
    sheet = Sheet(*cells)
    moved = cells[3].with_geometry(box(3700, 450, 3712, 462))
    assert sheet.ink(_place(3))
    assert not sheet.ink((3706, 456))
    sheet.state.set_live({moved.id: moved})
    assert sheet.ink((3706, 456))
    assert not sheet.ink(_place(3))
    sheet.state.set_live({})
    sheet.session.edit("move", sheet.session.annotations.replaced(moved))
    assert sheet.ink((3706, 456))
    assert not sheet.ink(_place(3))
