"""Folds, ink, dirt and air bubbles of a region, from an overview.

Classical rules on optical density (OD), made for IHC. Each asks for what no single, well-mounted layer of tissue
shows, so that strong staining alone is never taken for an artefact:

* pen: a hue that no mixture of the slide's own stains, eosin and grey has, or an evenly black area;
* dirt: a grey spot, dark and without the hue of any stain;
* fold: a long narrow band with clearly more haematoxylin than the tissue on both sides (two layers of tissue);
* air bubble: a round closed edge without hue, larger than a gland.

What is out of focus shows at full resolution only: ``quality.blurred``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.slides.slide import Slide, TileError
from her2viewer.stains.background import RGB
from her2viewer.stains.density import optical_density
from her2viewer.stains.tissue import tissue_mask
from her2viewer.stains.vectors import DAB, EOSIN, HAEMATOXYLIN, Vector, unit


class Quality(IntEnum):
    """Codes of a quality mask; classes of ``QUALITY_SCHEME``."""

    BLUR = 0
    FOLD = 1
    PEN = 2
    BUBBLE = 3
    DIRT = 4


QUALITY_SCHEME = ClassScheme(("out of focus", "fold", "pen", "air bubble", "dirt"), (-1,) * 5)
"""Nothing of it counts towards shares."""
GOOD = 255
"""Code of a pixel with nothing wrong."""

OVERVIEW_UM = 6.0
"""um per px at which the rules were made; 4 to 8 will do."""
HUE_DENSITY = 0.30
"""Sum of the three OD from which a hue is believed on an overview."""
HUE_MARGIN = (0.055, 0.08, 0.08)
"""How far below that of every stain the share of red, green or blue lies in ink."""
WEAK_MARGIN = (0.015, 0.03, 0.03)
"""The same for what is joined to ink that is sure: on tissue the hue of ink is mixed with that of the stain."""
WEAK_DENSITY = 0.7
ESTIMATE_MARGIN = 0.04
BLACK_DENSITY = 2.4
"""Sum of the three OD beyond which a wide area is ink: 3+ tissue averages below 1.8."""
PEN_MM2 = 0.004
DIRT_DENSITY = 0.8
"""Sum of the three OD: blue and brown on top of each other are grey, too, but hardly that dark over 6 um."""
DIRT_MM2 = 0.0006
GREY_RANGE = 0.05
"""Largest distance of a channel's share from a third in what is grey."""
FOLD_UM = 8.0
"""um per px at which folds are sought."""
FOLD_RATIO = 1.45
"""Haematoxylin of a fold against that of the tissue on either side."""
FOLD_DENSITY = 0.05
"""Least mean haematoxylin OD along a fold."""
FOLD_WINDOW_UM = 150.0
"""Length over which the tissue along a fold is averaged."""
FOLD_SIDE_UM = 55.0
"""How far beside the middle of a fold the single layer is looked for."""
FOLD_LENGTH_UM = 600.0
FOLD_LEAST_WIDTH_UM = 8.0
FOLD_UNBROKEN = 0.8
"""Share of that length that answers: glands and vessels curl."""
DIRECTIONS = 12

BUBBLE_UM = (200.0, 5000.0)
"""Diameter."""
BUBBLE_FILLING = 0.6
"""Least share of the circle around a bubble that the bubble fills: under a cover slip it is seldom round."""
EDGE_DENSITY = 0.3
"""Sum of the three OD of the edge of a bubble."""


MARGIN_UM = 700.0
"""Around a region: a fold or a bubble is judged as a whole."""
STRIP_PX = 4e6
"""Pixels of the overview read at a time."""


@dataclass(frozen=True)
class ArtefactMap:
    """Artefacts of one region on a grid that starts at the slide's origin, so that any region gives the same ones."""

    codes: NDArray[np.uint8]
    """(h, w) of ``Quality``, or ``GOOD``."""
    x: float
    y: float
    """Upper left corner, level-0 px."""
    step: float
    """Level-0 px per px of ``codes``."""

    def at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.uint8]:
        """Codes at points (level-0 px), uint8 of the same shape; ``GOOD`` outside the map."""
        column = np.floor((np.asarray(x, np.float64) - self.x) / self.step).astype(np.int64)
        row = np.floor((np.asarray(y, np.float64) - self.y) / self.step).astype(np.int64)
        height, width = self.codes.shape
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found = np.full(column.shape, GOOD, np.uint8)
        found[inside] = self.codes[row[inside], column[inside]]
        return found


def find_artefacts(
    slide: Slide,
    pixel_size: PixelSize,
    region: Region,
    *,
    background: RGB,
    haematoxylin: Vector,
    dab: Vector,
    check: Callable[[], None] = lambda: None,
) -> ArtefactMap:
    """Read the region with a margin at ``OVERVIEW_UM`` and look for artefacts.

    Args:
        slide: the open slide.
        pixel_size: confirmed pixel size.
        region: what is scored, level-0 px, not empty.
        background: glass colour.
        haematoxylin: stain vector of the slide.
        dab: stain vector of the slide.
        check: called between reads and between the steps of the search; may raise to stop.

    Areas that cannot be decoded are taken for glass.

    Raises:
        SlideError: the slide is gone or no longer readable.
    """
    step = OVERVIEW_UM / pixel_size.mpp
    margin = MARGIN_UM / pixel_size.mpp
    x0, y0, x1, y1 = region.bounds
    left, top = (int(max(0.0, v - margin) // step) for v in (x0, y0))
    right = max(left + 1, int(min(float(slide.width), x1 + margin) // step))
    bottom = max(top + 1, int(min(float(slide.height), y1 + margin) // step))
    rows = max(1, int(STRIP_PX / (right - left)))
    strips = []
    for row in range(top, bottom, rows):
        tall = min(rows, bottom - row)
        try:
            strips.append(slide.read_at(step, left * step, row * step, right - left, tall))
        except TileError:
            strips.append(np.full((tall, right - left, 3), np.round(background).astype(np.uint8), np.uint8))
        check()
    codes = artefact_mask(np.concatenate(strips), OVERVIEW_UM, background, haematoxylin, dab, check=check)
    return ArtefactMap(codes, left * step, top * step, step)


def artefact_mask(
    rgb: NDArray[np.uint8],
    um_per_px: float,
    background: RGB,
    haematoxylin: Vector,
    dab: Vector,
    *,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.uint8]:
    """Artefacts of an overview.

    Args:
        rgb: (h, w, 3) uint8 at 4 to 8 um/px.
        um_per_px: its resolution.
        background: glass colour.
        haematoxylin: stain vector of the slide.
        dab: stain vector of the slide.
        check: called between the steps; may raise to stop.

    Returns:
        (h, w) uint8 of ``Quality`` codes, ``GOOD`` elsewhere. Ink covers what lies below it.
    """
    import cv2

    density = optical_density(rgb, background)
    total: NDArray[Any] = cv2.blur(density, (3, 3)).sum(axis=2)
    hue = cv2.blur(density, (3, 3)) / np.maximum(total, 1e-3)[..., None]
    out = np.full(rgb.shape[:2], GOOD, np.uint8)
    check()
    tissue = tissue_mask(rgb, background, um_per_px)
    check()
    ink = _ink(hue, total, um_per_px, (haematoxylin, dab))
    check()
    dirt = _dirt(hue, total, um_per_px)
    bubbles = _bubbles(hue, total, um_per_px)
    out[_folds(density, tissue & ~(ink | dirt | bubbles), um_per_px, (haematoxylin, dab), check)] = Quality.FOLD
    # The edge of a bubble and the rim of a black stroke are grey, too.
    out[_apart(dirt, ink | bubbles)] = Quality.DIRT
    out[bubbles] = Quality.BUBBLE
    out[ink] = Quality.PEN
    return out


def ink_mask(rgb: NDArray[np.uint8], um_per_px: float, background: RGB) -> NDArray[np.bool_]:
    """Ink alone, before the stains of the slide are known: it would be taken for one of them.

    Args:
        rgb: (h, w, 3) uint8 at 4 to 16 um/px.
        um_per_px: its resolution.
        background: glass colour.
    """
    import cv2

    density: NDArray[Any] = cv2.blur(optical_density(rgb, background), (3, 3))
    total = density.sum(axis=2)
    return _ink(density / np.maximum(total, 1e-3)[..., None], total, um_per_px, (HAEMATOXYLIN, DAB))


def _ink(hue: NDArray[Any], total: NDArray[Any], um: float, vectors: tuple[Vector, Vector]) -> NDArray[np.bool_]:
    """Felt pen: blue, green, red or black."""
    # An estimate may itself be drawn towards much ink: it is not followed far from the usual stains.
    least = np.maximum(_least_shares((*vectors, EOSIN)), _least_shares((HAEMATOXYLIN, DAB, EOSIN)) - ESTIMATE_MARGIN)
    coloured = (total > HUE_DENSITY) & (hue < least - np.asarray(HUE_MARGIN)).any(axis=2)
    black = total > BLACK_DENSITY
    found = _large(_opened(coloured | black, 3), PEN_MM2 * 1e6 / um**2)
    mixed = _opened((total > WEAK_DENSITY) & (hue < least - np.asarray(WEAK_MARGIN)).any(axis=2), 3)
    found |= _touching(mixed | found, found)
    # The rim of a stroke is thinner than its middle, but ink all the same.
    return _closed(_dilated(found, 12.0 / um), 5)


def _least_shares(vectors: tuple[Vector, ...]) -> NDArray[Any]:
    """The smallest share of red, green and blue in any of the stains, (3,)."""
    stains: NDArray[Any] = np.array([np.asarray(unit(v)) / sum(unit(v)) for v in vectors]).min(axis=0)
    return stains


def _dirt(hue: NDArray[Any], total: NDArray[Any], um: float) -> NDArray[np.bool_]:
    """Spots without hue: dust, soot, pigment."""
    grey = (total > DIRT_DENSITY) & (np.abs(hue - 1 / 3).max(axis=2) < GREY_RANGE)
    return _dilated(_large(_opened(grey, 3), DIRT_MM2 * 1e6 / um**2), 12.0 / um)


def _folds(
    density: NDArray[Any],
    tissue: NDArray[np.bool_],
    um: float,
    vectors: tuple[Vector, Vector],
    check: Callable[[], None],
) -> NDArray[np.bool_]:
    """Bands of two layers of tissue."""
    import cv2

    h, d = (np.asarray(unit(vector)) for vector in vectors)
    unmixing = np.linalg.inv(np.stack([h, d, np.cross(h, d) / np.linalg.norm(np.cross(h, d))]))
    amount = np.maximum(density @ unmixing[:, 0].astype(np.float32), 0)
    height, width = amount.shape
    # Folds are wide enough to be seen at half the resolution, at a quarter of the cost.
    size = (max(1, round(width * um / FOLD_UM)), max(1, round(height * um / FOLD_UM)))
    amount = cv2.resize(np.where(tissue, amount, 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    weight: NDArray[Any] = cv2.resize(tissue.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    found = np.zeros(amount.shape, bool)
    for step in range(DIRECTIONS):
        check()
        found |= _band_along(amount, weight, np.pi * step / DIRECTIONS)
    wide = cv2.resize(found.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(wide, dtype=bool) & tissue


def _band_along(amount: NDArray[Any], weight: NDArray[Any], angle: float) -> NDArray[np.bool_]:
    """Straight bands of one direction (radians), denser than the tissue on both sides; px of ``FOLD_UM``."""
    import cv2

    line = _line(round(FOLD_WINDOW_UM / FOLD_UM), angle)
    total, tissue = cv2.filter2D(amount, -1, line), cv2.filter2D(weight, -1, line)
    mean: NDArray[Any] = total / np.maximum(tissue, 1e-3)
    across = np.array([-np.sin(angle), np.cos(angle)])
    beside = np.zeros_like(mean)
    solid = tissue > 0.9
    for distance in (-FOLD_SIDE_UM, FOLD_SIDE_UM):
        dx, dy = distance / FOLD_UM * across
        shift = np.array([[1, 0, dx], [0, 1, dy]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shape = mean.shape[::-1]
        beside = np.maximum(beside, cv2.warpAffine(mean, shift, shape, flags=flags))
        solid &= cv2.warpAffine(tissue, shift, shape, flags=flags) > 0.7
    core = solid & (mean > FOLD_RATIO * beside) & (mean > FOLD_DENSITY)
    # The middle of a fold answers along all its length: keep what is long, then grow it to the width of the fold.
    length = _line(round(FOLD_LENGTH_UM / FOLD_UM), angle)
    enough: NDArray[Any] = cv2.filter2D(cv2.dilate(core.astype(np.float32), np.ones((3, 3))), -1, length)
    core &= enough > FOLD_UNBROKEN
    run = (line > 0).astype(np.uint8)
    near = cv2.dilate(core.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    limit = cv2.dilate(np.where(core, (mean + beside) / 2, 0).astype(np.float32), np.ones((7, 7)))
    grown = cv2.morphologyEx(((near > 0) & (mean > limit)).astype(np.uint8), cv2.MORPH_CLOSE, run)
    return _large(np.asarray(grown, dtype=bool), FOLD_LENGTH_UM * FOLD_LEAST_WIDTH_UM / FOLD_UM**2)


def _line(length: int, angle: float) -> NDArray[np.float32]:
    """A kernel that averages along a line of ``length`` px."""
    import cv2

    side = length | 1
    kernel = np.zeros((side, side), np.float32)
    middle = side // 2
    dx, dy = middle * np.cos(angle), middle * np.sin(angle)
    ends = [(round(middle + k * dx), round(middle + k * dy)) for k in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return kernel / np.float32(kernel.sum())


def _bubbles(hue: NDArray[Any], total: NDArray[Any], um: float) -> NDArray[np.bool_]:
    """What a round grey edge encloses."""
    import cv2

    edge = (total > EDGE_DENSITY) & (np.abs(hue - 1 / 3).max(axis=2) < GREY_RANGE)
    closed = _closed(edge, max(3, round(25.0 / um)))
    contours, tree = cv2.findContours(closed.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    out = np.zeros(total.shape, np.uint8)
    for index, contour in enumerate(contours):
        # A hole of the edge is what it encloses.
        if tree[0][index][3] < 0:
            continue
        _, radius = cv2.minEnclosingCircle(contour)
        area = cv2.contourArea(contour)
        if BUBBLE_UM[0] <= 2 * radius * um <= BUBBLE_UM[1] and area >= BUBBLE_FILLING * np.pi * radius**2:
            cv2.drawContours(out, contours, index, 1, cv2.FILLED)
    return _dilated(out.astype(bool), 25.0 / um) if out.any() else out.astype(bool)


def _touching(mask: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected areas of ``mask`` that touch one of ``others``."""
    return mask & ~_apart(mask, others)


def _apart(mask: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected areas of ``mask`` that touch none of ``others``."""
    import cv2

    number, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    keep = np.ones(number, bool)
    keep[np.unique(labels[others])] = False
    keep[0] = False
    return np.asarray(keep[labels], dtype=bool)


def _large(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= pixels
    keep[0] = False
    return np.asarray(keep[labels], dtype=bool)


def _opened(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    return _morphed(mask, side, "MORPH_OPEN")


def _closed(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    return _morphed(mask, side, "MORPH_CLOSE")


def _dilated(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    return _morphed(mask, 2 * max(1, round(radius)) + 1, "MORPH_DILATE")


def _morphed(mask: NDArray[np.bool_], side: int, way: str) -> NDArray[np.bool_]:
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), getattr(cv2, way), kernel), dtype=bool)
