"""The settings of a scorer, drawn from its manifest: the scorer brings no window code of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from her2viewer.scoring.manifest import Setting
from her2viewer.viewer.panels.calm import CalmCombo, CalmDoubleSpin, CalmSpin
from her2viewer.viewer.panels.words import label, say

_LARGE = 1_000_000


class SettingsForm(QWidget):
    """One field for each setting, in groups, with its unit, its limits and its help."""

    edited = Signal(dict)
    """All settings, each valid."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("settingsForm")
        self._settings: tuple[Setting, ...] = ()
        self._fields: dict[str, QWidget] = {}
        self._problem = label("", "red")
        self._problem.hide()
        self._reset = QPushButton("Reset to defaults")
        self._reset.setObjectName("linkButton")
        self._reset.clicked.connect(self.reset)
        self._body: QWidget | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addWidget(self._problem)
        self._column.addWidget(self._reset)

    @property
    def values(self) -> dict[str, Any]:
        """What stands in the fields."""
        return {s.id: _read(self._fields[s.id]) for s in self._settings}

    def field(self, setting: str) -> QWidget:
        """The input field of a setting."""
        return self._fields[setting]

    def set_settings(self, settings: tuple[Setting, ...], values: Mapping[str, Any]) -> None:
        """Draw the fields of another scorer, or show other values in the present ones; tells nobody."""
        if settings != self._settings:
            self._build(settings)
        for setting in settings:
            field = self._fields[setting.id]
            with QSignalBlocker(field):
                _write(field, values.get(setting.id, setting.default))
        self._check()

    def reset(self) -> None:
        """All defaults again."""
        self.set_settings(self._settings, {})
        self.edited.emit(self.values)

    def _build(self, settings: tuple[Setting, ...]) -> None:
        if self._body is not None:
            self._column.removeWidget(self._body)
            self._body.deleteLater()
        self._settings, self._fields = settings, {}
        self._body = QWidget()
        column = QVBoxLayout(self._body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for group in dict.fromkeys(s.group for s in settings):
            if group:
                column.addSpacing(4)
                column.addWidget(label(group.upper(), "heading"))
            form = QFormLayout()
            form.setHorizontalSpacing(8)
            form.setVerticalSpacing(4)
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            column.addLayout(form)
            for setting in settings:
                if setting.group == group:
                    self._add(form, setting)
        self._column.insertWidget(0, self._body)
        self._reset.setVisible(bool(settings))

    def _add(self, form: QFormLayout, setting: Setting) -> None:
        field = _field(setting)
        field.setObjectName(f"setting_{setting.id}")
        field.setAccessibleName(setting.title)
        limits = ""
        if setting.minimum is not None and setting.maximum is not None:
            limits = f"\n{setting.minimum:g} to {setting.maximum:g} {_unit(setting)}, usually {setting.default:g}"
        field.setToolTip(f"{setting.help}{limits}".strip())
        self._fields[setting.id] = field
        match field:
            case QCheckBox():
                field.toggled.connect(self._tell)
                form.addRow(field)
                return
            case CalmCombo():
                field.currentIndexChanged.connect(self._tell)
            case CalmSpin() | CalmDoubleSpin():
                field.setKeyboardTracking(False)
                field.valueChanged.connect(self._tell)
            case QLineEdit():
                field.editingFinished.connect(self._tell)
        title = label(setting.title)
        title.setToolTip(field.toolTip())
        title.setBuddy(field)
        form.addRow(title, field)

    def _tell(self, *_: object) -> None:
        if self._check():
            self.edited.emit(self.values)

    def _check(self) -> bool:
        for setting in self._settings:
            try:
                setting.checked(_read(self._fields[setting.id]))
            except ValueError as error:
                say(self._problem, str(error))
                return False
        say(self._problem, "")
        return True


def _unit(setting: Setting) -> str:
    return setting.unit.replace("um", "µm")


def _field(setting: Setting) -> QWidget:
    low = -_LARGE if setting.minimum is None else setting.minimum
    high = _LARGE if setting.maximum is None else setting.maximum
    suffix = f" {_unit(setting)}" if setting.unit else ""
    if setting.type == "bool":
        return QCheckBox(setting.title)
    if setting.type == "choice":
        combo = CalmCombo()
        combo.addItems(setting.choices)
        return combo
    if setting.type == "int":
        whole = CalmSpin()
        whole.setRange(int(low), int(high))
        whole.setSuffix(suffix)
        return whole
    if setting.type == "float":
        number = CalmDoubleSpin()
        # Steps of about a fiftieth of the range, in round numbers.
        step = 10.0 ** max(-3, round(math.log10(max(high - low, 1e-3) / 50))) if high - low < _LARGE else 1.0
        number.setDecimals(3 if step < 0.01 else 2 if step < 1 else 1)
        number.setSingleStep(step)
        number.setRange(low, high)
        number.setSuffix(suffix)
        return number
    return QLineEdit()


def _read(field: QWidget) -> Any:
    match field:
        case QCheckBox():
            return field.isChecked()
        case CalmCombo():
            return field.currentText()
        case CalmSpin() | CalmDoubleSpin():
            return field.value()
        case QLineEdit():
            return field.text().strip()
    raise TypeError(f"There is no setting in {field!r}.")


def _write(field: QWidget, value: Any) -> None:
    match field:
        case QCheckBox():
            field.setChecked(bool(value))
        case CalmCombo():
            field.setCurrentText(str(value))
        case CalmSpin():
            field.setValue(int(value))
        case CalmDoubleSpin():
            # Decimals beyond the step would be lost in the field, and the result would not be the one asked for.
            needed = len(f"{float(value):.6f}".rstrip("0").partition(".")[2])
            field.setDecimals(max(field.decimals(), needed))
            field.setValue(float(value))
        case QLineEdit():
            field.setText(str(value))
