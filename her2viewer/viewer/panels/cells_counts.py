"""Counts of the cells by class, what was left out, and how mixed the tumour is."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from her2viewer.domain.classes import HER2_LABELS, ClassScheme
from her2viewer.domain.palette import DEFAULT_PALETTE, class_colors, her2_colors
from her2viewer.domain.shares import (
    CONCORDANT_ENTROPY,
    DISCORDANT_ENTROPY,
    CountedUnit,
    Shares,
    percent_text,
)
from her2viewer.viewer import theme
from her2viewer.viewer.panels.words import label, say, set_role

_LOW = "Low: mostly one class, as on slides where reader and scorer agreed."
_BETWEEN = "Between the medians of slides where reader and scorer agreed and of those where they did not."
_HIGH = "High: the classes are mixed, as on slides where reader and scorer disagreed. A second opinion is suggested."
_SWATCH_PX = 10
_HIGHEST = math.log(4)


def _meaning(entropy: float | None) -> str:
    if entropy is None:
        return ""
    if entropy >= DISCORDANT_ENTROPY:
        return _HIGH
    return _LOW if entropy <= CONCORDANT_ENTROPY else _BETWEEN


class Swatch(QWidget):
    """A small rounded square in the colour of a class."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(_SWATCH_PX, _SWATCH_PX)
        self._color = (0, 0, 0)

    def set_color(self, color: tuple[int, int, int]) -> None:
        """RGB, 0 to 255."""
        self._color = color
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*self._color))
        painter.drawRoundedRect(self.rect(), 2, 2)
        painter.end()


class EntropyScale(QWidget):
    """Where the entropy of the shares lies between one class and four equal ones, with the medians of the paper."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("entropyScale")
        self.setAccessibleName("Shannon entropy of the shares")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Shannon entropy (natural logarithm) of the shares of 0, 1+, 2+ and 3+: 0 for one class alone, 1.39 for "
            "four equal shares.\n"
            f"Medians of Vandenberghe 2017: {CONCORDANT_ENTROPY} where pathologist and scorer agreed, "
            f"{DISCORDANT_ENTROPY} where they did not."
        )
        self.value: float | None = None

    def sizeHint(self) -> QSize:
        """Marks, track, words."""
        return QSize(200, 46)

    def set_value(self, value: float | None) -> None:
        """Show this entropy, or none."""
        if value != self.value:
            self.value = value
            self.setAccessibleDescription("unknown" if value is None else f"{value:.2f}")
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw track, marks and value."""
        t = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = painter.fontMetrics().horizontalAdvance("0.00") + 12
        left, width, y = 5.0, max(40.0, self.width() - room - 5.0), 14.0

        def at(value: float) -> float:
            return left + width * min(1.0, value / _HIGHEST)

        track = QRectF(left, y - 3, width, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.color("field"))
        painter.drawRoundedRect(track, 3, 3)
        if self.value is not None:
            painter.setBrush(t.color("amber" if self.value >= DISCORDANT_ENTROPY else "accent"))
            painter.drawRoundedRect(QRectF(left, y - 3, max(2.0, at(self.value) - left), 6), 3, 3)
            x = at(self.value)
            painter.setBrush(t.color("text"))
            painter.drawPolygon(QPolygonF([QPointF(x - 4, y - 12), QPointF(x + 4, y - 12), QPointF(x, y - 5)]))
        small = QFont(self.font())
        small.setPixelSize(t.font_small)
        for mark, words, flag in (
            (CONCORDANT_ENTROPY, "agreed", Qt.AlignmentFlag.AlignRight),
            (DISCORDANT_ENTROPY, "disagreed", Qt.AlignmentFlag.AlignLeft),
        ):
            x = at(mark)
            painter.setPen(QPen(t.color("text"), 1))
            painter.drawLine(QPointF(x, y - 5), QPointF(x, y + 7))
            painter.setPen(t.color("muted"))
            painter.setFont(small)
            beside = QRectF(x - 142, y + 8, 144, 18) if flag == Qt.AlignmentFlag.AlignRight else None
            painter.drawText(beside or QRectF(x - 2, y + 8, 144, 18), flag, f"{words} {mark:.2f}")
        painter.setFont(self.font())
        painter.setPen(t.color("text" if self.value is not None else "muted"))
        text = "–" if self.value is None else f"{self.value:.2f}"
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(self.width() - room, y - 10, room, 20), right, text)
        painter.end()


class CellCounts(QWidget):
    """One row for each class; numbers change in place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("cellCounts")
        self._palette = DEFAULT_PALETTE
        self._shares: Shares | None = None
        self._kinds: tuple[str, ...] = ()
        self._rows: list[tuple[Swatch, QLabel, QLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self.entropy = EntropyScale()
        self.meaning = label("", "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._grid)
        column.addSpacing(4)
        column.addWidget(label("How mixed (entropy of the shares)", "heading", wrap=False))
        column.addWidget(self.entropy)
        column.addWidget(self.meaning)

    @property
    def texts(self) -> tuple[tuple[str, str, str], ...]:
        """Name, count and share of each row as printed."""
        return tuple((name.text(), count.text(), share.text()) for _, name, count, share in self._rows)

    def set_palette(self, palette: str) -> None:
        """Class colours by the id of a palette."""
        self._palette = palette
        self._dress()

    def set_shares(self, shares: Shares | None) -> None:
        """Show what was counted; None or surfaces show dashes."""
        shares = shares if shares is not None and shares.unit is CountedUnit.CELLS else None
        self._shares = shares
        kinds = () if shares is None else tuple(name for name, _ in shares.left_out)
        if not self._rows or (shares is not None and kinds != self._kinds):
            self._kinds = kinds
            self._fill()
        percent = ("",) * 4 if shares is None or shares.total <= 0 else [percent_text(p) for p in shares.percent]
        amounts = ["–"] * 4 if shares is None else [f"{n:,.0f}" for n in shares.amounts]
        total = "–" if shares is None else f"{shares.total:,.0f}"
        left_out = ["–"] * len(self._kinds) if shares is None else [f"{n:,.0f}" for _, n in shares.left_out]
        rows = (*zip(amounts, percent, strict=True), (total, ""), *((n, "") for n in left_out))
        for (_, _, count, share), (number, part) in zip(self._rows, rows, strict=True):
            say(count, number)
            share.setText(part)
        entropy = None if shares is None else shares.entropy
        self.entropy.set_value(entropy)
        say(self.meaning, _meaning(entropy))
        set_role(self.meaning, "amber" if entropy is not None and entropy >= DISCORDANT_ENTROPY else "muted")

    def _fill(self) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            if item is not None and (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._rows = []
        tumour = [*HER2_LABELS, "tumour cells"]
        for at, name in enumerate((*tumour, *self._kinds)):
            swatch, told = Swatch(), label(name, "muted" if at >= 4 else "", wrap=False)
            count, share = label("", wrap=False), label("", "muted", wrap=False)
            share.setMinimumWidth(share.fontMetrics().horizontalAdvance("100.0 %"))
            # Counts grow while a run goes on, and nothing beside them moves.
            count.setMinimumWidth(count.fontMetrics().horizontalAdvance("9,999,999"))
            row = at if at < 5 else at + 1
            self._grid.addWidget(swatch, row, 0)
            self._grid.addWidget(told, row, 1)
            for place, widget in ((2, count), (3, share)):
                widget.setAlignment(_RIGHT)
                self._grid.addWidget(widget, row, place)
            self._rows.append((swatch, told, count, share))
        if self._kinds:
            self._grid.addWidget(label("Left out", "heading", wrap=False), 5, 0, 1, 4, _BOTTOM)
        self._grid.setRowMinimumHeight(5, 24 if self._kinds else 0)
        self._dress()

    def _dress(self) -> None:
        tumour = her2_colors(self._palette)
        others = class_colors(ClassScheme(self._kinds, (-1,) * len(self._kinds)), self._palette).tolist()
        for at, (swatch, *_) in enumerate(self._rows):
            if at == 4:
                swatch.setVisible(False)
                continue
            swatch.set_color(tumour[at] if at < 4 else tuple(others[at - 5]))


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_BOTTOM = Qt.AlignmentFlag.AlignBottom
