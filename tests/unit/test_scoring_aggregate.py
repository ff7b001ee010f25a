"""Counting of shares in a region from evidence."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap, Grid, Heatmap
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.shares import CountedUnit
from her2viewer.scoring.aggregate import CellCounter, SurfaceCounter, grid_cover, shares_of
from her2viewer.scoring.merge import EvidenceStore

MPP = PixelSize(0.5, 0.5, PixelSizeSource.FILE)


def cells(n: int, seed: int, extent: float = 10_000) -> CellTable:
    rng = np.random.default_rng(seed)
    return CellTable(
        "Cells",
        CELL_SCHEME,
        (rng.random(n) * extent).astype(np.float32),
        (rng.random(n) * extent).astype(np.float32),
        rng.integers(0, 5, n).astype(np.uint8),
    )


def star(seed: int, holes: bool = True) -> Region:
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = rng.uniform(500, 5000, 24)
    outline = shapely.Polygon(np.c_[5000 + radius * np.cos(angle), 5000 + radius * np.sin(angle)])
    hole = shapely.Point(5000, 5000).buffer(300) if holes else shapely.Polygon()
    return Region.of([outline], [hole])


@given(n=st.integers(0, 3000), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_counting_by_bins_equals_looking_at_every_cell(n: int, seed: int) -> None:
    table, region = cells(n, seed), star(seed)
    inside = shapely.contains_xy(region.geometry, table.x, table.y)
    expected = np.bincount(table.classes[inside], minlength=5)
    assert CellCounter(table).counts(region).tolist() == expected.tolist()


def test_cells_that_do_not_count_stay_out_of_the_denominator() -> None:
    table = CellTable(
        "Cells",
        CELL_SCHEME,
        np.arange(10, dtype=np.float32),
        np.zeros(10, np.float32),
        np.array([0, 0, 0, 1, 2, 3, 4, 4, 4, 4], np.uint8),
    )
    shares = shares_of([table], Region.rectangle(-5, -5, 100, 100), "cells", MPP)
    assert shares is not None
    assert shares.unit is CountedUnit.CELLS
    assert shares.total == 6
    assert shares.excluded == 4
    assert shares.percent[0] == pytest.approx(50.0)


def test_an_empty_region_counts_nothing() -> None:
    shares = shares_of([cells(100, 1)], Region.of(()), "cells", MPP)
    assert shares is not None
    assert shares.total == 0
    assert shares.fractions == (0, 0, 0, 0)


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_cell_of_the_grid_that_is_not_crossed_is_wholly_in_or_out(seed: int) -> None:
    grid, region = Grid(0, 0, 100, 100, 100), star(seed)
    inside, crossed = grid_cover(region, grid)
    gx, gy = grid.centres()
    boxes = shapely.box(gx - 50, gy - 50, gx + 50, gy + 50)
    share = shapely.area(shapely.intersection(boxes, region.geometry)) / 1e4
    sure = ~crossed
    assert np.all(np.abs(share[sure] - inside[sure]) < 1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_the_surface_of_a_full_map_is_the_area_of_the_region(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid, region = Grid(-64, -64, 128, 90, 90), star(seed)
    class_map = ClassMap(
        "Classes",
        grid,
        TUMOUR_SCHEME,
        rng.integers(0, 4, grid.shape).astype(np.uint8),
        np.ones(grid.shape, np.float32),
    )
    shares = SurfaceCounter(class_map, MPP).shares(region)
    assert shares.total == pytest.approx(region.area_mm2(MPP), rel=1e-6)
    assert shares.unit is CountedUnit.SURFACE


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), step=st.sampled_from([64.0, 97.3, 411.0]))
def test_the_cover_of_each_patch_is_what_the_region_cuts_out_of_it(seed: int, step: float) -> None:
    grid = Grid(-100, 50, step, int(11_000 / step), int(10_500 / step))
    codes = np.zeros(grid.shape, dtype=np.uint8)
    counter = SurfaceCounter(ClassMap("map", grid, TUMOUR_SCHEME, codes, np.ones(grid.shape, np.float32)), MPP)
    # With an outline along edges of patches, where a cut leaves lines besides areas.
    whole = shapely.box(grid.x + 3 * step, grid.y + 8 * step, grid.x + 20 * step, grid.y + 16 * step)
    for region in (star(seed), Region.of([star(seed, holes=False).geometry, whole])):
        rows, columns = np.nonzero(np.ones(grid.shape, dtype=bool))
        x, y = grid.x + columns * step, grid.y + rows * step
        cut = shapely.intersection(shapely.box(x, y, x + step, y + step), region.geometry)
        truth = shapely.area(cut).reshape(grid.shape) / step**2
        assert np.allclose(counter.cover(region), truth, atol=1e-9)


def test_patches_without_tumour_or_not_scored_add_no_surface() -> None:
    grid = Grid(0, 0, 100, 3, 1)
    class_map = ClassMap(
        "Classes",
        grid,
        TUMOUR_SCHEME,
        np.array([[2, NOT_SCORED, 3]], np.uint8),
        np.array([[1.0, 1.0, 0.25]], np.float32),
    )
    shares = SurfaceCounter(class_map, MPP).shares(Region.rectangle(0, 0, 300, 100))
    assert shares.fractions == pytest.approx((0, 0, 0.8, 0.2))


def test_parts_of_a_heatmap_are_pasted_on_one_grid() -> None:
    def part(x: float, value: float) -> Heatmap:
        return Heatmap("OD", Grid(x, 0, 10, 2, 2), np.full((2, 2), value, np.float32), "OD", 0, 1)

    (merged,) = EvidenceStore([part(0, 0.1), part(40, 0.3)]).merged()
    assert isinstance(merged, Heatmap)
    assert merged.grid == Grid(0, 0, 10, 6, 2)
    assert merged.values[0, 0] == pytest.approx(0.1)
    assert np.isnan(merged.values[0, 3])
    assert merged.values[1, 5] == pytest.approx(0.3)
    with pytest.raises(ValueError, match="grids"):
        EvidenceStore([part(0, 0.1), part(43, 0.3)]).merged()


def test_joined_cell_tables_keep_each_outline_with_its_cell() -> None:
    def table(x: float, points: int) -> CellTable:
        contours = np.full((points, 2), x, np.float32)
        return CellTable(
            "Cells",
            CELL_SCHEME,
            np.array([x], np.float32),
            np.array([0], np.float32),
            np.array([1], np.uint8),
            contours=contours,
            contour_starts=np.array([0, points]),
        )

    (merged,) = EvidenceStore([table(1, 3), table(2, 5), table(3, 4)]).merged()
    assert isinstance(merged, CellTable)
    assert [len(merged.contour(i)) for i in range(3)] == [3, 5, 4]
    kept = merged.selected(np.array([True, False, True]))
    assert [len(kept.contour(i)) for i in range(2)] == [3, 4]
    assert kept.contour(1)[0, 0] == 3
