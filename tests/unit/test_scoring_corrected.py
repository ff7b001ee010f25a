"""A tumour mask under the reader's corrections: masks, weights and shares follow exactly, and only where touched."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, box

from her2viewer.domain.classes import TUMOUR_SCHEME
from her2viewer.domain.corrections import NO_CORRECTIONS, Corrections
from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Grid, Heatmap, TissueMask
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.aggregate import SurfaceCounter
from her2viewer.scoring.corrected import CorrectedSurface, corrected, covered_cells, surface_of

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.FILE)
STEP, PATCH = 8.0, 128.0
"""4 um and 64 um at 0.5 um/px."""
EVERYWHERE = Region.rectangle(-1000, -1000, 10_000, 10_000)


def surface(rows: int = 3, columns: int = 4, tumour: float = 0.0, seed: int = 0) -> tuple[TissueMask, ClassMap]:
    """A mask with this share of tumour, in random cells, and the classes of its patches by column."""
    rng = np.random.default_rng(seed)
    values = (rng.random((rows * 16, columns * 16)) < tumour).astype(np.uint8)
    weight = values.reshape(rows, 16, columns, 16).mean(axis=(1, 3)).astype(np.float32)
    classes = np.broadcast_to(np.arange(columns) % 4, (rows, columns)).astype(np.uint8)
    mask = TissueMask("Invasive tumour", Grid(0, 0, STEP, columns * 16, rows * 16), values)
    class_map = ClassMap("HER2", Grid(0, 0, PATCH, columns, rows), TUMOUR_SCHEME, classes, weight, least_weight=0.1)
    return mask, class_map


def test_tumour_that_is_added_over_a_whole_patch_counts_whole_and_elsewhere_nothing_changes() -> None:
    mask, class_map = surface()
    now = CorrectedSurface(mask, class_map)
    assert now.paint(box(128, 0, 256, 128), tumour=True)
    assert now.class_map.weight.tolist() == [[0, 1, 0, 0], [0] * 4, [0] * 4]
    assert now.mask.values.sum() == 256
    assert mask.values.sum() == 0
    assert class_map.weight.sum() == 0
    shares = SurfaceCounter(now.class_map, SIZE).shares(EVERYWHERE)
    assert shares.amounts == pytest.approx((0, 0.064**2, 0, 0))


def test_a_quarter_of_a_patch_weighs_a_quarter() -> None:
    now = CorrectedSurface(*surface(tumour=1.0))
    assert now.paint(box(0, 0, 64, 64), tumour=False)
    assert now.class_map.weight[0].tolist() == [0.75, 1, 1, 1]


def test_a_patch_that_nobody_touched_keeps_the_finer_weight_of_the_scorer() -> None:
    mask, class_map = surface(tumour=0.5)
    finer = np.full_like(class_map.weight, 0.4321)
    now = CorrectedSurface(mask, ClassMap("HER2", class_map.grid, TUMOUR_SCHEME, class_map.classes, finer))
    now.paint(box(0, 0, 100, 100), tumour=True)
    assert now.class_map.weight[0, 0] > 0.5
    assert (now.class_map.weight.ravel()[1:] == np.float32(0.4321)).all()
    now.set(NO_CORRECTIONS)
    assert (now.class_map.weight == np.float32(0.4321)).all()
    assert (now.mask.values == mask.values).all()


def test_tumour_added_where_no_patch_has_a_class_is_unclassified() -> None:
    mask, class_map = surface(tumour=1.0)
    classes = class_map.classes.copy()
    classes[0, 0] = NOT_SCORED
    values = mask.values.copy()
    values[:16, :16] = 0
    weight = class_map.weight.copy()
    weight[0, 0] = 0
    bare = ClassMap("HER2", class_map.grid, TUMOUR_SCHEME, classes, weight, least_weight=0.1)
    now = CorrectedSurface(TissueMask("Invasive tumour", mask.grid, values), bare)
    counter = SurfaceCounter(bare, SIZE)
    assert counter.shares(EVERYWHERE).unclassified == 0
    now.paint(box(0, 0, 128, 128), tumour=True)
    shares = counter.of(now.class_map).shares(EVERYWHERE)
    assert shares.unclassified == pytest.approx(0.064**2)
    assert shares.total == pytest.approx(11 * 0.064**2)
    assert shares.unclassified_fraction == pytest.approx(1 / 12)


def test_a_little_tumour_in_a_patch_is_unclassified_and_counts_in_no_share() -> None:
    _, class_map = surface(1, 2)
    little = ClassMap("HER2", class_map.grid, TUMOUR_SCHEME, class_map.classes, np.array([[0.08, 0.5]], np.float32))
    counted = SurfaceCounter(little, SIZE).shares(EVERYWHERE)
    assert counted.unclassified == 0
    limited = ClassMap("HER2", little.grid, TUMOUR_SCHEME, little.classes, little.weight, least_weight=0.1)
    shares = SurfaceCounter(limited, SIZE).shares(EVERYWHERE)
    assert shares.amounts == pytest.approx((0, 0.5 * 0.064**2, 0, 0))
    assert shares.unclassified == pytest.approx(0.08 * 0.064**2)


def test_what_was_changed_is_told_in_mm2_and_only_where_it_is_another_than_before() -> None:
    mask, class_map = surface(tumour=0.5, seed=3)
    now = CorrectedSurface(mask, class_map)
    counter = SurfaceCounter(class_map, SIZE)
    assert not now.change(counter.cover(EVERYWHERE), SIZE).any
    now.paint(box(0, 0, 128, 128), tumour=True)
    cell = SIZE.mm2(STEP**2)
    change = now.change(counter.cover(EVERYWHERE), SIZE)
    assert change.added == pytest.approx(cell * (256 - mask.values[:16, :16].sum()))
    assert change.removed == 0
    now.paint(box(0, 0, 512, 384), tumour=False)
    change = now.change(counter.cover(EVERYWHERE), SIZE)
    assert change.added == 0
    assert change.removed == pytest.approx(cell * mask.values.sum())
    elsewhere = Region.rectangle(5000, 5000, 10, 10)
    assert not now.change(counter.cover(elsewhere), SIZE).any


def test_cells_are_covered_by_their_centres() -> None:
    circle = shapely.Point(100, 90).buffer(60)
    grid = Grid(3, 5, STEP, 30, 20)
    gx, gy = grid.centres()
    assert (covered_cells(circle, grid) == shapely.contains_xy(circle, gx, gy)).all()
    ring = circle.difference(shapely.Point(100, 90).buffer(31))
    assert (covered_cells(ring, grid) == shapely.contains_xy(ring, gx, gy)).all()


strokes = st.lists(
    st.tuples(
        st.booleans(), st.floats(-60, 560), st.floats(-60, 420), st.floats(1, 300), st.floats(1, 300), st.booleans()
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(strokes, st.integers(0, 50), st.floats(0, 1))
def test_strokes_one_by_one_all_at_once_and_undone_agree(
    drawn: list[tuple[bool, float, float, float, float, bool]], seed: int, tumour: float
) -> None:
    mask, class_map = surface(tumour=tumour, seed=seed)
    painted, stepwise = CorrectedSurface(mask, class_map), CorrectedSurface(mask, class_map)
    corrections, history = NO_CORRECTIONS, [NO_CORRECTIONS]
    for adds, left, top, width, height, round_ in drawn:
        # Off the round numbers, so that no centre of a cell lies on an edge.
        x, y = left + 0.1234, top + 0.1234
        area = shapely.Point(x, y).buffer(width / 2) if round_ else box(x, y, x + width, y + height)
        painted.paint(area, adds)
        after = corrections.after(area, adds)
        within = after.changed(corrections)
        if within is not None:
            stepwise.set(after, within)
        corrections = after
        history.append(after)
    at_once = CorrectedSurface(mask, class_map, corrections)
    for other in (stepwise, at_once):
        assert (painted.mask.values == other.mask.values).all()
        assert (painted.class_map.weight == other.class_map.weight).all()
    weight = at_once.mask.values.reshape(3, 16, 4, 16).mean(axis=(1, 3))
    np.testing.assert_allclose(at_once.class_map.weight, weight, atol=1e-6)
    for earlier, later in zip(reversed(history[:-1]), reversed(history), strict=False):
        stepwise.set(earlier, later.changed(earlier) or (0, 0, -1, -1))
    assert (stepwise.mask.values == mask.values).all()
    assert (stepwise.class_map.weight == class_map.weight).all()


def test_patches_and_mask_may_begin_at_different_places() -> None:
    mask = TissueMask("Invasive tumour", Grid(128, 0, STEP, 16, 48), np.zeros((48, 16), np.uint8))
    _, class_map = surface()
    now = CorrectedSurface(mask, class_map)
    assert now.paint(box(-500, 128, 500, 256), tumour=True)
    assert now.class_map.weight[1].tolist() == [0, 1, 0, 0]
    assert not now.paint(box(300, 0, 500, 500), tumour=True)


def test_what_nobody_looked_at_is_left_out_of_the_weight_until_it_is_painted() -> None:
    mask, class_map = surface(1, 1, tumour=1.0)
    values = mask.values.copy()
    values[:, 8:] = NOT_SCORED
    now = CorrectedSurface(TissueMask("Invasive tumour", mask.grid, values), class_map)
    now.paint(box(0, 0, 32, 128), tumour=False)
    assert now.class_map.weight[0, 0] == 0.5
    now.paint(box(64, 0, 128, 128), tumour=True)
    assert now.class_map.weight[0, 0] == 0.75


def test_evidence_without_a_tumour_mask_is_handed_on_as_it_is() -> None:
    mask, class_map = surface(tumour=1.0)
    heat = Heatmap("OD", class_map.grid, class_map.weight, "OD", 0, 1)
    corrections = NO_CORRECTIONS.after(box(0, 0, 128, 128), tumour=False)
    assert corrected((class_map, heat), corrections) == (class_map, heat)
    assert surface_of((class_map, heat)) is None
    first, second, third = corrected((heat, class_map, mask), corrections)
    assert first is heat
    assert isinstance(second, ClassMap)
    assert second.weight[0, 0] == 0
    assert isinstance(third, TissueMask)
    assert third.values[:16, :16].sum() == 0


def test_the_last_stroke_counts_where_strokes_overlap() -> None:
    corrections = NO_CORRECTIONS.after(box(0, 0, 10, 10), True).after(box(5, 0, 15, 10), False)
    assert corrections.added.equals(box(0, 0, 5, 10))
    assert corrections.removed.equals(box(5, 0, 15, 10))
    again = corrections.after(box(0, 0, 20, 10), True)
    assert again.added.equals(box(0, 0, 20, 10))
    assert again.removed.is_empty
    assert again.after(Polygon(), False) is again
    assert corrections.changed(again) == (5, 0, 20, 10)
    assert corrections.changed(Corrections(corrections.added, corrections.removed)) is None
