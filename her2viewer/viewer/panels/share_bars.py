"""Bars of the four classes with the guideline's cut-off lines; numbers change in place."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.palette import DEFAULT_PALETTE, her2_colors
from her2viewer.domain.pixelsize import mm2_column
from her2viewer.domain.shares import CountedUnit, Shares, percent_text
from her2viewer.viewer import theme

_ROW = 24
_BAR = 12
_NAME = 28
_AXIS = 18


class ShareBars(QWidget):
    """Horizontal bars on a fixed scale from 0 to 100 %, so that a bar means the same on every slide."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("shareBars")
        self.setAccessibleName("Shares of the classes")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._shares: Shares | None = None
        self._limits: tuple[float, ...] = (10.0,)
        self._near: frozenset[str] = frozenset()
        self._palette = DEFAULT_PALETTE

    def sizeHint(self) -> QSize:
        """Four rows and the axis."""
        return QSize(240, 4 * _ROW + _AXIS)

    def minimumSizeHint(self) -> QSize:
        """Narrow panels shorten the bars, never the numbers."""
        return QSize(160, 4 * _ROW + _AXIS)

    @property
    def amounts(self) -> tuple[str, ...]:
        """The surface of each class as printed; empty for cells, whose numbers the legend gives."""
        shares = self._shares
        if shares is None or shares.total <= 0 or shares.unit is not CountedUnit.SURFACE:
            return ("", "", "", "")
        return mm2_column(shares.amounts)

    @property
    def texts(self) -> tuple[str, ...]:
        """The percentages as printed, one for each class; empty where nothing was counted."""
        if self._shares is None or self._shares.total <= 0:
            return ("", "", "", "")
        return tuple(percent_text(p) for p in self._shares.percent)

    def set_shares(
        self, shares: Shares | None, limits: tuple[float, ...] = (10.0,), near: frozenset[str] = frozenset()
    ) -> None:
        """Show these.

        Args:
            shares: what was counted, or None.
            limits: cut-off lines, percent.
            near: labels of the classes that lie close to a limit.
        """
        if (shares, limits, near) != (self._shares, self._limits, self._near):
            self._shares, self._limits, self._near = shares, limits, near
            said = ", ".join(f"{n} {t}" for n, t in zip(HER2_LABELS, self.texts, strict=True) if t)
            self.setAccessibleDescription(said or "nothing counted")
            self.setToolTip(interval_text(shares))
            self.update()

    def set_palette(self, palette: str) -> None:
        """Class colours by the id of a palette."""
        self._palette = palette
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw rows, cut-off lines and their labels."""
        t = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(self.font())
        number = metrics.horizontalAdvance("100.0 %") + 12
        amounts = self.amounts
        room = max(map(metrics.horizontalAdvance, (*amounts, "99.99 mm²"))) + 8 if any(amounts) else 0
        left, width = float(_NAME), max(20.0, float(self.width() - _NAME - number - room))
        shares = self._shares if self._shares is not None and self._shares.total > 0 else None
        fractions = shares.fractions if shares is not None else (0.0,) * 4
        for i, (name, text) in enumerate(zip(HER2_LABELS, self.texts, strict=True)):
            top = i * _ROW
            painter.setPen(t.color("text" if shares is not None else "muted"))
            painter.drawText(QRectF(0, top, _NAME, _ROW), Qt.AlignmentFlag.AlignVCenter, name)
            track = QRectF(left, top + (_ROW - _BAR) / 2, width, _BAR)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.color("field"))
            painter.drawRoundedRect(track, 2, 2)
            self._paint_bar(painter, track, i, fractions[i])
            painter.setPen(t.color("amber" if name in self._near else "text"))
            painter.drawText(QRectF(left + width, top, number, _ROW), _RIGHT, text)
            painter.setPen(t.color("muted"))
            painter.drawText(QRectF(left + width + number, top, room, _ROW), _RIGHT, amounts[i])
        for limit in self._limits:
            x = left + width * limit / 100
            painter.setPen(QPen(t.color("text"), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(x, 2), QPointF(x, 4 * _ROW - 1))
        painter.setFont(self._small(t))
        painter.setPen(t.color("muted"))
        if self._limits:
            words = "cut-off " + " and ".join(f"{limit:g}" for limit in self._limits) + " %"
            x = left + width * self._limits[0] / 100
            painter.drawText(QRectF(x - 4, 4 * _ROW, width, _AXIS), Qt.AlignmentFlag.AlignVCenter, words)
        painter.end()

    def _paint_bar(self, painter: QPainter, track: QRectF, index: int, fraction: float) -> None:
        if fraction <= 0:
            return
        bar = QRectF(track)
        # A share above zero is never invisible: "limited 3+" may be half a per cent.
        bar.setWidth(max(2.0, track.width() * fraction))
        painter.setBrush(QColor(*her2_colors(self._palette)[index]))
        painter.drawRoundedRect(bar, 2, 2)
        self._paint_interval(painter, track, index, fraction)

    def _paint_interval(self, painter: QPainter, track: QRectF, index: int, fraction: float) -> None:
        shares = self._shares
        if shares is None:
            return
        if shares.interval is not None:
            low, high = shares.interval.low[index], shares.interval.high[index]
        elif shares.half_width is not None:
            half = shares.half_width[index]
            low, high = max(0.0, fraction - half), min(1.0, fraction + half)
        else:
            return
        if high <= low:
            return
        y, x0, x1 = track.center().y(), track.left() + track.width() * low, track.left() + track.width() * high
        # Dark with a pale seam: seen on every colour of a bar and on the empty track.
        for color, width in ((QColor(255, 255, 255, 170), 3.0), (QColor(20, 20, 20), 1.2)):
            painter.setPen(QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
            painter.drawLine(QPointF(x0, y), QPointF(x1, y))
            for x in (x0, x1):
                painter.drawLine(QPointF(x, y - 3), QPointF(x, y + 3))
        painter.setPen(Qt.PenStyle.NoPen)

    def _small(self, t: theme.Tokens) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(t.font_small)
        return font


_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


def interval_text(shares: Shares | None) -> str:
    """What the lines in the bars mean, with their numbers; "" where there are none."""
    if shares is None or shares.interval is None or shares.total <= 0:
        return ""
    interval = shares.interval
    rows = [
        f"{name}: {percent_text(100 * low).removesuffix(' %')} to {percent_text(100 * high)}"
        for name, low, high in zip(HER2_LABELS, interval.low, interval.high, strict=True)
    ]
    side = f"{interval.block_um / 1000:g} mm"
    return "\n".join([f"95 % interval over blocks of tissue of {side}", *rows])
