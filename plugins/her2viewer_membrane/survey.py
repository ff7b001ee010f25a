"""A look at some fields before the whole region: how dark nuclei are, and whether DAB sits in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from her2viewer.api import CompactDab, Deconvolution, Slide, StainEstimate, TileError, compact_dab, deconvolve
from her2viewer_membrane.nuclei import detect
from her2viewer_membrane.rules import Rules
from her2viewer_membrane.tiles import Plan

FIELDS = 12
FIELD_PX = 448
"""Side of a field, working px."""
USUAL_DENSITY = 0.13
"""Haematoxylin OD of nuclei where a survey finds none."""


@dataclass(frozen=True)
class Survey:
    """What the fields have in common."""

    nuclei: int
    typical_density: float
    """Median haematoxylin OD of nuclei."""
    dab: CompactDab
    """Averages over the fields, weighted by their brown area."""


def survey(
    slide: Slide,
    plan: Plan,
    estimate: StainEstimate,
    tables: Deconvolution,
    *,
    rules: Rules,
    check: Callable[[], None],
) -> Survey:
    """Look at ``FIELDS`` fields spread over the tissue; fields that cannot be decoded are passed over."""
    places = estimate.samples
    picks = np.unique(np.linspace(0, len(places) - 1, min(FIELDS, len(places))).round().astype(int))
    densities, found = [], []
    for pick in picks:
        check()
        x, y = places[int(pick)]
        try:
            rgb = slide.read_at(plan.downsample, x, y, FIELD_PX, FIELD_PX)
        except TileError:
            continue
        haematoxylin, dab = deconvolve(rgb, tables)
        densities.append(detect(haematoxylin, dab, plan.um, rules.nuclei).shapes[:, 5])
        found.append(compact_dab(dab, plan.um))
    density = np.concatenate(densities) if densities else np.zeros(0)
    stained = sum(f.stained_share for f in found)
    compact = sum(f.compact_share * f.stained_share for f in found) / stained if stained else 0.0
    return Survey(
        nuclei=len(density),
        typical_density=float(np.median(density)) if len(density) >= 20 else USUAL_DENSITY,
        dab=CompactDab(stained / max(len(found), 1), compact, sum(f.spots for f in found)),
    )
