"""The canvas on real files that are slow, cut short or damaged: the window goes on, and says what is wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.slides.open import open_slide
from her2viewer.slides.slide import Slide
from her2viewer.slides.tiff_reader import open_tiff
from her2viewer.viewer.canvas import retrying
from tests.helpers.canvases import MakeCanvas, tissue, wait_idle
from tests.helpers.slow_disk import Disk

pytestmark = pytest.mark.filterwarnings("ignore:.*:ResourceWarning")

WIDTH, HEIGHT, SIDE = 6144, 4096, 256


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    coarse = np.random.default_rng(5).integers(60, 140, (40, 60, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def path(tmp_path: Path, picture: np.ndarray) -> Path:
    path = tmp_path / "slide.svs"
    write_pyramid(path, reduced(picture, (4, 16)), mpp=0.25, magnification=40)
    return path


@pytest.fixture
def slide(path: Path) -> Iterator[Slide]:
    with open_slide(path) as slide:
        yield slide


def hatched(shown: np.ndarray) -> np.ndarray:
    return np.isin(shown, (150, 205)).all(axis=2)


def test_the_window_stays_alive_on_a_slow_disk(
    slide: Slide, make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, 0.05)
    canvas = make_canvas()
    turns_at_read: list[int] = []
    beats = QTimer()
    beats.setInterval(0)
    beats.timeout.connect(lambda: turns_at_read.append(disk.reads))
    beats.start()
    canvas.set_slide(slide, slide.pixel_size)
    qtbot.waitUntil(lambda: canvas.sharp, timeout=20_000)
    canvas.one_to_one()
    wait_idle(qtbot, canvas)
    beats.stop()
    assert disk.reads > 10
    assert threading.get_ident() not in disk.threads
    # Whenever one more read was done the event loop had been round meanwhile: a loop that waited for reads would
    # have seen their number jump. Several readers may end within one turn.
    jumps = np.diff(np.array([*turns_at_read, disk.reads]))
    assert jumps.max() <= 2 * (canvas.loader._workers + canvas.loader._helpers)
    assert len(turns_at_read) > disk.reads


def test_a_fresh_view_overtakes_what_an_older_one_still_waits_for(
    slide: Slide, make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = make_canvas(slide, workers=1)
    wait_idle(qtbot, canvas)
    canvas.one_to_one()
    wait_idle(qtbot, canvas)
    disk = Disk(monkeypatch, 0.05)
    offsets: list[int] = []
    disk.trouble = offsets.append
    with tifffile.TiffFile(slide.path) as tiff:
        row_of = {offset: i // (WIDTH // SIDE) for i, offset in enumerate(tiff.pages[0].dataoffsets)}
    canvas.set_viewport(canvas.viewport.centred(1000, 500))
    qtbot.waitUntil(lambda: len(offsets) >= 1, timeout=5000)
    canvas.set_viewport(canvas.viewport.centred(5000, 3500))
    asked = len(offsets)
    qtbot.waitUntil(lambda: canvas.sharp, timeout=20_000)
    rows = [row_of[o] for o in offsets[asked:] if o in row_of]
    # What the one worker held is finished; then comes the new view alone.
    assert rows
    assert sum(row < HEIGHT // SIDE // 2 for row in rows) <= 1
    assert not hatched(tissue(canvas)).any()


def test_a_file_cut_off_while_it_is_looked_at_hatches_what_is_gone(
    path: Path, slide: Slide, make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = make_canvas()
    said: list[str] = []
    canvas.message.connect(said.append)
    canvas.set_slide(slide, slide.pixel_size)
    wait_idle(qtbot, canvas)
    with tifffile.TiffFile(path) as tiff:
        offsets = tiff.pages[0].dataoffsets
    # The upper half of the finest level remains; the coarser levels lay behind it.
    os.truncate(path, offsets[8 * (WIDTH // SIDE)])
    canvas.one_to_one()
    # Not in the centre, which was read ahead while it was still there.
    canvas.set_viewport(canvas.viewport.centred(5200, HEIGHT // 2))
    wait_idle(qtbot, canvas)
    shown = hatched(tissue(canvas))
    middle = shown.shape[0] // 2
    assert not shown[: middle - 2].any()
    assert shown[middle + 2 :].all()
    assert len(said) == 1
    assert "hatched" in said[0]
    canvas.set_viewport(canvas.viewport.centred(1500, 700))
    wait_idle(qtbot, canvas)
    assert not hatched(tissue(canvas)).any(), "the rest of the slide goes on"


def away(disk: Disk, rows: range, path: Path) -> None:
    """The drive fails for these rows of tiles of the finest level."""
    with tifffile.TiffFile(path) as tiff:
        offsets = tiff.pages[0].dataoffsets
    across = WIDTH // SIDE
    lost = {offsets[row * across + column] for row in rows for column in range(across)}
    disk.trouble = lambda offset: OSError("the drive is away") if offset in lost else None


def test_what_could_not_be_read_for_a_while_comes_by_itself(
    path: Path, make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_MS", 300)
    disk = Disk(monkeypatch)
    canvas = make_canvas()
    said: list[str] = []
    canvas.message.connect(said.append)
    with open_tiff(path) as slide:
        away(disk, range(8, 16), path)
        canvas.set_slide(slide, slide.pixel_size)
        canvas.one_to_one()
        # Not in the centre, which was read when the slide was opened.
        canvas.set_viewport(canvas.viewport.centred(5200, HEIGHT // 2))
        wait_idle(qtbot, canvas)
        shown = tissue(canvas)
        middle = shown.shape[0] // 2
        assert hatched(shown)[middle + 2 :].all()
        # Tried again and again while it is away, and hatched all the time.
        tries = disk.reads
        qtbot.waitUntil(lambda: disk.reads > tries, timeout=10_000)
        assert hatched(tissue(canvas))[middle + 2 :].all()
        disk.trouble = lambda offset: None
        qtbot.waitUntil(lambda: not hatched(tissue(canvas)).any(), timeout=20_000)
        assert len(said) == 1
        canvas.shutdown()


def test_reading_again_does_not_wait(
    path: Path, make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_MS", 3_600_000)
    disk = Disk(monkeypatch)
    canvas = make_canvas()
    with open_tiff(path) as slide:
        away(disk, range(16), path)
        canvas.set_slide(slide, slide.pixel_size)
        canvas.one_to_one()
        canvas.set_viewport(canvas.viewport.centred(1500, 1000))
        wait_idle(qtbot, canvas)
        assert hatched(tissue(canvas)).all()
        disk.trouble = lambda offset: None
        # A broken place that is not in view is read again when it is looked at.
        canvas.set_viewport(canvas.viewport.centred(5000, 3500))
        wait_idle(qtbot, canvas)
        canvas.read_again()
        canvas.set_viewport(canvas.viewport.centred(1500, 1000))
        qtbot.waitUntil(lambda: not hatched(tissue(canvas)).any(), timeout=20_000)
        canvas.shutdown()
