"""A look at some fields before the whole region: how dark nuclei are, and whether DAB sits in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from her2viewer.api import (
    CompactDab,
    Deconvolution,
    Slide,
    StainEstimate,
    TileError,
    TilePlan,
    averaged,
    compact_dab,
    deconvolve,
)
from her2viewer_membrane.nuclei import detect
from her2viewer_membrane.rules import Rules

FIELDS = 12
FIELD_PX = 448
"""Side of a field, working px."""
LARGE_UM2 = 60.0
"""Area above which a nucleus is no lymphocyte."""
LEAST_NUCLEI = 20
USUAL_DENSITY = 0.13
"""Haematoxylin OD of nuclei where a survey finds none."""


@dataclass(frozen=True)
class Survey:
    """What the fields have in common."""

    nuclei: int
    typical_density: float
    """Median haematoxylin OD of the nuclei that are too large for lymphocytes."""
    dab: CompactDab
    """Averages over the fields, weighted by their brown area."""


def survey(
    slide: Slide,
    plan: TilePlan,
    estimate: StainEstimate,
    tables: Deconvolution,
    *,
    rules: Rules,
    check: Callable[[], None],
) -> Survey:
    """Look at ``FIELDS`` fields spread over the tissue; fields that cannot be decoded are passed over."""
    places = estimate.samples
    picks = np.unique(np.linspace(0, len(places) - 1, min(FIELDS, len(places))).round().astype(int))
    found_nuclei, found = [np.zeros((0, 2))], []
    for pick in picks:
        check()
        x, y = places[int(pick)]
        try:
            rgb = slide.read_at(plan.downsample, x, y, FIELD_PX, FIELD_PX)
        except TileError:
            continue
        haematoxylin, dab = deconvolve(rgb, tables)
        shapes = detect(haematoxylin, dab, plan.um, rules.nuclei).shapes
        found_nuclei.append(np.stack([shapes[:, 0] * plan.um**2, shapes[:, 5]], axis=1))
        found.append(compact_dab(dab, plan.um))
    area, density = np.concatenate(found_nuclei).T
    large = area > LARGE_UM2
    # A tumour of small nuclei has hardly any large ones; then all of them tell.
    known = density[large] if large.sum() >= LEAST_NUCLEI else density
    return Survey(
        nuclei=len(density),
        typical_density=float(np.median(known)) if len(known) >= LEAST_NUCLEI else USUAL_DENSITY,
        dab=averaged(found),
    )
