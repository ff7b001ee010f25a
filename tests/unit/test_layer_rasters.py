"""Layers laid over a picture by a worker look as a painter draws them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from her2viewer.viewer.canvas.grid import Box
from her2viewer.viewer.canvas.rasters import LayerRasters, Raster, Rings, lay_over


class Still:
    """One image at every zoom."""

    def __init__(self, *rasters: Raster) -> None:
        self.rasters = rasters

    def within(self, bounds: tuple[float, float, float, float], downsample: float) -> tuple[Raster, ...]:
        return self.rasters


def laid(layers: list[LayerRasters], box: Box, downsample: float, colour: int = 200) -> NDArray[np.uint8]:
    out = np.full((box.height, box.width, 4), colour, dtype=np.uint8)
    out[..., 3] = 255
    for _ in lay_over(layers, out, box, (box.x0, box.y0), downsample):
        pass
    return out


def expected(
    pixels: NDArray[np.uint8], place: tuple[float, float, float], box: Box, downsample: float, opacity: float
) -> NDArray[np.float64]:
    """Pixel by pixel from the definition: the px of the raster under the middle of each px, source over."""
    x, y, step = place
    out = np.full((box.height, box.width, 4), 200.0)
    out[..., 3] = 255
    for row in range(box.height):
        for column in range(box.width):
            c = ((box.x0 + column + 0.5) * downsample - x) / step
            r = ((box.y0 + row + 0.5) * downsample - y) / step
            if 0 <= c < pixels.shape[1] and 0 <= r < pixels.shape[0]:
                over = opacity * pixels[int(r), int(c)].astype(float)
                out[row, column] = over + out[row, column] * (1 - over[3] / 255)
    return out


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    x=st.floats(-30, 30),
    y=st.floats(-30, 30),
    step=st.floats(0.5, 40),
    downsample=st.floats(0.3, 12),
    opacity=st.sampled_from([1.0, 0.6, 0.25]),
    left=st.integers(-9, 9),
)
def test_every_px_of_a_layer_is_that_under_its_middle(
    seed: int, x: float, y: float, step: float, downsample: float, opacity: float, left: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (7, 9, 4), dtype=np.uint8)
    # Premultiplied: no channel above the coverage.
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    box = Box(left, -4, left + 23, 15)
    got = laid([LayerRasters(Still(Raster(pixels, x, y, step)), opacity)], box, downsample).astype(float)
    want = expected(pixels, (x, y, step), box, downsample, opacity)
    near = (np.abs(got - want) <= 2).all(axis=2)
    # At the edge of the image whole px are covered or not.
    at_x = np.abs((np.arange(box.x0, box.x1) + 0.5) * downsample - [[x], [x + 9 * step]]).min(axis=0)
    at_y = np.abs((np.arange(box.y0, box.y1) + 0.5) * downsample - [[y], [y + 7 * step]]).min(axis=0)
    inner = (at_x > 0.51 * downsample)[None, :] & (at_y > 0.51 * downsample)[:, None]
    # Where the middle of a px falls between two px of the image either may be taken.
    grid_x = ((np.arange(box.x0, box.x1) + 0.5) * downsample - x) / step
    grid_y = ((np.arange(box.y0, box.y1) + 0.5) * downsample - y) / step
    clear = (np.abs(grid_x - np.round(grid_x)) > 1e-6)[None, :] & (np.abs(grid_y - np.round(grid_y)) > 1e-6)[:, None]
    assert near[inner & clear].all()


@pytest.mark.parametrize("downsample", [0.37, 1.0, 2.9])
def test_neighbouring_images_meet_without_a_seam(downsample: float) -> None:
    ink = np.full((8, 8, 4), (0, 0, 128, 128), dtype=np.uint8)
    tiles = Still(*(Raster(ink, 24.3 * i, 24.3 * j, 24.3 / 8) for i in range(3) for j in range(3)))
    side = int(3 * 24.3 / downsample) - 1
    out = laid([LayerRasters(tiles)], Box(1, 1, side, side), downsample)
    assert (out == out[0, 0]).all(), "each px lies under exactly one of them"


def test_nothing_is_drawn_outside_the_rings_and_in_their_holes() -> None:
    ink = np.full((10, 10, 4), (0, 0, 255, 255), dtype=np.uint8)
    outer = np.array([(20, 20), (80, 20), (80, 80), (20, 80), (20, 20)], dtype=float)
    hole = np.array([(40, 40), (60, 40), (60, 60), (40, 60), (40, 40)], dtype=float)
    layer = LayerRasters(Still(Raster(ink, 0, 0, 10)), clip=Rings((outer, hole)))
    red = (laid([layer], Box(0, 0, 50, 50), 2.0)[..., 2] == 255) & (
        laid([layer], Box(0, 0, 50, 50), 2.0)[..., 0] == 0
    )
    want = np.zeros((50, 50), dtype=bool)
    want[10:40, 10:40] = True
    want[20:30, 20:30] = False
    # A line of px on the edge may belong to either side.
    assert (red != want).sum() <= 4 * 30 + 4 * 12
    assert red[12:19, 12:38].all()
    assert not red[22:28, 22:28].any()
    assert not red[:9].any()


def test_a_layer_of_no_opacity_leaves_the_picture_as_it_is() -> None:
    ink = np.full((4, 4, 4), 255, dtype=np.uint8)
    assert (laid([LayerRasters(Still(Raster(ink, 0, 0, 10)), 0.0)], Box(0, 0, 9, 9), 1.0)[..., :3] == 200).all()
