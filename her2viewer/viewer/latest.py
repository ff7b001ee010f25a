"""Work beside the main thread of which only the last order counts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

_LOG = logging.getLogger(__name__)
_END_S = 2.0


class LatestWork(QObject):
    """Does one thing at a time; of orders that come meanwhile only the last is done, and only its result is told.

    Orders get immutable values and give values back; they never touch a widget.
    """

    _done = Signal(int, object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        """``name`` of the thread."""
        super().__init__(parent)
        self._name = name
        self._number = 0
        self._running = False
        self._thread: threading.Thread | None = None
        self._next: tuple[int, Callable[[], Any]] | None = None
        self._take: Callable[[Any], object] = lambda _: None
        self._done.connect(self._finished, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """True while something is done that will be told."""
        return self._running or self._next is not None

    def order(self, work: Callable[[], Any], take: Callable[[Any], object]) -> None:
        """Do this instead of what was ordered before.

        Args:
            work: in a thread; where it fails, that is logged and nothing is told.
            take: called with what it gave, in the main thread.
        """
        self._number += 1
        self._take, self._next = take, (self._number, work)
        self._begin()

    def forget(self) -> None:
        """What was ordered is wanted no longer."""
        self._number += 1
        self._next = None

    def stop(self) -> None:
        """The owner goes: nothing is told any more, and what is under way is waited for a moment."""
        self.forget()
        if self._thread is not None:
            self._thread.join(_END_S)

    def _begin(self) -> None:
        if self._running or self._next is None:
            return
        (number, work), self._next, self._running = self._next, None, True
        done = self._done

        def run() -> None:
            result: Any = None
            try:
                result = work()
            except Exception:
                # What is shown beside the answer must not take the window down; the log says why it is missing.
                _LOG.exception("%s failed", self._name)
            try:
                done.emit(number, result)
            except RuntimeError:  # the window is gone
                return

        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()

    def _finished(self, number: int, result: Any) -> None:
        self._running = False
        if number == self._number and result is not None:
            self._take(result)
        self._begin()
