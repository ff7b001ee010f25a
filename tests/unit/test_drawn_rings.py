"""What a worker draws of outlines in the frames of a zoom: in its place, hatched from the slide's origin on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from her2viewer.viewer.canvas.grid import Box
from her2viewer.viewer.canvas.rasters import LayerRasters, Rings, lay_over
from her2viewer.viewer.overlays.drawn_rings import Disc, DrawnRings, RingStyle, diagonal, premultiplied

RED = premultiplied(200, 0, 0, 255)
SQUARE = np.array([[1000.0, 1000], [3000, 1000], [3000, 3000], [1000, 3000]])


def laid(source: DrawnRings, box: Box, downsample: float, opacity: float = 1.0) -> np.ndarray:
    out = np.full((box.height, box.width, 4), 255, np.uint8)
    for _ in lay_over([LayerRasters(source, opacity)], out, box, (box.x0, box.y0), downsample):
        pass
    return out[..., :3]


def test_an_outline_lies_where_its_corners_are() -> None:
    picture = laid(DrawnRings([RingStyle(Rings([SQUARE]), RED, 2)]), Box(200, 200, 1700, 1700), 2.0)
    ink = (picture != 255).any(axis=2)
    rows, columns = np.nonzero(ink)
    assert abs(rows.min() - 300) <= 2
    assert abs(columns.max() - 1300) <= 2
    assert ink[800, 299:302].any(), "500 - 200 px from the left"
    assert not ink[600:700, 600:700].any(), "its inside is left to the tissue"
    assert (picture[ink] == (0, 0, 200)).all()


def test_where_nothing_lies_nothing_is_drawn() -> None:
    source = DrawnRings([RingStyle(Rings([SQUARE]), RED, 2)], [Disc(2000, 2000, RED, 7)])
    assert not list(source.within((10_000, 10_000, 11_000, 11_000), 1.0))
    assert len(list(source.within((900, 900, 1100, 1100), 1.0))) == 1
    assert not list(DrawnRings([]).within((0, 0, 1000, 1000), 1.0))


def test_a_note_has_its_disc() -> None:
    picture = laid(DrawnRings([], [Disc(2000, 1000, RED, 7)]), Box(450, 200, 550, 300), 4.0)
    ink = (picture != 255).any(axis=2)
    assert ink[50, 50]
    assert 120 < ink.sum() < 180


def test_a_hatch_spares_holes_and_goes_on_from_part_to_part() -> None:
    hole = SQUARE * 0.2 + 1600
    hatch = diagonal(8, ((7, premultiplied(0, 0, 200, 170)),))
    source = DrawnRings([RingStyle(Rings([SQUARE, hole]), RED, 1, hatch)])
    whole = laid(source, Box(400, 400, 1600, 1600), 2.0)
    assert ((whole[300:380, 300:380] != 255).any(axis=2)).mean() == 1 / 8
    # The hole spans 900 to 1100 px of the zoom.
    assert (whole[520:680, 520:680] == 255).all()
    part = laid(source, Box(703, 655, 950, 801), 2.0)
    assert np.array_equal(part, whole[255:401, 303:550])


def test_with_an_opacity_the_tissue_is_seen_through() -> None:
    source = DrawnRings([RingStyle(Rings([SQUARE]), RED, 3)])
    ink = laid(source, Box(400, 400, 1600, 1600), 2.0, 0.5)
    assert {tuple(p) for p in ink.reshape(-1, 3)[::7].tolist()} <= {(255, 255, 255), (127, 127, 227), (128, 128, 228)}


@given(st.integers(0, 6), st.integers(0, 10_000), st.integers(-500, 900), st.integers(-500, 900), st.floats(0.4, 30))
def test_rings_in_a_box_are_drawn_as_if_all_were(count: int, seed: int, x: int, y: int, downsample: float) -> None:
    rng = np.random.default_rng(seed)
    rings = [rng.uniform(-500, 500, (5, 2)) + rng.uniform(-2000, 8000, 2) for _ in range(count)]
    box = Box(x, y, x + 160, y + 120)
    found = Rings(rings).on(box, downsample)
    x0, y0, x1, y1 = (edge * downsample for edge in box)
    near = [r for r in rings if (r.max(0) >= (x0, y0)).all() and (r.min(0) <= (x1, y1)).all()]
    assert len(found) == len(near)
    for got, ring in zip(found, near, strict=True):
        assert np.abs(got / 16 - (ring / downsample - (box.x0 + 0.5, box.y0 + 0.5))).max() < 0.1


def test_a_hatch_leaves_the_lines_below_it() -> None:
    hatch = diagonal(8, ((7, premultiplied(0, 0, 200, 255)),))
    line = RingStyle(Rings([SQUARE]), RED, 2)
    over = RingStyle(Rings([SQUARE * 3 - 3000]), premultiplied(0, 0, 200, 255), 1, hatch)
    picture = laid(DrawnRings([line, over]), Box(400, 400, 1600, 1600), 2.0)
    red = (picture == (0, 0, 200)).all(axis=2)
    assert red[300:900, 98:103].any(axis=1).mean() > 0.85


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(16, 60))
def test_it_is_drawn_the_same_in_any_pieces(seed: int, width: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    some = [rng.uniform(0, 200, (6, 2)) for _ in range(3)]
    hatch = diagonal(8, ((7, premultiplied(0, 0, 200, 255)),))
    for source in (
        DrawnRings([RingStyle(Rings(some), RED, width)], [Disc(100, 100, RED, 7)]),
        DrawnRings([RingStyle(Rings(some), premultiplied(0, 0, 200, 255), width, hatch)]),
    ):
        whole = (laid(source, Box(-20, -20, 220, 220), 1.0) != 255).any(axis=2)
        parts = [laid(source, Box(-20, y, 220, min(220, y + rows)), 1.0) for y in range(-20, 220, rows)]
        together = (np.concatenate(parts) != 255).any(axis=2)
        # Where a line is cut it may go on a px or two beside.
        for one, other in ((together, whole), (whole, together)):
            assert (one & ~ndimage.binary_dilation(other, np.ones((5, 5)))).sum() <= 0.005 * one.sum()
