"""Calibrating in the window: the dialog runs the real command on drawn slides."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QPushButton, QTableWidget

from her2viewer.scoring.calibration_file import read_calibration
from her2viewer.scoring.registry import find_scorer
from her2viewer.viewer.dialogs.calibrate import CalibrateDialog
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session
from tests.helpers.drawn_sets import SCORES, SHARES, write_patch_set, write_set
from tests.helpers.surface_models import install

WAIT_MS = 120_000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def dialog(qtbot, home, monkeypatch) -> CalibrateDialog:
    monkeypatch.setenv("HER2VIEWER_HOME", str(home))
    manifest = find_scorer("membrane")
    found = CalibrateDialog(manifest, manifest.complete({"intense": 1.2}))
    found.native_dialogs = False
    qtbot.addWidget(found)
    found.open()
    return found


def button(dialog: CalibrateDialog, text: str) -> QPushButton:
    return next(b for b in dialog.findChildren(QPushButton) if b.text().startswith(text))


def cells(dialog: CalibrateDialog, name: str) -> list[list[str]]:
    table = dialog.findChild(QTableWidget, name)
    return [[table.item(r, c).text() for c in range(table.columnCount())] for r in range(table.rowCount())]


def test_nothing_can_be_started_before_a_set_is_chosen(dialog, drawn):
    assert not button(dialog, "Calibrate").isEnabled()
    assert button(dialog, "Calibrate").toolTip() == "Choose a data set first"
    dialog.set_path(drawn)
    assert button(dialog, "Calibrate").isEnabled()


def test_a_calibration_shows_before_and_after_and_is_used_from_now_on(dialog, drawn, qtbot, home):
    dialog.set_path(drawn)
    button(dialog, "Calibrate").click()
    assert dialog.busy
    qtbot.waitUntil(lambda: not dialog.busy, timeout=WAIT_MS)
    assert dialog.answer is not None, dialog.says
    limits = {row[0]: row[1:] for row in cells(dialog, "calibrationLimits")}
    assert limits["Intense from"][0] == "1.2 OD"
    assert limits["Intense from"][1] != "1.2 OD"
    figures = {row[0]: row[1:] for row in cells(dialog, "calibrationFigures")}
    assert figures["Right score"][0] == "75 %"
    assert figures["Right score"][1] == "100 %"
    assert "does better" in dialog.says

    dialog.save(home / "copy.toml")
    session = Session()
    controller = ScoringController(session)
    dialog.use.connect(controller.use_calibration)
    button(dialog, "Use from now on").click()
    assert not dialog.isVisible()
    settings = controller.settings_of("membrane")
    kept = read_calibration(Path(settings["calibration"]))
    assert settings["intense"] == kept.settings["intense"]
    assert kept.sha256 == read_calibration(home / "copy.toml").sha256
    assert Path(settings["calibration"]).parent == home / "data" / "calibrations"
    controller.shutdown()


def test_cancel_ends_the_work_and_says_what_is_kept(dialog, tmp_path, qtbot):
    dialog.set_path(write_set(tmp_path / "own", SHARES[::-1], SCORES[::-1]))
    dialog.start()
    qtbot.waitUntil(lambda: dialog.says.startswith("Slide"), timeout=WAIT_MS)
    button(dialog, "Cancel").click()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=WAIT_MS)
    assert "Slides that were scored are kept" in dialog.says
    assert dialog.answer is None
    assert button(dialog, "Calibrate").isEnabled()


def test_a_set_that_will_not_do_is_refused_with_the_reason(dialog, tmp_path, qtbot):
    dialog.set_path(write_set(tmp_path / "few", SHARES[:2], SCORES[:2]))
    dialog.start()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=WAIT_MS)
    assert "too few" in dialog.says
    assert button(dialog, "Close").isEnabled()


def test_closing_while_slides_are_scored_cancels_first(dialog, drawn, qtbot):
    dialog.set_path(drawn)
    dialog.start()
    dialog.reject()
    assert dialog.isVisible()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=WAIT_MS)
    dialog.reject()
    assert not dialog.isVisible()


def test_the_factors_of_a_network_are_fitted_and_used_from_now_on(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("HER2VIEWER_HOME", str(tmp_path))
    install((1.0, 1.0, 0.5, 1.0))
    session = Session()
    controller = ScoringController(session)
    controller.set_scorer("surface")
    assert controller.calibration_problem == ""
    dialog = CalibrateDialog(controller.manifest, controller.settings_of("surface"))
    dialog.native_dialogs = False
    qtbot.addWidget(dialog)
    dialog.use.connect(controller.use_calibration)
    dialog.open()
    dialog.set_path(write_patch_set(tmp_path / "patches"))
    button(dialog, "Calibrate").click()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=2 * WAIT_MS)
    assert dialog.answer is not None, dialog.says
    factors = {row[0]: row[1:] for row in cells(dialog, "calibrationLimits")}
    assert factors["Factor of 2+"][0] == "1"
    assert float(factors["Factor of 2+"][1]) > 1.5 * float(factors["Factor of 1+"][1])
    figures = {row[0]: row[1:] for row in cells(dialog, "calibrationFigures")}
    assert figures["Guideline limits broken by"][1] == "0.0 %"
    button(dialog, "Use from now on").click()
    settings = controller.settings_of("surface")
    assert settings["factor_2"] == read_calibration(Path(settings["calibration"])).settings["factor_2"]
    controller.shutdown()
