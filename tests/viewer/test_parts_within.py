"""A tile of a map in hundreds of parts is drawn from the parts that lie in it, and looks the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QImage

from her2viewer.domain.classes import TUMOUR_SCHEME
from her2viewer.domain.evidence import ClassMap, Grid, TissueMask
from her2viewer.viewer.overlays import masked_classes, tissue_mask
from her2viewer.viewer.overlays.cell_index import Box
from her2viewer.viewer.overlays.masked_classes import masked_render
from her2viewer.viewer.overlays.parts_within import PartsWithin
from her2viewer.viewer.overlays.tissue_mask import mask_render

SIDE = 640
"""Of a part, level-0 px."""
edges = st.floats(-3000, 6000)


def parts(count: int, seed: int) -> tuple[list[TissueMask], list[ClassMap]]:
    """Squares in random places, one over another."""
    rng = np.random.default_rng(seed)
    masks, maps = [], []
    for _ in range(count):
        x, y = rng.uniform(-1000, 4000, 2)
        masks.append(TissueMask("m", Grid(x, y, 8, SIDE // 8, SIDE // 8), rng.integers(0, 2, (80, 80), np.uint8)))
        classes = rng.integers(0, 4, (5, 5), np.uint8)
        maps.append(ClassMap("c", Grid(x, y, 128, 5, 5), TUMOUR_SCHEME, classes, np.ones((5, 5), np.float32)))
    return masks, maps


@given(st.integers(0, 40), st.integers(0, 1000), edges, edges, st.floats(1, 3000), st.floats(1, 3000))
def test_the_parts_in_a_box_are_those_that_share_some_of_it(
    count: int, seed: int, x: float, y: float, width: float, height: float
) -> None:
    masks, _ = parts(count, seed)
    box = (x, y, x + width, y + height)
    shared = [
        mask
        for mask in masks
        if mask.grid.x < box[2]
        and mask.grid.x + SIDE > box[0]
        and mask.grid.y < box[3]
        and mask.grid.y + SIDE > box[1]
    ]
    found = PartsWithin(masks).within(box)
    assert len(found) == len(shared)
    assert all(a is b for a, b in zip(found, shared, strict=True)), "in their order"


def pixels(image: QImage | None) -> np.ndarray:
    if image is None:
        return np.zeros(0, np.uint8)
    return np.frombuffer(image.constBits(), np.uint8).copy()


class _All(PartsWithin):
    """Looks through all parts for each tile."""

    def within(self, box: Box) -> list:
        return list(self._parts)


def test_tiles_look_as_if_all_parts_were_drawn_in_each(monkeypatch) -> None:
    masks, maps = parts(60, 3)
    colors, shown = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [1, 2, 3]], np.uint8), np.ones(4, bool)

    def tiles() -> list[np.ndarray]:
        found = []
        for downsample in (0.7, 3.3, 16.0):
            for column in range(-1, 4):
                span = 128 * downsample
                box = (column * span, span, (column + 1) * span, 2 * span)
                found += [pixels(mask_render(masks)(box, 128, downsample))]
                found += [pixels(masked_render(maps, masks, colors, shown)(box, 128, downsample))]
        return found

    few = tiles()
    monkeypatch.setattr(tissue_mask, "PartsWithin", _All)
    monkeypatch.setattr(masked_classes, "PartsWithin", _All)
    whole = tiles()
    assert sum(len(tile) > 0 for tile in whole) > 10
    assert all(np.array_equal(a, b) for a, b in zip(few, whole, strict=True))
