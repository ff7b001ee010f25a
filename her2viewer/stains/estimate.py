"""Estimates made once per slide and region: glass, stain vectors, what was stained, focus."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.slides.slide import Slide, TileError
from her2viewer.stains.artefacts import ink_mask
from her2viewer.stains.background import RGB, Background, brightest_colour, glass_colour
from her2viewer.stains.density import optical_density
from her2viewer.stains.kind import KindEvidence, StainKind, stain_kind
from her2viewer.stains.quality import sharpness
from her2viewer.stains.tissue import tissue_mask
from her2viewer.stains.vectors import DAB, HAEMATOXYLIN, Vector, VectorEstimate, estimate_vectors, unit

OVERVIEW_UM = 8.0
"""Resolution of the overview, um/px, where the region is small enough for ``OVERVIEW_PX``."""
OVERVIEW_PX = 1600
MARGIN_UM = 250.0
"""How far around the region glass is looked for."""
PATCH_PX = 192
EVEN_PATCHES = 32
BROWN_PATCHES = 12
BLOCK_PX = 16e6
"""Pixels of the file read at a time for an overview."""
LARGEST_READ_PX = 150e6
"""Pixels of the file beyond which the rest of the slide is not read for its glass where the region has some."""
DARKER_THAN_SLIDE = 8.0
"""Grey levels by which a region's brightest mode may be darker than the slide's and still be its glass."""


@dataclass(frozen=True)
class StainEstimate:
    """What was found, with the source of each value; ``as_json`` and ``from_json`` are inverse."""

    background: RGB
    background_source: str
    background_measured: bool
    haematoxylin: Vector
    haematoxylin_source: str
    dab: Vector
    dab_source: str
    kind: StainKind
    dense_share: float
    eosin_share: float
    dab_share: float
    tissue_mm2: float
    tissue_share: float
    """Share of the region that is tissue."""
    sharpness: float
    """Median over sample patches, see ``quality.sharpness``."""
    samples: tuple[tuple[float, float], ...] = ()
    """Upper left corners of the evenly spread sample patches, level-0 px; not part of the JSON form."""

    def as_json(self) -> dict[str, Any]:
        """JSON values for a result's provenance."""
        return {
            "background": [round(v, 2) for v in self.background],
            "background_source": self.background_source,
            "background_measured": self.background_measured,
            "haematoxylin": [round(v, 4) for v in self.haematoxylin],
            "haematoxylin_source": self.haematoxylin_source,
            "dab": [round(v, 4) for v in self.dab],
            "dab_source": self.dab_source,
            "stain_kind": str(self.kind),
            "dense_share": round(self.dense_share, 5),
            "eosin_share": round(self.eosin_share, 4),
            "dab_share": round(self.dab_share, 4),
            "tissue_mm2": round(self.tissue_mm2, 5),
            "tissue_share": round(self.tissue_share, 5),
            "sharpness": round(self.sharpness, 4),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StainEstimate:
        """The estimate that ``as_json`` gave.

        Raises:
            KeyError, ValueError, TypeError: something is missing or of the wrong form.
        """

        def triple(key: str) -> tuple[float, float, float]:
            r, g, b = (float(v) for v in data[key])
            return (r, g, b)

        return cls(
            background=triple("background"),
            background_source=str(data["background_source"]),
            background_measured=bool(data["background_measured"]),
            haematoxylin=triple("haematoxylin"),
            haematoxylin_source=str(data["haematoxylin_source"]),
            dab=triple("dab"),
            dab_source=str(data["dab_source"]),
            kind=StainKind(data["stain_kind"]),
            dense_share=float(data["dense_share"]),
            eosin_share=float(data["eosin_share"]),
            dab_share=float(data["dab_share"]),
            tissue_mm2=float(data["tissue_mm2"]),
            tissue_share=float(data["tissue_share"]),
            sharpness=float(data["sharpness"]),
        )


@dataclass(frozen=True)
class Entered:
    """Values that a person entered instead of an estimate; None where there is none."""

    background: RGB | None = None
    haematoxylin: Vector | None = None
    dab: Vector | None = None


def estimate_stains(
    slide: Slide,
    pixel_size: PixelSize,
    region: Region,
    *,
    working_um: float = 0.5,
    entered: Entered | None = None,
    check: Callable[[], None] = lambda: None,
) -> StainEstimate:
    """Look at an overview and some tens of sample patches of the region.

    Deterministic: the same slide and region give the same estimate.

    Args:
        slide: the open slide.
        pixel_size: confirmed pixel size.
        region: what the reader outlined, level-0 px, not empty.
        working_um: resolution of the sample patches, um/px.
        entered: values that are not to be estimated.
        check: called between reads; may raise to stop.

    Areas that cannot be decoded are passed over.

    Raises:
        SlideError: the slide is gone or no longer readable.
    """
    entered = entered or Entered()
    overview = _overview(slide, pixel_size, region, check)
    background = _background(slide, pixel_size, overview.rgb, entered, check)
    tissue = tissue_mask(overview.rgb, background.rgb, overview.um) & overview.region
    spots, even = _spots(overview, _unmarked(tissue, overview, background, working_um), background, working_um)
    patches = []
    for x, y, size in spots:
        with suppress(TileError):
            patches.append(slide.read_at(working_um / pixel_size.mpp, x, y, size, size))
        check()
    if not background.measured and entered.background is None and patches:
        inside = np.concatenate([p.reshape(-1, 3) for p in patches])
        finer = brightest_colour(inside)
        rgb = tuple(max(a, b) for a, b in zip(background.rgb, finer, strict=True))
        background = Background((rgb[0], rgb[1], rgb[2]), background.source, False)
    haematoxylin, dab, evidence = _stains(patches, even, background, entered)
    area = tissue.sum() * overview.um**2 * 1e-6
    sharp = [sharpness(p) for p in patches[:even]]
    return StainEstimate(
        background=background.rgb,
        background_source=background.source,
        background_measured=background.measured,
        haematoxylin=haematoxylin.vector,
        haematoxylin_source=haematoxylin.source,
        dab=dab.vector,
        dab_source=dab.source,
        kind=evidence.kind,
        dense_share=evidence.dense_share,
        eosin_share=evidence.eosin_share,
        dab_share=evidence.dab_share,
        tissue_mm2=float(area),
        tissue_share=float(tissue.sum() / max(int(overview.region.sum()), 1)),
        sharpness=float(np.median(sharp)) if sharp else 0.0,
        samples=tuple((x, y) for x, y, _ in spots[:even]),
    )


@dataclass(frozen=True)
class _Overview:
    """A coarse picture of the region and its surroundings."""

    rgb: NDArray[np.uint8]
    region: NDArray[np.bool_]
    um: float
    """um per px."""
    origin: tuple[float, float]
    """Level-0 px."""
    downsample: float


def _overview(slide: Slide, pixel_size: PixelSize, region: Region, check: Callable[[], None]) -> _Overview:
    margin = MARGIN_UM / pixel_size.mpp
    x0, y0, x1, y1 = region.bounds
    x0, y0 = max(0.0, x0 - margin), max(0.0, y0 - margin)
    x1, y1 = min(float(slide.width), x1 + margin), min(float(slide.height), y1 + margin)
    extent = max(x1 - x0, y1 - y0, 1.0)
    # At least some 60 px, so that a small region still has an overview; never finer than the slide itself.
    downsample = max(1.0, min(max(OVERVIEW_UM / pixel_size.mpp, extent / OVERVIEW_PX), extent / 64))
    # Rounded down: a pixel that reaches beyond the slide would mix glass with the filling there.
    width, height = max(1, int((x1 - x0) / downsample)), max(1, int((y1 - y0) / downsample))
    rgb = _read_overview(slide, downsample, (x0, y0), (width, height), check)
    mask = region.mask(x0, y0, width, height, downsample)
    return _Overview(rgb, mask, downsample * pixel_size.mpp, (x0, y0), downsample)


def _read_overview(
    slide: Slide,
    downsample: float,
    origin: tuple[float, float],
    size: tuple[int, int],
    check: Callable[[], None],
) -> NDArray[np.uint8]:
    """``slide.read_at`` in strips, so that a slide without coarse levels neither fills memory nor blocks for long."""
    (x, y), (width, height) = origin, size
    ratio = downsample / slide.levels[slide.best_level(downsample)].downsample
    rows = max(1, int(BLOCK_PX / max(1.0, width * ratio * ratio)))
    strips = []
    for top in range(0, height, rows):
        tall = min(rows, height - top)
        try:
            strips.append(slide.read_at(downsample, x, y + top * downsample, width, tall))
        except TileError:
            # Looks like an area that was not scanned: no glass, no tissue.
            strips.append(np.full((tall, width, 3), slide.background, np.uint8))
        check()
    return np.concatenate(strips)


def _background(
    slide: Slide, pixel_size: PixelSize, overview: NDArray[np.uint8], entered: Entered, check: Callable[[], None]
) -> Background:
    if entered.background is not None:
        return Background(entered.background, "entered", True)
    near = glass_colour(overview, slide.background)
    downsample = max(1.0, slide.width / OVERVIEW_PX, slide.height / OVERVIEW_PX, OVERVIEW_UM / pixel_size.mpp)
    width, height = max(1, int(slide.width / downsample)), max(1, int(slide.height / downsample))
    source = width * height * (downsample / slide.levels[slide.best_level(downsample)].downsample) ** 2
    far = None
    if near is None or source <= LARGEST_READ_PX:
        far = glass_colour(_read_overview(slide, downsample, (0.0, 0.0), (width, height), check), slide.background)
    if near is not None and (far is None or np.mean(near) >= np.mean(far) - DARKER_THAN_SLIDE):
        return Background(near, "glass in and around the region", True)
    if far is not None:
        return Background(far, "glass elsewhere on the slide", True)
    return Background(brightest_colour(overview), "no glass found: brightest spots of the tissue", False)


def _unmarked(
    tissue: NDArray[np.bool_], overview: _Overview, background: Background, working_um: float
) -> NDArray[np.bool_]:
    """Tissue so far from ink that no sample patch shows any: it would become a stain. All, if all is near."""
    import cv2

    ink = ink_mask(overview.rgb, overview.um, background.rgb)
    if not ink.any():
        return tissue
    side = 2 * math.ceil(PATCH_PX * working_um / overview.um) + 1
    away = tissue & ~cv2.dilate(ink.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
    return away if away.any() else tissue


def _spots(
    overview: _Overview, tissue: NDArray[np.bool_], background: Background, working_um: float
) -> tuple[list[tuple[float, float, int]], int]:
    """Where to sample: x, y (level-0 px), side (working px). First some spread evenly, then some brown ones.

    Returns the list and how many of it are the evenly spread ones.
    """
    import cv2

    step_px = PATCH_PX * working_um / overview.um
    columns = max(1, int(np.ceil(tissue.shape[1] / step_px)))
    rows = max(1, int(np.ceil(tissue.shape[0] / step_px)))
    share = cv2.resize(tissue.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    density = optical_density(overview.rgb, background.rgb)
    brown = np.where(tissue, density[..., 2] - density[..., 0], 0).astype(np.float32)
    brown = cv2.resize(brown, (columns, rows), interpolation=cv2.INTER_AREA).ravel()
    cells = np.flatnonzero(share.ravel() > min(0.25, 0.5 * float(share.max())))
    if len(cells) == 0:
        return [], 0
    picks = np.unique(np.linspace(0, len(cells) - 1, min(EVEN_PATCHES, len(cells))).round().astype(int))
    picked = [int(c) for c in cells[picks]]
    even = len(picked)
    brownest = cells[np.argsort(-brown[cells], kind="stable")][:BROWN_PATCHES]
    picked.extend(int(c) for c in brownest if int(c) not in picked)
    scale_x, scale_y = tissue.shape[1] / columns, tissue.shape[0] / rows
    size = min(PATCH_PX, max(16, round(min(scale_x, scale_y) * overview.um / working_um)))
    (x, y), ds = overview.origin, overview.downsample
    places = (divmod(cell, columns) for cell in picked)
    return [(round(x + c * scale_x * ds), round(y + r * scale_y * ds), size) for r, c in places], even


def _stains(
    patches: list[NDArray[np.uint8]], even: int, background: Background, entered: Entered
) -> tuple[VectorEstimate, VectorEstimate, KindEvidence]:
    import cv2

    empty = np.zeros((0, 3), np.float32)
    smooth = [optical_density(cv2.GaussianBlur(p, (0, 0), 0.8), background.rgb).reshape(-1, 3) for p in patches]
    evidence = stain_kind(np.concatenate(smooth[:even]) if smooth else empty)
    haematoxylin, dab = estimate_vectors(np.concatenate(smooth) if smooth else empty)
    if evidence.kind is StainKind.HE:
        haematoxylin = VectorEstimate(unit(HAEMATOXYLIN), "usual vector: not an IHC", False)
        dab = VectorEstimate(unit(DAB), "usual vector: not an IHC", False)
    if entered.haematoxylin is not None:
        haematoxylin = VectorEstimate(unit(entered.haematoxylin), "entered", False)
    if entered.dab is not None:
        dab = VectorEstimate(unit(entered.dab), "entered", False)
    return haematoxylin, dab, evidence
