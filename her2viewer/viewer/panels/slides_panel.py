"""The open slide: name, size, and its label and macro images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import RGBImage, Slide
from her2viewer.viewer.icons import set_icon

THUMBNAIL = QSize(112, 84)
_TITLES = {"label": "Label", "macro": "Macro"}


def image_of(pixels: RGBImage) -> QImage:
    """A QImage with its own memory of (h, w, 3) uint8 RGB; may be called in any thread."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


class SlidesPanel(QWidget):
    """One open slide at a time, with its thumbnails; a click enlarges them."""

    info_clicked = Signal()
    image_clicked = Signal(str, QImage)
    """Title and image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = QLabel("No slide open")
        self._name.setTextFormat(Qt.TextFormat.PlainText)
        # A long file name is cut, never widens the column; the tip gives it whole.
        self._name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._facts = QLabel()
        self._facts.setProperty("role", "small")
        self._facts.setWordWrap(True)
        self._info = QToolButton()
        set_icon(self._info, "info", "muted")
        self._info.setToolTip("Slide information (Ctrl+I)")
        self._info.setAccessibleName("Slide information")
        self._info.clicked.connect(self.info_clicked)
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self._name, 1)
        head.addWidget(self._info)
        self._pictures = QHBoxLayout()
        self._pictures.setContentsMargins(0, 0, 0, 0)
        self._pictures.setSpacing(4)
        self._buttons: list[QToolButton] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 4)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self._facts)
        column.addLayout(self._pictures)
        self._slide: Slide | None = None
        self.set_slide(None, None)

    def set_slide(self, slide: Slide | None, pixel_size: PixelSize | None) -> None:
        """Show what is known without reading the file."""
        if slide is not self._slide:
            self.set_images({})
        self._slide = slide
        self._info.setVisible(slide is not None)
        if slide is None:
            self._full = "No slide open"
            self._facts.setText("")
            self._name.setToolTip("")
        else:
            self._full = slide.path.name
            self._name.setToolTip(str(slide.path))
            size = f"{slide.width:,} x {slide.height:,} px"
            if pixel_size is not None:
                width, height = slide.width * pixel_size.x_um / 1000, slide.height * pixel_size.y_um / 1000
                size += f", {width:.1f} x {height:.1f} mm"
            self._facts.setText(f"{slide.format}\n{size}")
        self._elide()

    def set_images(self, images: Mapping[str, QImage]) -> None:
        """Label and macro images, as read by a worker; others are passed over."""
        for old in self._buttons:
            self._pictures.removeWidget(old)
            old.deleteLater()
        self._buttons = []
        while self._pictures.count():
            self._pictures.takeAt(0)
        # The overview map shows the tissue already: no thumbnail.
        for name, title in _TITLES.items():
            if name in images:
                self._buttons.append(self._thumbnail(title, images[name]))
                self._pictures.addWidget(self._buttons[-1])
        self._pictures.addStretch(1)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = self._name.width()
        if room > 0:
            self._name.setText(self._name.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideMiddle, room))

    def _thumbnail(self, title: str, image: QImage) -> QToolButton:
        button = QToolButton()
        small = image.scaled(
            THUMBNAIL * self.devicePixelRatioF(),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        shown = QPixmap.fromImage(small)
        shown.setDevicePixelRatio(self.devicePixelRatioF())
        button.setIcon(QIcon(shown))
        button.setIconSize(shown.deviceIndependentSize().toSize())
        button.setText(title)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setToolTip(f"{title} image, {image.width()} x {image.height()} px. Click to enlarge")
        button.setAccessibleName(f"{title} image")
        button.clicked.connect(lambda _=False: self.image_clicked.emit(f"{title} image", image))
        return button
