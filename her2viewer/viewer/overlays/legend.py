"""The legend that floats over the slide: what the colours mean, how many, of what."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from her2viewer.viewer import theme
from her2viewer.viewer.overlays.base import Legend

_PAD = 10
_ROW = 20
_SWATCH = 10
_GAP = 8
# Over tissue, whose white is bright in both themes, the legend is dark in both.
_BACK = QColor(24, 24, 24, 214)
_EDGE = QColor(255, 255, 255, 36)
_TEXT = QColor(236, 236, 236)
_FAINT = QColor(236, 236, 236, 165)
_DARK = 60


class LegendWidget(QWidget):
    """Floats at the lower left of its parent, above the scale bar; a click on its title folds it."""

    def __init__(self, parent: QWidget, bottom: int = 64, left: int = 16) -> None:
        """``left`` and ``bottom`` are the distances to the parent's edges, logical px."""
        super().__init__(parent)
        self.setObjectName("legend")
        self.setAccessibleName("Legend")
        self.setToolTip("Click to fold or unfold")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._margins, self._below = (left, bottom), 0
        self._legends: tuple[Legend, ...] = ()
        self._collapsed = False
        self._picture: QImage | None = None
        parent.installEventFilter(self)
        self.hide()

    @property
    def collapsed(self) -> bool:
        """Only the titles are shown."""
        return self._collapsed

    def set_collapsed(self, value: bool) -> None:
        """Fold or unfold."""
        if value != self._collapsed:
            self._collapsed = value
            self._place()

    def set_legends(self, legends: Sequence[Legend]) -> None:
        """Show these, one below the other; none hides the widget."""
        if tuple(legends) == self._legends:
            return
        self._legends = tuple(legends)
        self.setVisible(bool(self._legends))
        self._place()

    def set_room_below(self, height: int) -> None:
        """Stand higher by so many logical px: something else needs the place."""
        if height != self._below:
            self._below = height
            self._place()

    def sizeHint(self) -> QSize:
        """Just large enough for its rows."""
        fonts = self._fonts()
        width, height = 96, 2 * _PAD - 4
        for legend in self._legends:
            width = max(width, fonts[1].horizontalAdvance(legend.title) + 24)
            height += _ROW
            if self._collapsed:
                continue
            if legend.rows:
                name, amount, percent = self._columns(legend)
                width = max(width, _SWATCH + _GAP + name + amount + percent)
                height += _ROW * len(legend.rows)
            if legend.scale is not None:
                width = max(width, 160)
                height += 2 * _ROW - 4
            if legend.note:
                width = max(width, fonts[2].horizontalAdvance(legend.note))
                height += _ROW - 2
        return QSize(width + 2 * _PAD, height)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the parent's size."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Fold or unfold."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.set_collapsed(not self._collapsed)
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Not a zoom of the slide below."""
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        """Another font or theme."""
        self._picture = None
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """All rows, as a picture: they are painted with every frame of the slide below, and text takes longer."""
        dpr = self.devicePixelRatioF()
        size = (QSizeF(self.size()) * dpr).toSize()
        if self._picture is None or self._picture.size() != size:
            self._picture = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
            self._picture.setDevicePixelRatio(dpr)
            self._picture.fill(Qt.GlobalColor.transparent)
            self._paint(QPainter(self._picture))
        painter = QPainter(self)
        painter.drawImage(0, 0, self._picture)
        painter.end()

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(_EDGE, 1))
        painter.setBrush(_BACK)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        y = _PAD - 2
        width = self.width() - 2 * _PAD
        plain, bold, small = self._font(), self._font(bold=True), self._font(small=True)
        for number, legend in enumerate(self._legends):
            painter.setFont(bold)
            painter.setPen(_TEXT)
            painter.drawText(QRectF(_PAD, y, width, _ROW), Qt.AlignmentFlag.AlignVCenter, legend.title)
            if number == 0:
                painter.setPen(_FAINT)
                sign = "▸" if self._collapsed else "▾"
                painter.drawText(QRectF(_PAD, y, width, _ROW), _RIGHT, sign)
            y += _ROW
            if self._collapsed:
                continue
            painter.setFont(plain)
            y = self._paint_rows(painter, legend, y, width)
            painter.setFont(small)
            if legend.scale is not None:
                y = self._paint_scale(painter, legend, y, width)
            if legend.note:
                painter.setPen(_FAINT)
                painter.drawText(QRectF(_PAD, y, width, _ROW - 2), Qt.AlignmentFlag.AlignVCenter, legend.note)
                y += _ROW - 2
        painter.end()

    def _paint_rows(self, painter: QPainter, legend: Legend, y: int, width: int) -> int:
        _, amount, percent = self._columns(legend)
        for row in legend.rows:
            painter.setPen(Qt.PenStyle.NoPen)
            color = QColor(*row.color)
            if not row.shown:
                color.setAlpha(60)
            if color.lightness() < _DARK:
                # A dark colour is seen on the tissue beside its pale line, and here by a pale edge.
                painter.setPen(QPen(_FAINT, 1))
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(_PAD, y + (_ROW - _SWATCH) / 2, _SWATCH, _SWATCH), 2, 2)
            painter.setPen(_TEXT if row.shown else _FAINT)
            left = _PAD + _SWATCH + _GAP
            painter.drawText(QRectF(left, y, width, _ROW), Qt.AlignmentFlag.AlignVCenter, row.text)
            right = _PAD + width - percent
            painter.drawText(QRectF(right - amount, y, amount, _ROW), _RIGHT, row.amount)
            painter.setPen(_FAINT)
            painter.drawText(QRectF(right, y, percent, _ROW), _RIGHT, row.percent)
            y += _ROW
        return y

    @staticmethod
    def _paint_scale(painter: QPainter, legend: Legend, y: int, width: int) -> int:
        assert legend.scale is not None
        colors = legend.scale.copy()
        image = QImage(colors.data, len(colors), 1, 3 * len(colors), QImage.Format.Format_RGB888)
        painter.drawImage(QRectF(_PAD, y + 4, width, 8), image)
        painter.setPen(_TEXT)
        painter.drawText(QRectF(_PAD, y + 14, width, _ROW), Qt.AlignmentFlag.AlignVCenter, legend.low)
        painter.drawText(QRectF(_PAD, y + 14, width, _ROW), _RIGHT, legend.high)
        return y + 2 * _ROW - 4

    def _columns(self, legend: Legend) -> tuple[int, int, int]:
        """Widths of the names, the amounts and the percentages."""
        metrics = self._fonts()[0]

        def widest(texts: list[str], least: str, gap: int) -> int:
            longest = max((metrics.horizontalAdvance(t) for t in texts if t), default=0)
            # Room for a longer number from the start: the legend must not breathe while numbers run.
            return max(longest, metrics.horizontalAdvance(least)) + gap if longest else 0

        return (
            widest([r.text for r in legend.rows], "", 0),
            widest([r.amount for r in legend.rows], "99,999", 16),
            widest([r.percent for r in legend.rows], "100.0 %", 12),
        )

    def _font(self, bold: bool = False, small: bool = False) -> QFont:
        font = QFont(self.font())
        t = theme.tokens()
        font.setPixelSize(t.font_small if small else t.font_size - 1)
        font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
        return font

    def _fonts(self) -> tuple[QFontMetrics, QFontMetrics, QFontMetrics]:
        return (QFontMetrics(self._font()), QFontMetrics(self._font(bold=True)), QFontMetrics(self._font(small=True)))

    def _place(self) -> None:
        parent = self.parentWidget()
        if parent is None:
            return
        self.resize(self.sizeHint())
        self._picture = None
        left, bottom = self._margins
        self.move(QPoint(left, max(8, parent.height() - bottom - self._below - self.height())))
        self.update()


_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
