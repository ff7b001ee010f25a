"""Ready samplers: labelled cells, patches of a region, patches with a mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from her2viewer.training.recipe import UNLABELLED, Spots, TrainingError
from her2viewer.training.sources import SlideSource, TruthMask
from her2viewer.training.truth import read_cells

FLAWS = ("pen", "dust", "bubble", "fold", "blur")
"""Names in the quality legend of a truth file where what looks like a cell is none."""


@dataclass(frozen=True)
class CellSampler:
    """One sample around each labelled cell."""

    classes: Mapping[str, int]
    """Class of each name that cells may have, names in lower case; cells of other names are left out."""
    debris: int | None = None
    """Class of places in tissue that are no cell: flaws of the section and what lies between cells."""
    debris_share: float = 0.15
    """So many of them, as a share of the labelled cells."""
    clear_um: float = 7.0
    """Distance of such a place from every labelled cell, um."""
    inside_region: bool = True
    """Whether cells outside the outlined region are left out."""
    limit: int = 40_000
    """Samples of one class and slide at most, spread evenly over the slide."""

    def key(self) -> Mapping[str, Any]:
        """As ``Sampler``."""
        return {
            "sampler": "cells 1",
            "classes": dict(sorted(self.classes.items())),
            "debris": [self.debris, self.debris_share, self.clear_um],
            "inside_region": self.inside_region,
            "limit": self.limit,
        }

    def spots(self, source: SlideSource, extent: float) -> Spots:
        """As ``Sampler``."""
        cells = read_cells(source.entry.truth, source.entry.cells)
        if cells is None:
            raise TrainingError(
                f'Slide "{source.entry.id}" has no labelled cells; give truth or cells in the set, or leave it out.'
            )
        classes = np.array([self.classes.get(name.lower(), UNLABELLED) for name in cells.names], np.int16)
        label = classes[cells.name] if len(cells.name) else np.zeros(0, np.int16)
        keep = label != UNLABELLED
        if self.inside_region and source.entry.roi is not None:
            keep &= source.region.contains_points(cells.x, cells.y)
        picked = np.flatnonzero(keep)
        groups = [picked[label[picked] == code] for code in np.unique(label[picked])]
        picked = np.sort(np.concatenate([_evenly(g, self.limit) for g in groups])) if groups else picked
        x, y, label = cells.x[picked], cells.y[picked], label[picked]
        if self.debris is not None:
            extra_x, extra_y = self._debris(source, cells.x, cells.y, round(self.debris_share * len(x)))
            x, y = np.concatenate([x, extra_x]), np.concatenate([y, extra_y])
            label = np.concatenate([label, np.full(len(extra_x), self.debris, np.int16)])
        return Spots(x, y, label, np.ones(len(x), np.float32))

    def mask(self, source: SlideSource, box: tuple[float, float, float], pixels: int) -> NDArray[np.uint8] | None:
        """As ``Sampler``: none."""
        return None

    def _debris(
        self, source: SlideSource, x: NDArray[np.float64], y: NDArray[np.float64], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places in tissue away from all cells, half of them on flaws of the section where there are any."""
        from scipy.spatial import cKDTree

        nothing = np.zeros(0)
        tissue = source.truth_mask("tissue")
        if count == 0 or tissue is None or len(x) == 0:
            return nothing, nothing
        rng = np.random.default_rng(0)
        glass = [code for code, name in tissue.legend.items() if name in ("glass", "lumen", "fat")]
        solid = ~np.isin(tissue.codes, glass)
        flawed = _flaws(source.truth_mask("quality"), solid.shape)
        found: list[NDArray[np.float64]] = []
        for where, wanted in ((flawed & solid, count // 2), (solid, count)):
            rows, columns = np.nonzero(where)
            room = wanted - sum(len(f) for f in found)
            if len(rows) == 0 or room <= 0:
                continue
            pick = rng.integers(0, len(rows), 6 * room)
            points = (np.stack([columns[pick], rows[pick]], axis=1) + rng.random((len(pick), 2))) * tissue.step
            if where is solid:
                near, _ = cKDTree(np.stack([x, y], axis=1)).query(points)
                points = points[near > self.clear_um / source.pixel_size.mpp]
            inside = source.region.contains_points(points[:, 0], points[:, 1])
            found.append(points[inside][:room])
        points = np.concatenate(found) if found else np.zeros((0, 2))
        return points[:, 0], points[:, 1]


@dataclass(frozen=True)
class PatchSampler:
    """Patches on a grid over the region, side by side, kept where enough of one is tumour."""

    least_tumour: float = 0.1
    """Share of a patch."""
    tumour: str = "invasive"
    """Name in the tissue legend of a truth file; without such a file the outlined region is the tumour, and without
    an outline all tissue."""
    step: float = 1.0
    """Distance of two patches in sides of one."""
    masks: Literal["none", "tumour"] = "none"
    """``tumour``: each sample comes with a mask, 1 where tumour is, for segmentation."""
    background: float = 0.0
    """Share of the patches without tumour that is kept, too, for segmentation."""
    names: Mapping[str, int] = field(default_factory=dict)
    """More classes of a mask by the names of the tissue legend; the rest is 0."""

    def key(self) -> Mapping[str, Any]:
        """As ``Sampler``."""
        return {
            "sampler": "patches 2",
            "tumour": [self.least_tumour, self.tumour, self.background],
            "step": self.step,
            "masks": self.masks,
            "names": dict(sorted(self.names.items())),
        }

    def spots(self, source: SlideSource, extent: float) -> Spots:
        """As ``Sampler``; the weight is the share of the patch that is tumour."""
        width, height = source.slide.width, source.slide.height
        stride = extent * self.step
        columns, rows = max(1, int((width - extent) // stride) + 1), max(1, int((height - extent) // stride) + 1)
        left, top = (np.arange(columns) * stride, np.arange(rows) * stride)
        grid_x, grid_y = (a.ravel() for a in np.meshgrid(left, top))
        share = self._shares(source, grid_x, grid_y, extent)
        keep = share > self.least_tumour
        if self.background > 0:
            rng = np.random.default_rng(0)
            keep |= (
                (share <= 0) & (rng.random(len(share)) < self.background) & self._on_tissue(source, grid_x, grid_y)
            )
        half = extent / 2
        none = np.full(int(keep.sum()), UNLABELLED, np.int16)
        return Spots(grid_x[keep] + half, grid_y[keep] + half, none, share[keep].astype(np.float32))

    def mask(self, source: SlideSource, box: tuple[float, float, float], pixels: int) -> NDArray[np.uint8] | None:
        """As ``Sampler``."""
        if self.masks == "none":
            return None
        left, top, side = box
        truth = _tissue(source)
        if truth is None:
            inside = source.region.mask(left, top, pixels, pixels, side / pixels)
            return inside.astype(np.uint8)
        codes = truth.sampled(left, top, side, pixels)
        lookup = np.zeros(256, np.uint8)
        for name, value in {self.tumour: 1, **self.names}.items():
            code = self._code(truth, name)
            if code is not None:
                lookup[code] = value
        return lookup[codes]

    def _shares(
        self, source: SlideSource, x: NDArray[np.float64], y: NDArray[np.float64], extent: float
    ) -> NDArray[np.float64]:
        fine = 8
        truth = _tissue(source)
        shares = np.zeros(len(x))
        code = None if truth is None else self._code(truth, self.tumour)
        x0, y0, x1, y1 = source.region.bounds
        near = (x + extent > x0) & (x < x1) & (y + extent > y0) & (y < y1)
        for k in np.flatnonzero(near):
            inside = source.region.mask(x[k], y[k], fine, fine, extent / fine)
            if truth is not None and inside.any():
                inside = inside & (truth.sampled(x[k], y[k], extent, fine) == code)
            shares[k] = inside.mean()
        return shares

    def _code(self, truth: TruthMask, name: str) -> int | None:
        found = truth.code_of(name)
        # Of tissue that the program found itself nothing more is known.
        return truth.code_of("tissue") if found is None and name == self.tumour else found

    def _on_tissue(self, source: SlideSource, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        truth = _tissue(source)
        if truth is None:
            return np.ones(len(x), bool)
        height, width = truth.codes.shape
        rows = np.clip((y / truth.step).astype(np.int64), 0, height - 1)
        columns = np.clip((x / truth.step).astype(np.int64), 0, width - 1)
        return np.asarray(truth.codes[rows, columns] != (truth.code_of("glass") or 0), dtype=bool)


def _tissue(source: SlideSource) -> TruthMask | None:
    """The tissue mask of the truth, read once; where nothing is outlined either, tissue as the program finds it."""
    kept: TruthMask | None = source.__dict__.get("_tissue_mask")
    if kept is None:
        kept = source.truth_mask("tissue")
        if kept is None and source.entry.roi is None:
            kept = source.tissue
        source.__dict__["_tissue_mask"] = kept
    return kept


def _flaws(quality: TruthMask | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if quality is None or quality.codes.shape != shape:
        return np.zeros(shape, bool)
    bits = 0
    for bit, name in quality.legend.items():
        if name in FLAWS:
            bits |= bit
    return np.asarray(quality.codes & np.uint8(bits & 255), bool)


def _evenly(indices: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    if len(indices) <= limit:
        return indices
    return indices[np.linspace(0, len(indices) - 1, limit).round().astype(np.int64)]
