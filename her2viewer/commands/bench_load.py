"""What makes a canvas sweat: many cells, and programs that use all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from her2viewer.scoring.runtime.local import usable_cores
from her2viewer.turns import work_in_the_background

if TYPE_CHECKING:
    from her2viewer.domain.evidence import CellTable, ClassMap

CORNERS = 16
RADIUS = 18.0
"""Of a cell, px."""


def cells(count: int, width: int, height: int) -> CellTable:
    """Cells of random classes spread evenly over width x height level-0 px, each with its outline."""
    import numpy as np

    from her2viewer.domain.classes import CELL_SCHEME
    from her2viewer.domain.evidence import CellTable

    rng = np.random.default_rng(1)
    x = rng.uniform(0, width, count).astype(np.float32)
    y = rng.uniform(0, height, count).astype(np.float32)
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32) * np.float32(RADIUS)
    return CellTable(
        "cells",
        CELL_SCHEME,
        x,
        y,
        rng.integers(0, 5, count).astype(np.uint8),
        contours=(np.stack([x, y], axis=1)[:, None, :] + ring).reshape(-1, 2),
        contour_starts=np.arange(0, CORNERS * count + 1, CORNERS, dtype=np.int64),
    )


def patches(count: int, width: int, height: int) -> ClassMap:
    """About ``count`` square patches of random classes and weights over width x height level-0 px."""
    import numpy as np

    from her2viewer.domain.classes import TUMOUR_SCHEME
    from her2viewer.domain.evidence import ClassMap, Grid

    rng = np.random.default_rng(1)
    step = (width * height / count) ** 0.5
    shape = (max(1, round(height / step)), max(1, round(width / step)))
    chances = rng.dirichlet(np.ones(4), shape).astype(np.float32)
    return ClassMap(
        "patches",
        Grid(0, 0, step, shape[1], shape[0]),
        TUMOUR_SCHEME,
        chances.argmax(axis=2).astype(np.uint8),
        rng.uniform(0, 1, shape).astype(np.float32),
        probabilities=chances,
        least_weight=0.1,
    )


@contextmanager
def busy_cores() -> Iterator[None]:
    """Meanwhile every core has a process that never rests, at the priority of a scorer."""
    context = multiprocessing.get_context("spawn")
    ready = context.Semaphore(0)
    count = usable_cores()
    processes = [context.Process(target=_never_rest, args=(ready,), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            ready.acquire(timeout=20)
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _never_rest(ready: Any) -> None:
    if hasattr(os, "nice"):
        # As the scoring process does.
        os.nice(5)
    work_in_the_background()
    ready.release()
    number = 1
    while True:
        number = number * 3 % 1_000_003
