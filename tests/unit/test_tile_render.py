import threading

import cv2
import numpy as np
import pytest

from her2viewer.slides.slide import RGBImage, TileError
from her2viewer.viewer.canvas.grid import Pyramid, Scale, TileKey
from her2viewer.viewer.canvas.render import Abandoned, TileRenderer
from tests.helpers.array_slide import ArraySlide


def texture(height: int, width: int, sigma: float = 2.0) -> RGBImage:
    """Blurred noise: detail of about ``sigma`` px at all places, as tissue has it."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.clip((blurred - 127.5) * 2.5 * sigma + 127.5, 0, 255).astype(np.uint8)


def whole(renderer: TileRenderer, scale: Scale) -> RGBImage:
    """All tiles of a scale put together, RGB."""
    out = np.zeros((scale.extent.height, scale.extent.width, 3), dtype=np.uint8)
    for row in range(scale.rows):
        for column in range(scale.columns):
            box = scale.box(column, row)
            if not box.empty:
                tile = renderer.render(TileKey(scale, column, row))
                assert tile.pixels.shape == (box.height, box.width, 4)
                out[box.y0 : box.y1, box.x0 : box.x1] = tile.pixels[..., 2::-1]
    return out


def area_mean(pixels: RGBImage, ratio: float, width: int, height: int) -> np.ndarray:
    """The mean over the exact extent of each output px: the truth for making smaller."""

    def along(values: np.ndarray, count: int) -> np.ndarray:
        total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
        at = np.minimum(np.arange(count + 1) * ratio, len(values))
        low = np.minimum(at.astype(int), len(values) - 1)
        part = (at - low).reshape(-1, *[1] * (values.ndim - 1))
        edges = total[low] * (1 - part) + total[low + 1] * part
        widths = np.maximum(np.diff(at), 1e-9).reshape(-1, *[1] * (values.ndim - 1))
        return np.diff(edges, axis=0) / widths

    return along(along(pixels.astype(float), height).swapaxes(0, 1), width).swapaxes(0, 1)


@pytest.mark.parametrize("ratio", [1.0, 1.13, 1.37, 1.9, 2.0, 2.7, 3.7])
def test_tiles_put_together_are_one_resampling_of_the_slide(ratio: float) -> None:
    pixels = texture(900, 1100, 1.5 * ratio)
    slide = ArraySlide(pixels, downsamples=(1,))
    scale = Pyramid.of(slide).scale(ratio)
    got = whole(TileRenderer(slide), scale).astype(float)
    truth = area_mean(pixels, ratio, scale.extent.width, scale.extent.height)
    error = np.abs(got - truth)
    contrast = np.abs(truth - truth.mean()).mean()
    assert error.mean() < 0.06 * contrast
    # A tile stretched onto its place would be off by up to half a pixel: no tile is worse than the others.
    for row in range(scale.rows):
        for column in range(scale.columns):
            box = scale.box(column, row)
            part = error[box.y0 : box.y1, box.x0 : box.x1]
            assert part.size == 0 or part.mean() < 0.1 * contrast


def test_one_to_one_tiles_are_the_pixels_of_the_file() -> None:
    pixels = texture(700, 600)
    slide = ArraySlide(pixels, downsamples=(1,))
    assert np.array_equal(whole(TileRenderer(slide), Pyramid.of(slide).scale(1.0)), pixels)


@pytest.mark.parametrize("ratio", [0.125, 0.31, 0.5, 0.77])
def test_enlarged_tiles_join_without_a_step(ratio: float) -> None:
    pixels = texture(130, 290)
    slide = ArraySlide(pixels, downsamples=(1,))
    scale = Pyramid.of(slide).scale(ratio)
    got = whole(TileRenderer(slide), scale)
    height, width = scale.extent.height, scale.extent.width
    matrix = np.array([[ratio, 0, ratio / 2 - 0.5], [0, ratio, ratio / 2 - 0.5]])
    truth = cv2.warpAffine(
        pixels,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # OpenCV interpolates in steps of 1/32 px, so the offset of a tile may fall on another step.
    assert np.abs(got.astype(int) - truth).max() <= 30
    assert np.abs(got.astype(int) - truth).mean() < 1.0


def test_blocks_are_decoded_once_for_all_zooms_of_a_level() -> None:
    class Counting(ArraySlide):
        reads = 0

        def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
            self.reads += 1
            return super().read(level, x, y, width, height)

    slide = Counting(texture(1024, 1024), downsamples=(1,))
    renderer = TileRenderer(slide)
    for ratio in (1.0, 1.3, 1.7, 0.8):
        whole(renderer, Pyramid.of(slide).scale(ratio))
    assert slide.reads == 16


def test_two_threads_do_not_decode_the_same_block() -> None:
    class Slow(ArraySlide):
        reads = 0
        go = threading.Event()

        def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
            self.reads += 1
            self.go.wait(10)
            return super().read(level, x, y, width, height)

    slide = Slow(texture(256, 256), downsamples=(1,))
    renderer = TileRenderer(slide)
    scale = Pyramid.of(slide).scale(0.25)
    threads = [threading.Thread(target=renderer.render, args=(TileKey(scale, c, 0),)) for c in range(2)]
    for thread in threads:
        thread.start()
    slide.go.set()
    for thread in threads:
        thread.join()
    assert slide.reads == 1


class Broken(ArraySlide):
    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        if (x, y) == (256, 256):
            raise TileError("broken on purpose")
        return super().read(level, x, y, width, height)


@pytest.mark.parametrize("ratio", [1.0, 1.4, 2.3, 0.4])
def test_a_broken_block_is_hatched_and_the_rest_is_shown(ratio: float) -> None:
    pixels = np.full((1024, 1024, 3), (200, 30, 30), dtype=np.uint8)
    slide = Broken(pixels, downsamples=(1,))
    scale = Pyramid.of(slide).scale(ratio)
    got = whole(TileRenderer(slide), scale)
    inside = got[int(260 / ratio) : int(508 / ratio), int(260 / ratio) : int(508 / ratio)]
    assert set(np.unique(inside)) == {150, 205}
    assert (got[: int(250 / ratio)] == (200, 30, 30)).all()
    assert (got[int(518 / ratio) + 1 :] == (200, 30, 30)).all()
    problems = [
        TileRenderer(slide).render(TileKey(scale, c, r)).problem
        for r in range(scale.rows)
        for c in range(scale.columns)
    ]
    assert any(p is not None and "hatched" in p for p in problems)


def test_a_level_without_a_pyramid_is_made_smaller_piece_by_piece() -> None:
    class Sizes(ArraySlide):
        largest = 0

        def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
            self.largest = max(self.largest, width * height)
            return super().read(level, x, y, width, height)

    small = texture(750, 875, 4)
    slide = Sizes(small.repeat(8, axis=0).repeat(8, axis=1), downsamples=(1,))
    scale = Pyramid.of(slide).scale(21.0)
    got = whole(TileRenderer(slide), scale).astype(float)
    assert slide.largest <= 1024 * 1024
    assert np.abs(got - area_mean(small, 21.0 / 8, scale.extent.width, scale.extent.height)).mean() < 1.5


def test_a_long_tile_can_be_abandoned_between_its_pieces() -> None:
    slide = ArraySlide(np.zeros((6000, 6000, 3), dtype=np.uint8), downsamples=(1,))
    scale = Pyramid.of(slide).scale(24.0)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Abandoned

    with pytest.raises(Abandoned):
        TileRenderer(slide).render(TileKey(scale, 0, 0), check)
    assert calls == 3


def test_the_display_transform_changes_what_is_shown_but_not_what_is_decoded() -> None:
    slide = ArraySlide(np.full((300, 300, 3), (10, 20, 30), dtype=np.uint8), downsamples=(1,))
    scale = Pyramid.of(slide).scale(1.0)
    plain = TileRenderer(slide)
    key = TileKey(scale, 0, 0)
    assert tuple(plain.render(key).pixels[0, 0]) == (30, 20, 10, 255)
    used = plain.used
    turned = plain.with_transform(lambda rgb: 255 - rgb)
    assert tuple(turned.render(key).pixels[0, 0]) == (225, 235, 245, 255)
    assert turned.used == used


def test_a_failing_display_transform_shows_the_raw_colours_and_says_so() -> None:
    def fails(rgb: RGBImage) -> RGBImage:
        raise ValueError("no such profile")

    slide = ArraySlide(np.full((300, 300, 3), (10, 20, 30), dtype=np.uint8), downsamples=(1,))
    done = TileRenderer(slide, fails).render(TileKey(Pyramid.of(slide).scale(1.0), 0, 0))
    assert tuple(done.pixels[0, 0]) == (30, 20, 10, 255)
    assert done.problem is not None
    assert "colour profile" in done.problem
