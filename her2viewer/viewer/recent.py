"""The slides that were open lately, and which of them are still there."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from her2viewer.viewer.settings import Settings
from her2viewer.viewer.storage import Storage

LIMIT = 10
_KEY = "recent"


class RecentSlides(QObject):
    """Newest first, at most ten. Whether a file is still there is looked up in the storage thread."""

    changed = Signal()

    def __init__(self, settings: Settings, storage: Storage, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._storage = storage
        self._paths = [Path(p) for p in settings.texts(_KEY)][:LIMIT]
        self._missing: frozenset[Path] = frozenset()

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self._paths)

    def missing(self, path: Path) -> bool:
        """True where the last look did not find the file."""
        return path in self._missing

    def add(self, path: Path) -> None:
        """A slide was opened."""
        path = path.absolute()
        self._paths = [path, *(p for p in self._paths if p != path)][:LIMIT]
        self._missing -= {path}
        self._keep()

    def clear(self) -> None:
        self._paths = []
        self._keep()

    def check(self) -> None:
        """Look which files are gone; a sleeping network drive must not hold the window up."""
        paths = tuple(self._paths)
        if paths:
            self._storage.submit(
                "Looking for recent slides",
                lambda: frozenset(p for p in paths if not p.exists()),
                done=self._checked,
                quiet=True,
            )

    def _checked(self, missing: frozenset[Path]) -> None:
        if missing != self._missing:
            self._missing = missing
            self.changed.emit()

    def _keep(self) -> None:
        self._settings.set_texts(_KEY, [str(p) for p in self._paths])
        self.changed.emit()
