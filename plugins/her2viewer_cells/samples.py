"""Samples for training: cells as the detection finds them, what it finds in vain, and squares with their nuclei."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import TilePlan, tables_of
from her2viewer.training_api import UNLABELLED, CellSampler, SlideSource, Spots, TrainingError, read_cells
from her2viewer_cells.detection import DetectionRules
from her2viewer_cells.finder import ALIGN

FAINT = 0.065
"""Of no weight here: classes are learnt from pixels."""


@dataclass(frozen=True)
class FoundCells(CellSampler):
    """Labelled cells where the detection finds them; on slides whose every cell is known, also what is found in vain.

    On other slides (a table or GeoJSON of some cells) as ``CellSampler``.
    """

    mpp: float = 0.49
    """um/px at which cells are found."""
    near_um: float = 3.0
    """Farthest distance of a cell from the place where it is found."""
    apart_um: float = 5.0
    """Distance from every cell from which something is found in vain; what lies between is left out."""
    vain_share: float = 0.08
    """So many of these at most, as a share of the labelled cells."""
    detection: DetectionRules = field(default_factory=DetectionRules)

    def key(self) -> Mapping[str, Any]:
        """As ``Sampler``."""
        own = {"mpp": self.mpp, "um": [self.near_um, self.apart_um], "vain_share": self.vain_share}
        return {**super().key(), "sampler": "found cells 1", **own, "detection": asdict(self.detection)}

    def spots(self, source: SlideSource, extent: float) -> Spots:
        """As ``Sampler``."""
        labelled = super().spots(source, extent)
        everything = None if source.truth is None else read_cells(source.truth, None)
        if everything is None or self.debris is None or not len(labelled):
            return labelled
        from scipy.spatial import cKDTree

        found = self._found(source)
        if not len(found):
            return labelled
        x, y = labelled.x.copy(), labelled.y.copy()
        away, which = cKDTree(found).query(np.stack([x, y], axis=1))
        seen = (away < self.near_um / source.pixel_size.mpp) & (labelled.label != self.debris)
        x[seen], y[seen] = found[which[seen]].T
        known = np.stack([everything.x, everything.y], axis=1)
        vain = found[cKDTree(known).query(found)[0] > self.apart_um / source.pixel_size.mpp]
        room = round(self.vain_share * len(x))
        if len(vain) > room:
            vain = vain[np.linspace(0, len(vain) - 1, room).round().astype(np.int64)]
        return Spots(
            np.concatenate([x, vain[:, 0]]),
            np.concatenate([y, vain[:, 1]]),
            np.concatenate([labelled.label, np.full(len(vain), self.debris, np.int16)]),
            np.concatenate([labelled.weight, np.ones(len(vain), np.float32)]),
        )

    def _found(self, source: SlideSource) -> NDArray[np.float64]:
        """(n, 2) what the scorer would find in the region, level-0 px."""
        from her2viewer_cells.tile import Means, look

        plan = TilePlan.of(source.slide, source.pixel_size, self.mpp, exact=True, align=ALIGN)
        means = Means(source.slide, plan, source.region, tables_of(source.stains), self.detection, FAINT)
        parts = [look(tile, means).xy for tile in plan.tiles(source.region)]
        return np.concatenate(parts) if parts else np.zeros((0, 2))


@dataclass(frozen=True)
class NucleusSquares:
    """Squares side by side over the region, each with a mask of the middles of its nuclei; where all are known."""

    radius_um: float = 1.5
    """Of the disc that is painted for a nucleus."""
    least_cells: int = 4
    """In a square that is kept."""

    def key(self) -> Mapping[str, Any]:
        """As ``Sampler``."""
        return {"sampler": "nucleus squares 1", **asdict(self)}

    def spots(self, source: SlideSource, extent: float) -> Spots:
        """As ``Sampler``.

        Raises:
            TrainingError: not every cell of the slide is known.
        """
        x, y = self._nuclei(source)
        columns, rows = (max(1, int(side // extent)) for side in (source.slide.width, source.slide.height))
        inside = source.region.contains_points(x, y)
        column, row = (np.floor(v[inside] / extent).astype(np.int64) for v in (x, y))
        within = (column >= 0) & (row >= 0) & (column < columns) & (row < rows)
        counts = np.bincount((row * columns + column)[within], minlength=rows * columns)
        kept = np.flatnonzero(counts >= self.least_cells)
        return Spots(
            np.asarray((kept % columns + 0.5) * extent, np.float64),
            np.asarray((kept // columns + 0.5) * extent, np.float64),
            np.full(len(kept), UNLABELLED, np.int16),
            np.ones(len(kept), np.float32),
        )

    def mask(self, source: SlideSource, box: tuple[float, float, float], pixels: int) -> NDArray[np.uint8]:
        """As ``Sampler``: 1 on the middle of a nucleus."""
        import cv2

        left, top, side = box
        per_px = side / pixels
        radius = self.radius_um / (per_px * source.pixel_size.mpp)
        x, y = self._nuclei(source)
        at = np.stack([(x - left) / per_px - 0.5, (y - top) / per_px - 0.5], axis=1)
        near = ((at > -2 * radius) & (at < pixels + 2 * radius)).all(axis=1)
        mask = np.zeros((pixels, pixels), np.uint8)
        shift = 4
        for centre in np.rint(at[near] * (1 << shift)).astype(int).tolist():
            cv2.circle(mask, centre, round(radius * (1 << shift)), 1, -1, shift=shift)
        return mask

    def _nuclei(self, source: SlideSource) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known = source.__dict__.get("_nuclei")
        if known is None:
            cells = None if source.truth is None else read_cells(source.truth, None)
            if cells is None:
                raise TrainingError(
                    f'Slide "{source.entry.id}" has no truth file; nuclei are learnt from slides whose every cell is '
                    "known."
                )
            known = source.__dict__["_nuclei"] = (cells.x, cells.y)
        return known
