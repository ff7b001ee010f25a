import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.viewer.canvas.grid import aligned, view_box
from her2viewer.viewer.canvas.viewport import MAX_ZOOM, Viewport

coordinate = st.floats(-1e5, 3e5)
downsamples = st.floats(0.01, 500)
views = st.builds(
    Viewport,
    cx=coordinate,
    cy=coordinate,
    downsample=downsamples,
    width=st.integers(1, 4000),
    height=st.integers(1, 3000),
    rotation=st.one_of(st.sampled_from([0.0, 90.0, 180.0, 270.0]), st.floats(0, 359.9)),
    dpr=st.sampled_from([1.0, 1.25, 1.5, 2.0]),
)
screen = st.floats(-500, 4500)


@given(views, screen, screen)
def test_screen_and_slide_positions_are_inverse(view: Viewport, sx: float, sy: float) -> None:
    assert view.to_screen(*view.to_slide(sx, sy)) == pytest.approx((sx, sy), abs=1e-4)


@given(views, downsamples, screen, screen)
def test_zooming_keeps_the_point_under_the_pointer(view: Viewport, downsample: float, sx: float, sy: float) -> None:
    x, y = view.to_slide(sx, sy)
    zoomed = view.zoomed(downsample, sx, sy)
    assert zoomed.downsample == downsample
    assert zoomed.to_screen(x, y) == pytest.approx((sx, sy), abs=1e-3)


@given(views, screen, screen)
def test_panning_moves_the_tissue_with_the_pointer(view: Viewport, dx: float, dy: float) -> None:
    x, y = view.to_slide(10, 20)
    assert view.panned(dx, dy).to_screen(x, y) == pytest.approx((10 + dx, 20 + dy), abs=1e-3)


@given(views, st.floats(-720, 720))
def test_turning_keeps_the_middle(view: Viewport, degrees: float) -> None:
    turned = view.rotated(degrees)
    assert 0 <= turned.rotation < 360
    assert (turned.cx, turned.cy) == (view.cx, view.cy)


@given(views, coordinate, coordinate, st.floats(1, 1e5), st.floats(1, 1e5))
def test_a_fitted_rectangle_is_wholly_visible(view: Viewport, x: float, y: float, w: float, h: float) -> None:
    fitted = view.fitted(x, y, x + w, y + h)
    for corner in ((x, y), (x + w, y), (x, y + h), (x + w, y + h)):
        sx, sy = fitted.to_screen(*corner)
        assert -1e-3 <= sx <= view.width / view.dpr + 1e-3
        assert -1e-3 <= sy <= view.height / view.dpr + 1e-3


@given(views, st.integers(1, 300_000), st.integers(1, 300_000))
def test_a_limited_view_stays_within_the_slide_and_its_zooms(view: Viewport, width: int, height: int) -> None:
    limited = view.limited(width, height)
    assert 0 <= limited.cx <= width
    assert 0 <= limited.cy <= height
    fit = view.fitted(0, 0, width, height).downsample
    finest = min(1 / MAX_ZOOM, fit)
    assert finest <= limited.downsample <= max(4 * fit, finest)
    assert limited.limited(width, height) == limited


def test_a_view_within_the_limits_is_left_as_it_is() -> None:
    view = Viewport(500, 400, 1.0, 800, 600)
    assert view.limited(1000, 1000) is view


@given(views)
def test_an_aligned_view_moves_by_half_a_device_pixel_at_most(view: Viewport) -> None:
    moved = aligned(view)
    # Along the edges of the screen, whichever way the slide is turned.
    x, y = view.to_screen(moved.cx, moved.cy)
    assert abs(x - view.width / view.dpr / 2) * view.dpr <= 0.5001 + 1e-6 / view.downsample
    assert abs(y - view.height / view.dpr / 2) * view.dpr <= 0.5001 + 1e-6 / view.downsample
    assert (moved.downsample, moved.rotation, moved.width) == (view.downsample, view.rotation, view.width)


@given(views, st.sampled_from([0.0, 90.0, 180.0, 270.0]))
def test_an_aligned_upright_view_covers_exactly_its_pixels(view: Viewport, rotation: float) -> None:
    view = aligned(Viewport(view.cx, view.cy, view.downsample, view.width, view.height, rotation, view.dpr))
    box = view_box(view, view.downsample)
    size = (view.width, view.height) if rotation % 180 == 0 else (view.height, view.width)
    assert (box.width, box.height) == size
