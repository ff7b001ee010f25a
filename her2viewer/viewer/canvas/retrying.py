"""Tiles that could not be read are asked for again: a drive that was away may be back. Main thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from her2viewer.viewer.canvas.grid import TileKey

FIRST_MS = 3_000
"""After this time for the first time; each further one comes after twice as long."""
LONGEST_MS = 60_000


class Retrying(QObject):
    """Knows the broken tiles of one view. They stay on the screen, hatched, until their successors are there."""

    def __init__(self, again: Callable[[], None], parent: QObject | None = None) -> None:
        """``again`` is called when tiles that are ``due`` may be asked for."""
        super().__init__(parent)
        self._again = again
        self._broken: set[TileKey] = set()
        self._due: set[TileKey] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FIRST_MS)
        self._timer.timeout.connect(self._later)

    @property
    def broken(self) -> bool:
        """Whether there is anything that could not be read."""
        return bool(self._broken)

    def due(self, key: TileKey) -> bool:
        """Whether a tile at hand is to be asked for again as if it were missing."""
        return key in self._due

    def note(self, key: TileKey, broken: bool) -> None:
        """A tile has come."""
        self._due.discard(key)
        if broken:
            self._broken.add(key)
        elif key in self._broken:
            self._broken.discard(key)
            # What hindered one is over, most likely, for all.
            self._timer.setInterval(FIRST_MS)
        if self._broken and not self._timer.isActive():
            self._timer.start()

    def now(self) -> None:
        """The reader wants another try at once."""
        self._timer.setInterval(FIRST_MS)
        self._try()

    def clear(self) -> None:
        """All tiles are made anew."""
        self._timer.stop()
        self._timer.setInterval(FIRST_MS)
        self._broken.clear()
        self._due.clear()

    def _later(self) -> None:
        self._timer.setInterval(min(2 * self._timer.interval(), LONGEST_MS))
        self._try()

    def _try(self) -> None:
        self._due = set(self._broken)
        if self._due:
            self._again()
