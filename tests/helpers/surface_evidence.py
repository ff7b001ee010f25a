"""Evidence as a scorer of tumour surfaces gives it, by hand: stripes of tumour, classes by column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from her2viewer.domain.classes import TUMOUR_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Evidence, Grid, TissueMask
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result
from her2viewer.scoring.aggregate import shares_of

MASK = "Invasive tumour"
CLASSES = "HER2 class of the tumour surface"


def surface_evidence(width: float, height: float, mpp: float, *, empty_columns: int = 0) -> tuple[Evidence, ...]:
    """Tumour in every second row of patches; classes 0, 1+, 2+, 3+, 0, ... from left to right.

    Args:
        width: of the slide, level-0 px.
        height: of the slide, level-0 px.
        mpp: um per level-0 px.
        empty_columns: of patches at the left without a class.
    """
    patch, cell = 64.0 / mpp, 4.0 / mpp
    columns, rows = int(width // patch), int(height // patch)
    tumour = np.zeros((rows * 16, columns * 16), dtype=np.uint8)
    for row in range(0, rows, 2):
        tumour[row * 16 : row * 16 + 16] = 1
    weight = tumour.reshape(rows, 16, columns, 16).mean(axis=(1, 3)).astype(np.float32)
    classes = np.broadcast_to(np.arange(columns) % 4, (rows, columns)).astype(np.uint8)
    # The farther right, the surer.
    sure = 0.4 + 0.55 * np.arange(columns) / max(1, columns - 1)
    probabilities = np.repeat(((1 - sure) / 3)[None, :, None], rows, axis=0).repeat(4, axis=2).astype(np.float32)
    np.put_along_axis(probabilities, classes[..., None].astype(np.int64), sure[None, :, None].astype(np.float32), 2)
    classes[:, :empty_columns] = NOT_SCORED
    weight[:, :empty_columns] = 0
    tumour[:, : empty_columns * 16] = 0
    class_map = ClassMap(
        CLASSES, Grid(0, 0, patch, columns, rows), TUMOUR_SCHEME, classes, weight, probabilities, least_weight=0.1
    )
    return (TissueMask(MASK, Grid(0, 0, cell, columns * 16, rows * 16), tumour), class_map)


def surface_result(evidence: tuple[Evidence, ...], region: Region, pixel_size: PixelSize) -> Result:
    """As if the scorer ``surface`` had looked at the region."""
    origin = Provenance("surface", "1", "0.1.0", "slide", region.hash, pixel_size.mpp, "from file", "CPU", {})
    result = Result(origin, region, evidence)
    return replace(result, shares=shares_of(evidence, region, "surface", pixel_size))
