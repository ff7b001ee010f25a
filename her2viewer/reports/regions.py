"""Each region by itself: its area and its shares, for slides with more than one outline."""

from __future__ import annotations

from her2viewer.domain.annotation import AnnotationSet, Role
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.domain.reviewed import ReviewedMap
from her2viewer.domain.shares import CountedUnit
from her2viewer.reports.model import RegionShares
from her2viewer.scoring.aggregate import Counts, ShareCounter


def regions_apart(
    annotations: AnnotationSet,
    result: Result | None,
    pixel_size: PixelSize,
    whole: Region,
    reviewed: ReviewedMap | None = None,
) -> tuple[RegionShares, ...]:
    """Area and shares of each outline that counts as tumour, less the exclusions, in the order of drawing.

    ``whole`` is the slide, in level-0 px: what lies beyond it has no area. Shares are None where the scorer gives
    none or there is no result; the share looked at where there is no map of it.
    """
    counter = ShareCounter(None)
    if result is not None and result.shares is not None and result.not_assessable is None:
        counts: Counts = "cells" if result.shares.unit is CountedUnit.CELLS else "surface"
        counter = ShareCounter.of(result.evidence, counts, pixel_size)
    others = [a for a in annotations if a.role is not Role.ROI]
    out = []
    for number, roi in enumerate(annotations.with_role(Role.ROI), 1):
        region = AnnotationSet((roi, *others)).region().intersection(whole)
        name = roi.name or f"Region {number}"
        shares = None if result is None else counter.shares(region)
        seen = None if reviewed is None else reviewed.share(region)
        out.append(RegionShares(roi.id, name, region.area_mm2(pixel_size), shares, seen))
    return tuple(out)
