"""Pictures of a report: the overview with its outlines, and fields with and without what the scorer saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.annotation import DEFAULT_CLASS, RGB, AnnotationSet, Role
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap, Evidence, Grid, Heatmap, TissueMask
from her2viewer.domain.palette import class_colors, her2_colors, sequential_colormap
from her2viewer.domain.region import Region
from her2viewer.reports.fields import FieldChoice
from her2viewer.resources import resource_path
from her2viewer.slides.slide import RGBImage, Slide, TileError

FIELD_UM_PER_PX = 0.5
"""20x, at which the cells were judged."""
OVERVIEW_PX = 1500
"""Longest side of the overview."""
REGION_PX = 1100
"""Longest side of the picture of the region."""
REGION_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What each outline is called in the picture of the region, where there is more than one."""
_BLOCK = 512
_SHIFT = 4
_MISSING = (205, 205, 205)
_FILL = 0.42
_DOT_UM = 9.0
"""Diameter of a cell's dot in the picture of the region: about that of a nucleus."""


@dataclass(frozen=True)
class Frame:
    """Where a picture lies on the slide: upper left corner in level-0 px, and level-0 px per picture px."""

    x: float
    y: float
    downsample: float


def read_area(slide: Slide, frame: Frame, width: int, height: int) -> RGBImage:
    """``Slide.read_at`` in blocks: bounded memory, and a tile that cannot be decoded stays grey.

    ``width`` and ``height`` are px of the picture.

    Raises:
        SlideError: the file is gone.
    """
    out = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            w, h = min(_BLOCK, width - left), min(_BLOCK, height - top)
            try:
                x, y = frame.x + left * frame.downsample, frame.y + top * frame.downsample
                block = slide.read_at(frame.downsample, x, y, w, h)
            except TileError:
                block = np.full((h, w, 3), _MISSING, dtype=np.uint8)
            out[top : top + h, left : left + w] = block
    return out


def overview_picture(
    slide: Slide, annotations: AnnotationSet, fields: Iterable[FieldChoice], um_per_level0: float
) -> tuple[RGBImage, float]:
    """The whole slide with outlines, hatched exclusions and numbered fields; and its um per px.

    Raises:
        SlideError: the file is gone.
    """
    import cv2

    downsample = max(1.0, max(slide.width, slide.height) / OVERVIEW_PX)
    whole = Frame(0.0, 0.0, downsample)
    width, height = max(1, round(slide.width / downsample)), max(1, round(slide.height / downsample))
    image = read_area(slide, whole, width, height)
    _draw_annotations(image, annotations, whole)
    um_per_px = um_per_level0 * downsample
    _scale_bar(image, um_per_px)
    font = max(14, max(width, height) // 34)
    for number, field in enumerate(fields, 1):
        half = max(field.side / downsample / 2, 8)
        # A field at the edge of the slide keeps its frame and its number.
        left, right = (_within(field.x / downsample + side, width) for side in (-half, half))
        top, bottom = (_within(field.y / downsample + side, height) for side in (-half, half))
        cv2.rectangle(image, (left, top), (right, bottom), (255, 255, 255), 7)
        cv2.rectangle(image, (left, top), (right, bottom), (0, 0, 0), 3)
        room = right - left > 2 * font
        x = left + 7 if room else (right + 6 if right + font < width else left - font)
        _text(image, str(number), x, min(top + 2 if room else top - 4, height - font - 6), font)
    return image, um_per_px


def _within(position: float, length: int) -> int:
    """A place on the picture for the line of a frame."""
    return int(min(max(round(position), 2), length - 3))


def region_picture(
    slide: Slide, annotations: AnnotationSet, evidence: Iterable[Evidence], *, mpp: float, palette: str
) -> tuple[RGBImage, float] | None:
    """The region as large as a page has room for, with the evidence over all of it; and um per px.

    None where nothing is outlined.

    Raises:
        SlideError: the file is gone.
    """
    region = annotations.region()
    if region.empty:
        return None
    x0, y0, x1, y1 = region.bounds
    border = 0.04 * max(x1 - x0, y1 - y0)
    # Beyond the slide there is nothing to show, except where the outline itself reaches beyond it.
    x0, y0 = max(x0 - border, min(x0, 0.0)), max(y0 - border, min(y0, 0.0))
    x1, y1 = min(x1 + border, max(x1, slide.width)), min(y1 + border, max(y1, slide.height))
    frame = Frame(x0, y0, max(1.0, max(x1 - x0, y1 - y0) / REGION_PX))
    width, height = max(1, round((x1 - x0) / frame.downsample)), max(1, round((y1 - y0) / frame.downsample))
    image = read_area(slide, frame, width, height)
    colors = np.array(her2_colors(palette), dtype=np.uint8)
    items = by_weight(evidence)
    for item in items:
        if isinstance(item, CellTable):
            inside = replace(item, contours=None, contour_starts=None).selected(
                region.contains_points(item.x, item.y)
            )
            _draw_dots(image, inside, frame, colors, _DOT_UM / (mpp * frame.downsample))
        elif isinstance(item, ClassMap):
            _draw_map(image, item, tumour_mask(items, item), frame, palette)
        elif isinstance(item, Heatmap):
            _draw_heat(image, item, frame)
        else:
            continue
        break
    _draw_annotations(image, annotations, frame)
    _scale_bar(image, mpp * frame.downsample)
    rois = annotations.with_role(Role.ROI)
    font = max(14, max(width, height) // 30)
    for letter, roi in zip(REGION_LETTERS if len(rois) > 1 else "", rois, strict=False):
        # Where the outline begins at its upper left: inside it there is tissue.
        points = shapely.get_coordinates(roi.geometry)
        x, y = (points[points.sum(axis=1).argmin()] - (frame.x, frame.y)) / frame.downsample
        x, y = min(max(x + 4, 2), width - font - 2), min(max(y + 2, 2), height - font - 6)
        _text(image, letter, round(x), round(y), font)
    return image, mpp * frame.downsample


def field_pictures(
    slide: Slide, field: FieldChoice, evidence: Iterable[Evidence], region: Region, *, mpp: float, palette: str
) -> tuple[RGBImage, RGBImage | None, float]:
    """A field plain, the same with its evidence (None where there is none), and um per px.

    Raises:
        SlideError: the file is gone.
    """
    # Never finer than the slide itself, and no larger than paper can show.
    um_per_px = max(FIELD_UM_PER_PX, mpp, field.side * mpp / 1200)
    frame = Frame(field.x - field.side / 2, field.y - field.side / 2, um_per_px / mpp)
    size = max(1, round(field.side / frame.downsample))
    plain = read_area(slide, frame, size, size)
    overlay = plain.copy()
    drawn = False
    items = by_weight(evidence)
    for item in items:
        if isinstance(item, CellTable):
            drawn = _draw_cells(overlay, item, region, frame, palette)
        elif isinstance(item, ClassMap):
            drawn = _draw_map(overlay, item, tumour_mask(items, item), frame, palette)
        elif isinstance(item, Heatmap):
            drawn = _draw_heat(overlay, item, frame)
        if drawn:
            break
    _draw_outline(overlay, region, frame)
    _scale_bar(overlay, um_per_px)
    _scale_bar(plain, um_per_px)
    return plain, overlay if drawn else None, um_per_px


def by_weight(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """What counts comes first: cells, classes of the tumour, numbers; a map of artefacts is no result."""

    def rank(item: Evidence) -> int:
        if isinstance(item, CellTable):
            return 0
        if isinstance(item, ClassMap):
            return 1 if item.scheme.counted else 3
        return 2

    return tuple(sorted(evidence, key=rank))


def tumour_mask(evidence: Iterable[Evidence], class_map: ClassMap) -> TissueMask | None:
    """The mask that a map of tumour classes hangs on; None where there is none."""
    if not class_map.scheme.counted:
        return None
    return next((e for e in evidence if isinstance(e, TissueMask)), None)


def _rings(geometry: BaseGeometry, frame: Frame) -> list[NDArray[np.int32]]:
    """Rings of a geometry as fixed-point picture coordinates for cv2, each (n, 2)."""
    out = []
    for part in shapely.get_parts(shapely.get_parts(geometry)):
        if part.geom_type == "Polygon":
            rings = [part.exterior, *part.interiors]
        elif part.geom_type in ("LineString", "LinearRing"):
            rings = [part]
        else:
            continue
        out += [_fixed(shapely.get_coordinates(ring), frame) for ring in rings]
    return out


def _fixed(points: NDArray[np.floating], frame: Frame) -> NDArray[np.int32]:
    shifted = (points.astype(np.float64) - (frame.x, frame.y)) / frame.downsample - 0.5
    return np.round(shifted * (1 << _SHIFT)).astype(np.int32)


def _draw_cells(image: RGBImage, cells: CellTable, region: Region, frame: Frame, palette: str) -> bool:
    import cv2

    size = image.shape[0] * frame.downsample
    x, y = frame.x, frame.y
    near = np.flatnonzero((cells.x >= x) & (cells.x < x + size) & (cells.y >= y) & (cells.y < y + size))
    near = near[region.contains_points(cells.x[near], cells.y[near])]
    colors = class_colors(cells.scheme, palette)
    for code, her2 in sorted(enumerate(cells.scheme.her2), key=lambda pair: pair[1]):
        mine = near[cells.classes[near] == code]
        color = tuple(int(v) for v in colors[code])
        # Stronger classes have thicker lines, so that they stay apart in grey.
        thick = 1 if her2 < 2 else 2
        lines, dots = [], []
        for index in mine:
            contour = cells.contour(int(index))
            if len(contour) >= 3 and her2 >= 0:
                lines.append(_fixed(contour, frame))
            else:
                dots.append((float(cells.x[index]), float(cells.y[index])))
        if her2 == len(HER2_LABELS) - 1:
            # The strongest class has a dark edge: its bright colour alone is lost in a grey print.
            cv2.polylines(image, lines, True, (0, 0, 0), thick + 2, cv2.LINE_AA, _SHIFT)
        cv2.polylines(image, lines, True, color, thick, cv2.LINE_AA, _SHIFT)
        radius = (2 if her2 < 0 else 5) << _SHIFT
        for point in _fixed(np.array(dots).reshape(-1, 2), frame):
            centre = (int(point[0]), int(point[1]))
            cv2.circle(image, centre, radius, color, -1 if her2 < 0 else thick, cv2.LINE_AA, _SHIFT)
    return len(near) > 0


def _sampled(grid: Grid, image: RGBImage, frame: Frame) -> tuple[NDArray[np.int64], ...]:
    """Row and column of the grid under each picture row and column, -1 outside."""
    height, width = image.shape[:2]
    columns = np.floor((frame.x + (np.arange(width) + 0.5) * frame.downsample - grid.x) / grid.step).astype(np.int64)
    rows = np.floor((frame.y + (np.arange(height) + 0.5) * frame.downsample - grid.y) / grid.step).astype(np.int64)
    columns[(columns < 0) | (columns >= grid.columns)] = -1
    rows[(rows < 0) | (rows >= grid.rows)] = -1
    return rows, columns


def _blend(image: RGBImage, colors: NDArray[np.uint8], where: NDArray[np.bool_]) -> bool:
    mixed = image.astype(np.float32) * (1 - _FILL) + colors.astype(np.float32) * _FILL
    image[where] = np.round(mixed).astype(np.uint8)[where]
    return bool(where.any())


def _draw_map(image: RGBImage, item: ClassMap, mask: TissueMask | None, frame: Frame, palette: str) -> bool:
    """Classes in their colours, only where the mask says tumour if there is one, with a line around the tumour."""
    rows, columns = _sampled(item.grid, image, frame)
    inside = (rows >= 0)[:, None] & (columns >= 0)[None, :]
    codes = np.where(inside & item.shown[np.ix_(rows, columns)], item.classes[np.ix_(rows, columns)], NOT_SCORED)
    tumour = None if mask is None else _tumour(mask, image, frame)
    if tumour is not None:
        codes[tumour == 0] = NOT_SCORED
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(item.scheme.names)] = class_colors(item.scheme, palette)
    drawn = _blend(image, table[codes], codes != NOT_SCORED)
    if tumour is not None:
        _outline_tumour(image, tumour)
        drawn = drawn or bool(tumour.any())
    return drawn


def _tumour(mask: TissueMask, image: RGBImage, frame: Frame) -> NDArray[np.uint8]:
    rows, columns = _sampled(mask.grid, image, frame)
    inside = (rows >= 0)[:, None] & (columns >= 0)[None, :]
    return np.where(inside & (mask.values[np.ix_(rows, columns)] == 1), 1, 0).astype(np.uint8)


def _outline_tumour(image: RGBImage, tumour: NDArray[np.uint8]) -> None:
    """Dark on the edge of the tumour, pale beyond it: seen on every tissue and in a grey print."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    image[(cv2.dilate(tumour, cross) == 1) & (tumour == 0)] = (255, 255, 255)
    image[(cv2.erode(tumour, cross, borderType=cv2.BORDER_REPLICATE) == 0) & (tumour == 1)] = (20, 20, 30)


def _draw_heat(image: RGBImage, item: Heatmap, frame: Frame) -> bool:
    rows, columns = _sampled(item.grid, image, frame)
    inside = (rows >= 0)[:, None] & (columns >= 0)[None, :]
    values = np.where(inside, item.values[np.ix_(rows, columns)], np.nan)
    known = np.isfinite(values)
    span = item.high - item.low or 1.0
    index = np.clip(np.nan_to_num((values - item.low) / span) * 255, 0, 255).astype(np.uint8)
    return _blend(image, sequential_colormap()[index], known)


def _draw_dots(image: RGBImage, cells: CellTable, frame: Frame, colors: NDArray[np.uint8], size: float) -> None:
    """Every tumour cell as a dot of ``size`` px; where several fall on one pixel, the class of most of them."""
    import cv2

    height, width = image.shape[:2]
    column = np.floor((cells.x - frame.x) / frame.downsample).astype(np.int64)
    row = np.floor((cells.y - frame.y) / frame.downsample).astype(np.int64)
    her2 = np.asarray(cells.scheme.her2)[cells.classes]
    keep = (her2 >= 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = (row[keep] * width + column[keep]) * 4 + her2[keep]
    counts = np.bincount(index, minlength=height * width * 4).reshape(height, width, 4)
    codes = np.where(counts.any(axis=2), counts.argmax(axis=2) + 1, 0).astype(np.uint8)
    side = max(3, round(size) | 1)
    codes = cv2.dilate(codes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    image[codes > 0] = colors[codes[codes > 0] - 1]


def _draw_annotations(image: RGBImage, annotations: AnnotationSet, frame: Frame) -> None:
    import cv2

    for role in (Role.CONTROL, Role.EXCLUDE, Role.ROI):
        for annotation in annotations.with_role(role):
            color = DEFAULT_CLASS[role][1] if role is not Role.EXCLUDE else (90, 90, 90)
            rings = _rings(annotation.geometry, frame)
            if role is Role.EXCLUDE:
                _hatch(image, rings, color)
            cv2.polylines(image, rings, True, (255, 255, 255), 5, cv2.LINE_AA, _SHIFT)
            cv2.polylines(image, rings, True, color, 3, cv2.LINE_AA, _SHIFT)


def _draw_outline(image: RGBImage, region: Region, frame: Frame) -> None:
    import cv2

    size = image.shape[0] * frame.downsample
    x, y = frame.x, frame.y
    edge = region.geometry.boundary.intersection(shapely.box(x - size, y - size, x + 2 * size, y + 2 * size))
    lines = _rings(edge, frame)
    cv2.polylines(image, lines, False, (255, 255, 255), 4, cv2.LINE_AA, _SHIFT)
    cv2.polylines(image, lines, False, DEFAULT_CLASS[Role.ROI][1], 2, cv2.LINE_AA, _SHIFT)


def _hatch(image: RGBImage, rings: list[NDArray[np.int32]], color: RGB) -> None:
    import cv2

    height, width = image.shape[:2]
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(mask, rings, 1, cv2.LINE_8, _SHIFT)
    rows, columns = np.indices((height, width), sparse=True)
    image[(mask > 0) & ((rows + columns) % 9 < 2)] = color


def nice_length(um: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above ``um``."""
    power = 10.0 ** np.floor(np.log10(um))
    return float(max(step * power for step in (1, 2, 5) if step * power <= um * (1 + 1e-9)))


def _scale_bar(image: RGBImage, um_per_px: float) -> None:
    height, width = image.shape[:2]
    length_um = nice_length(um_per_px * width / 4)
    length = round(length_um / um_per_px)
    label = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    bar = max(4, height // 160)
    font = max(14, height // 28)
    pad = max(6, height // 100)
    box_height = font + bar + 3 * pad
    left, top = pad, height - box_height - pad
    box_width = max(length, round(0.62 * font * len(label))) + 2 * pad
    corner = image[max(0, top) : height - pad, left : left + box_width]
    corner[:] = np.round(corner * 0.2 + 255 * 0.8).astype(np.uint8)
    y = height - 2 * pad - bar
    image[y : y + bar, left + pad : left + pad + length] = 0
    _text(image, label, left + pad, max(0, top) + pad // 2, font, halo=False)


def _text(image: RGBImage, text: str, x: int, y: int, size: int, *, halo: bool = True) -> None:
    """Black text with its upper left corner at (x, y), in the shipped font: cv2 has no µ."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(image)
    font = ImageFont.truetype(str(resource_path("fonts", "DejaVuSans-Bold.ttf")), size)
    ImageDraw.Draw(picture).text(
        (x, y), text, fill=(0, 0, 0), font=font, stroke_width=3 if halo else 0, stroke_fill=(255, 255, 255)
    )
    image[:] = np.asarray(picture)
