"""Outlines of clusters near and from afar."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from her2viewer.scoring.cell_clusters import CellCluster
from her2viewer.viewer.overlays.cluster_outlines import _render
from her2viewer.viewer.overlays.tile_shelf import pixels_of


def cluster(x: float, y: float, side: float) -> CellCluster:
    outline = shapely.box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return CellCluster(np.arange(12), outline, side * side * 1e-6, x, y)


def drawn(side_px: float, picked: int | None = None) -> NDArray[np.uint8] | None:
    """A cluster that is so wide on the screen, in a tile at 1/16."""
    found = (cluster(4000, 4000, 16 * side_px),)
    image = _render(found, picked)((0.0, 0.0, 8192.0, 8192.0), 512, 16.0)
    return None if image is None else pixels_of(image).copy()


def test_a_large_cluster_has_a_line_that_is_seen_on_any_ground() -> None:
    pixels = drawn(60)
    assert pixels is not None
    assert (pixels == (255, 255, 255, 255)).all(axis=2).any(), "the line"
    assert ((pixels[..., 3] == 255) & (pixels[..., 2] < 60)).any(), "its dark edge"


def test_from_afar_a_small_cluster_has_a_line_that_lets_the_tissue_through() -> None:
    pixels = drawn(20)
    assert pixels is not None
    assert 0 < pixels[..., 3].max() <= 160
    large = drawn(60)
    assert large is not None
    # As long as it is and a third as wide.
    assert (pixels[..., 3] > 0).sum() / 20 < 0.7 * (large[..., 3] > 0).sum() / 60


@pytest.mark.parametrize("side", [20.0, 3.0])
def test_the_cluster_that_was_gone_to_is_always_drawn_in_full(side: float) -> None:
    pixels = drawn(side, picked=0)
    assert pixels is not None
    assert (pixels[..., 3] == 255).any()


def test_what_is_too_small_to_have_an_outline_has_none() -> None:
    assert drawn(3) is None
