"""Pictures of what is on the screen, with scale bar: to the clipboard and to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QObject, QTimer
from PySide6.QtGui import QGuiApplication, QImage, QImageWriter, QPainter
from PySide6.QtWidgets import QWidget
from shiboken6 import isValid

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.desk import save_dialog
from her2viewer.viewer.exporting import open_with_desktop
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.overlays.legend import LegendWidget
from her2viewer.viewer.storage import Storage

PATIENCE_MS = 3_000
"""A picture waits for its last tiles this long, and is taken as it is then."""


class Pictures(QObject):
    """Takes them of the view that has the focus; files are written in the storage thread."""

    def __init__(
        self, window: QWidget, *, active: Callable[[], SlideCanvas], storage: Storage, messages: Messages
    ) -> None:
        super().__init__(window)
        self._window = window
        self._active = active
        self._storage = storage
        self._messages = messages
        self._waiting: tuple[SlideCanvas, Callable[[], None]] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PATIENCE_MS)
        self._timer.timeout.connect(self._take)
        self.native_dialogs = True
        """Tests use Qt's own file dialog."""

    def copy(self) -> None:
        """Put a picture of the view on the clipboard."""
        canvas = self._active()
        if canvas.slide is None:
            self._messages.show_message("Open a slide first.")
            return

        def take() -> None:
            image = picture_of(canvas)
            QGuiApplication.clipboard().setImage(image)
            self._messages.show_message(
                f"A picture of the view, {image.width()} x {image.height()} px, is on the clipboard.", "done"
            )

        self._when_sharp(canvas, take)

    def ask(self) -> None:
        """Ask for a file and write a picture of the view."""
        canvas = self._active()
        slide = canvas.slide
        if slide is None:
            self._messages.show_message("Open a slide first.")
            return
        save_dialog(
            self._window,
            "Save picture of the view",
            str(slide.path.parent / f"{slide.path.stem} view.png"),
            "PNG (*.png)",
            lambda path: self.save(canvas, path),
            suffix=".png",
            native=self.native_dialogs,
        ).open()

    def save(self, canvas: SlideCanvas, path: Path) -> None:
        """Write a picture of a view as PNG."""

        def take() -> None:
            image = picture_of(canvas)

            def done(_: object) -> None:
                self._messages.show_message(
                    f"A picture of the view was written to {path.name}.",
                    "done",
                    [("Show in folder", lambda: open_with_desktop(path.parent))],
                )

            self._storage.submit("Writing the picture", lambda: write_png(image, path), done=done)

        self._when_sharp(canvas, take)

    def cancel(self) -> None:
        """Take no picture that still waits for its tiles."""
        self._timer.stop()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and isValid(waiting[0]):
            waiting[0].sharpened.disconnect(self._take)

    def _when_sharp(self, canvas: SlideCanvas, take: Callable[[], None]) -> None:
        self.cancel()
        if canvas.sharp:
            take()
            return
        self._waiting = (canvas, take)
        canvas.sharpened.connect(self._take)
        self._timer.start()

    def _take(self) -> None:
        waiting = self._waiting
        self.cancel()
        if waiting is not None and isValid(waiting[0]) and waiting[0].slide is not None:
            waiting[1]()


def picture_of(canvas: SlideCanvas) -> QImage:
    """What a view shows, with overlays, legend and scale bar, in device px; says what it is of in its text."""
    image = canvas.grab_view()
    legend = canvas.findChild(LegendWidget)
    if legend is not None and legend.isVisible():
        painter = QPainter(image)
        legend.render(painter, legend.pos())
        painter.end()
    if canvas.slide is not None:
        image.setText("Title", canvas.slide.path.name)
    if canvas.pixel_size is not None:
        um = canvas.pixel_size.mpp * canvas.viewport.downsample
        image.setText("Comment", f"{um:.6g} um/px, {canvas.magnification or 0:.3g}x")
        # So that other programs know how large it is.
        image.setDotsPerMeterX(round(1e6 / um))
        image.setDotsPerMeterY(round(1e6 / um))
    return image


def write_png(image: QImage, path: Path) -> None:
    """Write a PNG, whole or not at all; images, unlike windows, may be used in any thread.

    Raises:
        StorageError: it cannot be written.
    """
    from her2viewer.cases.atomic import atomic_file

    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, b"png").write(image)
    with atomic_file(path) as file:
        file.write(bytes(buffer.data().data()))
