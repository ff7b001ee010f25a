"""A timer for what is done when the reader pauses."""

from __future__ import annotations

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

LATE_MS = 8
"""A timer that is later than this says that the main thread was held up."""
AGAIN_MS = 10
MOST_AGAIN = 3


class Lull(QTimer):
    """Tells when nothing has happened for a while.

    A main thread that was held up finds its timers over and what the reader did meanwhile not yet delivered: it
    would take the delay for a pause, and the work of a pause would delay it further. So it looks again, a few times
    at most.
    """

    come = Signal()

    def __init__(self, milliseconds: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._milliseconds = milliseconds
        self._again = 0
        self._since = QElapsedTimer()
        self.setSingleShot(True)
        self.timeout.connect(self._over)

    def start(self) -> None:  # type: ignore[override]
        """Wait anew."""
        self._again = 0
        self._begin(self._milliseconds)

    def _begin(self, milliseconds: int) -> None:
        self._since.start()
        self.setInterval(milliseconds)
        super().start()

    def _over(self) -> None:
        if self._since.elapsed() > self.interval() + LATE_MS and self._again < MOST_AGAIN:
            self._again += 1
            self._begin(AGAIN_MS)
            return
        self.come.emit()
