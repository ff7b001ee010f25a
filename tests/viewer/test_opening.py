"""Opening and closing slides off the main thread."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.slides.pixel_size import PixelSizeStore
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.loader import TileLoader
from her2viewer.viewer.opening import OVERVIEW_SIDE, SlideExtras, SlideOpener, open_with_extras, overview_image
from tests.helpers.gated_slide import GatedSlide


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small PNG, which is a slide like any other."""
    pixels = np.random.default_rng(1).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def opener(qtbot: QtBot):
    opener = SlideOpener()
    yield opener
    assert opener.shutdown()


def test_a_slide_is_opened_with_all_that_the_window_shows_at_once(
    opener: SlideOpener, qtbot: QtBot, picture: Path
) -> None:
    with qtbot.waitSignal(opener.opened, timeout=20_000) as done:
        opener.open(picture)
        assert opener.opening == picture
    slide, extras = done.args
    assert isinstance(slide, Slide)
    assert isinstance(extras, SlideExtras)
    assert (slide.width, slide.height) == (400, 300)
    assert extras.path == picture
    assert extras.overview is not None
    assert extras.overview.shape == (300, 400, 3)
    assert extras.profile_problem
    assert extras.problems == ()
    assert opener.opening is None
    opener.close_slide(slide)


def test_a_file_that_is_no_slide_gives_a_sentence(opener: SlideOpener, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "notes.svs"
    path.write_text("not a slide")
    with qtbot.waitSignal(opener.failed, timeout=20_000) as done:
        opener.open(path)
    sentence, where = done.args
    assert where == path
    assert sentence.endswith(".")
    assert "Traceback" not in sentence


def test_a_file_that_is_gone_gives_a_sentence(opener: SlideOpener, qtbot: QtBot, tmp_path: Path) -> None:
    with qtbot.waitSignal(opener.failed, timeout=20_000) as done:
        opener.open(tmp_path / "gone.svs")
    assert len(done.args[0]) > 20


def test_the_caller_prepares_in_the_opening_thread(qtbot: QtBot, picture: Path) -> None:
    threads: list[int] = []

    def load(slide: Slide) -> str:
        threads.append(threading.get_ident())
        return f"case of {slide.path.name}"

    opener = SlideOpener(load)
    with qtbot.waitSignal(opener.opened, timeout=20_000) as done:
        opener.open(picture)
    slide, extras = done.args
    assert extras.prepared == "case of picture.png"
    assert threads != [threading.get_ident()]
    opener.close_slide(slide)
    opener.shutdown()


def test_a_case_that_cannot_be_loaded_does_not_keep_the_slide_shut(qtbot: QtBot, picture: Path) -> None:
    def load(slide: Slide) -> None:
        raise OSError(13, "Permission denied", "case.json")

    slide, extras = open_with_extras(picture, load)
    slide.close()
    assert extras.prepared is None
    assert len(extras.problems) == 1
    assert "Loading the case failed" in extras.problems[0]


def test_a_pixel_size_that_was_entered_once_is_used_again(picture: Path) -> None:
    slide, extras = open_with_extras(picture)
    slide.close()
    assert extras.pixel_size is None
    PixelSizeStore().put(slide.identity, PixelSize(0.25, 0.25, PixelSizeSource.USER))
    slide, extras = open_with_extras(picture)
    slide.close()
    assert extras.pixel_size is not None
    assert extras.pixel_size.mpp == 0.25


def test_the_last_request_wins_and_earlier_slides_are_closed(
    qtbot: QtBot, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = GatedSlide(), GatedSlide()
    slow.hold()
    monkeypatch.setattr("her2viewer.slides.open.open_slide", lambda path: slow if path.name == "slow" else quick)
    discarded: list[object] = []
    opener = SlideOpener(id, discarded.append)
    opened: list[Slide] = []
    opener.opened.connect(lambda slide, extras: opened.append(slide))
    opener.open(Path("slow"))
    qtbot.waitUntil(lambda: slow.reading > 0)
    opener.open(Path("quick"))
    qtbot.waitUntil(lambda: opened == [quick])
    slow.gate.set()
    qtbot.waitUntil(lambda: slow.closed)
    assert opened == [quick]
    assert discarded == [id(slow)]
    assert not quick.closed
    opener.shutdown()


def test_a_cancelled_request_opens_nothing(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = GatedSlide()
    slide.hold()
    monkeypatch.setattr("her2viewer.slides.open.open_slide", lambda path: slide)
    opener = SlideOpener()
    opened: list[Slide] = []
    opener.opened.connect(lambda slide, extras: opened.append(slide))
    opener.open(Path("a"))
    qtbot.waitUntil(lambda: slide.reading > 0)
    opener.cancel()
    slide.gate.set()
    qtbot.waitUntil(lambda: slide.closed)
    opener.shutdown()
    assert opened == []


def test_a_slide_is_closed_off_the_main_thread_after_the_tile_workers_let_go(qtbot: QtBot) -> None:
    closed_in: list[int] = []

    class Slide1(GatedSlide):
        def close(self) -> None:
            closed_in.append(threading.get_ident())
            super().close()

    slide = Slide1()
    loader, opener = TileLoader(workers=1), SlideOpener()
    loader.set_source(slide)
    slide.hold()
    from her2viewer.viewer.canvas.grid import Pyramid, TileKey

    loader.set_wanted([TileKey(Pyramid.of(slide).natural(0), 0, 0)])
    qtbot.waitUntil(lambda: slide.reading > 0)
    loader.set_source(None)
    opener.close_slide(slide, loader)
    qtbot.wait(50)
    assert not slide.closed
    slide.gate.set()
    qtbot.waitUntil(lambda: slide.closed)
    assert not slide.closed_while_read
    assert closed_in != [threading.get_ident()]
    opener.shutdown()
    loader.shutdown()


def test_the_overview_is_small_and_not_made_from_a_huge_single_level() -> None:
    small = overview_image(GatedSlide(20_000, 10_000, (1, 4)))
    assert small is not None
    assert small.shape == (OVERVIEW_SIDE // 2, OVERVIEW_SIDE, 3)
    huge = GatedSlide(200_000, 100_000, (1,))
    assert overview_image(huge) is None
    assert huge.reads == []


def test_the_real_slides_open_with_their_label_images(shared_slides: Path) -> None:
    slide, extras = open_with_extras(shared_slides / "whole-slide" / "cmu_small_region.svs")
    slide.close()
    assert {"label", "macro"} <= set(extras.images)
    assert extras.pixel_size is not None
    assert extras.pixel_size.mpp == pytest.approx(0.499)
