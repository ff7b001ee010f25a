"""Models that are installed or removed in a terminal while the window is open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox, QRadioButton, QWidget
from pytestqt.qtbot import QtBot

from her2viewer.commands import models
from her2viewer.scoring.model_folder import MODEL_FILE
from her2viewer.viewer.main_window import MainWindow
from tests.helpers.surface_models import install
from tests.viewer.test_surface_window import new_window


@pytest.fixture
def lab_model(tmp_path: Path) -> Path:
    """A trained classifier of a name of its own, not installed."""
    root = install()
    folder = Path(shutil.move(root / "classifier", tmp_path / "lab"))
    path = folder / MODEL_FILE
    path.write_text(path.read_text().replace('name = "classifier"', 'name = "lab"'))
    return folder


@pytest.fixture
def window(qtbot: QtBot, lab_model: Path) -> MainWindow:
    made = new_window(qtbot)
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    qtbot.waitUntil(lambda: bool(made.panels.scorers.findChildren(QRadioButton)))
    return made


def surface(window: MainWindow) -> QRadioButton:
    titles = {e.id: e.title for e in window.controller.scorers}
    found = window.panels.scorers.findChildren(QRadioButton)
    return next(b for b in found if b.text() == titles["surface"] and b.isVisibleTo(window.panels.scorers))


def offered(window: MainWindow) -> list[str]:
    field = window.panels.scorers.form.field("classifier")
    assert isinstance(field, QComboBox)
    return [field.itemText(k) for k in range(field.count())]


def away_and_back(qtbot: QtBot, window: MainWindow) -> None:
    """The reader goes to another window and comes back."""
    other = QWidget()
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    qtbot.waitUntil(other.isActiveWindow)
    other.close()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)


def test_a_model_installed_meanwhile_can_be_chosen_when_the_reader_comes_back(
    qtbot: QtBot, window: MainWindow, lab_model: Path
) -> None:
    assert models.main(["install", str(lab_model)]) == 0
    away_and_back(qtbot, window)
    assert surface(window).isEnabled()
    surface(window).click()
    assert window.controller.scorer == "surface"
    assert "lab" in offered(window)


def test_a_model_removed_meanwhile_is_offered_no_more_and_not_kept_as_a_setting(
    qtbot: QtBot, window: MainWindow, lab_model: Path
) -> None:
    install()
    assert models.main(["install", str(lab_model)]) == 0
    away_and_back(qtbot, window)
    surface(window).click()
    window.controller.set_settings({**window.controller.settings_of("surface"), "classifier": "lab"})
    assert models.main(["remove", "lab"]) == 0
    away_and_back(qtbot, window)
    assert "lab" not in offered(window)
    assert window.controller.settings_of("surface")["classifier"] != "lab"


def test_the_menu_of_scorers_looks_for_models_as_it_opens(window: MainWindow, lab_model: Path) -> None:
    assert models.main(["install", str(lab_model)]) == 0
    window.menus.sub["scorer"].aboutToShow.emit()
    entry = next(e for e in window.controller.scorers if e.id == "surface")
    assert entry.manifest is not None
    assert "lab" in next(s for s in entry.manifest.settings if s.id == "classifier").choices


def test_without_a_change_the_list_stays_as_it_is(qtbot: QtBot, window: MainWindow) -> None:
    before, field = window.controller.scorers, surface(window)
    away_and_back(qtbot, window)
    assert window.controller.scorers is before
    assert surface(window) is field
