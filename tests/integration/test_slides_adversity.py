"""Files that change, shrink or vanish while they are open."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.slides.open import open_slide
from her2viewer.slides.openslide_reader import OpenSlideSlide
from her2viewer.slides.slide import SlideError
from her2viewer.slides.tiff_reader import open_tiff
from tests.helpers.slow_disk import Disk

pytestmark = pytest.mark.filterwarnings("ignore:.*:ResourceWarning")


def colours(seed: int = 1) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 240, (30, 36, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (1280, 1024), interpolation=cv2.INTER_CUBIC))


def written(path: Path, seed: int = 1) -> Path:
    write_pyramid(path, reduced(colours(seed), (4,)), mpp=0.25, magnification=40)
    return path


def place(path: Path, index: int) -> tuple[int, int]:
    """Offset and size of a tile of the finest level."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        return page.dataoffsets[index], page.databytecounts[index]


@pytest.mark.parametrize("open_it", [open_slide, open_tiff])
def test_a_file_cut_off_while_open_still_gives_the_tiles_that_it_has(tmp_path, open_it):
    path = written(tmp_path / "slide.svs")
    with open_it(path) as slide:
        first = slide.read(0, 0, 0, 256, 256)
        # Twenty tiles; the file ends in the midst of the eleventh.
        offset, size = place(path, 10)
        os.truncate(path, offset + size // 2)
        for _ in range(2):
            with pytest.raises(SlideError):
                slide.read(0, 0, 512, 256, 256)
            with pytest.raises(SlideError):
                slide.read_bgra(0, 0, 512, 256, 256, reduce=2)
            assert np.array_equal(slide.read(0, 0, 0, 256, 256), first)
            assert slide.read_bgra(0, 1024, 256, 256, 256).std() > 1


@pytest.mark.parametrize("open_it", [open_slide, open_tiff])
def test_a_tile_that_failed_is_read_again_when_it_is_well_again(tmp_path, open_it):
    path = written(tmp_path / "slide.svs")
    offset, size = place(path, 6)
    with open_it(path) as slide, path.open("r+b", buffering=0) as file:
        wanted = slide.read(0, 256, 256, 256, 256)
        file.seek(offset)
        healthy = file.read(size)
        file.seek(offset)
        file.write(bytes(size))
        with pytest.raises(SlideError, match="damaged at x = 256"):
            slide.read(0, 256, 256, 256, 256)
        file.seek(offset)
        file.write(healthy)
        assert np.array_equal(slide.read(0, 256, 256, 256, 256), wanted)
        if isinstance(slide, OpenSlideSlide):
            assert np.array_equal(slide.through_openslide(0, 256, 256, 256, 256), wanted)


@pytest.mark.parametrize("open_it", [open_slide, open_tiff])
def test_a_handle_that_a_drive_has_dropped_is_replaced(tmp_path, open_it, monkeypatch):
    path = written(tmp_path / "slide.svs")
    with open_it(path) as slide:
        wanted = slide.read_bgra(0, 0, 0, 256, 256)
        disk = Disk(monkeypatch)
        dropped = iter([OSError(errno.ESTALE, "Stale file handle")])
        disk.trouble = lambda offset: next(dropped, None)
        assert np.array_equal(slide.read_bgra(0, 0, 0, 256, 256), wanted)
        assert disk.reads == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let an open file be replaced")
def test_a_file_that_took_the_place_of_the_open_one_is_never_mixed_with_it(tmp_path, monkeypatch):
    path, other = written(tmp_path / "slide.svs"), written(tmp_path / "other.svs", seed=2)
    with open_slide(path) as slide, open_tiff(path) as general:
        assert isinstance(slide, OpenSlideSlide)
        wanted = slide.read(0, 0, 0, 256, 256)
        os.replace(other, path)
        for each in (slide, general):
            assert np.array_equal(each.read(0, 0, 0, 256, 256), wanted), "the file that was opened is still held"
        # A handle that is dead cannot be had again: what has that name now is another slide.
        disk = Disk(monkeypatch)
        disk.trouble = lambda offset: OSError(errno.ESTALE, "Stale file handle")
        with pytest.raises(SlideError):
            general.read(0, 256, 256, 256, 256)
        with pytest.raises(SlideError, match="replaced by another file"):
            slide._reopened(slide._current(), OSError())
