"""The line at the foot of the window: where one is, what lies under the pointer, what runs, on which device."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QStatusBar, QToolButton, QWidget

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.viewer.icons import set_icon

_BAR_PX, _SLIM_BAR_PX, _ROOMY_PX = 120, 36, 1400
_BESIDE = 8
"""Room at either side of a text, px; as the style sheet has it."""


class _ClickableLabel(QLabel):
    clicked = Signal()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()
        super().mouseReleaseEvent(event)


class _DeviceLabel(_ClickableLabel):
    """Where there is no room for the reason it says the device alone: it must not keep a window from a small screen.

    What its tip says changes all the time, so that is put together when somebody asks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.describe: Callable[[], str] = lambda: ""
        self._short = self._long = ""

    def say(self, short: str, long: str) -> None:
        self._short, self._long = short, long
        self.updateGeometry()
        self._fit()

    def sizeHint(self) -> QSize:
        return self._room(self._long)

    def minimumSizeHint(self) -> QSize:
        return self._room(self._short)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        _put(self, self._long if self.width() >= self._room(self._long).width() else self._short)

    def _room(self, text: str) -> QSize:
        self.ensurePolished()
        around = self.contentsMargins()
        width = self.fontMetrics().horizontalAdvance(text) + around.left() + around.right() + 2 * _BESIDE
        return QSize(width if text else 0, super().sizeHint().height())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            self.setToolTip(self.describe())
        return super().event(event)


def _set_role(label: QLabel, role: str) -> None:
    if label.property("role") != role:
        label.setProperty("role", role)
        label.style().unpolish(label)
        label.style().polish(label)


def time_left(seconds: float) -> str:
    """``0:42 left``, ``1:05:00 left``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02} left" if hours else f"{minutes}:{secs:02} left"


class StatusBar(QStatusBar):
    """All parts keep their width while their numbers change, so that nothing jumps."""

    cancel_clicked = Signal()
    pixel_size_clicked = Signal()
    device_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._scale = _ClickableLabel()
        self._scale.clicked.connect(self.pixel_size_clicked)
        self._colours = QLabel()
        self._position = QLabel()
        self._readout = QLabel()
        self._readout.setObjectName("readout")
        self._readout.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._readout.setProperty("role", "strong")
        self._stage = QLabel()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._left = QLabel()
        self._cancel = QToolButton()
        set_icon(self._cancel, "cancel")
        self._cancel.setIconSize(QSize(14, 14))
        self._cancel.setToolTip("Cancel (Esc)")
        self._cancel.setAccessibleName("Cancel scoring")
        self._cancel.clicked.connect(self.cancel_clicked)
        self._progress = QWidget()
        row = QHBoxLayout(self._progress)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for part in (self._stage, self._bar, self._left, self._cancel):
            row.addWidget(part)
        self._reviewed = QLabel()
        self._reviewed.setProperty("role", "muted")
        self._saved = QLabel()
        self._device = _DeviceLabel()
        self._device.setObjectName("device")
        self._device.setAccessibleName("Where the scorer works")
        self._device.clicked.connect(self.device_clicked)
        self._reserve(self._scale, "40.0x  0.2500 µm/px (from vendor property)")
        self._reserve(self._position, "x 188.88  y 188.88 mm")
        self._reserve(self._left, "88:88 left")
        for label in (self._scale, self._colours, self._position):
            self.addWidget(label)
        self.addWidget(self._readout, 1)
        for widget in (self._progress, self._reviewed, self._saved, self._device):
            self.addPermanentWidget(widget)
        # The slide above must not move when progress comes and goes.
        self.setFixedHeight(self.fontMetrics().height() + 14)
        self._progress.hide()
        self.set_view(None, None)
        self.set_colours("")
        self.set_position(None, None)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # A run must not widen a window beyond a small screen.
        self._bar.setFixedWidth(_BAR_PX if self.width() >= _ROOMY_PX else _SLIM_BAR_PX)

    def set_view(self, downsample: float | None, pixel_size: PixelSize | None) -> None:
        """Magnification and pixel size of the view; ``downsample`` None without a slide."""
        role = "muted"
        if downsample is None:
            text, tip = "no slide", ""
        elif pixel_size is None:
            text = f"1:{downsample:.3g}  pixel size unknown"
            tip, role = (
                "Click to enter the pixel size. Until then areas are in pixels and nothing can be scored.",
                "amber",
            )
        else:
            mpp = pixel_size.mpp * downsample
            text = f"{_short(10 / mpp)}x  {pixel_size.mpp:.4g} µm/px ({pixel_size.source})"
            tip = f"On screen {mpp:.4g} µm per pixel. Slide {pixel_size.x_um:.6g} x {pixel_size.y_um:.6g} µm"
            if pixel_size.detail:
                tip += f", {pixel_size.detail}"
            tip += ". Click to change it."
            if not pixel_size.plausible:
                role = "amber"
        _put(self._scale, text, tip)
        _set_role(self._scale, role)

    def set_colours(self, text: str, tip: str = "") -> None:
        """State of the colour profile: "colours: raw"."""
        _put(self._colours, text, tip)

    def set_position(self, point: tuple[float, float] | None, pixel_size: PixelSize | None) -> None:
        """Slide point under the pointer, level-0 px."""
        if point is None:
            text = ""
        elif pixel_size is None:
            text = f"x {point[0]:,.0f}  y {point[1]:,.0f} px"
        else:
            text = f"x {point[0] * pixel_size.x_um / 1000:.2f}  y {point[1] * pixel_size.y_um / 1000:.2f} mm"
        _put(self._position, text, "Position under the pointer, from the upper left corner of the slide")

    def set_readout(self, text: str) -> None:
        """What lies under the pointer, in the words of the layers; cut with dots where the window is narrow."""
        room = self._readout.width() - 16
        _put(self._readout, self._readout.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room), text)

    def set_progress(
        self, stage: str, fraction: float | None, seconds_left: float | None, *, can_cancel: bool = False
    ) -> None:
        """Something runs: stage, 0 to 1 or None where it cannot tell, seconds left or None."""
        self._cancel.setVisible(can_cancel)
        _put(self._stage, stage if fraction is None else f"{stage} {100 * fraction:.0f} %")
        self._bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self._bar.setValue(round(1000 * min(1.0, max(0.0, fraction))))
        _put(self._left, "" if seconds_left is None else time_left(seconds_left))
        self._progress.show()

    def end_progress(self) -> None:
        """Nothing runs any more."""
        self._progress.hide()

    def set_reviewed(self, text: str, tip: str = "") -> None:
        """How much of the region was looked at, and which field is shown."""
        _put(self._reviewed, text, tip)

    def set_saved(self, text: str, role: str = "muted", tip: str = "") -> None:
        """State of the case on disk: "saved", "saving", "not saved"."""
        _put(self._saved, text, tip)
        _set_role(self._saved, role)

    def set_device(self, device: str, with_reason: str) -> None:
        """Where the scorer works, alone and with the reason why on no GPU; "" where that is not known."""
        self._device.say(device, with_reason)

    def describe_device(self, describe: Callable[[], str]) -> None:
        """What the tip beside it says, asked when it is wanted."""
        self._device.describe = describe

    @staticmethod
    def _reserve(label: QLabel, widest: str) -> None:
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance(widest) + 18)


def _put(label: QLabel, text: str, tip: str | None = None) -> None:
    if label.text() != text:
        label.setText(text)
    if tip is not None and label.toolTip() != tip:
        label.setToolTip(tip)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"
