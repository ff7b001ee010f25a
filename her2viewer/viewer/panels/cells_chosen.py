"""What is known of the cells that the reader has chosen: how many, and of the one that is looked at all numbers."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from her2viewer.domain.evidence import NOT_SCORED, CellTable
from her2viewer.viewer.cell_browsing import CellBrowsing
from her2viewer.viewer.overlays.cells import feature_text
from her2viewer.viewer.panels.words import label, say

_NONE = "No cell is chosen. Click one on the tissue, or draw around points in the plot."
_NAMES = {"membrane_od": "Membrane OD", "completeness": "Completeness", "nucleus_od": "Nucleus OD"}
"""Told first, in this order; further columns follow by their own names."""


class ChosenCells(QWidget):
    """Below the pages of the panel of cells."""

    def __init__(self, browsing: CellBrowsing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("chosenCells")
        self._browsing = browsing
        self.summary = label(_NONE, "muted")
        self.buttons = {text: QPushButton(text) for text in ("Previous", "Next", "Clear")}
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 0, 0)
        top.setSpacing(8)
        top.addWidget(self.summary, 1)
        for text, button in self.buttons.items():
            button.setObjectName("linkButton")
            (top if text == "Clear" else row).addWidget(button)
        row.addStretch(1)
        self.buttons["Previous"].setToolTip("The chosen cell before (Shift+J)")
        self.buttons["Next"].setToolTip("Go to the next chosen cell (J)")
        self.buttons["Clear"].setToolTip("Choose none (Esc)")
        self.buttons["Previous"].clicked.connect(lambda: browsing.step(-1))
        self.buttons["Next"].clicked.connect(lambda: browsing.step(1))
        self.buttons["Clear"].clicked.connect(browsing.chosen.clear)
        self._keys = QWidget()
        self._keys.setLayout(row)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self._numbers: list[tuple[str, str]] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self._keys)
        column.addLayout(self._grid)
        browsing.current_changed.connect(self.refresh)
        self.refresh()

    @property
    def numbers(self) -> tuple[tuple[str, str], ...]:
        """Name and value of each row as printed."""
        return tuple(self._numbers)

    def refresh(self) -> None:
        """Tell of the chosen cells as they are now."""
        if not self.isVisibleTo(self.window()):
            return
        chosen, table = self._browsing.chosen, self._browsing.chosen.table
        self._keys.setVisible(len(chosen) > 1)
        self.buttons["Clear"].setVisible(table is not None)
        if table is None:
            say(self.summary, _NONE, "muted")
            self._show([])
            return
        count, place = len(chosen), self._browsing.place
        words = "1 cell is chosen" if count == 1 else f"{count:,} cells are chosen"
        if place is not None and count > 1:
            words = f"Cell {place + 1:,} of {count:,} chosen"
        say(self.summary, words, "")
        index = self._browsing.current
        self._show(_of_many(table, chosen.indices) if index is None else numbers_of(table, index))

    def _show(self, numbers: list[tuple[str, str]]) -> None:
        if numbers == self._numbers:
            return
        if len(numbers) != len(self._numbers):
            while self._grid.count():
                item = self._grid.takeAt(0)
                if item is not None and (widget := item.widget()) is not None:
                    widget.hide()
                    widget.deleteLater()
            for row in range(len(numbers)):
                self._grid.addWidget(label("", "muted", wrap=False), row, 0)
                value = label("", wrap=False)
                value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                # Whatever a scorer tells, the column stays as wide as it is.
                value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
                self._grid.addWidget(value, row, 1)
        self._numbers = list(numbers)
        for row, pair in enumerate(numbers):
            for place, text in enumerate(pair):
                item = self._grid.itemAtPosition(row, place)
                told = None if item is None else item.widget()
                if isinstance(told, QLabel):
                    told.setText(text)
                    told.setToolTip(text)


def numbers_of(table: CellTable, index: int) -> list[tuple[str, str]]:
    """Class, measures and probability of each class of one cell, as printed."""
    names = table.scheme.names
    rows = [("Class", names[int(table.classes[index])])]
    said = table.scorer_classes
    if said is not None and said[index] != NOT_SCORED:
        rows = [("Class, by the reader", rows[0][1]), ("Class, by the scorer", names[int(said[index])])]
    ordered = sorted(table.features, key=lambda name: list(_NAMES).index(name) if name in _NAMES else len(_NAMES))
    for name in ordered:
        told = _NAMES.get(name) or _plain(name)
        rows.append((told, feature_text(float(table.features[name][index]), table.feature_units.get(name, ""))))
    if table.probabilities is not None:
        chances = table.probabilities[index].tolist()
        rows += [(f"Probability of {name}", f"{p:.2f}") for name, p in zip(names, chances, strict=True)]
    return rows


def _plain(name: str) -> str:
    """The name of a column in words; its unit is told beside the value."""
    words = name.removesuffix("_um2").removesuffix("_um").split("_")
    told = " ".join(word.upper() if word in ("od", "dab") else word for word in words)
    return told[:1].upper() + told[1:]


def _of_many(table: CellTable, indices: np.ndarray) -> list[tuple[str, str]]:
    counts = np.bincount(table.classes[indices], minlength=len(table.scheme.names))
    return [(name, f"{n:,}") for name, n in zip(table.scheme.names, counts.tolist(), strict=True) if n]
