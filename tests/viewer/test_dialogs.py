"""Dialogs: pixel size, slide information, help."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTextBrowser,
)

from her2viewer import RESEARCH_USE, __version__
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.viewer.dialogs.help import AboutDialog, GuideDialog, ShortcutsDialog
from her2viewer.viewer.dialogs.pixel_size import PixelSizeDialog
from her2viewer.viewer.dialogs.slide_info import ImageDialog, SlideInfoDialog


def words(dialog) -> str:
    return " ".join(label.text() for label in dialog.findChildren(QLabel))


def press(dialog, text: str) -> None:
    next(b for b in dialog.findChildren(QPushButton) if b.text().startswith(text)).click()


def ask(qtbot, found=None, power=None) -> PixelSizeDialog:
    dialog = PixelSizeDialog("slide.svs", 20_000, 10_000, found=found, objective_power=power)
    qtbot.addWidget(dialog)
    dialog.open()
    return dialog


def test_the_pixel_size_is_asked_with_a_hint_from_the_objective(qtbot):
    dialog = ask(qtbot, power=20.0)
    assert dialog.findChild(QDoubleSpinBox).value() == pytest.approx(0.5)
    assert "20x objective" in words(dialog)
    assert "10.0 x 5.0 mm" in words(dialog)
    press(dialog, "Use this")
    assert dialog.chosen == PixelSize(0.5, 0.5, PixelSizeSource.USER, "entered in the window")


def test_what_the_slide_would_measure_follows_the_number(qtbot):
    dialog = ask(qtbot)
    press(dialog, "20x")
    assert "10.0 x 5.0 mm, scanned at about 20x" in words(dialog)
    press(dialog, "40x")
    assert "5.0 x 2.5 mm, scanned at about 40x" in words(dialog)


def test_the_question_can_be_left_open(qtbot):
    dialog = ask(qtbot)
    press(dialog, "Not now")
    assert dialog.chosen is None
    assert not dialog.isVisible()


def test_an_implausible_pixel_size_is_questioned_and_can_be_kept(qtbot):
    found = PixelSize(124, 124, PixelSizeSource.FILE)
    dialog = ask(qtbot, found=found)
    assert "not a slide scanner's pixel size" in words(dialog)
    press(dialog, "Keep 124")
    assert dialog.chosen is found


def test_only_a_plausible_number_can_be_used(qtbot):
    dialog = ask(qtbot)
    box = dialog.findChild(QDoubleSpinBox)
    use = next(b for b in dialog.findChildren(QPushButton) if b.text().startswith("Use this"))
    box.setValue(500)
    assert box.value() == 20
    assert use.isEnabled()
    box.setValue(0.001)
    assert not use.isEnabled()


def test_no_number_is_made_up_where_the_file_gives_no_hint(qtbot):
    dialog = ask(qtbot)
    assert not next(b for b in dialog.findChildren(QPushButton) if b.text().startswith("Use this")).isEnabled()
    assert "Type the number" in words(dialog)
    press(dialog, "40x")
    press(dialog, "Use this")
    assert dialog.chosen is not None
    assert dialog.chosen.mpp == pytest.approx(0.25)


def test_slide_information_shows_and_filters_what_the_file_says(qtbot, shared_slides):
    from her2viewer.slides.open import open_slide

    with open_slide(shared_slides / "whole-slide" / "cmu_small_region.svs") as slide:
        dialog = SlideInfoDialog(slide, slide.pixel_size)
        qtbot.addWidget(dialog)
        dialog.show()
        tables = dialog.findChildren(QTableWidget)
        cells = {t.item(r, 0).text(): t.item(r, 1).text() for t in tables for r in range(t.rowCount())}
        assert cells["Identity"] == slide.identity
        assert cells["Size"] == "2,220 x 2,967 px"
        properties = next(t for t in tables if t.rowCount() == len(slide.properties))
        dialog.findChild(QLineEdit).setText("mpp aperio")
        shown = [properties.item(r, 0).text() for r in range(properties.rowCount()) if not properties.isRowHidden(r)]
        assert "aperio.MPP" in shown
        assert len(shown) < 6


def test_an_image_larger_than_the_screen_is_shown_whole(qtbot):
    image = QImage(6000, 3000, QImage.Format.Format_RGB32)
    image.fill(0)
    dialog = ImageDialog("Macro image", image)
    qtbot.addWidget(dialog)
    dialog.show()
    room = dialog.screen().availableSize()
    assert dialog.width() <= room.width()
    assert dialog.height() <= room.height()
    assert "6,000 x 3,000 px" in words(dialog)


def test_about_says_what_it_is_for_and_its_versions(qtbot):
    dialog = AboutDialog()
    qtbot.addWidget(dialog)
    text = words(dialog)
    assert RESEARCH_USE in text
    assert __version__ in text
    assert "Apache-2.0" in text
    assert "OpenSlide" in text


def test_keys_are_listed_by_menu(qtbot):
    dialog = ShortcutsDialog([("View", [("R", "Rotate right")]), ("ROI", [("P", "Polygon")])])
    qtbot.addWidget(dialog)
    text = words(dialog)
    assert "Rotate right" in text
    assert "Polygon" in text


def test_the_guide_opens_without_a_network_and_names_the_keys(qtbot):
    dialog = GuideDialog()
    qtbot.addWidget(dialog)
    text = dialog.findChild(QTextBrowser).toPlainText()
    assert "Outline the invasive carcinoma" in text
    assert RESEARCH_USE in text
    dialog.open()
    dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Close).click()
    assert not dialog.isVisible()
