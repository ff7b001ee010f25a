"""Blocks, windows and blending of the surface scorer."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from her2viewer_surface.plan import BLOCK, CELL, FRAME_CELLS, HALO, HALO_CELLS, PATCH, PATCHES, Block, Plan
from her2viewer_surface.segmentation import SMALL_CELLS, Segmentation, tissue_cells, tumour_mask
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.api import PixelSize, PixelSizeSource, Region, ScorerError

WINDOWS = ((256, 128), (256, 64), (256, 32), (256, 0), (512, 128), (512, 64), (512, 32), (512, 0))
"""Sides and overlaps."""
WHOLE = np.ones((PATCHES, PATCHES), np.float32)


def plan(window: int = 256, overlap: int = 64, mpp: float = 0.5) -> Plan:
    return Plan.of(PixelSize(mpp, mpp, PixelSizeSource.FILE, "test"), window, overlap)


class Constant:
    """A network that gives every pixel the same logits, or logits by where it lies in the window."""

    batch, precision, device = 4, "fp32", "CPU"

    def __init__(self, logit: np.ndarray | float, side: int = 256) -> None:
        self._logit, self.side = logit, side
        self.seen = 0

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.seen += len(batch)
        logits = np.zeros((len(batch), 2, self.side, self.side), np.float32)
        logits[:, 1] = self._logit
        return logits


def means(values: np.ndarray, side: int) -> np.ndarray:
    """Mean over squares."""
    rows, columns = values.shape
    return values.reshape(rows // side, side, columns // side, side).mean(axis=(1, 3))


def tissue(count: int, side: int = 256) -> list[np.ndarray | None]:
    return [np.full((side, side, 3), 150, np.uint8) for _ in range(count)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-500, 6000), st.integers(-500, 6000)), min_size=3, max_size=8, unique=True),
    st.sampled_from([0.25, 0.5, 0.2431]),
)
def test_the_wanted_patches_are_those_that_share_area_with_the_region(points, mpp: float) -> None:
    hull = shapely.MultiPoint(points).convex_hull
    if hull.geom_type != "Polygon":
        return
    at = plan(mpp=mpp)
    blocks = at.blocks(Region(hull))
    area = 0.0
    for block in blocks:
        grid = at.grid(block, PATCH)
        xs, ys = np.meshgrid(grid.x + np.arange(PATCHES) * grid.step, grid.y + np.arange(PATCHES) * grid.step)
        squares = shapely.box(xs, ys, xs + grid.step, ys + grid.step)
        shared = shapely.area(shapely.intersection(squares, hull))
        np.testing.assert_allclose(block.cover, shared / grid.step**2, atol=1e-5)
        assert (block.inside == (block.cover > 0)).all()
        area += shared[block.inside].sum()
    assert area == pytest.approx(hull.area, rel=1e-4, abs=0.1)


@pytest.mark.parametrize(("window", "overlap"), WINDOWS)
def test_a_block_asks_for_every_window_that_sees_a_wanted_patch_or_its_halo(window: int, overlap: int) -> None:
    cover = np.zeros((PATCHES, PATCHES), np.float32)
    cover[0, 5], cover[-1, -1] = 0.2, 1.0
    block = Block(3, 7, cover)
    found = set(plan(window, overlap).windows(block))
    expected, stride = set(), window - overlap
    for row, column in np.argwhere(cover):
        x, y = block.x + column * PATCH, block.y + row * PATCH
        for c in range(-2, 40):
            for r in range(-2, 60):
                near_x = c * stride < x + PATCH + HALO and c * stride + window > x - HALO
                near_y = r * stride < y + PATCH + HALO and r * stride + window > y - HALO
                if near_x and near_y:
                    expected.add((c, r))
    assert found == expected


@pytest.mark.parametrize(("window", "overlap"), WINDOWS)
def test_blending_leaves_no_seams(window: int, overlap: int) -> None:
    """A network that is surer in the middle of its window than at the edge still gives a field without steps."""
    ramp = np.abs(np.arange(window) - window / 2 + 0.5) / window
    network = Constant((4 - 4 * (ramp[:, None] + ramp[None, :])).astype(np.float32), window)
    block = Block(2, 2, WHOLE)
    at = plan(window, overlap)
    work = Segmentation(network, at, [block])
    work.add(places := work.claim(block), tissue(len(places), window))
    probability, seen = work.probability(block)
    assert seen.all()
    steps = max(np.abs(np.diff(probability, axis=axis)).max() for axis in (0, 1))
    alone = np.abs(np.diff(means(1 / (1 + np.exp(-network(np.zeros((1,)))[0, 1])), CELL), axis=0)).max()
    # Hardly steeper than the network itself, where windows overlap; without overlap nothing can be blended.
    assert steps <= {128: 1.5 * alone, 64: 1.5 * alone, 32: 2 * alone, 0: 1.0}[overlap]
    flat = Segmentation(Constant(1.0, window), at, [block])
    flat.add(places := flat.claim(block), tissue(len(places), window))
    np.testing.assert_allclose(flat.probability(block)[0], 1 / (1 + np.exp(-1.0)), atol=1e-5)


def test_each_window_is_computed_once_and_forgotten_after_its_last_block() -> None:
    at = plan()
    region = Region.rectangle(0, 0, *(2 * side for side in (8 * BLOCK, 8 * BLOCK)))
    blocks = at.blocks(region)
    assert len(blocks) == 64
    network = Constant(0.0)
    work = Segmentation(network, at, blocks)
    most = 0
    for block in blocks:
        places = work.claim(block)
        work.add(places, tissue(len(places)))
        most = max(most, work.kept)
        work.probability(block)
    windows = {w for b in blocks for w in at.windows(b)}
    assert network.seen == len(windows)
    assert work.kept == 0
    assert most < 0.6 * len(windows)


def test_windows_without_tissue_cost_no_network_and_hold_no_tumour() -> None:
    block = Block(0, 0, WHOLE)
    network = Constant(9.0)
    work = Segmentation(network, plan(), [block])
    places = work.claim(block)
    work.add(places, [np.full((256, 256, 3), 255, np.uint8) for _ in places])
    probability, seen = work.probability(block)
    assert network.seen == 0
    assert seen.all()
    assert (probability == 0).all()


def test_a_window_with_tissue_at_its_edge_alone_is_left_to_its_neighbour() -> None:
    block = Block(0, 0, WHOLE)
    network = Constant(9.0)
    work = Segmentation(network, plan(), [block])
    places = work.claim(block)
    pictures = [np.full((256, 256, 3), 255, np.uint8) for _ in places]
    # 32 um on both sides of x = 224 um, where the window at 192 um begins to be nearer than that at 0.
    pictures[places.index((0, 1))][:, 224:] = 150
    pictures[places.index((1, 1))][:, 32:64] = 150
    work.add(places, pictures)
    probability, seen = work.probability(block)
    assert network.seen == 1
    assert seen.all()
    inside = (224 + HALO) // CELL, (192 + 100 + HALO) // CELL
    assert probability[inside[1], inside[0]] > 0.99


def test_what_only_unreadable_windows_see_counts_as_not_seen() -> None:
    block = Block(0, 0, WHOLE)
    work = Segmentation(Constant(9.0), plan(), [block])
    places = work.claim(block)
    pictures = tissue(len(places))
    pictures[places.index((1, 1))] = None
    work.add(places, pictures)
    probability, seen = work.probability(block)
    lost = np.argwhere(~seen) * CELL - HALO
    # The part of the window that its neighbours, 192 um on, do not reach.
    assert lost.min() == 192 + 64
    assert lost.max() == 192 + 192 - CELL
    assert probability[seen].min() > 0.99


def drawn(seed: int) -> np.ndarray:
    """Probabilities with many specks and holes of all sizes."""
    rng = np.random.default_rng(seed)
    noise = rng.random((2 * FRAME_CELLS, 2 * FRAME_CELLS)).astype(np.float32)
    return np.clip(means(noise, 2) + 0.02, 0, 1)


def test_small_specks_and_holes_go_and_larger_ones_stay() -> None:
    probability = np.zeros((FRAME_CELLS, FRAME_CELLS), np.float32)
    middle = 150
    probability[middle : middle + 3, middle : middle + 5] = 1
    probability[60:64, 60:64] = 1
    probability[100:130, 100:130] = 1
    probability[110:113, 110:115] = 0
    probability[120:124, 120:124] = 0
    mask = tumour_mask(probability, 0.5)
    at = HALO_CELLS
    assert SMALL_CELLS == 15
    assert not mask[middle - at : middle + 3 - at, middle - at : middle + 5 - at].any()
    assert mask[60 - at : 64 - at, 60 - at : 64 - at].all()
    assert mask[110 - at : 113 - at, 110 - at : 115 - at].all()
    assert not mask[120 - at : 124 - at, 120 - at : 124 - at].any()


@pytest.mark.parametrize("seed", range(6))
def test_what_lies_beyond_the_halo_changes_nothing_in_a_block(seed: int) -> None:
    probability = np.pad(drawn(seed), HALO_CELLS, mode="reflect")
    inner = probability[HALO_CELLS:-HALO_CELLS, HALO_CELLS:-HALO_CELLS]
    whole = tumour_mask(probability, 0.5)[HALO_CELLS:-HALO_CELLS, HALO_CELLS:-HALO_CELLS]
    np.testing.assert_array_equal(tumour_mask(inner, 0.5), whole)


def test_pale_stroma_is_tissue_and_glass_is_not() -> None:
    rgb = np.full((64, 128, 3), 255, np.uint8)
    rgb[:, :64] = (250, 248, 236)
    found = tissue_cells(rgb)
    assert found[:, :4].all()
    assert not found[:, 4:].any()


@pytest.mark.parametrize(("window", "overlap"), [(250, 32), (32, 64), (128, 128)])
def test_a_network_of_another_side_that_does_not_fit_is_refused_in_a_sentence(window: int, overlap: int) -> None:
    with pytest.raises(ScorerError, match=f"images of {window} px.*overlap of {overlap} um"):
        plan(window, overlap)
