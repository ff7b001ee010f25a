"""Tissue for the surface scorer: four strips of tumour, one for each class, and some stroma."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tests.helpers.drawn_tissue import UM, draw_cells

PATCH_PX = 128
"""64 um."""
STRIP = (12 * PATCH_PX, 4 * PATCH_PX)
GLASS = (236, 235, 243)


@cache
def strips() -> np.ndarray:
    """0 to 3+ from left to right on glass, on the grid of the patches, (h, w, 3) uint8 at ``UM``: four blocks.

    Beside them some pale stroma, in the last column of patches.
    """
    rgb = np.full((STRIP[0] + 2 * PATCH_PX, 6 * PATCH_PX + 4 * STRIP[1], 3), GLASS, np.uint8)
    rgb[2 * PATCH_PX : -2 * PATCH_PX, -PATCH_PX:] = np.array(GLASS) * (0.988, 0.988, 0.941)
    for c in range(4):
        left = PATCH_PX + c * (PATCH_PX + STRIP[1])
        drawn = draw_cells(np.eye(4)[c], (STRIP[0] + 120, STRIP[1] + 120), glass=0, seed=c).rgb
        rgb[PATCH_PX:-PATCH_PX, left : left + STRIP[1]] = drawn[60:-60, 60:-60]
    return rgb


def write_strips(path: Path) -> Path:
    """The same as a tiled file with its pixel size; ``path`` ends in .ome.tif."""
    import tifffile

    size = {f"PhysicalSize{axis}": UM for axis in "XY"} | {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    metadata = {"axes": "YXS", **size}
    tifffile.imwrite(path, strips(), tile=(256, 256), photometric="rgb", ome=True, metadata=metadata)
    return path
