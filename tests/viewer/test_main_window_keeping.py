"""What the window keeps: outlines within a second, case fields, results, reports; and what it says when it cannot."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFileDialog, QPushButton

from her2viewer.cases.geojson import read_geojson, write_geojson
from her2viewer.cases.store import CaseStore
from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.result import Provenance, Result
from her2viewer.viewer.main_window import MainWindow

PATIENCE_MS = 20_000


@pytest.fixture
def slide_file(tmp_path) -> Path:
    """A small tiled TIFF with a pixel size of 0.5 um."""
    import tifffile

    pixels = np.full((800, 1000, 3), (238, 236, 240), np.uint8)
    pixels[200:600, 300:700] = (170, 120, 80)
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    path = tmp_path / "slide.ome.tif"
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", ome=True, metadata=metadata)
    return path


@pytest.fixture
def new_window(qtbot) -> Iterator:
    made: list[MainWindow] = []

    def make(path: Path) -> MainWindow:
        window = MainWindow()
        window.controller.warm_up = lambda: None
        window.exporting.native_dialogs = False
        qtbot.addWidget(window)
        made.append(window)
        window.show()
        window.open_slide(path)
        qtbot.waitUntil(lambda: window.session.slide is not None, timeout=PATIENCE_MS)
        return window

    yield make
    for window in made:
        for dialog in window.findChildren(QDialog):
            dialog.reject()


def square(x: float, y: float, side: float = 200) -> Annotation:
    return Annotation.drawn(shapely.box(x, y, x + side, y + side), Role.ROI)


def cells_result(window: MainWindow) -> Result:
    """A result as the membrane scorer gives it: 300 cells of which 60 are 3+."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(310, 690, (2, 300)).astype(np.float32)
    table = CellTable("cells", CELL_SCHEME, x, y, np.repeat(np.array([3, 0], np.uint8), [60, 240]))
    origin = Provenance(
        scorer="membrane",
        scorer_version="1",
        program_version="0",
        slide_identity=window.session.slide.identity,
        region_hash=window.session.region.hash,
        mpp=0.5,
        mpp_source="from file",
        device="CPU",
        settings=window.controller.settings_of("membrane"),
    )
    return Result(provenance=origin, scored=window.session.region, evidence=(table,))


def saved(qtbot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: window.keeper.state == "saved" and not window.storage.busy, timeout=PATIENCE_MS)


def case_of(path: Path) -> Path:
    return path.with_name(path.name + ".her2case")


def test_looking_at_a_slide_leaves_nothing_behind(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.close()
    assert not case_of(slide_file).exists()


def test_outlines_are_on_the_disk_without_anyone_saving(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    assert window.keeper.state == "unsaved"
    file = case_of(slide_file) / "annotations.geojson"
    # Nothing but the clock saves here: this is what a killed program leaves.
    qtbot.waitUntil(file.exists, timeout=PATIENCE_MS)
    saved(qtbot, window)
    assert len(read_geojson(file)) == 1
    window.session.undo_stack.undo()
    qtbot.waitUntil(lambda: len(read_geojson(file)) == 0, timeout=PATIENCE_MS)


def test_edits_without_a_pause_are_saved_on_the_way(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    file = case_of(slide_file) / "annotations.geojson"
    for n in range(60):
        window.session.add(square(10 * n, 10), "Draw")
        qtbot.wait(25)
        if file.exists():
            break
    assert file.exists()


def test_closing_saves_what_the_clock_has_not(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    window.close()
    assert len(read_geojson(case_of(slide_file) / "annotations.geojson")) == 1


def test_a_case_comes_back_as_it_was(new_window, qtbot, slide_file):
    first = new_window(slide_file)
    first.session.add(square(300, 200, 400), "Draw")
    first.panels.case.edited.emit({"case_id": "24-1187", "block": "B2", "lab": "", "reader": "M. R."})
    first.controller.change_reading(
        own_score="2+", comment="basolateral", control_checked=True, marks=frozenset({"cluster"})
    )
    first.controller.restore(cells_result(first))
    first.keeper.save_result(cells_result(first))
    decision = first.controller.decision
    assert decision is not None
    first.close()
    second = new_window(slide_file)
    assert [a.geometry.bounds for a in second.session.annotations] == [(300, 200, 700, 600)]
    assert second.panels.case.values()["case_id"] == "24-1187"
    assert "case 24-1187" in second.windowTitle()
    reading = second.controller.reading
    assert (reading.own_score, reading.comment, reading.control_checked) == ("2+", "basolateral", True)
    assert reading.marks == {"cluster"}
    assert second.controller.decision == decision
    assert second.evidence.cells is not None
    # Restoring is no edit.
    assert second.keeper.state == "saved"


def test_the_audit_trail_is_whole(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    saved(qtbot, window)
    window.close()
    store = CaseStore(case_of(slide_file))
    assert store.verify().ok
    events = [json.loads(line)["event"] for line in (store.folder / "journal.jsonl").read_text().splitlines()]
    assert events[0] == "opened"
    assert "annotations saved" in events


def test_what_cannot_be_saved_is_said_once_and_tried_again(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    # A file stands where the folder of the case should be.
    blocker = case_of(slide_file)
    window.keeper.store.folder.parent.mkdir(exist_ok=True)
    blocker.write_text("in the way")
    window.session.add(square(300, 200), "Draw")
    qtbot.waitUntil(lambda: bool(window.messages.shown), timeout=PATIENCE_MS)
    assert window.messages.shown[0].property("kind") == "error"
    assert window.keeper.state == "unsaved"
    assert window.isWindowModified()
    window.session.add(square(600, 200), "Draw")
    qtbot.waitUntil(lambda: not window.storage.busy, timeout=PATIENCE_MS)
    assert len(window.messages.shown) == 1
    blocker.unlink()
    window.session.add(square(10, 200), "Draw")
    saved(qtbot, window)
    assert len(read_geojson(blocker / "annotations.geojson")) == 3


def test_the_window_does_not_close_over_what_could_not_be_saved(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    case_of(slide_file).write_text("in the way")
    window.keeper.store.folder.parent.mkdir(exist_ok=True)
    window.session.add(square(300, 200), "Draw")
    assert not window.close()
    assert window.isVisible()
    assert "could not be saved" in window.messages.shown[-1].text
    assert len(window.session.annotations) == 1
    button = next(b for b in window.messages.findChildren(QPushButton) if b.text() == "Close without saving")
    button.click()
    assert not window.isVisible()


def test_a_report_under_way_is_finished_before_the_window_goes(new_window, qtbot, slide_file, tmp_path):
    window = new_window(slide_file)
    window.session.add(square(300, 200, 400), "Draw")
    window.controller.restore(cells_result(window))
    target = tmp_path / "late.pdf"
    window.exporting.write_report("pdf", target)
    window.close()
    assert target.read_bytes().startswith(b"%PDF")


def test_a_damaged_case_opens_with_a_sentence(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    window.close()
    (case_of(slide_file) / "annotations.geojson").write_text('{"type": "Fea')
    again = new_window(slide_file)
    assert len(again.session.annotations) == 0
    assert "cannot be read" in " ".join(m.text for m in again.messages.shown)


def test_a_signed_case_is_not_imported_into(new_window, qtbot, slide_file, tmp_path):
    window = new_window(slide_file)
    window.session.set_locked(True)
    window.exporting.import_file(tmp_path / "any.geojson")
    assert "amend" in window.messages.shown[-1].text


def test_outlines_go_out_and_come_back(new_window, qtbot, slide_file, tmp_path):
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    target = tmp_path / "out.geojson"
    window.commands["export"].trigger()
    dialog = window.findChild(QFileDialog)
    dialog.fileSelected.emit(str(target))
    dialog.reject()
    qtbot.waitUntil(target.exists, timeout=PATIENCE_MS)
    window.session.undo_stack.undo()
    window.commands["import"].trigger()
    window.findChildren(QFileDialog)[-1].fileSelected.emit(str(target))
    qtbot.waitUntil(lambda: len(window.session.annotations) == 1, timeout=PATIENCE_MS)
    assert window.session.undo_stack.undoText() == "Import out.geojson"


def test_outlines_of_another_slide_are_questioned(new_window, qtbot, slide_file, tmp_path):
    window = new_window(slide_file)
    far = tmp_path / "far.geojson"
    write_geojson(far, [square(90_000, 90_000)])
    window.exporting.import_file(far)
    qtbot.waitUntil(lambda: bool(window.messages.shown), timeout=PATIENCE_MS)
    assert "is it the right file?" in window.messages.shown[-1].text


def test_a_file_that_is_no_geojson_is_refused(new_window, qtbot, slide_file, tmp_path):
    window = new_window(slide_file)
    bad = tmp_path / "bad.geojson"
    bad.write_text("not json")
    window.exporting.import_file(bad)
    qtbot.waitUntil(lambda: bool(window.messages.shown), timeout=PATIENCE_MS)
    assert "no GeoJSON file" in window.messages.shown[-1].text
    assert len(window.session.annotations) == 0


@pytest.mark.parametrize(("kind", "start"), [("pdf", b"%PDF"), ("json", b"{"), ("csv", b"x_px")])
def test_reports_are_written_in_the_background(new_window, qtbot, slide_file, tmp_path, kind, start):
    window = new_window(slide_file)
    assert window.exporting.obstacle(kind)
    window.session.add(square(300, 200, 400), "Draw")
    window.controller.restore(cells_result(window))
    assert window.exporting.obstacle(kind) == ""
    window.commands[f"report_{kind}"].trigger()
    dialog = window.findChild(QFileDialog)
    assert dialog.selectedFiles()[0].startswith(str(slide_file.parent / "slide"))
    target = tmp_path / f"report.{kind}"
    dialog.fileSelected.emit(str(target))
    dialog.reject()
    qtbot.waitUntil(lambda: any(m.property("kind") == "done" for m in window.messages.shown), timeout=60_000)
    assert target.read_bytes().startswith(start)
    assert "report" in window.messages.shown[-1].text


def test_a_report_that_cannot_be_written_is_said(new_window, qtbot, slide_file, tmp_path):
    window = new_window(slide_file)
    window.session.add(square(300, 200, 400), "Draw")
    window.exporting.write_report("json", tmp_path / "no" / "such" / "folder" / "r.json")
    qtbot.waitUntil(lambda: bool(window.messages.shown), timeout=PATIENCE_MS)
    assert window.messages.shown[-1].property("kind") == "error"


def test_the_decisive_field_is_shown_at_working_magnification(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.session.add(square(300, 200, 400), "Draw")
    window.controller.restore(cells_result(window))
    window.commands["go_decisive"].trigger()
    view = window.canvas.viewport
    assert window.canvas.magnification == pytest.approx(20)
    assert 300 < view.cx < 700
    assert 200 < view.cy < 600


def test_the_region_of_the_sample_is_outlined_once(qtbot, own_user_folders):
    window = MainWindow()
    window.controller.warm_up = lambda: None
    qtbot.addWidget(window)
    window.show()
    window.open_sample()
    qtbot.waitUntil(lambda: len(window.session.annotations) > 0, timeout=PATIENCE_MS)
    assert window.session.slide.path.is_relative_to(own_user_folders)
    assert window.session.pixel_size is not None
    outlined = window.session.annotations
    saved(qtbot, window)
    window.close()
    again = MainWindow()
    again.controller.warm_up = lambda: None
    qtbot.addWidget(again)
    again.show()
    again.open_sample()
    qtbot.waitUntil(lambda: again.session.slide is not None, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not again.storage.busy, timeout=PATIENCE_MS)
    assert len(again.session.annotations) == len(outlined)


def test_a_slide_opened_again_at_once_shows_what_is_still_being_saved(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    saved(qtbot, window)
    gate = threading.Event()
    window.storage.submit("Writing something large", lambda: gate.wait(30))
    window.session.add(square(600, 500), "Draw")
    window.flow.close()
    window.open_slide(slide_file)
    # The slide itself opens within this time; its case is not read before it is whole.
    qtbot.wait(500)
    gate.set()
    qtbot.waitUntil(lambda: window.session.slide is not None, timeout=PATIENCE_MS)
    assert len(window.session.annotations) == 2


def test_a_result_that_waits_for_the_disk_is_not_replaced_by_that_of_the_next_slide(new_window, qtbot, slide_file):
    second = slide_file.with_name("second.ome.tif")
    second.write_bytes(slide_file.read_bytes() + b"another slide")
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    saved(qtbot, window)
    gate = threading.Event()
    window.storage.submit("Writing something large", lambda: gate.wait(30))
    window.keeper.save_result(cells_result(window))
    window.open_slide(second)
    qtbot.waitUntil(lambda: window.session.slide is not None and window.session.slide.path == second)
    window.session.add(square(300, 200), "Draw")
    window.keeper.save_result(cells_result(window))
    gate.set()
    saved(qtbot, window)
    assert (case_of(second) / "results" / "membrane.h5").exists()
    assert (case_of(slide_file) / "results" / "membrane.h5").exists()


def test_a_result_that_could_not_be_saved_is_tried_again(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    window.session.add(square(300, 200), "Draw")
    saved(qtbot, window)
    in_the_way = case_of(slide_file) / "results"
    in_the_way.write_text("a file where a folder is needed")
    window.keeper.save_result(cells_result(window))
    qtbot.waitUntil(lambda: window.keeper.state == "unsaved")
    assert any("folder is needed" in message.text for message in window.messages.shown)
    in_the_way.unlink()
    window.keeper.flush()
    saved(qtbot, window)
    assert (in_the_way / "membrane.h5").exists()


def test_what_was_just_moved_by_the_arrow_keys_is_kept_on_closing(new_window, qtbot, slide_file):
    window = new_window(slide_file)
    roi = square(300, 200)
    window.session.add(roi, "Draw")
    qtbot.waitUntil(lambda: window.toolbox.select._viewport is not None)
    qtbot.keyClick(window.canvas, Qt.Key.Key_Right)
    window.close()
    (kept,) = read_geojson(case_of(slide_file) / "annotations.geojson")
    assert kept.geometry.bounds[0] > 300
