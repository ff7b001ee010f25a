"""One tile from pixels to cells that wait for their class. Pure: the same tile gives the same on any thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import (
    OUTLINE_POINTS,
    ArtefactMap,
    CellReach,
    ClassMap,
    Deconvolution,
    Region,
    Slide,
    Tile,
    TilePlan,
    deconvolve,
    flaws_within,
    membrane_of,
    outlines_of,
    rings_of,
    tile_quality,
    under_flaw,
)
from her2viewer_cells.detection import DetectionRules, detect
from her2viewer_cells.finder import Finder

Array = NDArray[np.float32]

REACH = CellReach(expansion=6.0, beyond=1.75, inside=0.5, smoothing=0.7)
"""As ``membrane``, so that membrane OD and completeness of both scorers can be compared."""
FOUND_REACH = replace(REACH, expansion=8.0)
"""The network marks the middle of a nucleus, which is smaller than the nucleus."""
CONTRAST = 0.25
"""Share of its peak by which a stained part of the membrane stands out from the cytoplasm."""
BLURRED = 0.20
"""Sharpness of 64 um below which cells do not count."""
UNITS = {"membrane_od": "OD", "completeness": "%", "nucleus_od": "OD"}
"""Feature columns and their units, in this order."""


@dataclass(frozen=True)
class Means:
    """What every tile of a run is looked at with."""

    slide: Slide
    plan: TilePlan
    region: Region
    tables: Deconvolution
    detection: DetectionRules
    faint: float
    """DAB OD from which a part of the membrane is stained."""
    artefacts: ArtefactMap | None = None
    """None: artefacts are not looked for."""
    finder: Finder | None = None
    """None: nuclei are found by the watershed."""


@dataclass(frozen=True)
class Found:
    """The cells of a tile, n of them, and the pixels that their classes are told from."""

    tile: Tile
    stains: Array
    """(h, w, 2) OD of haematoxylin and DAB, with the margin of the plan around every cell."""
    at: NDArray[np.float64]
    """(n, 2) centre of the nucleus, px of ``stains``; pixel centres are whole numbers."""
    xy: NDArray[np.float64]
    """(n, 2) the same in level-0 px."""
    outlines: NDArray[np.float64]
    """(n, OUTLINE_POINTS, 2) level-0 px."""
    features: dict[str, Array]
    """Columns of ``UNITS``, each (n,)."""
    spoilt: NDArray[np.bool_]
    """(n,) cells under artefacts."""
    quality: ClassMap | None
    """None where nothing is wrong with the image."""


def look(tile: Tile, means: Means) -> Found:
    """Find the cells of a tile that lie in the region and measure their membranes.

    Cells belong to the tile in which the centre of their nucleus lies; the margin around the tile is only looked at.

    Raises:
        Cancelled, ScorerError: from the network.
        TileError: the area cannot be read.
    """
    plan, region, um = means.plan, means.region, means.plan.um
    ds = plan.downsample
    left, top, width, height = plan.window(tile, region)
    rgb = means.slide.read_at(ds, left, top, width, height)
    haematoxylin, dab = deconvolve(rgb, means.tables)
    stains = np.stack([haematoxylin, dab], axis=2)
    reach = REACH if means.finder is None else FOUND_REACH
    if means.finder is None:
        nuclei = detect(haematoxylin, dab, um, means.detection)
    else:
        nuclei = means.finder.nuclei(stains, um)
    at = nuclei.shapes[:, 1:3]
    xy = (left, top) + (at + 0.5) * ds
    own = ((xy >= (tile.x, tile.y)) & (xy < (tile.x + tile.size, tile.y + tile.size))).all(axis=1)
    own &= region.contains_points(xy[:, 0], xy[:, 1])
    quality, spoilt = None, np.zeros(len(at), bool)
    if means.artefacts is not None:
        seen = tile_quality(tile, plan, means.artefacts, rgb, (left, top), least=BLURRED)
        spoilt = under_flaw(seen, xy[:, 0], xy[:, 1])
        quality = flaws_within(seen, region)
    outlines = np.zeros((len(nuclei), OUTLINE_POINTS, 2))
    columns: list[NDArray[Any]] = [np.zeros(len(nuclei))] * len(UNITS)
    if own.any():
        # Of all nuclei, so that a cell ends where its neighbour begins, whichever tile that belongs to.
        rings = rings_of(nuclei, dab, um, reach)
        membrane_od, completeness, _ = membrane_of(rings, means.faint, CONTRAST)
        outlines = (left, top) + (outlines_of(nuclei, rings).astype(np.float64) + 0.5) * ds
        columns = [membrane_od, 100 * completeness, nuclei.shapes[:, 5]]
    features = {name: np.asarray(c, np.float32)[own] for name, c in zip(UNITS, columns, strict=True)}
    return Found(tile, stains, at[own], xy[own], outlines[own], features, spoilt[own], quality)
