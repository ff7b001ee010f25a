"""Whose slide this is: case number, block, laboratory, reader. The comment lives in the answer panel."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QLineEdit, QWidget

FIELDS: tuple[tuple[str, str, str], ...] = (
    ("case_id", "Case", "Case number as in the laboratory's system"),
    ("block", "Block", "Block or specimen"),
    ("lab", "Laboratory", "Printed in the report"),
    ("reader", "Reader", "Who reads this slide"),
)


class CasePanel(QWidget):
    """Four fields; each is kept as soon as it is left."""

    edited = Signal(dict)
    """All four fields by name, after one of them was changed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edits: dict[str, QLineEdit] = {}
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 4, 4)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        form.setHorizontalSpacing(8)
        form.setVerticalSpacing(4)
        for name, title, tip in FIELDS:
            edit = QLineEdit()
            edit.setObjectName(name)
            edit.setToolTip(tip)
            edit.setAccessibleName(title)
            edit.setMaxLength(120)
            edit.editingFinished.connect(self._tell)
            form.addRow(title, edit)
            self._edits[name] = edit
        self._told: dict[str, str] = self.values()
        self.setEnabled(False)

    def values(self) -> dict[str, str]:
        """What stands in the fields."""
        return {name: edit.text().strip() for name, edit in self._edits.items()}

    def set_values(self, values: Mapping[str, str]) -> None:
        """Show the fields of a case; tells nobody."""
        for name, edit in self._edits.items():
            edit.setText(values.get(name, ""))
        self._told = self.values()

    def set_case_open(self, is_open: bool, locked: bool = False) -> None:
        """Fields can be edited only with a case that is not signed."""
        self.setEnabled(is_open)
        reason = "" if is_open else "Open a slide first"
        for name, _, tip in FIELDS:
            self._edits[name].setReadOnly(locked)
            self._edits[name].setToolTip(reason or ("Signed: amend the case to change it" if locked else tip))

    def focus(self) -> None:
        """Put the cursor into the first field."""
        edit = self._edits["case_id"]
        edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        edit.selectAll()

    def _tell(self) -> None:
        values = self.values()
        if values != self._told:
            self._told = values
            self.edited.emit(values)
