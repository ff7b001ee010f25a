"""What the surface scorer reads of a slide: every pixel once, and the same ones whatever is asked for together."""

from __future__ import annotations

import numpy as np
import pytest
from her2viewer_surface import reading
from her2viewer_surface.plan import BLOCK, PATCHES, Block, Plan
from her2viewer_surface.reading import TILE, Reader

from her2viewer.api import PixelSize, PixelSizeSource, TileError
from her2viewer.scoring.runtime import LocalRuntime
from tests.helpers.array_slide import ArraySlide

UM = PixelSize(0.5, 0.5, PixelSizeSource.FILE, "test")
GLASS = (255.0, 255.0, 255.0)


class Counting(ArraySlide):
    """Counts the pixels that are read, in px of the level asked for."""

    pixels_read = 0

    def read_at(self, downsample: float, x: float, y: float, width: int, height: int) -> np.ndarray:
        self.pixels_read += width * height
        return super().read_at(downsample, x, y, width, height)


@pytest.fixture
def slide() -> Counting:
    rng = np.random.default_rng(3)
    return Counting(rng.integers(0, 256, (4096, 4096, 3), dtype=np.uint8), 0.5, downsamples=(1, 2))


def whole(column: int, row: int) -> Block:
    return Block(column, row, np.ones((PATCHES, PATCHES), np.float32))


def test_blocks_and_windows_that_overlap_are_read_once(slide: Counting) -> None:
    plan = Plan.of(UM, 512, 32)
    reader, runtime = Reader(slide, plan, GLASS), LocalRuntime(1)
    for row in range(4):
        for column in range(4):
            block = whole(column, row)
            picture, windows = reader.read(block, plan.windows(block), runtime)
            assert picture.rgb.shape == (BLOCK, BLOCK, 3)
            assert all(w is not None and w.shape == (512, 512, 3) for w in windows)
    # The slide has 4 x 4 tiles; windows reach one tile beyond it on each side, the lower one by their side.
    assert slide.pixels_read <= 7 * 7 * TILE**2


def test_a_window_holds_the_pixels_of_the_slide_wherever_it_lies_on_the_grid_of_tiles(slide: Counting) -> None:
    plan = Plan.of(UM, 512, 32)
    reader = Reader(slide, plan, GLASS)
    places = [(1, 1), (2, 1)]
    _, windows = reader.read(whole(1, 1), places, LocalRuntime(1))
    for place, window in zip(places, windows, strict=True):
        x, y = plan.corner(place)
        np.testing.assert_array_equal(window, slide.read_at(2.0, 2.0 * x, 2.0 * y, 512, 512))


def test_memory_for_tiles_is_bounded(slide: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "KEPT_TILES", 4)
    plan = Plan.of(UM, 512, 32)
    reader, runtime = Reader(slide, plan, GLASS), LocalRuntime(1)
    for column in range(4):
        reader.read(whole(column, 0), [], runtime)
        reader.read(whole(column, 1), [], runtime)
    assert len(reader._kept) == 4
    before = slide.pixels_read
    reader.read(whole(0, 0), [], runtime)
    assert slide.pixels_read == before + TILE**2, "what was let go is read again"


class Torn(Counting):
    """A place of 10 px of level 0 cannot be decoded."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        d = int(self.levels[level].downsample)
        if x * d < 1310 and (x + width) * d > 1300 and y * d < 1310 and (y + height) * d > 1300:
            raise TileError("A tile is damaged.")
        return super().read(level, x, y, width, height)


def test_a_damaged_place_costs_a_window_no_more_than_what_lies_on_it() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (4096, 4096, 3), dtype=np.uint8)
    torn, sound = (kind(pixels, 0.5, downsamples=(1, 2)) for kind in (Torn, Counting))
    plan, block = Plan.of(UM, 512, 32), whole(1, 1)
    places = plan.windows(block)
    picture, windows = Reader(torn, plan, GLASS).read(block, places, LocalRuntime(1))
    _, expected = Reader(sound, plan, GLASS).read(block, places, LocalRuntime(1))
    assert picture.unread.sum() == 1
    for (x, y), window, right in zip((plan.corner(at) for at in places), windows, expected, strict=True):
        assert window is not None
        assert right is not None
        other = np.argwhere((window != right).any(axis=2))
        if not len(other):
            continue
        assert x < 656 < x + 512, "only windows over the damage"
        assert y < 656 < y + 512
        assert np.ptp(other, axis=0).max() < 32
        assert (window[tuple(other.T)] == 255).all(), "glass"
