"""Shares of an edited region over a million cells, beside looking at every cell."""

from __future__ import annotations

import time

import numpy as np
import shapely

from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region
from her2viewer.scoring.aggregate import CellCounter


def test_shares_after_an_edit_of_the_region(benchmark) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    n, extent = 1_000_000, 100_000
    table = CellTable(
        "Cells",
        CELL_SCHEME,
        (rng.random(n) * extent).astype(np.float32),
        (rng.random(n) * extent).astype(np.float32),
        rng.integers(0, 5, n).astype(np.uint8),
    )
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    radius = rng.uniform(0.3, 0.45, 400) * extent
    region = Region.of([shapely.Polygon(extent / 2 + np.c_[radius * np.cos(angle), radius * np.sin(angle)])])
    counter = CellCounter(table)

    started = time.perf_counter()
    inside = region.contains_points(table.x, table.y)
    baseline = time.perf_counter() - started
    assert counter.counts(region).sum() == inside.sum()

    started = time.perf_counter()
    counter.counts(region)
    benchmark.extra_info["times_as_fast_as_looking_at_every_cell"] = baseline / (time.perf_counter() - started)
    benchmark(counter.counts, region)
