"""Plan of the sample slide: where its compartments lie, and every cell with its HER2 class."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.region import polygonal
from her2viewer.phantom.fields import Field, smooth_noise

WIDTH, HEIGHT = 8192, 4864
MPP = 0.25
STEP = 8
"""Compartments are planned every so many px."""

SHARES = (0.28, 0.32, 0.345, 0.055)
"""Wanted shares of 0, 1+, 2+, 3+ among the invasive cells: equivocal, with the 3+ below 10 %."""


class Kind(IntEnum):
    """Compartment of an epithelial cell."""

    INVASIVE = 0
    IN_SITU = 1
    BENIGN = 2
    CONTROL = 3


SPACING = {Kind.INVASIVE: 51.0, Kind.IN_SITU: 50.0, Kind.BENIGN: 40.0, Kind.CONTROL: 66.0}
"""Distance between neighbouring cells, px."""

DUCTS = ((3080.0, 1480.0, 470.0), (2650.0, 2330.0, 330.0))
"""In-situ carcinoma: x, y, radius."""
ACINI = ((1740.0, 3150.0, 165.0), (2120.0, 3240.0, 150.0), (1850.0, 3540.0, 150.0), (2230.0, 3610.0, 165.0))
"""Benign lobule: x, y, radius."""
CONTROLS = ((7560.0, 1150.0, 0), (7560.0, 2030.0, 1), (7560.0, 2910.0, 2), (7560.0, 3790.0, 3))
"""Control cell pellets: x, y, class."""
CONTROL_RADIUS = 310.0


@dataclass(frozen=True)
class Cells:
    """Epithelial cells; arrays of one length, positions in level-0 px."""

    x: Field
    y: Field
    kind: NDArray[np.int8]
    her2: NDArray[np.int8]
    membrane: Field
    """Peak OD of DAB on the membrane."""
    completeness: Field
    """Share of the outline that is stained, 0 to 1."""
    cytoplasm: Field
    """OD of DAB in the cytoplasm."""

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Nuclei:
    """Nuclei outside epithelium: fibroblasts, endothelium, lymphocytes."""

    x: Field
    y: Field
    long: Field
    short: Field
    angle: Field
    density: Field


@dataclass(frozen=True)
class Plan:
    """Everything about the slide but its pixels. Fields are float32 (HEIGHT / STEP, WIDTH / STEP), > 0 inside."""

    seed: int
    tissue: Field
    epithelium: Field
    fat: Field
    clefts: Field
    lumens: Field
    cells: Cells
    stromal: Nuclei
    outlines: dict[str, Polygon]
    """Areas by name, level-0 px."""


def plan_sample(seed: int) -> Plan:
    """Lay out the sample slide. The same seed gives the same plan."""
    rng = np.random.default_rng([seed, 1])
    shape = (HEIGHT // STEP, WIDTH // STEP)
    y, x = (np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5) * STEP
    tissue = _tissue(rng, x, y)
    # Nothing in tissue is round or straight: shapes are drawn in coordinates that are pulled about.
    x = (x + 42 * smooth_noise(rng, shape, 420 / STEP) + 12 * smooth_noise(rng, shape, 150 / STEP)).astype(np.float32)
    y = (y + 42 * smooth_noise(rng, shape, 420 / STEP) + 12 * smooth_noise(rng, shape, 150 / STEP)).astype(np.float32)
    fat = np.minimum(tissue, _blob(x, y, (1150, 1900, 900, 1150), rng, 0.35)).astype(np.float32)
    fat = np.maximum(fat, np.minimum(tissue, _blob(x, y, (4300, 4250, 700, 380), rng, 0.3)))
    zone = _blob(x, y, (4450, 2380, 1950, 1600), rng, 0.2)
    each_duct = [_disc(x, y, cx, cy, radius) for cx, cy, radius in DUCTS]
    ducts = _union(each_duct)
    lobule = _union([_disc(x, y, cx, cy, radius) for cx, cy, radius in ACINI])
    special = np.maximum(ducts + 130, lobule + 300)
    invasive = _nests(rng, shape)
    for limit in (zone, tissue - 60, -special, -fat - 40):
        invasive = np.minimum(invasive, limit)
    masks = {
        Kind.INVASIVE: invasive,
        Kind.IN_SITU: _ducts(rng, x, y),
        Kind.BENIGN: _acini(x, y),
        Kind.CONTROL: _controls(),
    }
    cells = _cells(rng, masks)
    epithelium = _union(list(masks.values()))
    clefts = (smooth_noise(rng, shape, 500 / STEP) * 9 - 2).astype(np.float32)
    lumens = np.minimum(np.maximum(ducts - 60, lobule - 60), -epithelium).astype(np.float32)
    stromal = _stromal(rng, np.minimum(tissue, -lumens), epithelium, fat)
    return Plan(
        seed=seed,
        tissue=tissue,
        epithelium=epithelium,
        fat=fat,
        clefts=clefts,
        lumens=lumens,
        cells=cells,
        stromal=stromal,
        outlines=_outlines(np.maximum(invasive, ducts), each_duct, lobule),
    )


def _union(fields: list[Field]) -> Field:
    return np.asarray(np.maximum.reduce(fields), dtype=np.float32)


def _disc(x: Field, y: Field, cx: float, cy: float, radius: float) -> Field:
    return np.asarray(radius - np.hypot(x - cx, y - cy), dtype=np.float32)


def _blob(
    x: Field, y: Field, ellipse: tuple[float, float, float, float], rng: np.random.Generator, rough: float
) -> Field:
    """Signed distance, roughly, to an ellipse (cx, cy, rx, ry) with an uneven outline."""
    cx, cy, rx, ry = ellipse
    angle = np.arctan2((y - cy) / ry, (x - cx) / rx)
    edge = np.ones_like(angle)
    for k in range(2, 9):
        edge += rough / k * rng.standard_normal() * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    depth = (edge - np.hypot((x - cx) / rx, (y - cy) / ry)) * min(rx, ry)
    return np.asarray(depth, dtype=np.float32)


def _tissue(rng: np.random.Generator, x: Field, y: Field) -> Field:
    field = _blob(x, y, (3480, 2430, 2980, 1880), rng, 0.13)
    rough = 18 * smooth_noise(rng, (x.shape[0], x.shape[1]), 160 / STEP)
    return np.asarray(field + rough, dtype=np.float32)


def _nests(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Nests and cords of invasive carcinoma, in px from their edge (roughly)."""
    nests = smooth_noise(rng, shape, 430 / STEP) * 95 - 8
    cords = 40 - np.abs(smooth_noise(rng, shape, 640 / STEP)) * 190
    edge = smooth_noise(rng, shape, 110 / STEP) * 10
    return np.asarray(np.maximum(nests, cords) + edge, dtype=np.float32)


def _ducts(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Ducts filled with in-situ carcinoma, cribriform: round holes in a solid growth."""
    field = np.full(x.shape, -1e3, dtype=np.float32)
    for cx, cy, radius in DUCTS:
        duct = _blob(x, y, (cx, cy, radius, radius * 0.9), rng, 0.06)
        holes = [(0.0, 0.0, 0.24)] + [
            (0.56 * np.cos(a), 0.56 * np.sin(a), rng.uniform(0.1, 0.16)) for a in np.arange(5) * 1.2566 + 0.4
        ]
        for dx, dy, size in holes:
            duct = np.minimum(duct, -_disc(x, y, cx + dx * radius, cy + dy * radius, size * radius))
        field = np.maximum(field, duct)
    return field


def _acini(x: Field, y: Field) -> Field:
    field = np.full(x.shape, -1e3, dtype=np.float32)
    for cx, cy, radius in ACINI:
        ring = np.minimum(_disc(x, y, cx, cy, radius), -_disc(x, y, cx, cy, radius * 0.44))
        field = np.maximum(field, ring)
    return field


def _controls() -> Field:
    y, x = (np.mgrid[: HEIGHT // STEP, : WIDTH // STEP].astype(np.float32) + 0.5) * STEP
    return _union([_disc(x, y, cx, cy, CONTROL_RADIUS) for cx, cy, _ in CONTROLS])


def _at(field: Field, x: Field, y: Field) -> Field:
    rows = np.clip((y / STEP).astype(int), 0, field.shape[0] - 1)
    columns = np.clip((x / STEP).astype(int), 0, field.shape[1] - 1)
    return np.asarray(field[rows, columns], dtype=np.float32)


def _lattice(rng: np.random.Generator, spacing: float, jitter: float) -> tuple[Field, Field]:
    """Points of a shaken hexagonal lattice over the slide."""
    row_step = spacing * np.sqrt(3) / 2
    rows, columns = int(HEIGHT / row_step) + 1, int(WIDTH / spacing) + 1
    j, i = np.mgrid[:rows, :columns]
    x = (i + 0.5 * (j % 2)) * spacing + rng.normal(0, jitter * spacing, i.shape)
    y = j * row_step + rng.normal(0, jitter * spacing, i.shape)
    inside = (x > 8) & (y > 8) & (x < WIDTH - 8) & (y < HEIGHT - 8)
    return x[inside].astype(np.float32), y[inside].astype(np.float32)


def _cells(rng: np.random.Generator, masks: dict[Kind, Field]) -> Cells:
    xs, ys, kinds, scores = [], [], [], []
    shape = (HEIGHT // STEP, WIDTH // STEP)
    regional = smooth_noise(rng, shape, 1300 / STEP)
    local = smooth_noise(rng, shape, 320 / STEP)
    for compartment, mask in masks.items():
        spacing = SPACING[compartment]
        px, py = _lattice(rng, spacing, 0.16 if compartment is not Kind.CONTROL else 0.1)
        keep = _at(mask, px, py) > 0.2 * spacing
        px, py = px[keep], py[keep]
        xs.append(px)
        ys.append(py)
        kinds.append(np.full(len(px), compartment, dtype=np.int8))
        scores.append(_at(regional, px, py) + 0.6 * _at(local, px, py) + rng.normal(0, 0.55, len(px)))
    x, y, kind, score = np.concatenate(xs), np.concatenate(ys), np.concatenate(kinds), np.concatenate(scores)
    her2 = _classes(rng, x, y, kind, score)
    count = len(x)

    def drawn(low: tuple[float, ...], high: tuple[float, ...]) -> Field:
        bottom, top = np.array(low)[her2], np.array(high)[her2]
        return np.asarray(bottom + (top - bottom) * rng.random(count), dtype=np.float32)

    return Cells(
        x=x,
        y=y,
        kind=kind,
        her2=her2,
        membrane=drawn((0.0, 0.18, 0.38, 1.05), (0.03, 0.29, 0.60, 1.60)),
        completeness=drawn((0.1, 0.38, 0.90, 0.97), (0.4, 0.65, 1.0, 1.0)),
        cytoplasm=drawn((0.0, 0.015, 0.035, 0.10), (0.012, 0.035, 0.07, 0.20)),
    )


def _classes(
    rng: np.random.Generator, x: Field, y: Field, kind: NDArray[np.int8], score: NDArray[np.float64]
) -> NDArray[np.int8]:
    """HER2 class of each cell: by rank among the invasive cells, so that the shares come out as wanted."""
    her2 = np.zeros(len(x), dtype=np.int8)
    invasive = np.flatnonzero(kind == Kind.INVASIVE)
    order = invasive[np.argsort(score[invasive], kind="stable")]
    ends = np.round(np.cumsum(SHARES) * len(order)).astype(int)
    for value in (1, 2, 3):
        her2[order[ends[value - 1] : ends[value]]] = value
    in_situ = kind == Kind.IN_SITU
    her2[in_situ] = np.where(rng.random(int(in_situ.sum())) < 0.9, 3, 2)
    benign = kind == Kind.BENIGN
    her2[benign] = rng.random(int(benign.sum())) < 0.15
    for cx, cy, value in CONTROLS:
        pellet = (kind == Kind.CONTROL) & (np.hypot(x - cx, y - cy) < CONTROL_RADIUS + 50)
        her2[pellet] = value
    return her2


def _stromal(rng: np.random.Generator, tissue: Field, epithelium: Field, fat: Field) -> Nuclei:
    shape = (tissue.shape[0], tissue.shape[1])
    infiltrate = smooth_noise(rng, shape, 620 / STEP)
    parts = []
    for spacing, lymphoid in ((30.0, True), (62.0, False)):
        px, py = _lattice(rng, spacing, 0.28)
        free = (_at(tissue, px, py) > 15) & (_at(epithelium, px, py) < -10)
        in_fat = _at(fat, px, py) > 0
        if lymphoid:
            chance = np.clip(_at(infiltrate, px, py) - 1.0, 0.012, 0.75)
        else:
            chance = np.full(len(px), 0.38)
        keep = free & (rng.random(len(px)) < np.where(in_fat, 0.004, chance))
        px, py = px[keep], py[keep]
        n = len(px)
        round_cell = rng.uniform(10.5, 13.5, n)
        long = round_cell * rng.uniform(1.0, 1.15, n) if lymphoid else rng.uniform(17, 34, n)
        short = round_cell if lymphoid else rng.uniform(5.0, 8.0, n)
        angle = rng.uniform(0, np.pi, n) if lymphoid else _fibre_angle(px, py) + rng.normal(0, 0.25, n)
        density = rng.uniform(0.34, 0.52, n) if lymphoid else rng.uniform(0.18, 0.34, n)
        parts.append([v.astype(np.float32) for v in (px, py, long, short, angle, density)])
    return Nuclei(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _fibre_angle(x: Field, y: Field) -> NDArray[np.float64]:
    """Direction of the collagen: slowly turning, see ``render``."""
    return np.asarray(0.5 * np.sin(x / 900 + 0.6) + 0.35 * np.cos(y / 700), dtype=np.float64)


def _outlines(front: Field, ducts: list[Field], lobule: Field) -> dict[str, Polygon]:
    """What a pathologist would outline: the carcinoma loosely, ducts within it, lobule and pellets closely."""
    from shapely import Point

    outlines = {"Invasive carcinoma": max(_rings(front > 0, 260, -190), key=lambda p: p.area)}
    for k, duct in enumerate(ducts):
        largest = max(_rings(duct > 0, 0, 0), key=lambda p: p.area)
        outlines[f"In situ carcinoma {k + 1}"] = largest.convex_hull.buffer(28).simplify(6)
    outlines["Benign gland"] = max(_rings(lobule > 0, 190, -140), key=lambda p: p.area)
    for cx, cy, value in CONTROLS:
        outlines[f"Control {HER2_LABELS[value]}"] = Point(cx, cy).buffer(CONTROL_RADIUS + 25, 12)
    return {name: Polygon(np.round(np.asarray(area.exterior.coords))) for name, area in outlines.items()}


def _rings(mask: NDArray[np.bool_], grow: float, shrink: float) -> list[Polygon]:
    """Outer outlines of a mask, level-0 px, with gaps of up to twice ``grow`` closed, and rounded off."""
    import cv2
    from shapely import get_parts, union_all

    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    shapes = [Polygon((c[:, 0] + 0.5) * STEP).buffer(grow) for c in contours if len(c) > 3]
    merged = polygonal(union_all(shapes).buffer(shrink).simplify(9))
    return [Polygon(part.exterior) for part in get_parts(merged)]
