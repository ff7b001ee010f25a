"""All cells and masks of a plan, gathered chunk by chunk; the thresholds that give the wanted shares; outlines."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.annotation import DEFAULT_CLASS, Annotation, AnnotationSet, Role
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.region import polygonal
from her2viewer.phantom.flaws import EMPTY, Flaws
from her2viewer.phantom.slide_plan import PITCH, SlidePlan

LEGEND = (
    "glass", "stroma", "invasive", "in_situ", "benign", "control", "lymphocytes", "fat", "necrosis",
    "vessel", "lumen", "mucin",
)  # fmt: skip
"""Names of the codes of the tissue mask."""
GLASS, STROMA, INVASIVE, IN_SITU, BENIGN, CONTROL, LYMPHOCYTES, FAT, NECROSIS, VESSEL, LUMEN, MUCIN = range(12)
KINDS = ("none", "invasive", "in_situ", "benign", "control", "fibroblast", "lymphocyte")
"""Names of the kinds of cells."""
NUCLEI = ("resting", "mitosis", "signet_ring")
"""Names of the kinds of nuclei; mitoses and signet-ring cells are invasive cells."""
MASK_UM = 4.0
"""um between the pixels of the masks, roughly."""
NO_CLASS = 255
_NAMESPACE = uuid.UUID("0b0c5f0e-6a3a-5b0b-9f0c-0f6c3f5a7d12")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Survey:
    """What is true of a phantom slide."""

    step: int
    """Level-0 px per px of the masks."""
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    kind: NDArray[np.uint8]
    her2: NDArray[np.uint8]
    dab: NDArray[np.float32]
    completeness: NDArray[np.float32]
    radius: NDArray[np.float32]
    nucleus_x: NDArray[np.float32]
    """Centre of the nucleus, NaN for a cell whose nucleus the section has missed."""
    nucleus_y: NDArray[np.float32]
    nucleus: NDArray[np.uint8]
    """Index into ``NUCLEI``."""
    counted: NDArray[np.bool_]
    """Invasive cells inside the ROI less its exclusions."""
    tissue: NDArray[np.uint8]
    her2_mask: NDArray[np.uint8]
    quality: NDArray[np.uint8]
    outlines: AnnotationSet

    @property
    def shares_by_cell(self) -> tuple[float, float, float, float]:
        """% of the counted cells in 0, 1+, 2+, 3+."""
        return _percent(np.bincount(self.her2[self.counted], minlength=4)[:4])

    @property
    def shares_by_surface(self) -> tuple[float, float, float, float]:
        """% of the invasive surface in the ROI in 0, 1+, 2+, 3+."""
        region = self.outlines.region()
        rows, columns = self.her2_mask.shape
        inside = region.mask(0, 0, columns, rows, self.step) if not region.empty else np.ones((rows, columns), bool)
        chosen = inside & (self.tissue == INVASIVE) & (self.her2_mask < 4)
        return _percent(np.bincount(self.her2_mask[chosen], minlength=4)[:4])


def _percent(counts: NDArray[Any]) -> tuple[float, float, float, float]:
    total = max(float(counts.sum()), 1.0)
    a, b, c, d = (100.0 * float(n) / total for n in counts)
    return (a, b, c, d)


def survey(plan: SlidePlan, workers: int = 2, progress: Progress | None = None) -> Survey:
    """Lay out the whole plan once, set its thresholds so that the wanted shares come out, and gather the truth."""
    step = max(1, round(MASK_UM / plan.mpp))
    rows, columns = math.ceil(plan.height / step), math.ceil(plan.width / step)
    tissue = np.zeros((rows, columns), dtype=np.uint8)
    nearest = np.full((rows, columns), -1, dtype=np.int32)
    zone = np.zeros((rows, columns), dtype=bool)
    across, down = plan.chunk_counts
    cells: list[NDArray[np.float64]] = []
    count = 0

    def one(index: int) -> tuple[int, Any]:
        return index, _of_chunk(plan, index % across, index // across, step)

    with ThreadPoolExecutor(workers) as pool:
        for index, found in _in_order(pool, one, across * down, 2 * workers):
            own, window, codes, near, inside = found
            part = (slice(window[1], window[3]), slice(window[0], window[2]))
            tissue[part], zone[part] = codes, inside
            nearest[part] = np.where(near >= 0, near + count, -1)
            cells.append(own)
            count += len(own)
            if progress:
                progress(index + 1, across * down)
    everything = np.concatenate(cells)
    outlines = _outlines(plan, tissue, zone, step)
    return _finished(plan, everything, (tissue, nearest), outlines, step)


def _in_order(pool: ThreadPoolExecutor, work: Any, total: int, ahead: int) -> Any:
    """Results in order, with no more than ``ahead`` under way."""
    from collections import deque

    waiting: Any = deque()
    for index in range(total):
        waiting.append(pool.submit(work, index))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _of_chunk(plan: SlidePlan, column: int, row: int, step: int) -> Any:
    """Cells that belong to a chunk, its window of the masks, tissue codes, nearest own or foreign cell, zone."""
    from her2viewer.phantom import _cells
    from her2viewer.phantom import _compartments as c

    chunk = plan.chunk(column, row)
    side = plan.chunk_px
    limits = (column * side, row * side, min((column + 1) * side, plan.width), min((row + 1) * side, plan.height))
    window = [math.ceil((v - 0.5 * step) / step) for v in limits]
    window[2], window[3] = max(window[2], window[0]), max(window[3], window[1])
    if limits[2] == plan.width:
        window[2] = math.ceil(plan.width / step)
    if limits[3] == plan.height:
        window[3] = math.ceil(plan.height / step)
    xs = (np.arange(window[0], window[2]) + 0.5) * step * plan.mpp
    ys = (np.arange(window[1], window[3]) + 0.5) * step * plan.mpp
    x, y = chunk.cells[:, _cells.X] / plan.mpp, chunk.cells[:, _cells.Y] / plan.mpp
    own = (x >= limits[0]) & (y >= limits[1]) & (x < limits[2]) & (y < limits[3])
    own &= chunk.cells[:, _cells.KIND] < _cells.FAT_CELL
    i = np.clip(np.round(xs / PITCH).astype(int) - chunk.i0, 0, chunk.fields.shape[2] - 1)
    j = np.clip(np.round(ys / PITCH).astype(int) - chunk.j0, 0, chunk.fields.shape[1] - 1)
    fields = chunk.fields[:, j][:, :, i]
    near = _nearest(np.ascontiguousarray(chunk.cells[own]), xs, ys, step * plan.mpp)
    return chunk.cells[own], window, _codes(fields, c), near, (fields[c.F_ZONE] > 0) & (fields[c.F_TISSUE] > 0)


def _nearest(mine: Any, xs: Any, ys: Any, spacing: float) -> NDArray[np.int32]:
    """Index among the own cells of the invasive cell that holds each pixel of the masks, -1 for none."""
    from her2viewer.phantom import _compartments as c
    from her2viewer.phantom import _paint

    shape = (len(ys), len(xs))
    first, second = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
    d1, d2 = np.full(shape, 1e6, np.float32), np.full(shape, 1e6, np.float32)
    if not len(mine) or not first.size:
        return first
    gx, gy = (np.ascontiguousarray(a, dtype=np.float32) for a in np.meshgrid(xs, ys))
    # A cell across the border counts among the neighbour's; at the border the nearest own one stands for it.
    _paint.claim(mine, gx, gy, xs[0], ys[0], spacing, first, second, d1, d2)
    kinds = np.append(mine[:, 2], -1)
    return np.where(kinds[first] == c.INVASIVE, first, -1).astype(np.int32)


def _codes(fields: NDArray[np.float32], c: Any) -> NDArray[np.uint8]:
    """Codes of ``LEGEND`` for fields at the mask's pixels."""
    kind = fields[c.F_KIND].astype(np.uint8)
    inside = fields[c.F_EPITHELIUM] > 0
    codes = np.full(kind.shape, STROMA, dtype=np.uint8)
    codes[fields[c.F_LYMPH] > 0.45] = LYMPHOCYTES
    codes[fields[c.F_FAT] > 0] = FAT
    codes[fields[c.F_VESSEL] > -3] = VESSEL
    codes[fields[c.F_MUCIN] > 0] = MUCIN
    for value, code in (
        (c.INVASIVE, INVASIVE),
        (c.IN_SITU_KIND, IN_SITU),
        (c.BENIGN_KIND, BENIGN),
        (c.CONTROL_KIND, CONTROL),
    ):
        codes[inside & (kind == value)] = code
    codes[inside & (fields[c.F_LUMEN] > 0)] = LUMEN
    codes[inside & (fields[c.F_NECROSIS] > 0) & (fields[c.F_LUMEN] <= 0)] = NECROSIS
    codes[fields[c.F_TISSUE] <= 0] = GLASS
    return codes


def _finished(plan: SlidePlan, cells: Any, masks: tuple[Any, Any], outlines: AnnotationSet, step: int) -> Survey:
    from her2viewer.phantom import _cells, _traits

    tissue, nearest = masks
    x, y = (cells[:, k] / plan.mpp for k in (_cells.X, _cells.Y))
    kind = cells[:, _cells.KIND].astype(np.uint8)
    region = outlines.region()
    counted = kind == 1
    if not region.empty:
        counted &= region.contains_points(x, y)
    scores = np.sort(cells[counted, _cells.SCORE])
    if len(scores):
        ends = np.round(np.cumsum(plan.recipe.her2.shares[:3]) / 100 * len(scores)).astype(int)
        padded = np.append(scores, math.inf)
        plan.thresholds = np.array([padded[min(e, len(scores))] for e in ends])
    # Traits of many cells at a time would need more memory than the cells themselves.
    pieces = [_brief(plan, cells[k : k + 200_000], _traits) for k in range(0, len(cells), 200_000)]
    her2, dab, completeness, radius, nucleus_x, nucleus_y, nucleus = (
        np.concatenate(column) for column in zip(*pieces, strict=True)
    )
    rows, columns = tissue.shape
    quality = Flaws(plan).quality(
        ((np.arange(columns) + 0.5) * step * plan.mpp)[None, :], ((np.arange(rows) + 0.5) * step * plan.mpp)[:, None]
    )
    quality[tissue == GLASS] |= EMPTY
    her2_mask = np.append(her2, NO_CLASS).astype(np.uint8)[nearest]
    her2_mask[tissue != INVASIVE] = NO_CLASS
    return Survey(
        step, x.astype(np.float32), y.astype(np.float32), kind, her2, dab, completeness, radius, nucleus_x, nucleus_y,
        nucleus, counted, tissue, her2_mask, quality, outlines,
    )  # fmt: skip


def _brief(plan: SlidePlan, cells: Any, t: Any) -> tuple[Any, ...]:
    traits = plan.traits(np.ascontiguousarray(cells))
    mean = traits[:, t.INTENSITY] * traits[:, t.COMPLETENESS]
    radius = np.sqrt(traits[:, t.NUCLEUS_LONG] * traits[:, t.NUCLEUS_SHORT]) / plan.mpp
    seen = traits[:, t.DENSITY] > 0
    return (
        traits[:, t.HER2].astype(np.uint8),
        mean.astype(np.float32),
        traits[:, t.COMPLETENESS].copy(),
        radius.astype(np.float32),
        *(np.where(seen, traits[:, k] / plan.mpp, np.nan).astype(np.float32) for k in (t.NUCLEUS_X, t.NUCLEUS_Y)),
        np.select([traits[:, t.FIGURE] > 0, traits[:, t.VACUOLE] > 0], [1, 2], 0).astype(np.uint8),
    )


def _outlines(plan: SlidePlan, tissue: NDArray[np.uint8], zone: NDArray[np.bool_], step: int) -> AnnotationSet:
    """What a pathologist would outline: the carcinoma loosely, ducts and glands closely, the control pellets."""
    from shapely import Point

    um = 1 / plan.mpp
    found: list[tuple[str, Role, str, Any]] = []
    near = _grown(np.isin(tissue, (INVASIVE, NECROSIS)) & zone, round(120 / MASK_UM))
    for k, area in enumerate(_polygons(near & zone, step, 8 * um, 40_000 * um * um)):
        found.append((f"Invasive carcinoma {k + 1}", Role.ROI, "Tumor", area))
    for code, name, gap, least in ((IN_SITU, "In situ carcinoma", 26, 4_000), (BENIGN, "Benign gland", 50, 2_000)):
        mask = tissue == code
        closed = _shrunk(_grown(mask, round(gap / MASK_UM)), round((gap - 12) / MASK_UM))
        for k, area in enumerate(_polygons(closed, step, 5 * um, least * um * um)):
            found.append((f"{name} {k + 1}", Role.EXCLUDE, name, area))
    if plan.recipe.tissue.control:
        for k, label in enumerate(HER2_LABELS):
            middle = Point(0.905 * plan.width, (k + 0.5) * plan.height / 4)
            area = middle.buffer((plan.pellet_radius_um + 25) * um, 16)
            found.append((f"Control {label}", Role.CONTROL, "Control", area))
    return AnnotationSet(
        tuple(
            Annotation(
                geometry=area,
                role=role,
                class_name=class_name,
                color=DEFAULT_CLASS[role][1],
                name=name,
                id=str(uuid.uuid5(_NAMESPACE, f"{plan.seed} {name}")),
            )
            for name, role, class_name, area in found
        )
    )


def _kernel(px: int) -> Any:
    import cv2

    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(px, 1) + 1, 2 * max(px, 1) + 1))


def _grown(mask: NDArray[np.bool_], px: int) -> NDArray[np.bool_]:
    import cv2

    return np.asarray(cv2.dilate(mask.astype(np.uint8), _kernel(px)), dtype=bool)


def _shrunk(mask: NDArray[np.bool_], px: int) -> NDArray[np.bool_]:
    import cv2

    return np.asarray(cv2.erode(mask.astype(np.uint8), _kernel(px)), dtype=bool)


def _polygons(mask: NDArray[np.bool_], step: int, tolerance: float, least: float) -> list[Any]:
    """Outer outlines of a mask, level-0 px, largest first; those smaller than ``least`` px2 left out."""
    import cv2
    from shapely import Polygon, get_parts, union_all

    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    shapes = [Polygon((line[:, 0] + 0.5) * step).buffer(0.5 * step) for line in contours if len(line) > 3]
    if not shapes:
        return []
    merged = polygonal(union_all(shapes).simplify(tolerance))
    parts = [Polygon(np.round(np.asarray(part.exterior.coords))) for part in get_parts(merged)]
    return sorted((p for p in parts if p.is_valid and p.area > least), key=lambda p: -p.area)
