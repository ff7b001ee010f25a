"""What happens before the window: log file, unexpected errors, time to the first paint, the bundled sample."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QWidget

from her2viewer.resources import resource_path
from her2viewer.userdirs import data_dir

log = logging.getLogger("her2viewer")
_LOG_BYTES = 1_000_000


def log_file() -> Path:
    """Where failures are written down."""
    return data_dir() / "log" / "her2viewer.log"


def start_logging() -> logging.Handler | None:
    """Write warnings and errors of the program to the log file; None where that folder cannot be written."""
    try:
        file = log_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > _LOG_BYTES:
            file.replace(file.with_suffix(".old.log"))
        # Not logging.handlers, which loads sockets and pickle for handlers that are not used here.
        handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace", delay=True)
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return handler


class ErrorCatcher(QObject):
    """Turns errors that nobody caught into a log entry and one sentence in the window."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell
        self._before = (sys.excepthook, threading.excepthook)
        sys.excepthook = self._caught
        threading.excepthook = self._caught_in_thread

    def release(self) -> None:
        """Put Python's own handling back."""
        sys.excepthook, threading.excepthook = self._before

    def _caught(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, value, trace)
            return
        log.error("An error that nobody caught", exc_info=(kind, value, trace))
        if os.environ.get("HER2VIEWER_DEBUG"):
            sys.__excepthook__(kind, value, trace)
        if threading.current_thread() is not threading.main_thread():
            # From a QThread: no widget may be touched there.
            return
        self._tell(
            f"Something went wrong inside the program ({kind.__name__}). Your outlines are saved; "
            "if it happens again, please report it with the log file."
        )

    def _caught_in_thread(self, args: threading.ExceptHookArgs) -> None:
        # No widget may be touched here: the log has it, and whoever waits for the thread says so.
        log.error(
            "An error that nobody caught in thread %s",
            args.thread.name if args.thread else "?",
            exc_info=(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback),
        )


def seconds_since_process_start() -> float:
    """Wall time since the operating system started this process; since Python's start where it does not say."""
    try:
        ticks = float(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return uptime - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.perf_counter()


class FirstPaint(QObject):
    """Says once on standard error how long the first paint took (``HER2VIEWER_TRACE_START=1``)."""

    def __init__(self, watched: QWidget) -> None:
        super().__init__(watched)
        self._done = False
        watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint and not self._done:
            self._done = True
            took = 1000 * seconds_since_process_start()
            sys.stderr.write(f"first paint {took:.0f} ms after the start of the process\n")
            sys.stderr.flush()
            watched.removeEventFilter(self)
        return False


def copy_sample() -> tuple[Path, Path | None]:
    """Put the bundled sample where its case can be saved beside it.

    Returns:
        Path of the slide, and of its region (GeoJSON) where there is one.

    Raises:
        FileNotFoundError: the installation lacks the sample.
        OSError: the user's data folder cannot be written.
    """
    source = resource_path("sample", "sample_her2.tif")
    folder = data_dir() / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    copied: list[Path | None] = []
    for file in (source, source.with_suffix(".geojson")):
        if not file.exists():
            copied.append(None)
            continue
        target = folder / file.name
        # A sample of another version of the program has other content: take the new one.
        if not target.exists() or target.stat().st_size != file.stat().st_size:
            partial = target.with_suffix(".part")
            shutil.copyfile(file, partial)
            partial.replace(target)
        copied.append(target)
    slide, region = copied
    assert slide is not None
    return slide, region
