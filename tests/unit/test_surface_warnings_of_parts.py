"""A part that was added to a region says nothing of the tumour without a class, which is told of the whole region."""

from __future__ import annotations

import pytest
from her2viewer_surface.blocks import Tally
from her2viewer_surface.verdict import warnings_for

from her2viewer.api import StainEstimate
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource

ESTIMATE = StainEstimate.from_json(
    {
        "background": [244, 244, 244],
        "background_source": "glass",
        "background_measured": True,
        "haematoxylin": [0.65, 0.7, 0.29],
        "haematoxylin_source": "estimated",
        "dab": [0.27, 0.57, 0.78],
        "dab_source": "estimated",
        "stain_kind": "haematoxylin and DAB",
        "dense_share": 0.0,
        "eosin_share": 0.0,
        "dab_share": 0.2,
        "tissue_mm2": 2.0,
        "tissue_share": 0.7,
        "sharpness": 0.4,
    }
)


@pytest.mark.parametrize("entire", [True, False])
def test_tumour_without_a_class_is_warned_of_for_whole_regions_only(entire: bool) -> None:
    tally = Tally(PixelSize(0.25, 0.25, PixelSizeSource.FILE), tumour_mm2=1.0, counted_mm2=0.75)
    codes = {warning.code for warning in warnings_for(ESTIMATE, tally, 4, entire=entire)}
    assert ("not_classed" in codes) == entire
