"""The window as a person uses it: every command, every key, opening, dropping, hiding, closing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
)

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.evidence import Grid, Heatmap
from her2viewer.slides.pixel_size import PixelSizeStore
from her2viewer.viewer.actions import FILE, HELP, MENUS, REPORT, ROI, SCORE, VIEW
from her2viewer.viewer.dialogs.pixel_size import PixelSizeDialog
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.startup import ErrorCatcher
from her2viewer.viewer.theme import apply_theme, tokens

Open = Callable[[Path], None]
PATIENCE_MS = 20_000


@pytest.fixture
def window(qtbot) -> Iterator[MainWindow]:
    made = MainWindow()
    made.commanding.native_dialogs = made.exporting.native_dialogs = False
    # A scoring process takes longer to start than a test to run; the tests of scoring have theirs.
    made.controller.warm_up = lambda: None
    qtbot.addWidget(made)
    made.resize(1280, 800)
    made.show()
    made.canvas.setFocus()
    yield made
    for dialog in made.findChildren(QDialog):
        dialog.reject()


@pytest.fixture
def slide_file(tmp_path) -> Path:
    """A small tiled TIFF with a pixel size of 0.5 um: pale glass with brown discs."""
    return write_slide(tmp_path / "discs.ome.tif", 0.5)


def write_slide(path: Path, mpp: float | None, size: tuple[int, int] = (900, 1200)) -> Path:
    import tifffile

    rng = np.random.default_rng(5)
    pixels = np.full((*size, 3), (240, 238, 242), np.uint8)
    yy, xx = np.mgrid[: size[0], : size[1]]
    for x, y in rng.uniform((0, 0), (size[1], size[0]), (80, 2)):
        pixels[(xx - x) ** 2 + (yy - y) ** 2 < 60] = (150, 100, 60)
    metadata: dict[str, object] = {"axes": "YXS"}
    if mpp:
        metadata |= {"PhysicalSizeX": mpp, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": mpp, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", ome=True, metadata=metadata)
    return path


@pytest.fixture
def open_slide(qtbot, window: MainWindow) -> Open:
    def open_it(path: Path) -> None:
        window.open_slide(path)
        qtbot.waitUntil(lambda: shows(window, path), timeout=PATIENCE_MS)

    return open_it


def shows(window: MainWindow, path: Path) -> bool:
    slide = window.session.slide
    return slide is not None and slide.path.name == path.name


def messages(window: MainWindow) -> str:
    return " | ".join(m.text for m in window.messages.shown)


def outline(window: MainWindow, role: Role = Role.ROI, box=(200, 150, 800, 700)) -> None:
    window.session.add(Annotation.drawn(shapely.box(*box), role), "Draw region")


# --- commands --------------------------------------------------------------------------------------------------


def test_every_command_has_a_tip_and_its_key_in_it(window):
    for _, _, group in MENUS:
        for command in group:
            tip = window.commands[command.id].toolTip()
            assert command.text.rstrip(".").split(" ")[0] in tip
            if command.keys:
                shown = QKeySequence(command.keys[0]).toString(QKeySequence.SequenceFormat.NativeText)
                assert shown in tip or command.on_canvas


def test_no_key_means_two_things(window):
    seen: dict[str, str] = {}
    for action in [a for a in window.actions() + window.canvas.actions() if a.shortcuts()]:
        for key in action.shortcuts():
            name = key.toString()
            assert name not in seen, f"{name}: {seen.get(name)} and {action.objectName()}"
            seen[name] = action.objectName()


def test_every_menu_entry_leads_somewhere(window):
    entries = [a for menu in window.menuBar().actions() for a in menu.menu().actions() if not a.isSeparator()]
    listed = {a.objectName() for a in entries}
    for submenu in window.menus.sub.values():
        listed |= {a.objectName() for a in submenu.actions()}
    missing = {c.id for group in (FILE, VIEW, ROI, SCORE, REPORT, HELP) for c in group} - listed - {"recent"}
    assert not missing


def test_disabled_commands_say_why(window):
    disabled = [i for i in window.commands if not window.commands[i].isEnabled()]
    assert "report_pdf" in disabled
    assert "tool_polygon" in disabled
    for command_id in disabled:
        assert "Not now:" in window.commands[command_id].toolTip()


def press_all(window: MainWindow, prepare: Callable[[], None] = lambda: None) -> list[str]:
    pressed = []
    for command_id in window.commands:
        if command_id in ("quit", "close_slide", "show_case", "log"):
            continue
        prepare()
        action = window.commands[command_id]
        if action.isEnabled():
            action.trigger()
            pressed.append(command_id)
            QApplication.processEvents()
            for dialog in window.findChildren(QDialog):
                dialog.reject()
    return pressed


def test_every_command_can_be_pressed_with_nothing_open(window, qtbot, monkeypatch):
    monkeypatch.setattr(window, "open_sample", lambda: None)
    monkeypatch.setattr(window.flow, "open_sample", lambda: None)
    pressed = press_all(window)
    assert {"open", "about", "shortcuts", "guide", "theme_light", "run", "cancel"} <= set(pressed)
    assert window.session.slide is None


def test_every_command_can_be_pressed_with_a_region(window, qtbot, open_slide, slide_file, monkeypatch):
    monkeypatch.setattr(window.flow, "open_sample", lambda: None)
    monkeypatch.setattr(window.controller, "run", lambda: True)
    open_slide(slide_file)

    def prepare() -> None:
        two = [Annotation.drawn(shapely.box(*box), Role.ROI) for box in ((200, 150, 800, 700), (500, 300, 1000, 800))]
        window.session.edit("Draw", AnnotationSet(tuple(two)), [a.id for a in two])

    pressed = press_all(window, prepare)
    left = set(window.commands) - set(pressed) - {"quit", "close_slide", "show_case", "log"}
    # Landmarks need another slide in a second view.
    left -= {c for c in left if c.startswith("align_")} | {"link_views", "stack_views"}
    # What needs a result, a corrected cell or a profile cannot be pressed here.
    assert left <= {"icc", "go_decisive", "report_csv", "report_geojson", "export_training", "redo"}


# --- keys ------------------------------------------------------------------------------------------------------


def test_number_keys_set_the_magnification_and_zero_fits(window, qtbot, open_slide, slide_file):
    open_slide(slide_file)
    canvas = window.canvas
    whole = canvas.viewport.downsample
    for key, power in (("3", 10), ("4", 20), ("5", 40)):
        QTest.keyClicks(canvas, key)
        qtbot.waitUntil(lambda: not canvas.motion.active, timeout=PATIENCE_MS)
        assert canvas.magnification == pytest.approx(power)
    QTest.keyClicks(canvas, "6")
    qtbot.waitUntil(lambda: not canvas.motion.active, timeout=PATIENCE_MS)
    assert canvas.viewport.downsample == pytest.approx(1)
    QTest.keyClicks(canvas, "0")
    assert canvas.viewport.downsample == pytest.approx(whole)


def test_smooth_motion_is_remembered_and_off_where_the_system_asks_for_less(window, qtbot, monkeypatch):
    window.storage.drain()
    assert window.commands["smooth_zoom"].isChecked() == window.canvas.motion.enabled
    monkeypatch.setattr("her2viewer.viewer.less_motion.less_motion_wanted", lambda: True)
    window.commanding.restore_motion()
    qtbot.waitUntil(lambda: not window.canvas.motion.enabled, timeout=PATIENCE_MS)
    assert not window.commands["smooth_zoom"].isChecked()
    # The reader's own word counts more.
    window.commands["smooth_zoom"].trigger()
    window.commanding.restore_motion()
    window.storage.drain()
    assert window.canvas.motion.enabled
    assert window.settings.text("smooth_zoom") == "true"
    window.commands["smooth_zoom"].trigger()
    window.commanding.restore_motion()
    assert not window.canvas.motion.enabled


def test_r_turns_the_slide_and_shift_r_turns_it_back(window, open_slide, slide_file):
    open_slide(slide_file)
    QTest.keyClick(window.canvas, Qt.Key.Key_R)
    assert window.canvas.viewport.rotation == 90
    QTest.keyClick(window.canvas, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(window.canvas, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert window.canvas.viewport.rotation == 270


@pytest.mark.parametrize(
    ("key", "tool"),
    [("V", "select"), ("P", "polygon"), ("F", "freehand"), ("T", "rectangle"), ("B", "brush"), ("N", "note")],
)
def test_letters_choose_tools(window, open_slide, slide_file, key, tool):
    open_slide(slide_file)
    QTest.keyClicks(window.canvas, "V" if tool != "select" else "P")
    QTest.keyClicks(window.canvas, key.lower())
    assert window.toolbox.current.id == tool
    assert window.commands[f"tool_{tool}"].isChecked()
    assert window.canvas.tool is window.toolbox.current


def test_x_and_c_choose_what_is_drawn_and_the_bar_says_so(window, open_slide, slide_file):
    open_slide(slide_file)
    QTest.keyClicks(window.canvas, "p")
    QTest.keyClicks(window.canvas, "x")
    assert window.toolbox.state.role is Role.EXCLUDE
    assert "Excluded" in window.bar.drawing
    QTest.keyClicks(window.canvas, "c")
    assert window.toolbox.state.role is Role.CONTROL
    QTest.keyClicks(window.canvas, "i")
    assert window.toolbox.state.role is Role.ROI
    assert "Invasive carcinoma" in window.bar.drawing


def test_a_polygon_is_drawn_closed_by_enter_and_undone(window, qtbot, open_slide, slide_file):
    open_slide(slide_file)
    canvas = window.canvas
    QTest.keyClicks(canvas, "p")
    middle = canvas.rect().center()
    for dx, dy in ((-100, -80), (100, -80), (0, 90)):
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=middle + type(middle)(dx, dy))
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert len(window.session.annotations) == 1
    assert not window.session.region.empty
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(window.session.annotations) == 0
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert len(window.session.annotations) == 1
    QTest.keyClick(canvas, Qt.Key.Key_Delete)
    assert len(window.session.annotations) == 0


def test_escape_drops_what_is_half_drawn(window, open_slide, slide_file):
    open_slide(slide_file)
    QTest.keyClicks(window.canvas, "p")
    middle = window.canvas.rect().center()
    QTest.mouseClick(window.canvas, Qt.MouseButton.LeftButton, pos=middle)
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    QTest.keyClick(window.canvas, Qt.Key.Key_Return)
    assert len(window.session.annotations) == 0


def test_h_hides_the_overlays_while_it_is_held(window, open_slide, slide_file):
    open_slide(slide_file)
    QTest.keyPress(window.canvas, Qt.Key.Key_H)
    assert window.canvas.overlays_hidden
    QTest.keyRelease(window.canvas, Qt.Key.Key_H)
    assert not window.canvas.overlays_hidden


def test_h_does_not_show_what_o_has_hidden(window, open_slide, slide_file):
    open_slide(slide_file)
    QTest.keyClicks(window.canvas, "o")
    assert window.canvas.overlays_hidden
    assert not window.commands["overlays"].isChecked()
    QTest.keyPress(window.canvas, Qt.Key.Key_H)
    QTest.keyRelease(window.canvas, Qt.Key.Key_H)
    assert window.canvas.overlays_hidden
    QTest.keyClicks(window.canvas, "o")
    assert not window.canvas.overlays_hidden


def test_tab_goes_through_the_fields_and_shift_tab_back(window, open_slide, slide_file):
    open_slide(slide_file)
    outline(window, box=(0, 0, 1200, 900))
    QTest.keyClicks(window.canvas, "6")
    views = []
    for _ in range(3):
        QTest.keyClick(window.canvas, Qt.Key.Key_Tab)
        views.append((window.canvas.viewport.cx, window.canvas.viewport.cy))
    assert window.canvas.hasFocus()
    assert len(set(views)) >= 2
    QTest.keyClick(window.canvas, Qt.Key.Key_Backtab, Qt.KeyboardModifier.ShiftModifier)
    assert (window.canvas.viewport.cx, window.canvas.viewport.cy) == pytest.approx(views[1])


def test_tab_outside_the_slide_still_goes_from_field_to_field_of_the_form(window, open_slide, slide_file):
    open_slide(slide_file)
    window.commands["case_details"].trigger()
    first = window.focusWidget()
    assert isinstance(first, QLineEdit)
    QTest.keyClick(first, Qt.Key.Key_Tab)
    assert isinstance(window.focusWidget(), QLineEdit)
    assert window.focusWidget() is not first


def test_letters_typed_into_a_field_are_text(window, open_slide, slide_file):
    open_slide(slide_file)
    window.commands["case_details"].trigger()
    field = window.focusWidget()
    QTest.keyClicks(field, "bp24-1x0 roh?")
    assert field.text() == "bp24-1x0 roh?"
    assert window.toolbox.current.id == "select"
    assert window.canvas.viewport.rotation == 0
    comment = window.panels.reading.findChild(QPlainTextEdit)
    comment.setFocus()
    QTest.keyClicks(comment, "top 10 fields")
    QTest.keyClick(comment, Qt.Key.Key_Return)
    assert comment.toPlainText() == "top 10 fields\n"


def test_enter_says_what_is_missing(window, open_slide, slide_file):
    QTest.keyClick(window.canvas, Qt.Key.Key_Return)
    assert "Open a slide first" in messages(window)
    open_slide(slide_file)
    QTest.keyClick(window.canvas, Qt.Key.Key_Return)
    assert "Outline the invasive carcinoma first" in messages(window)


# --- states ----------------------------------------------------------------------------------------------------


def test_each_state_has_its_sentence(window, open_slide, slide_file):
    assert window.card.isVisible()
    assert window.messages.hint == ""
    open_slide(slide_file)
    assert not window.card.isVisible()
    assert window.messages.hint.startswith("Outline the invasive carcinoma")
    outline(window)
    assert window.messages.hint.startswith("Press Enter to score")
    window.session.set_locked(True)
    assert window.messages.hint.startswith("Read and signed")
    assert not window.commands["tool_brush"].isEnabled()
    window.session.set_locked(False)
    window.commands["close_slide"].trigger()
    assert window.card.isVisible()
    assert window.messages.hint == ""


def test_the_title_names_case_and_slide(window, qtbot, open_slide, slide_file):
    open_slide(slide_file)
    assert "discs.ome.tif" in window.windowTitle()
    window.keeper.update(fields={"case_id": "24-1187"})
    assert "case 24-1187" in window.windowTitle()
    assert window.isWindowModified()
    qtbot.waitUntil(lambda: window.keeper.state == "saved", timeout=PATIENCE_MS)
    assert not window.isWindowModified()


def test_research_use_is_said_on_the_first_page_and_beside_the_answer(window):
    card = [label.text() for label in window.card.findChildren(QLabel)]
    answer = [label.text() for label in window.panels.right.findChildren(QLabel)]
    assert any("research use only" in text for text in card)
    assert any("research use only" in text for text in answer)


# --- opening ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_slide_is_refused_and_the_slide_stays(window, qtbot, open_slide, slide_file, tmp_path):
    open_slide(slide_file)
    bad = tmp_path / "notes.svs"
    bad.write_text("no slide at all")
    window.open_slide(bad)
    qtbot.waitUntil(lambda: "stays open" in messages(window), timeout=PATIENCE_MS)
    assert shows(window, slide_file)
    assert "Traceback" not in messages(window)


def test_a_file_that_is_gone_is_said_in_a_sentence(window, qtbot, tmp_path):
    window.open_slide(tmp_path / "gone.svs")
    qtbot.waitUntil(lambda: bool(window.messages.shown), timeout=PATIENCE_MS)
    assert "gone.svs" in messages(window)
    assert window.card.isVisible()


def test_dropping_a_slide_opens_it_and_dropping_outlines_adds_them(window, qtbot, slide_file, tmp_path):
    from her2viewer.cases.geojson import write_geojson

    def drop(path: Path) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        enter = QDragEnterEvent(QPoint(50, 50), Qt.DropAction.CopyAction, data, buttons, keys)
        window.canvas.dragEnterEvent(enter)
        assert enter.isAccepted()
        event = QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, data, buttons, keys)
        window.canvas.dropEvent(event)

    drop(slide_file)
    qtbot.waitUntil(lambda: shows(window, slide_file), timeout=PATIENCE_MS)
    outlines = tmp_path / "roi.geojson"
    write_geojson(outlines, [Annotation.drawn(shapely.box(10, 10, 400, 300), Role.ROI)])
    drop(outlines)
    qtbot.waitUntil(lambda: len(window.session.annotations) == 1, timeout=PATIENCE_MS)
    assert "1 outline was added" in messages(window)
    drop(outlines)
    qtbot.waitUntil(lambda: "here already" in messages(window), timeout=PATIENCE_MS)
    assert len(window.session.annotations) == 1


def test_a_slide_without_pixel_size_asks_once_and_keeps_the_answer(
    window, qtbot, open_slide, tmp_path, own_user_folders
):
    path = write_slide(tmp_path / "nompp.ome.tif", None)
    open_slide(path)
    dialog = window.findChild(PixelSizeDialog)
    assert dialog is not None
    assert dialog.isVisible()
    assert window.session.pixel_size is None
    for text in ("40x", "Use this"):
        next(b for b in dialog.findChildren(QPushButton) if b.text().startswith(text)).click()
    assert window.session.pixel_size.mpp == pytest.approx(0.25)
    assert "entered by user" in window.status._scale.text()
    identity = window.session.slide.identity
    qtbot.waitUntil(lambda: PixelSizeStore().get(identity) is not None, timeout=PATIENCE_MS)
    window.commands["close_slide"].trigger()
    open_slide(path)
    assert not any(d.isVisible() for d in window.findChildren(PixelSizeDialog))
    assert window.session.pixel_size.mpp == pytest.approx(0.25)


def test_without_a_pixel_size_nothing_is_scored_and_the_window_says_why(window, qtbot, open_slide, tmp_path):
    open_slide(write_slide(tmp_path / "nompp.ome.tif", None))
    window.findChild(PixelSizeDialog).reject()
    assert "in pixels" in messages(window)
    qtbot.waitUntil(window.canvas.hasFocus)
    outline(window)
    assert "pixel size is unknown" in window.messages.hint
    assert "pixel size unknown" in window.status._scale.text()
    QTest.keyClick(window.canvas, Qt.Key.Key_Return)
    assert "Enter the pixel size" in messages(window)


def test_an_implausible_pixel_size_is_questioned_before_it_is_used(window, open_slide, tmp_path):
    open_slide(write_slide(tmp_path / "far.ome.tif", 124.0))
    dialog = window.findChild(PixelSizeDialog)
    assert "124" in dialog.findChildren(type(window.status._scale).__mro__[1])[0].text()
    assert window.session.pixel_size is None
    next(b for b in dialog.findChildren(QPushButton) if b.text().startswith("Keep")).click()
    assert window.session.pixel_size.mpp == pytest.approx(124)


def test_opening_the_next_slide_keeps_the_outlines_of_the_first(window, qtbot, open_slide, slide_file, tmp_path):
    open_slide(slide_file)
    outline(window)
    other = write_slide(tmp_path / "other.ome.tif", 0.25)
    open_slide(other)
    assert len(window.session.annotations) == 0
    open_slide(slide_file)
    assert len(window.session.annotations) == 1


def test_recent_slides_are_listed_and_those_that_are_gone_are_greyed(window, qtbot, open_slide, tmp_path):
    path = write_slide(tmp_path / "soon_gone.ome.tif", 0.5)
    open_slide(path)
    window.commands["close_slide"].trigger()
    qtbot.waitUntil(lambda: not window.storage.busy, timeout=PATIENCE_MS)
    path.unlink()
    window.recent.check()
    qtbot.waitUntil(lambda: window.recent.missing(path), timeout=PATIENCE_MS)
    window.menus.sub["recent"].aboutToShow.emit()
    entry = window.menus.sub["recent"].actions()[0]
    assert "soon_gone" in entry.text()
    assert not entry.isEnabled()
    button = next(b for b in window.card.findChildren(QPushButton) if "soon_gone" in b.text())
    assert not button.isEnabled()
    assert "no longer there" in button.toolTip()


def test_the_open_dialog_opens_what_is_chosen(window, qtbot, slide_file):
    window.commands["open"].trigger()
    dialog = window.findChild(QFileDialog)
    assert "*.svs" in dialog.nameFilters()[0]
    dialog.fileSelected.emit(str(slide_file))
    dialog.reject()
    qtbot.waitUntil(lambda: shows(window, slide_file), timeout=PATIENCE_MS)


SLIDES = (
    "whole-slide/cmu_small_region.svs",
    "whole-slide/tcga_no_mpp.svs",
    "whole-slide/cmu_embedded_icc.tif",
    "whole-slide/os2_ki67_ndpi.ome.tif",
    "whole-slide/dicom_mpp_124.dcm",
    "images/skimage_ihc.png",
    "images/kidney-48-5.tif",
)


@pytest.mark.parametrize("name", SLIDES)
def test_real_slides_open_in_the_window(window, qtbot, open_slide, shared_slides, tmp_path, name):
    copy = tmp_path / Path(name).name
    copy.write_bytes((shared_slides / name).read_bytes())
    open_slide(copy)
    for dialog in window.findChildren(PixelSizeDialog):
        dialog.reject()
    qtbot.waitUntil(lambda: window.canvas.sharp, timeout=PATIENCE_MS)
    assert not [m for m in window.messages.shown if m.property("kind") == "error"]


def test_unreadable_slides_end_in_a_sentence_or_open(window, qtbot, shared_slides, tmp_path):
    for file in sorted((shared_slides / "unreadable").iterdir()):
        copy = tmp_path / file.name
        copy.write_bytes(file.read_bytes())
        window.messages.clear()
        window.open_slide(copy)
        qtbot.waitUntil(lambda path=copy: shows(window, path) or bool(window.messages.shown), timeout=PATIENCE_MS)
        for dialog in window.findChildren(PixelSizeDialog):
            dialog.reject()
        text = messages(window)
        assert "Traceback" not in text
        assert "Error(" not in text


def test_the_colour_profile_is_applied_when_wanted_and_the_state_is_visible(
    window, qtbot, open_slide, shared_slides, tmp_path
):
    copy = tmp_path / "icc.tif"
    copy.write_bytes((shared_slides / "whole-slide" / "cmu_embedded_icc.tif").read_bytes())
    open_slide(copy)
    for dialog in window.findChildren(PixelSizeDialog):
        dialog.reject()
    qtbot.waitUntil(lambda: window.canvas.sharp, timeout=PATIENCE_MS)
    assert window.status._colours.text() == "colours: raw"
    raw = window.canvas.grab_view().copy()
    window.commands["icc"].trigger()
    assert window.status._colours.text() == "colours: ICC applied"
    qtbot.waitUntil(lambda: window.canvas.sharp, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: window.canvas.grab_view() != raw, timeout=PATIENCE_MS)


def test_label_and_macro_are_shown_and_enlarged(window, qtbot, open_slide, shared_slides, tmp_path):
    copy = tmp_path / "cmu.svs"
    copy.write_bytes((shared_slides / "whole-slide" / "cmu_small_region.svs").read_bytes())
    open_slide(copy)
    buttons = list(window.panels.slides._buttons)
    assert {b.text() for b in buttons} == {"Label", "Macro"}
    buttons[0].click()
    assert any("Label image" in d.windowTitle() for d in window.findChildren(QDialog))


# --- looks -----------------------------------------------------------------------------------------------------


def test_hidden_panels_give_their_room_to_the_slide(window, qtbot):
    QApplication.processEvents()
    before = window.canvas.width()
    window.commands["left_column"].trigger()
    QApplication.processEvents()
    assert window.canvas.width() > before + 200
    window.commands["right_column"].trigger()
    QApplication.processEvents()
    assert window.canvas.width() == window.width()
    window.commands["left_column"].trigger()
    for action in window.menus.sub["panels"].actions():
        if action.text() in ("Slides", "Case", "Regions", "Layers"):
            action.trigger()
    assert window.panels.left.isHidden()


def test_what_was_hidden_stays_hidden_at_the_next_start(qtbot):
    first = MainWindow()
    qtbot.addWidget(first)
    first.show()
    first.commands["toolbar"].trigger()
    next(a for a in first.menus.sub["panels"].actions() if a.text() == "Why").trigger()
    first.commands["theme_light"].trigger()
    first.close()
    second = MainWindow()
    qtbot.addWidget(second)
    second.show()
    assert second.bar.isHidden()
    assert second.panels["Why"].isHidden()
    assert not second.panels["Answer"].isHidden()
    assert second.settings.text("theme") == "light"
    second.commands["theme_dark"].trigger()
    assert tokens().name == "dark"


def test_class_colours_are_the_same_everywhere(window):
    palettes = {a.objectName(): a for a in window.menus.sub["palette"].actions()}
    palettes["palette_qupath"].trigger()
    assert window.evidence.palette == "qupath"
    assert window.exporting.palette == "qupath"
    assert window.settings.text("palette") == "qupath"


def test_full_screen_is_left_with_escape(window, qtbot):
    window.commands["full_screen"].trigger()
    assert window.isFullScreen()
    window.commands["cancel"].trigger()
    assert not window.isFullScreen()


def test_an_error_that_nobody_caught_becomes_a_sentence_and_a_log_entry(window, own_user_folders, caplog):
    import sys

    catcher = ErrorCatcher(window.show_error)
    try:
        try:
            raise RuntimeError("inner detail")
        except RuntimeError:
            sys.excepthook(*sys.exc_info())
    finally:
        catcher.release()
    assert "Something went wrong inside the program" in messages(window)
    assert "inner detail" not in messages(window)
    assert "inner detail" in caplog.text


def test_closing_ends_all_threads(qtbot, slide_file):
    made = MainWindow()
    qtbot.addWidget(made)
    made.show()
    made.open_slide(slide_file)
    made.close()
    assert not made.storage.isRunning()
    assert made.session.slide is None


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_a_right_click_on_an_outline_offers_what_can_be_done_with_it(window, qtbot, open_slide, slide_file):
    open_slide(slide_file)
    outline(window)
    window.session.select(())
    window.commanding.show_context_menu(500, 400, window.canvas.mapToGlobal(QPoint(50, 50)))
    menu = QApplication.activePopupWidget()
    assert "Delete" in [a.text() for a in menu.actions()]
    assert len(window.session.selection) == 1
    menu.close()
    window.commanding.show_context_menu(5, 5, window.canvas.mapToGlobal(QPoint(50, 50)))
    menu = QApplication.activePopupWidget()
    assert window.commands["fit"] in menu.actions()
    menu.close()


def test_messages_stand_below_one_another_and_beside_the_map(window, qtbot, open_slide, slide_file):
    open_slide(slide_file)
    for n in range(5):
        window.messages.show_message(
            f"Sentence {n} that is long enough to need more than one line in a narrow window. " * 2
        )
    QApplication.processEvents()
    shown = window.messages.shown
    assert [m.text.split()[1] for m in shown] == ["2", "3", "4"]
    boxes = [m.geometry() for m in shown]
    assert all(b.height() > 30 for b in boxes)
    assert all(a.bottom() < b.top() for a, b in pairwise(boxes))
    assert window.messages.geometry().right() < window.canvas.overview.geometry().left()
    for message in shown:
        message.dismiss()
    assert window.messages.shown == ()
    assert window.messages.height() < 60


# --- what to do next -------------------------------------------------------------------------------------------


def click_corners(qtbot, window: MainWindow, *corners: tuple[int, int]) -> None:
    window.commands["tool_polygon"].trigger()
    for x, y in corners:
        qtbot.mouseClick(window.canvas, Qt.MouseButton.LeftButton, pos=QPoint(x, y))


def test_a_begun_outline_says_how_to_close_it(qtbot, window, slide_file, open_slide):
    open_slide(slide_file)
    middle = window.canvas.rect().center()
    x, y = middle.x(), middle.y()
    click_corners(qtbot, window, (x - 60, y - 60))
    assert window.messages.hint.startswith("Double click or Enter closes")
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    assert window.messages.hint.startswith("Outline the invasive carcinoma")
    click_corners(qtbot, window, (x - 60, y - 60), (x + 60, y - 60))
    assert window.messages.hint.startswith("Double click or Enter closes")
    qtbot.mouseDClick(window.canvas, Qt.MouseButton.LeftButton, pos=QPoint(x + 60, y + 60))
    assert window.messages.hint.startswith("Press Enter to score")
    assert len(window.session.annotations) == 1


def test_the_readout_gives_what_the_scorer_saw_and_the_outline_around_it(qtbot, window, slide_file, open_slide):
    open_slide(slide_file)
    outline(window)
    grid = Grid(0.0, 0.0, 100.0, 12, 9)
    window.evidence.append((Heatmap("Mean membrane OD", grid, np.full((9, 12), 0.42, np.float32), "OD", 0.0, 1.0),))
    window.canvas.cursor_moved.emit(400.0, 400.0)
    said = window.status.findChild(QLabel, "readout")
    assert said.toolTip().startswith("Mean membrane OD 0.42  |  Invasive carcinoma ")
    window.canvas.cursor_moved.emit(50.0, 50.0)
    assert said.toolTip() == "Mean membrane OD 0.42"
    window.commands["overlays"].trigger()
    window.canvas.cursor_moved.emit(400.0, 400.0)
    assert said.toolTip() == ""
    window.evidence.clear()


def test_numbers_leave_a_corner_that_is_taken_back(qtbot, window, slide_file, open_slide):
    open_slide(slide_file)
    middle = window.canvas.rect().center()
    x, y = middle.x(), middle.y()
    click_corners(qtbot, window, (x - 60, y - 60), (x + 60, y - 60), (x + 60, y + 60))
    qtbot.waitUntil(lambda: not window.session.region.empty)
    QTest.keyClick(window.canvas, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: window.session.region.empty)


def test_the_run_button_closes_the_begun_outline_first(qtbot, window, slide_file, open_slide, monkeypatch):
    open_slide(slide_file)
    begun = []
    watcher = window.controller._watcher
    monkeypatch.setattr(watcher, "start_run", lambda run: begun.append(len(window.session.annotations)))
    middle = window.canvas.rect().center()
    x, y = middle.x(), middle.y()
    click_corners(qtbot, window, (x - 60, y - 60), (x + 60, y - 60), (x + 60, y + 60))
    button = window.panels.scorers.findChild(QPushButton, "primaryButton")
    qtbot.waitUntil(button.isEnabled)
    button.click()
    assert begun == [1]


def test_hidden_overlays_say_how_they_come_back_and_move_nothing(qtbot, window, slide_file, open_slide):
    open_slide(slide_file)
    outline(window)
    QApplication.processEvents()
    places = [w.geometry() for w in window.panels.layers.findChildren(QLabel)]
    window.commands["overlays"].trigger()
    assert window.messages.hint == "All overlays are hidden: O shows them"
    QApplication.processEvents()
    assert [w.geometry() for w in window.panels.layers.findChildren(QLabel)] == places
    window.commands["overlays"].trigger()
    assert window.messages.hint.startswith("Press Enter to score")


def test_the_reading_stays_under_the_pointer_while_the_answer_above_it_grows(qtbot, window, slide_file, open_slide):
    open_slide(slide_file)
    window.resize(1280, 620)
    reading = window.panels["Your reading"]
    window.panels.why.setMinimumHeight(500)
    qtbot.waitUntil(lambda: window.panels.right.verticalScrollBar().maximum() > 100)
    window.panels.right.verticalScrollBar().setValue(400)
    box = window.panels.reading.findChild(QComboBox)
    box.setFocus()
    before, inside = reading.mapTo(window, QPoint()).y(), reading.y()
    window.panels.why.setMinimumHeight(580)
    qtbot.waitUntil(lambda: reading.y() == inside + 80)
    qtbot.waitUntil(lambda: reading.mapTo(window, QPoint()).y() == before)
    # Who works elsewhere sees the answer, not the form.
    window.canvas.setFocus()
    window.panels.why.setMinimumHeight(630)
    qtbot.waitUntil(lambda: reading.mapTo(window, QPoint()).y() == before + 50)


def test_the_start_card_has_room_for_recent_slides_also_when_they_are_looked_up_again(qtbot, window, tmp_path):
    for name in ("one.svs", "two.svs", "three.svs"):
        window.recent.add(tmp_path / name)
    window.storage.drain()
    QApplication.processEvents()
    window.recent.check()
    window.storage.drain()
    QApplication.processEvents()
    shown = [b for b in window.card.findChildren(QPushButton) if not b.isHidden()]
    assert sum("(not found)" in b.text() for b in shown) == 3
    places = sorted((b.geometry() for b in shown if "not found" in b.text()), key=lambda r: r.y())
    assert all(above.bottom() < below.top() for above, below in pairwise(places))
    assert all(place.height() >= 16 for place in places)


def test_a_message_is_no_taller_than_its_sentence(qtbot, window):
    apply_theme(QApplication.instance(), "dark")
    message = window.messages.show_message(
        "A sentence with two words more than one line of it can hold. " * 2, "error"
    )
    QApplication.processEvents()
    lines = message.findChildren(QLabel)[0]
    assert message.height() <= lines.heightForWidth(lines.width()) + 24


def test_a_case_that_is_open_elsewhere_is_told_once(qtbot, window, slide_file, open_slide):
    from her2viewer.slides.open import open_slide as read

    with read(slide_file) as slide:
        identity = slide.identity
    holder = (
        "import sys; from her2viewer.cases.case import Case; from her2viewer.cases.store import CaseStore\n"
        "CaseStore.for_slide(sys.argv[1], sys.argv[2]).save(Case())\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(slide_file), identity],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        open_slide(slide_file)
        qtbot.waitUntil(lambda: "another window" in messages(window), timeout=PATIENCE_MS)
        window.storage.drain()
        assert len(window.messages.shown) == 1
        process.kill()
