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

    _done = Signal(int, object, object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        """``name`` of the thread."""
        super().__init__(parent)
        self._name = name
        self._number = 0
        self._running = False
        self._thread: threading.Thread | None = None
        self._next: tuple[int, Callable[[], Any]] | None = None
        self._take: Callable[[Any], object] = lambda _: None
        self._tell: Callable[[Exception], object] = lambda _: None
        self._done.connect(self._finished, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """True while something is done that will be told."""
        return self._running or self._next is not None

    def order(
        self,
        work: Callable[[], Any],
        take: Callable[[Any], object],
        failed: Callable[[Exception], object] = lambda _: None,
    ) -> None:
        """Do this instead of what was ordered before.

        Args:
            work: in a thread; where it fails, that is logged.
            take: called with what it gave, in the main thread; not where that is None.
            failed: called with why it failed, in the main thread; see ``trouble``.
        """
        self._number += 1
        self._take, self._tell, self._next = take, failed, (self._number, work)
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
            why: Exception | None = None
            try:
                result = work()
            except Exception as error:
                # What is shown beside the answer must not take the window down.
                _LOG.exception("%s failed", self._name)
                why = error.with_traceback(None)
            try:
                done.emit(number, result, why)
            except RuntimeError:  # the window is gone
                return

        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()

    def _finished(self, number: int, result: Any, why: Exception | None) -> None:
        self._running = False
        if number == self._number and why is not None:
            self._tell(why)
        elif number == self._number and result is not None:
            self._take(result)
        self._begin()


def trouble(what: str, error: Exception) -> str:
    """Why something could not be worked out, and what to do.

    Args:
        what: begins the sentence: "The map", "The clusters".
        error: that ended the work.
    """
    if isinstance(error, MemoryError):
        return (
            f"{what} could not be worked out: the memory of this machine is used up. Close other programs or select "
            "a smaller region, then try again."
        )
    why = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"{what} could not be worked out ({why.removesuffix(':').removesuffix('.')}). Shares and answer do not "
        "depend on it. Try again; if it fails again, report it with the log (Help, Open log file)."
    )
