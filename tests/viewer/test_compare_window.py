"""Further views in the window: opening, aligning, keeping, closing."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
import tifffile
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QPushButton

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.result import Provenance, Result
from her2viewer.slides.mirrored import MirroredSlide
from her2viewer.viewer.canvas.budget import default_budget
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.compare.follow import same_view
from her2viewer.viewer.compare.view import FurtherView
from her2viewer.viewer.main_window import MainWindow
from tests.helpers.canvases import rgb, tissue, wait_sharp

PATIENCE_MS = 20_000
WIDTH, HEIGHT = 1200, 900


def write(path: Path, pixels: np.ndarray, mpp: float) -> Path:
    metadata = {"axes": "YXS", "PhysicalSizeX": mpp, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": mpp}
    metadata["PhysicalSizeYUnit"] = "µm"
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", ome=True, metadata=metadata)
    return path


def picture() -> np.ndarray:
    rng = np.random.default_rng(8)
    pixels = np.full((HEIGHT, WIDTH, 3), 235, dtype=np.uint8)
    for x, y in rng.integers(0, (WIDTH - 80, HEIGHT - 80), (120, 2)):
        pixels[y : y + 80, x : x + 80] = rng.integers(20, 220, 3)
    return cv2.GaussianBlur(pixels, (0, 0), 4)


@pytest.fixture
def slide_file(tmp_path) -> Path:
    return write(tmp_path / "her2.ome.tif", picture(), 0.5)


TURN = np.array(cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), -20, 0.8))


def there(x: float, y: float) -> tuple[float, float]:
    """Where a place of the slide lies on the flipped and turned copy."""
    u, v = TURN @ np.array([WIDTH - x, y, 1.0])
    return float(u), float(v)


@pytest.fixture
def copy_file(tmp_path) -> Path:
    """The same tissue face down, turned by 20 degrees and scanned more coarsely."""
    copy = cv2.warpAffine(picture()[:, ::-1], TURN, (WIDTH, HEIGHT), borderValue=(235, 235, 235))
    return write(tmp_path / "copy.ome.tif", copy, 0.5 / 0.8)


NewWindow = Callable[[Path], MainWindow]


@pytest.fixture
def new_window(qtbot) -> NewWindow:
    def make(path: Path) -> MainWindow:
        window = MainWindow()
        window.controller.warm_up = lambda: None
        window.comparing.native_dialogs = window.pictures.native_dialogs = False
        window.canvas.motion.enabled = False
        qtbot.addWidget(window)
        window.resize(1280, 800)
        window.show()
        window.open_slide(path)
        qtbot.waitUntil(lambda: window.session.slide is not None, timeout=PATIENCE_MS)
        return window

    return make


@pytest.fixture
def window(new_window, slide_file) -> MainWindow:
    return new_window(slide_file)


def second(qtbot, window: MainWindow, path: Path) -> FurtherView:
    view = window.comparing.show_other(path)
    assert view is not None
    qtbot.waitUntil(lambda: view.other is not None, timeout=PATIENCE_MS)
    return view


def point_and_press(canvas: SlideCanvas, point: tuple[float, float], window: MainWindow) -> None:
    """Pointer on a place (level-0 px of what is displayed), then the key A."""
    for other in window.compare.canvases:
        if other is not canvas:
            QApplication.sendEvent(other, _leave())
    x, y = canvas.viewport.to_screen(*point)
    assert canvas.rect().contains(QPoint(round(x), round(y)))
    QTest.mouseMove(canvas, QPoint(round(x), round(y)))
    QApplication.processEvents()
    QTest.keyClick(canvas, Qt.Key.Key_A)


def _leave() -> QEvent:
    return QEvent(QEvent.Type.Leave)


def align(view: FurtherView, *points: tuple[float, float]) -> None:
    assert view.aligner is not None
    for point in points:
        view.aligner.mark_here(*point)
        view.aligner.mark_there(*there(*point))


CORNERS = ((200.0, 150.0), (1000.0, 200.0), (400.0, 700.0))


def test_bare_tissue_beside_the_main_view_moves_with_it(window, qtbot):
    window.commands["second_plain"].trigger()
    (view,) = window.compare.views
    window.canvas.set_viewport(replace(window.canvas.viewport, downsample=1.0, cx=500.0))
    wait_sharp(qtbot, window.canvas)
    wait_sharp(qtbot, view.canvas)
    assert same_view(window.canvas.viewport, view.canvas.viewport)
    assert np.array_equal(tissue(window.canvas)[:200, :200], tissue(view.canvas)[:200, :200])
    assert "no overlay" in view.header.text
    assert view.header.zoom == "20x"


def test_the_main_view_takes_no_room_for_a_strip_while_it_is_alone(window, qtbot):
    height = window.canvas.height()
    window.commands["second_plain"].trigger()
    qtbot.waitUntil(lambda: window.canvas.height() < height)
    window.commands["close_views"].trigger()
    qtbot.waitUntil(lambda: window.canvas.height() == height)
    assert window.canvas.hasFocus()


def test_landmarks_by_key_align_a_turned_and_flipped_slide(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    assert "not aligned" in view.header.text
    # Far enough out that every place is in view, however the other slide lies for the moment.
    window.canvas.set_viewport(replace(window.canvas.viewport, downsample=8.0))
    for number, point in enumerate(CORNERS, start=1):
        point_and_press(window.canvas, point, window)
        assert f"landmark {number}" in view.header.text
        point_and_press(view.canvas, view.displayed(there(*point)), window)
    assert "3 landmarks" in view.header.text
    transform = view.aligner.alignment.transform
    assert transform.flip
    assert transform.scale == pytest.approx(0.8, abs=0.03)
    for point in ((600.0, 450.0), (1100.0, 100.0)):
        assert transform.apply(*point) == pytest.approx(there(*point), abs=16)
    assert isinstance(view.canvas.slide, MirroredSlide)
    assert len(window.compare.landmarks.points) == len(view.landmarks.points) == 3


def test_an_aligned_copy_shows_the_same_tissue(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    align(view, *CORNERS)
    window.canvas.set_viewport(replace(window.canvas.viewport, downsample=1.5, cx=600.0, cy=450.0))
    wait_sharp(qtbot, window.canvas)
    wait_sharp(qtbot, view.canvas)
    side = min(window.canvas.width(), view.canvas.width(), window.canvas.height(), view.canvas.height()) // 2 - 60
    middles = []
    for canvas in (window.canvas, view.canvas):
        whole = rgb(canvas.grab_view(layers=False, scale_bar=False))
        y, x = whole.shape[0] // 2, whole.shape[1] // 2
        middles.append(whole[y - side : y + side, x - side : x + side].astype(float))
    assert middles[0].std() > 20
    assert np.abs(middles[0] - middles[1]).mean() < 4


def test_the_last_landmark_is_taken_back(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    align(view, *CORNERS)
    view.aligner.mark_here(5, 5)
    window.commands["align_undo"].trigger()
    assert view.aligner.pending_here is None
    window.commands["align_undo"].trigger()
    assert len(view.aligner.alignment.landmarks) == 2
    for _ in range(2):
        window.commands["align_undo"].trigger()
    assert not view.aligner.alignment.landmarks
    window.commands["align_undo"].trigger()
    assert "no landmark" in window.messages.shown[-1].text


def test_landmarks_in_one_place_are_refused_with_a_sentence(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    for _ in range(2):
        view.aligner.mark_here(100, 100)
        view.aligner.mark_there(50, 50)
    assert len(view.aligner.alignment.landmarks) == 1
    assert "one place" in window.messages.shown[-1].text


def test_landmarks_that_make_tissue_larger_than_its_pixels_do_are_questioned(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    for here, point in (((100, 100), (100, 100)), ((300, 100), (500, 100))):
        view.aligner.mark_here(*here)
        view.aligner.mark_there(*point)
    assert "2.5 times as large" in view.header.text


def test_an_alignment_is_kept_in_the_case(new_window, window, qtbot, slide_file, copy_file):
    align(second(qtbot, window, copy_file), *CORNERS)
    window.close()
    file = slide_file.with_name(slide_file.name + ".her2case") / "alignments.json"
    assert json.loads(file.read_text())["slides"][0]["path"] == str(copy_file)
    again = new_window(slide_file)
    view = second(qtbot, again, copy_file)
    assert len(view.aligner.alignment.landmarks) == 3
    assert view.aligner.alignment.transform.apply(600, 450) == pytest.approx(there(600, 450), abs=2)
    again.commands["align_reset"].trigger()
    assert again.keeper.alignments == ()


def test_an_aligned_slide_is_in_the_menu_and_greyed_where_it_is_gone(window, qtbot, copy_file):
    align(second(qtbot, window, copy_file), *CORNERS)
    window.compare.clear()
    menu = window.menus.sub["aligned"]
    menu.aboutToShow.emit()
    (entry,) = menu.actions()
    assert entry.isEnabled()
    assert entry.text() == copy_file.name
    entry.trigger()
    qtbot.waitUntil(lambda: bool(window.compare.views) and window.compare.views[0].other is not None)
    window.compare.clear()
    window.storage.drain()
    qtbot.waitUntil(lambda: _removed(copy_file), timeout=PATIENCE_MS)
    menu.aboutToShow.emit()
    window.storage.drain()
    menu.aboutToShow.emit()
    (entry,) = menu.actions()
    assert not entry.isEnabled()
    assert "not found" in entry.text()
    assert "moved" in entry.toolTip()


def _removed(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True


def test_another_file_under_the_name_of_an_aligned_one_is_not_taken_for_it(window, qtbot, copy_file):
    align(second(qtbot, window, copy_file), *CORNERS)
    window.compare.clear()
    QApplication.processEvents()
    write(copy_file, picture()[:500, :700], 0.5)
    view = second(qtbot, window, copy_file)
    assert not view.aligner.alignment.known
    assert "another slide" in window.messages.shown[-1].text


def test_views_moved_alone_are_aligned_as_they_are(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    window.commands["link_views"].trigger()
    assert not view.canvas.linked
    before = window.canvas.viewport
    view.canvas.set_viewport(replace(view.canvas.viewport, cx=300.0, cy=200.0, downsample=0.9))
    assert window.canvas.viewport == before
    shown = view.canvas.viewport
    window.commands["align_take"].trigger()
    assert view.canvas.linked
    assert same_view(view.canvas.viewport, shown)
    assert "by hand" in view.header.text
    window.canvas.set_viewport(window.canvas.viewport.panned(40, 30))
    assert same_view(view.canvas.viewport, shown.panned(40, 30))


def test_flip_shows_the_mirror_image_and_back(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    window.commands["align_flip"].trigger()
    assert isinstance(view.canvas.slide, MirroredSlide)
    window.commands["align_flip"].trigger()
    assert view.canvas.slide is view.other


def test_the_keys_go_to_a_view_that_moves_alone(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    view.canvas.setFocus()
    qtbot.waitUntil(view.canvas.hasFocus)
    window.commands["rotate"].trigger()
    assert window.canvas.viewport.rotation == 90
    view.set_linked(False)
    window.commands["rotate"].trigger()
    assert (window.canvas.viewport.rotation, view.canvas.viewport.rotation) == (90, 180)


def test_the_outline_is_drawn_on_the_aligned_slide(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    window.session.add(Annotation.drawn(shapely.box(300, 200, 900, 700), Role.ROI), "Draw")
    wait_sharp(qtbot, view.canvas)
    bare = rgb(view.canvas.grab_view(layers=False))
    assert np.array_equal(bare, rgb(view.canvas.grab_view()))
    align(view, *CORNERS)
    wait_sharp(qtbot, view.canvas)
    view.landmarks.visible = False
    changed = (rgb(view.canvas.grab_view(layers=False)) != rgb(view.canvas.grab_view())).any(axis=2)
    x, y = (round(v) for v in view.canvas.viewport.to_screen(*view.displayed(there(900, 450))))
    assert changed[y - 2 : y + 3, x - 4 : x + 5].any()


def cells(window: MainWindow, scorer: str, at: float) -> Result:
    n = 40
    x, y = np.full(n, at, dtype=np.float32), np.linspace(100, 800, n, dtype=np.float32)
    table = CellTable("cells", CELL_SCHEME, x, y, np.full(n, 3, dtype=np.uint8))
    slide = window.session.slide
    assert slide is not None
    origin = Provenance(
        scorer=scorer,
        scorer_version="1",
        program_version="1",
        slide_identity=slide.identity,
        region_hash=window.session.region.hash,
        mpp=0.5,
        mpp_source="from file",
        device="CPU",
        settings={},
    )
    return Result(provenance=origin, scored=window.session.region, evidence=(table,))


def test_two_scorers_are_shown_side_by_side(window, qtbot):
    window.session.add(Annotation.drawn(shapely.box(50, 50, 1150, 850), Role.ROI), "Draw")
    window.controller.restore(cells(window, "first", 300))
    window.controller.restore(cells(window, "second", 900))
    menu = window.menus.sub["second_scorer"]
    menu.aboutToShow.emit()
    assert [a.text() for a in menu.actions()] == ["first", "second"]
    menu.actions()[0].trigger()
    (view,) = window.compare.views
    assert [layer.readout(300, 100, view.canvas.viewport) is not None for layer in view.evidence.layers] == [True]
    layers = view.evidence.layers
    window.session.preview(window.session.annotations)
    window.session.add(Annotation.drawn(shapely.box(60, 60, 100, 90), Role.EXCLUDE), "Exclude")
    assert view.evidence.layers == layers
    window.canvas.overlays_hidden = True
    assert view.canvas.overlays_hidden
    window.canvas.overlays_hidden = False
    assert not view.evidence.all_hidden


def test_four_views_fill_up_and_an_empty_one_asks_for_a_slide(window, qtbot, copy_file):
    window.commands["four_views"].trigger()
    assert len(window.compare.views) == 3
    assert not window.commands["second_plain"].isEnabled()
    assert "four views" in window.commands["second_plain"].toolTip()
    empty = window.compare.views[-1]
    button = empty.findChild(QPushButton)
    assert button is not None
    button.click()
    (dialog,) = window.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(copy_file))
    dialog.reject()
    qtbot.waitUntil(lambda: empty.other is not None, timeout=PATIENCE_MS)
    assert len(window.compare.views) == 3


def test_the_memory_of_one_view_is_divided_among_all(window):
    whole = default_budget()
    window.commands["four_views"].trigger()
    bounds = [canvas.store._cache.max_bytes for canvas in window.compare.canvases]
    assert sum(bounds) == pytest.approx(whole.screen, abs=8)
    window.commands["close_views"].trigger()
    assert window.canvas.store._cache.max_bytes == pytest.approx(whole.screen, abs=4)


def test_a_slide_that_cannot_be_opened_says_why_in_its_view(window, qtbot, tmp_path):
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"no slide")
    view = window.comparing.show_other(broken)
    qtbot.waitUntil(lambda: "cannot be shown" in view.header.text, timeout=PATIENCE_MS)
    assert window.session.slide is not None


def test_another_main_slide_closes_the_further_views(window, qtbot, copy_file, slide_file):
    first = window.session.slide
    view = second(qtbot, window, copy_file)
    other = view.other
    window.commands["second_plain"].trigger()
    window.open_slide(copy_file)
    qtbot.waitUntil(lambda: window.session.slide.path.name == copy_file.name, timeout=PATIENCE_MS)
    assert not window.compare.views
    for slide in (first, other):
        qtbot.waitUntil(lambda slide=slide: slide._closed, timeout=PATIENCE_MS)


def test_closed_views_leave_nothing_in_memory(window, qtbot, copy_file):
    gone = []
    for _ in range(3):
        view = second(qtbot, window, copy_file)
        align(view, *CORNERS)
        plain = window.comparing.show_plain()
        gone += [weakref.ref(v.canvas) for v in (view, plain)] + [weakref.ref(view.other)]
        del view, plain
        window.commands["close_views"].trigger()
    QTest.qWait(50)

    def collected() -> bool:
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        return all(ref() is None for ref in gone)

    qtbot.waitUntil(collected, timeout=PATIENCE_MS)


def test_a_picture_of_a_view_that_was_closed_meanwhile_is_not_taken(window, qtbot, tmp_path):
    window.commands["second_plain"].trigger()
    (view,) = window.compare.views
    window.pictures.save(view.canvas, tmp_path / "late.png")
    window.compare.clear()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    window.pictures.cancel()
    assert not (tmp_path / "late.png").exists()


def test_the_window_closes_while_a_second_slide_is_being_opened(window, copy_file):
    window.comparing.show_other(copy_file)
    window.close()
    assert not window.compare.views


def test_a_view_closed_while_its_slide_is_being_opened_leaves_nothing(window, qtbot, copy_file):
    view = window.comparing.show_other(copy_file)
    window.compare.remove(view)
    QTest.qWait(300)
    assert not window.compare.views
    second(qtbot, window, copy_file)


def test_the_read_out_follows_the_pointer_into_a_further_view(window, qtbot):
    window.session.add(Annotation.drawn(shapely.box(50, 50, 1150, 850), Role.ROI), "Draw")
    window.controller.restore(cells(window, "first", 600))
    view = window.comparing.show_scorer("first")
    window.canvas.set_viewport(replace(window.canvas.viewport, downsample=1.0, cx=600.0, cy=100.0))
    places: list[tuple[float, float, str]] = []
    window.compare.cursor_moved.connect(lambda *place: places.append(place))
    QApplication.processEvents()
    wait_sharp(qtbot, view.canvas)
    x, y = view.canvas.viewport.to_screen(600, 100)
    QTest.mouseMove(view.canvas, QPoint(round(x), round(y)))
    assert places[-1][:2] == pytest.approx((600, 100), abs=1)
    assert "3+" in places[-1][2]


def test_the_pointer_of_one_view_is_shown_in_the_others(window, qtbot, copy_file):
    view = second(qtbot, window, copy_file)
    align(view, *CORNERS)
    QTest.mouseMove(window.canvas, QPoint(150, 300))
    x, y = window.canvas.viewport.to_slide(150, 300)
    assert view.ghost.point == pytest.approx(view.displayed(there(x, y)), abs=2)
    QTest.mouseMove(view.canvas, QPoint(150, 300))
    QApplication.sendEvent(window.canvas, _leave())
    assert view.ghost.point is None


# --- pictures ----------------------------------------------------------------------------------------------------


def test_a_picture_of_the_view_is_copied_with_its_scale_bar(window, qtbot):
    wait_sharp(qtbot, window.canvas)
    window.commands["copy_view"].trigger()
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height()) == (window.canvas.width(), window.canvas.height())
    assert np.array_equal(rgb(image), rgb(window.canvas.grab_view()))
    assert not np.array_equal(rgb(image), rgb(window.canvas.grab_view(scale_bar=False)))


def test_a_picture_is_written_in_the_background_and_knows_its_scale(window, qtbot, tmp_path):
    window.commands["second_plain"].trigger()
    (view,) = window.compare.views
    window.canvas.set_viewport(replace(window.canvas.viewport, downsample=2.0))
    target = tmp_path / "view.png"
    window.pictures.save(view.canvas, target)
    qtbot.waitUntil(target.exists, timeout=PATIENCE_MS)
    image = QImage(str(target))
    assert (image.width(), image.height()) == (view.canvas.width(), view.canvas.height())
    assert image.text("Comment").startswith("1 um/px, 10x")
    assert image.dotsPerMeterX() == 1_000_000
    qtbot.waitUntil(lambda: any("view.png" in m.text for m in window.messages.shown))


def test_a_picture_of_the_view_in_focus_is_asked_for(window, qtbot, tmp_path):
    window.commands["second_plain"].trigger()
    (view,) = window.compare.views
    view.canvas.setFocus()
    qtbot.waitUntil(view.canvas.hasFocus)
    assert window.compare.active is view.canvas
    window.commands["save_view"].trigger()
    (dialog,) = [d for d in window.findChildren(QDialog) if isinstance(d, QFileDialog)]
    dialog.fileSelected.emit(str(tmp_path / "asked.png"))
    dialog.reject()
    qtbot.waitUntil((tmp_path / "asked.png").exists, timeout=PATIENCE_MS)


def test_a_picture_that_cannot_be_written_is_said(window, qtbot, tmp_path):
    window.pictures.save(window.canvas, tmp_path / "nowhere" / "view.png")
    qtbot.waitUntil(lambda: any("not saved" in m.text for m in window.messages.shown), timeout=PATIENCE_MS)


def test_no_picture_is_taken_of_a_window_that_closes(window, tmp_path):
    window.canvas.set_viewport(replace(window.canvas.viewport, downsample=0.7))
    window.pictures.save(window.canvas, tmp_path / "late.png")
    window.close()
    QTest.qWait(50)
    assert not (tmp_path / "late.png").exists()
