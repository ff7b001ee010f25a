"""Starts the window."""

from __future__ import annotations

import gc
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer import __version__

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication


def make_application() -> QApplication:
    """The one QApplication of the process, dressed; an existing one is used again."""
    from PySide6.QtCore import Qt
    from PySide6.QtWidgets import QApplication

    from her2viewer.viewer.icons import application_icon
    from her2viewer.viewer.settings import Settings
    from her2viewer.viewer.theme import apply_theme

    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        app = existing
    else:
        QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
        app = QApplication(["her2viewer"])
    app.setApplicationName("her2viewer")
    app.setApplicationDisplayName("her2viewer")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("her2viewer")
    apply_theme(app, Settings().text("theme", "dark"))
    app.setWindowIcon(application_icon())
    return app


def run(path: Path | None, sample: bool = False) -> int:
    """Open the window and stay in it until it is closed.

    Args:
        path: slide to open at once, or None.
        sample: open the bundled sample slide with its region instead.

    Returns:
        Exit code of the process.
    """
    # The libraries of geometry and arrays load while Qt does: a tenth of the time to the first paint.
    libraries = threading.Thread(target=_load_libraries, name="libraries", daemon=True)
    libraries.start()
    from PySide6.QtCore import QTimer

    from her2viewer.turns import answer_at_once
    from her2viewer.viewer.startup import ErrorCatcher, FirstPaint, start_logging

    answer_at_once()
    handler = start_logging()
    app = make_application()
    # Ctrl+C in the terminal ends the program at once: what was drawn is already saved.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    # Two threads that import parts of one package at a time find it half there: ImportError.
    libraries.join()
    from her2viewer.viewer.main_window import MainWindow

    window = MainWindow()
    catcher = ErrorCatcher(window.show_error)
    if os.environ.get("HER2VIEWER_TRACE_START"):
        FirstPaint(window.canvas)
    window.show()
    # What is there now stays: a full collection would go through all of it, 20 ms in the middle of a movement.
    gc.freeze()
    if sample:
        QTimer.singleShot(0, window.open_sample)
    elif path is not None:
        QTimer.singleShot(0, lambda: window.open_slide(path))
    code = app.exec()
    catcher.release()
    if handler is not None:
        handler.close()
    return code


def _load_libraries() -> None:
    import numpy  # noqa: F401
    import shapely  # noqa: F401
