"""Tab and U: the fields of a region at a chosen magnification, in the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.region import Region
from her2viewer.domain.region_squares import RegionSquares
from her2viewer.domain.reviewed import ReviewedMap
from her2viewer.viewer.canvas.grid import aligned
from her2viewer.viewer.canvas.requests import visible_tiles
from her2viewer.viewer.fields import serpentine
from her2viewer.viewer.main_window import MainWindow

PATIENCE_MS = 20_000
TAB, BACK = Qt.Key.Key_Tab, Qt.Key.Key_Backtab


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6000 x 5000 px at 0.25 um: 20x is half of the pixels."""
    path = tmp_path_factory.mktemp("slides") / "slide.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    pixels = np.full((5000, 6000, 3), (225, 205, 215), np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", compression="zlib", metadata=metadata)
    return path


@pytest.fixture
def window(qtbot: QtBot, slide_file: Path) -> Iterator[MainWindow]:
    made = MainWindow()
    made.controller.warm_up = lambda: None  # type: ignore[method-assign]
    qtbot.addWidget(made)
    made.resize(1200, 800)
    made.show()
    made.commanding.set_smooth(False)
    # No case is left beside the slide that all tests share.
    made.keeper.attach = lambda loaded: loaded.close()  # type: ignore[method-assign]
    made.open_slide(slide_file)
    qtbot.waitUntil(lambda: made.session.slide is not None, timeout=PATIENCE_MS)
    made.canvas.setFocus()
    drawn = Annotation.drawn(shapely.box(500, 500, 5500, 4500), Role.ROI)
    made.session.edit("Draw region", AnnotationSet((drawn,)), ())
    yield made
    made.close()


def centre(window: MainWindow) -> tuple[float, float]:
    view = window.canvas.viewport
    return (view.cx, view.cy)


def press(window: MainWindow, *keys: Qt.Key) -> None:
    for key in keys:
        shift = Qt.KeyboardModifier.ShiftModifier if key == BACK else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(window.canvas, key, shift)


def test_from_the_whole_slide_tab_goes_close_and_to_the_first_field(window: MainWindow) -> None:
    press(window, TAB)
    assert window.canvas.magnification == pytest.approx(20)
    assert centre(window) == pytest.approx(window.walk._fields[0])
    press(window, TAB, TAB, BACK)
    assert centre(window) == pytest.approx(window.walk._fields[1])


def test_a_zoom_of_ones_own_is_kept(window: MainWindow) -> None:
    press(window, Qt.Key.Key_5, TAB, TAB)
    assert window.canvas.magnification == pytest.approx(40)
    press(window, Qt.Key.Key_3, TAB, TAB)
    assert window.canvas.magnification == pytest.approx(10)


@pytest.mark.parametrize("power", [10, 20, 40])
def test_at_a_chosen_magnification_all_fields_have_it(window: MainWindow, power: int) -> None:
    window.commands[f"fields_{power}"].trigger()
    for zoom in (Qt.Key.Key_0, Qt.Key.Key_5, Qt.Key.Key_3):
        press(window, zoom, TAB)
        assert window.canvas.magnification == pytest.approx(power)
    assert window.settings.text("field_magnification") == str(power)


def test_after_a_closer_look_at_a_cell_tab_goes_on_to_the_next_field(window: MainWindow) -> None:
    window.commands["fields_20"].trigger()
    press(window, TAB, TAB)
    assert window.walk.position.startswith("field 2/")
    x, y = centre(window)
    window.canvas.set_magnification(40)
    window.canvas.set_viewport(window.canvas.viewport.centred(x + 100, y - 80))
    assert window.walk.position == ""
    press(window, TAB)
    assert window.walk.position.startswith("field 3/")
    assert window.canvas.magnification == pytest.approx(20)


def test_it_begins_again_after_the_last_field_and_says_so(window: MainWindow) -> None:
    window.commands["fields_20"].trigger()
    press(window, TAB)
    count = len(window.walk._fields)
    press(window, BACK)
    assert window.walk.position == f"field {count}/{count}"
    assert "first of" in window.messages.shown[-1].text
    press(window, TAB)
    assert window.walk.position == f"field 1/{count}"
    assert f"last of {count} fields" in window.messages.shown[-1].text


def test_the_next_field_is_at_hand_before_it_is_asked_for(window: MainWindow, qtbot: QtBot) -> None:
    window.commands["fields_20"].trigger()
    press(window, TAB)
    canvas = window.canvas
    following = canvas.viewport.centred(*window.walk._fields[1])
    assert canvas.pyramid is not None
    tiles = visible_tiles(aligned(following), canvas.pyramid.scale(following.downsample))
    qtbot.waitUntil(lambda: all(key in canvas.store for key in tiles), timeout=PATIENCE_MS)
    press(window, TAB)
    assert canvas.sharp


def test_u_goes_to_what_was_not_looked_at(window: MainWindow) -> None:
    window.commands["fields_20"].trigger()
    press(window, TAB)
    reviewing, canvas = window.reviewing, window.canvas
    assert reviewing.map is not None
    fields = list(window.walk._fields)
    # All but the fourth and the last field.
    known = reviewing.map
    for i, field in enumerate(fields):
        if i not in (3, len(fields) - 1):
            known = known.with_view(canvas.viewport.centred(*field).corners())
    reviewing._use(known)
    press(window, Qt.Key.Key_U)
    assert centre(window) == pytest.approx(fields[3])
    press(window, Qt.Key.Key_U)
    assert centre(window) == pytest.approx(fields[-1])
    press(window, Qt.Key.Key_U)
    assert centre(window) == pytest.approx(fields[3])


def test_u_looks_closely_enough_to_count_whatever_is_chosen(window: MainWindow) -> None:
    window.commands["fields_10"].trigger()
    press(window, Qt.Key.Key_U)
    assert window.canvas.magnification == pytest.approx(20)


def test_without_a_region_the_keys_say_what_to_do(window: MainWindow) -> None:
    window.session.edit("Clear", AnnotationSet(), ())
    press(window, TAB)
    assert "Outline a region first" in window.messages.shown[-1].text
    press(window, Qt.Key.Key_U)
    assert window.walk.position == ""


def test_a_turned_slide_is_covered_as_well(window: MainWindow) -> None:
    window.canvas.set_magnification(20)
    for turn in (90, -53):
        window.canvas.rotate(turn)
        press(window, TAB)
        view, shape = window.canvas.viewport, shapely.Polygon()
        for field in window.walk._fields:
            shape = shape.union(shapely.Polygon(view.centred(*field).corners()))
        assert window.session.region.geometry.difference(shape).area < 0.001 * window.session.region.area_px


points = st.tuples(st.floats(0, 9000), st.floats(0, 9000))


@settings(max_examples=60, deadline=None)
@given(st.lists(points, min_size=3, max_size=9, unique=True), st.floats(300, 3000), st.floats(0.5, 1))
def test_a_walk_leaves_next_to_nothing_out(corners: list[tuple[float, float]], width: float, ratio: float) -> None:
    region = Region.of([shapely.MultiPoint(corners).convex_hull])
    if region.empty:
        return
    height, shown = width * ratio, 1 / 0.9
    fields = serpentine(region, width, height, shown)
    half_w, half_h = shown * width / 2, shown * height / 2
    seen = shapely.union_all([shapely.box(x - half_w, y - half_h, x + half_w, y + half_h) for x, y in fields])
    if len(fields) > 1:
        # A ten-thousandth of a field may be missing at each place of the grid.
        places = (9000 / width + 1) * (9000 / height + 1)
        assert region.geometry.difference(seen).area <= 1e-4 * width * height * places


@given(st.lists(st.tuples(points, st.floats(50, 3000)), max_size=4), st.lists(points, min_size=1, max_size=5))
def test_unseen_squares_are_counted_as_they_lie(
    looks: list[tuple[tuple[float, float], float]], corners: list[tuple[float, float]]
) -> None:
    known = ReviewedMap.empty(9000, 9000, 0.25)
    for (x, y), side in looks:
        known = known.with_view([(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
    region = Region.rectangle(1000, 1500, 6000, 5000)
    squares = RegionSquares.of(region, known.raster)
    assert squares is not None
    boxes = np.array([[x - 900, y - 500, x + 900, y + 500] for x, y in corners])
    row, column = np.indices(squares.inside.shape)
    x = (column + squares.columns.start + 0.5) * known.step
    y = (row + squares.rows.start + 0.5) * known.step
    missing = squares.inside & ~known.seen[squares.rows, squares.columns]
    for box, counted in zip(boxes, squares.unseen_in(known.seen, known.step, boxes), strict=True):
        within = (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
        assert counted == (missing & within).sum()


def test_from_afar_tab_goes_on_where_the_reading_was_left(window: MainWindow) -> None:
    window.walk.magnification = 20.0
    QTest.keyClick(window.canvas, TAB)
    first = window.canvas.viewport
    QTest.keyClick(window.canvas, TAB)
    second = window.canvas.viewport
    for view in (first, second):
        known = window.reviewing.map
        assert known is not None
        window.reviewing._use(known.with_view(view.corners()))
    window.canvas.fit()
    # Far from the field shown last.
    window.canvas.set_viewport(replace(window.canvas.viewport, cx=5000.0, cy=4000.0))
    QTest.keyClick(window.canvas, TAB)
    assert window.walk.position.startswith("field 3/")
    assert any("first 2 fields" in m.text for m in window.messages.shown)
    # Close by it goes on from where the reader stands, looked at or not.
    for number in (2, 1):
        QTest.keyClick(window.canvas, BACK, Qt.KeyboardModifier.ShiftModifier)
        assert window.walk.position.startswith(f"field {number}/")
    assert centre(window) == pytest.approx((first.cx, first.cy))
    # All was looked at: from the beginning.
    known = window.reviewing.map
    assert known is not None
    window.reviewing._use(known.with_view([(0, 0), (6000, 0), (6000, 5000), (0, 5000)]))
    window.canvas.fit()
    QTest.keyClick(window.canvas, TAB)
    assert window.walk.position.startswith("field 1/")


def test_each_region_says_how_much_of_it_was_looked_at(window: MainWindow, qtbot: QtBot) -> None:
    left = Annotation.drawn(shapely.box(0, 0, 2000, 2000), Role.ROI)
    right = Annotation.drawn(shapely.box(3000, 0, 5000, 2000), Role.ROI)
    out = Annotation.drawn(shapely.box(3000, 0, 4000, 2000), Role.EXCLUDE)
    window.session.edit("Draw regions", AnnotationSet((left, right, out)), ())
    tree = window.panels.regions.tree
    words = {}

    def told() -> bool:
        words.update({tree.topLevelItem(i).data(0, Qt.ItemDataRole.UserRole): tree.topLevelItem(i) for i in range(3)})
        return words[left.id].text(2) == "0 %" and words[right.id].text(2) == "0 %"

    qtbot.waitUntil(told, timeout=PATIENCE_MS)
    assert words[out.id].text(2) == ""
    known = window.reviewing.map
    assert known is not None
    # Half of the left one; of the right one what is excluded, which does not count.
    window.reviewing._use(known.with_view([(0, 0), (4000, 0), (4000, 1000), (0, 1000)]))
    assert words[left.id].text(2) == "50 %"
    assert words[right.id].text(2) == "0 %"
    assert "20x" in words[left.id].toolTip(2)
    assert not tree.isColumnHidden(2)
