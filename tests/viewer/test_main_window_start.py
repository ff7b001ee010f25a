"""The start of the program, in a process of its own: what it loads, that it ends, what it leaves on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "cv2",
    "numba",
    "scipy",
    "h5py",
    "tifffile",
    "imagecodecs",
    "openslide",
    "reportlab",
    "skimage",
    "torch",
    "PIL",
    "pyqtgraph",
)

IMPORTS = f"""
import sys
from her2viewer.viewer.app import make_application
app = make_application()
from her2viewer.viewer.main_window import MainWindow
window = MainWindow()
window.controller.warm_up = lambda: None
window.show()
app.processEvents()
print(",".join(name for name in {HEAVY!r} if name in sys.modules))
window.close()
"""

RUN = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from her2viewer.viewer import app

application = app.make_application()

def look():
    window = next(w for w in QApplication.topLevelWidgets() if w.objectName() == "mainWindow")
    window.controller.warm_up = lambda: None
    if window.session.slide is not None and len(window.session.annotations):
        print(window.session.slide.path.name, len(window.session.annotations), window.messages.hint)
        timer.stop()
        window.close()

timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
sys.exit(app.run(None, sample=True))
"""

SLOW = """
import os, platform, signal, sys, threading, time

def until(module, seconds):
    end = time.monotonic() + seconds
    while module not in sys.modules and time.monotonic() < end:
        time.sleep(0.01)

def system(asked=platform.system):
    # The first thing that shapely asks for: half loaded here, does the window ask for a part, or wait for all of it?
    if threading.current_thread().name == "libraries" and "shapely" in sys.modules:
        until("her2viewer.domain.annotation", 2)
        time.sleep(0.2)
    return asked()

platform.system = system
# Called right before the window is loaded.
signal.signal = lambda *_: until("shapely", 20)
from PySide6.QtWidgets import QApplication
from her2viewer.viewer import app

def exec(*_):
    print("shown", flush=True)
    os._exit(0)

QApplication.exec = exec
app.run(None)
"""


def run(code: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HER2VIEWER_HOME": str(home), "QT_QPA_PLATFORM": "offscreen", **more}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def own_words(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if "propagateSizeHints" not in line]


def test_nothing_heavy_is_loaded_before_the_first_paint(tmp_path):
    done = run(IMPORTS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_the_window_comes_up_where_libraries_load_slowly_beside_it(tmp_path):
    done = run(SLOW, tmp_path)
    assert done.stdout.strip() == "shown", done.stderr


def test_the_program_opens_its_sample_and_ends_cleanly(tmp_path):
    done = run(RUN, tmp_path, HER2VIEWER_TRACE_START="1")
    assert done.returncode == 0, done.stderr
    name, outlines, hint = done.stdout.strip().split(" ", 2)
    assert name == "sample_her2.tif"
    assert int(outlines) > 0
    assert hint.startswith("Press Enter to score")
    words = own_words(done.stderr)
    assert len(words) == 1
    assert words[0].startswith("first paint ")
    assert not (tmp_path / "data" / "log" / "her2viewer.log").exists()
