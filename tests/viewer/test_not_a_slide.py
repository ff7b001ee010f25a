"""What is no slide by its name leads to the command that is meant."""

from __future__ import annotations

import shapely
from PySide6.QtWidgets import QPushButton

from her2viewer.cases.geojson import write_geojson
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from tests.viewer.test_compare_window import PATIENCE_MS, new_window, slide_file, window  # noqa: F401

# ruff: noqa: F811


def test_an_outline_file_opened_as_a_slide_is_imported_by_a_button(window, qtbot, tmp_path):
    path = tmp_path / "outlines.geojson"
    write_geojson(path, AnnotationSet((Annotation.drawn(shapely.box(50, 50, 400, 400), Role.ROI),)))
    slide = window.session.slide
    window.open_slide(path)
    (message,) = [m for m in window.messages.shown if "outline file" in m.text]
    assert "Import annotations" in message.text
    message.findChild(QPushButton).click()
    qtbot.waitUntil(lambda: len(window.session.annotations) == 1, timeout=PATIENCE_MS)
    assert window.session.slide is slide


def test_the_folder_of_a_case_leads_to_its_slide(window, qtbot, slide_file):
    window.flow.close()
    assert window.session.slide is None
    window.open_slide(slide_file.with_name(slide_file.name + ".her2case"))
    (message,) = [m for m in window.messages.shown if "folder of a case" in m.text]
    assert slide_file.name in message.text
    message.findChild(QPushButton).click()
    qtbot.waitUntil(lambda: window.session.slide is not None, timeout=PATIENCE_MS)
    assert window.session.slide.path == slide_file
