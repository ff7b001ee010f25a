"""What the next stroke means: role, class and brush size, shared by all drawing tools, toolbar and canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.annotation import DEFAULT_CLASS, EXCLUSION_CLASSES, RGB, Annotation, Role

BRUSH_MIN_PX, BRUSH_MAX_PX = 4.0, 400.0
BRUSH_STEP = 1.15

ROLE_TITLES: Mapping[Role, str] = MappingProxyType(
    {
        Role.ROI: "Invasive carcinoma",
        Role.EXCLUDE: "Excluded",
        Role.CONTROL: "Control tissue",
        Role.NOTE: "Note",
    }
)
"""Roles as a pathologist calls them."""

# Far from the reds, yellows and browns of the tissue and of the HER2 classes, and from each other.
EXCLUSION_COLORS: Mapping[str, RGB] = MappingProxyType(
    {
        "In situ carcinoma": (150, 100, 230),
        "Benign gland": (0, 165, 150),
        "Artefact": (95, 100, 110),
    }
)


def class_color(role: Role, class_name: str | None) -> RGB:
    """The colour in which this program draws a class, and writes it to files."""
    usual = DEFAULT_CLASS[role][1]
    return EXCLUSION_COLORS.get(class_name or "", usual) if role is Role.EXCLUDE else usual


def title_of(annotation: Annotation) -> str:
    """What lists and labels call an annotation: its name, else its text, class or role."""
    if annotation.name:
        return annotation.name
    if annotation.role is Role.NOTE:
        return annotation.text or ROLE_TITLES[Role.NOTE]
    if annotation.class_name in (None, DEFAULT_CLASS[annotation.role][0]):
        return ROLE_TITLES[annotation.role]
    return annotation.class_name or ROLE_TITLES[annotation.role]


class DrawingState(QObject):
    """State of drawing that is not part of the case: nothing here is saved or undone."""

    changed = Signal()
    """Role, class or brush size is another."""
    begun_changed = Signal()
    """An outline was begun by its corners, or is closed or dropped again."""
    live_changed = Signal()
    """Annotations under the pointer are shown in another shape than the session's."""
    message = Signal(str)
    """A sentence for the status bar: why something was not done, or what to do next."""
    note_asked = Signal(float, float)
    """A note is wanted at this slide point (level-0 px); ask for its text without blocking."""
    note_edit_asked = Signal(str)
    """The text of the note with this id is to be edited."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._role = Role.ROI
        self._class_name: str | None = None
        self._exclusion_class = EXCLUSION_CLASSES[0]
        self._brush_px = 40.0
        self._live: Mapping[str, Annotation] = {}

    @property
    def role(self) -> Role:
        """What the next shape will be: ROI, EXCLUDE or CONTROL."""
        return self._role

    @property
    def class_name(self) -> str | None:
        """Class of the next shape; None stands for the usual class of the role."""
        return self._class_name

    def set_role(self, role: Role, class_name: str | None = None) -> None:
        """Choose what the next shape will be. Exclusions without a class take the one used last."""
        if role is Role.EXCLUDE:
            class_name = class_name or self._exclusion_class
            self._exclusion_class = class_name
        if (role, class_name) != (self._role, self._class_name):
            self._role, self._class_name = role, class_name
            self.changed.emit()

    @property
    def color(self) -> QColor:
        """Colour of the next shape."""
        return QColor(*class_color(self._role, self._class_name))

    @property
    def label(self) -> str:
        """The next shape in words, such as "Excluded: Artefact"."""
        title = ROLE_TITLES[self._role]
        return f"{title}: {self._class_name}" if self._class_name else title

    @property
    def brush_px(self) -> float:
        """Diameter of the brush, logical screen px, 4 to 400."""
        return self._brush_px

    @brush_px.setter
    def brush_px(self, value: float) -> None:
        value = min(BRUSH_MAX_PX, max(BRUSH_MIN_PX, value))
        if value != self._brush_px:
            self._brush_px = value
            self.changed.emit()

    def grow_brush(self, steps: float) -> None:
        """Larger by ``steps`` notches of the wheel, smaller where negative."""
        self.brush_px = self._brush_px * BRUSH_STEP**steps

    @property
    def live(self) -> Mapping[str, Annotation]:
        """Annotations by id as they look under the pointer right now, in place of the session's."""
        return self._live

    def set_live(self, live: Mapping[str, Annotation]) -> None:
        """Show these annotations in place of the session's until called with {}."""
        if live or self._live:
            self._live = dict(live)
            self.live_changed.emit()

    def annotation(self, geometry: BaseGeometry) -> Annotation:
        """A new annotation of the current role and class."""
        drawn = Annotation.drawn(geometry, self._role, self._class_name)
        return replace(drawn, color=class_color(self._role, self._class_name))
