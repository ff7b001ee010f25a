"""Intervals of shares over blocks of tissue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import CellTable, ClassMap, Grid
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.aggregate import CellCounter, SurfaceCounter
from her2viewer.scoring.intervals import bootstrap

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.FILE)
EVERYWHERE = Region.rectangle(-1e6, -1e6, 2e6, 2e6)


def mosaic(side: int, block: int, seed: int = 0, share: float = 0.3) -> ClassMap:
    """Patches of 64 um, 3+ or 0 by squares of ``block`` patches."""
    rng = np.random.default_rng(seed)
    squares = (rng.random((-(-side // block), -(-side // block))) < share) * 3
    classes = np.kron(squares, np.ones((block, block)))[:side, :side].astype(np.uint8)
    return ClassMap("HER2", Grid(0, 0, 128, side, side), TUMOUR_SCHEME, classes, np.ones((side, side), np.float32))


def test_the_interval_holds_the_share_and_is_wider_where_classes_lie_in_large_squares() -> None:
    widths = []
    for block in (1, 16):
        shares = SurfaceCounter(mosaic(160, block), SIZE).shares(EVERYWHERE, interval=True)
        assert shares.interval is not None
        low, high = shares.interval.low[3], shares.interval.high[3]
        assert low < shares.fractions[3] < high
        assert shares.interval.block_um == 1000
        widths.append(high - low)
    assert widths[1] > 5 * widths[0]


def test_the_interval_covers_what_independent_tissue_would_give() -> None:
    """Squares of 1 mm drawn anew: about 95 of 100 intervals hold the share that all tissue has."""
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        blocks = np.zeros((100, 4))
        amount = rng.uniform(0.2, 1.0, 100)
        three = rng.beta(1, 4, 100)
        blocks[:, 3], blocks[:, 0] = amount * three, amount * (1 - three)
        low, high = bootstrap(blocks)
        held += low[3] <= 0.2 <= high[3]
    assert 180 <= held <= 200


def test_uniform_tissue_has_a_narrow_interval_and_the_same_tissue_the_same_one() -> None:
    counter = SurfaceCounter(mosaic(80, 1, share=2.0), SIZE)
    first, again = counter.shares(EVERYWHERE, True), counter.shares(EVERYWHERE, True)
    assert first.interval == again.interval
    assert first.interval is not None
    assert first.interval.low == first.interval.high == (0, 0, 0, 1)


def test_little_tissue_is_cut_into_smaller_blocks_and_very_little_has_no_interval() -> None:
    counter = SurfaceCounter(mosaic(160, 4), SIZE)
    sides = []
    for mm in (4, 2, 1, 0.5):
        found = counter.shares(Region.rectangle(0, 0, mm * 2000, mm * 2000), True).interval
        sides.append(None if found is None else found.block_um)
    assert sides == [1000, 500, 250, None]


def test_cells_and_patches_of_the_same_tissue_have_like_intervals() -> None:
    class_map = mosaic(160, 16, seed=2)
    rng = np.random.default_rng(0)
    n = 60_000
    x, y = rng.uniform(0, 160 * 128, n).astype(np.float32), rng.uniform(0, 160 * 128, n).astype(np.float32)
    classes = class_map.classes[(y // 128).astype(int), (x // 128).astype(int)]
    cells = CellCounter(CellTable("Cells", CELL_SCHEME, x, y, classes), SIZE).shares(EVERYWHERE, True).interval
    patches = SurfaceCounter(class_map, SIZE).shares(EVERYWHERE, True).interval
    assert cells is not None
    assert patches is not None
    np.testing.assert_allclose(cells.low, patches.low, atol=0.02)
    np.testing.assert_allclose(cells.high, patches.high, atol=0.02)


def test_the_interval_of_cells_counts_only_tumour_cells_inside_the_region() -> None:
    rng = np.random.default_rng(1)
    n = 40_000
    x, y = rng.uniform(0, 20_000, n).astype(np.float32), rng.uniform(0, 20_000, n).astype(np.float32)
    classes = np.where(x < 10_000, 3, np.where(rng.random(n) < 0.5, 0, 4)).astype(np.uint8)
    counter = CellCounter(CellTable("Cells", CELL_SCHEME, x, y, classes), SIZE)
    left = counter.shares(Region.rectangle(0, 0, 9_990, 20_000), True).interval
    right = counter.shares(Region.rectangle(10_010, 0, 9_990, 20_000), True).interval
    assert left is not None
    assert right is not None
    assert left.low == (0, 0, 0, 1)
    assert right.high == (1, 0, 0, 0)


def test_without_a_pixel_size_and_without_cells_there_is_no_interval() -> None:
    empty = CellTable("Cells", CELL_SCHEME, *(np.zeros(0, np.float32),) * 2, np.zeros(0, np.uint8))
    assert CellCounter(empty, SIZE).shares(EVERYWHERE, True).interval is None
    assert CellCounter(empty).shares(EVERYWHERE, True).interval is None


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 99))
def test_every_interval_is_a_pair_of_fractions_around_the_share(count: int, seed: int) -> None:
    blocks = np.random.default_rng(seed).gamma(0.5, 1.0, (count, 4))
    low, high = bootstrap(blocks)
    share = blocks.sum(axis=0) / blocks.sum()
    assert ((low >= -1e-12) & (low <= high) & (high <= 1 + 1e-12)).all()
    if count >= 50:
        assert ((low <= share) & (share <= high)).all()


def test_the_side_of_the_blocks_is_told() -> None:
    interval = SurfaceCounter(mosaic(64, 2), SIZE).shares(EVERYWHERE, True).interval
    assert interval is not None
    assert interval.block_um == pytest.approx(1000)
