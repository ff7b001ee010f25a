"""Pixels of the sample slide: stains mixed by Beer and Lambert, then blur and sensor noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from her2viewer.phantom.fields import Field, Window, ramp, texture
from her2viewer.phantom.tissue import SPACING, STEP, Cells, Kind, Nuclei, Plan
from her2viewer.slides.slide import RGBImage

GLASS = (243.0, 240.0, 244.0)
HAEMATOXYLIN = (0.66, 0.61, 0.44)
DAB = (0.22, 0.48, 0.85)
"""Optical densities (base 10; red, green, blue) of one unit of stain, as measured on real HER2 slides."""

HALO = 96
"""Px around an area that can matter for its pixels: more than a cell."""
NEAR = 9
"""Px from a cell's outline within which its membrane shows."""
MEMBRANE_WIDTH = np.array([1.8, 2.3, 2.8, 3.6], dtype=np.float32)
"""Half width of the membrane's profile by HER2 class, px."""


@dataclass(frozen=True)
class Painter:
    """Renders any area of a plan; neighbouring areas fit together."""

    plan: Plan

    @cached_property
    def _textures(self) -> dict[str, Field]:
        rng = np.random.default_rng([self.plan.seed, 2])
        return {
            "grain": texture(rng, 1024, 1.6, 1.6),
            "clumps": texture(rng, 1024, 3.2, 3.2),
            "mottle": texture(rng, 1024, 9.0, 9.0),
            "fibres": texture(rng, 2048, 22.0, 2.6),
            "bundles": texture(rng, 2048, 120.0, 9.0),
            "wave": texture(rng, 2048, 130.0, 130.0),
            "shift x": texture(rng, 1024, 17.0, 17.0),
            "shift y": texture(rng, 1024, 17.0, 17.0),
            "dab grain": texture(rng, 1024, 2.2, 2.2),
            "noise": texture(rng, 1536, 0.5, 0.5),
        }

    @cached_property
    def _cell_shapes(self) -> dict[str, Field]:
        """Nucleus of each cell, and the pattern of its outline's staining as three waves and a threshold."""
        cells = self.plan.cells
        rng = np.random.default_rng([self.plan.seed, 3])
        n = len(cells)
        size = np.array([SPACING[Kind(k)] for k in Kind])[cells.kind] / 56
        size = np.where(cells.kind == Kind.CONTROL, 0.95, size)
        phases = rng.uniform(0, 2 * np.pi, (n, 3))
        weights = rng.uniform(0.4, 1, (n, 3))
        theta = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        waves = sum(weights[:, k, None] * np.cos((k + 1) * theta + phases[:, k, None]) for k in range(3))
        # The height above which the wanted share of the outline lies.
        ordered = np.sort(waves, axis=1)[:, ::-1]
        threshold = ordered[np.arange(n), np.clip((cells.completeness * 72).astype(int), 0, 71)]
        threshold = np.where(cells.completeness > 0.995, -9.0, threshold)
        shapes = {
            "nx": cells.x + rng.normal(0, 3.5, n),
            "ny": cells.y + rng.normal(0, 3.5, n),
            "long": size * rng.uniform(13.5, 20.5, n),
            "short": size * rng.uniform(10.5, 15.0, n),
            "angle": rng.uniform(0, np.pi, n),
            "density": np.where(rng.random(n) < 0.05, 0.0, rng.uniform(0.15, 0.34, n)),
            "spot x": rng.normal(0, 0.3, n),
            "spot y": rng.normal(0, 0.3, n),
            "spot": np.where(rng.random(n) < 0.7, rng.uniform(2.4, 4.0, n), 0.5),
            "threshold": threshold,
            "haze": rng.uniform(0.035, 0.085, n),
        }
        for k in range(3):
            shapes[f"phase {k}"], shapes[f"weight {k}"] = phases[:, k], weights[:, k]
        return {name: values.astype(np.float32) for name, values in shapes.items()}

    def stains(self, window: Window) -> tuple[Field, Field]:
        """Haematoxylin and DAB of an area, in units of stain, before the optics; float32 (h, w) each."""
        big = window.grown(HALO)
        tissue = ramp(big.enlarged(self.plan.tissue, STEP), 10)
        h = np.zeros((big.height, big.width), dtype=np.float32)
        d = np.zeros_like(h)
        if tissue.max() > 0 or len(_near(self.plan.cells.x, self.plan.cells.y, big)):
            epithelium, labels = self._mosaic(big)
            self._stroma(big, tissue, epithelium, h, d)
            if labels is not None:
                inside = ramp(epithelium, 3)
                h *= 1 - inside
                d *= 1 - inside
                self._epithelium(big, inside, labels, h, d)
        cut = (slice(HALO, -HALO), slice(HALO, -HALO))
        return h[cut], d[cut]

    def render(self, window: Window) -> RGBImage:
        """Pixels of an area, (height, width, 3) uint8 RGB."""
        import cv2

        h, d = self.stains(window.grown(4))
        stains = np.array([HAEMATOXYLIN, DAB], dtype=np.float32)
        od = h[..., None] * stains[0] + d[..., None] * stains[1]
        light = np.array(GLASS, dtype=np.float32) * np.power(np.float32(10), -od)
        light = cv2.GaussianBlur(light, (0, 0), 0.8)[4:-4, 4:-4]
        noise = window.tiled(self._textures["noise"])
        shade = window.tiled(self._textures["wave"])
        # Shot noise grows with the light; one grain for all colours and one for each.
        light += (noise * 0.9 + shade * 0.5)[..., None]
        for channel in range(3):
            own = Window(window.x + 517 * (channel + 1), window.y + 311 * channel, window.width, window.height)
            light[..., channel] += own.tiled(self._textures["noise"]) * 0.8
        return np.asarray(np.clip(light + 0.5, 0, 255)).astype(np.uint8)

    def _mosaic(self, big: Window) -> tuple[Field, NDArray[np.int32] | None]:
        """Depth inside epithelium (px, > 0 inside) and the number of the cell at each pixel."""
        import cv2

        cells = self.plan.cells
        epithelium = big.enlarged(self.plan.epithelium, STEP)
        near = _near(cells.x, cells.y, big)
        if len(near) == 0:
            return np.full_like(epithelium, -1e3), None
        labels, distance = _nearest(cells.x[near], cells.y[near], big)
        # Outlines of cells are not straight: labels are looked up a little aside.
        y, x = np.mgrid[: big.height, : big.width].astype(np.float32)
        x += 5.0 * big.tiled(self._textures["shift x"])
        y += 5.0 * big.tiled(self._textures["shift y"])
        labels = cv2.remap(labels.astype(np.float32), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        numbers = near[labels.astype(np.int32)]
        # No cell reaches far beyond its size; those of a pellet are round and lie apart.
        spacing = np.array([SPACING[k] for k in Kind], dtype=np.float32)[cells.kind[numbers]]
        reach = np.where(cells.kind[numbers] == Kind.CONTROL, 0.5, 0.78) * spacing
        ragged = 2.5 * big.tiled(self._textures["mottle"])
        return np.minimum(epithelium, reach - distance + ragged).astype(np.float32), numbers.astype(np.int32)

    def _stroma(self, big: Window, tissue: Field, epithelium: Field, h: Field, d: Field) -> None:
        import cv2

        t = self._textures
        y, x = np.mgrid[big.y : big.y + big.height, big.x : big.x + big.width].astype(np.float32)
        sway = 34 * big.tiled(t["wave"])
        # Rows of the pattern run along the fibres; their slope turns slowly over the slide.
        v = (y + 900 * 0.5 * np.cos(x / 900 + 0.6) + sway) % 2048
        w = (x + 700 * 0.35 * np.sin(y / 700)) % 2048
        streaks = cv2.remap(t["fibres"], w, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        bundles = cv2.remap(t["bundles"], w, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        # Fibrils are the ridges of the pattern: thin lines that end, thicker where fibres lie in bundles.
        thin = np.exp(-((streaks / 0.16) ** 2))
        lacy = np.clip(0.45 + 0.45 * bundles + 0.45 * big.tiled(t["mottle"]), 0, 1.6)
        fibre = 0.012 + 0.010 * bundles + (0.010 + 0.062 * thin) * lacy + 0.006 * big.tiled(t["grain"])
        fibre = np.clip(fibre, 0.0, 0.16)
        # Tissue draws back from nests here and there and leaves a cleft.
        cleft = ramp(epithelium + np.maximum(big.enlarged(self.plan.clefts, STEP), 0), 6)
        amount = tissue * (1 - cleft) * (1 - ramp(big.enlarged(self.plan.lumens, STEP), 6))
        fat = ramp(big.enlarged(self.plan.fat, STEP), 12)
        walls = self._fat_walls(big) if fat.max() > 0 else np.zeros_like(fibre)
        h += amount * (fibre * (1 - fat) + walls * fat)
        d += amount * (0.008 + 0.18 * fibre) * (1 - fat)
        nuclei = self.plan.stromal
        near = _near(nuclei.x, nuclei.y, big)
        if len(near):
            h[:] = np.maximum(h, self._stromal_nuclei(big, nuclei, near) * tissue)

    def _stromal_nuclei(self, big: Window, nuclei: Nuclei, near: NDArray[np.int64]) -> Field:
        labels, _ = _nearest(nuclei.x[near], nuclei.y[near], big)
        number = near[labels]
        dx, dy = _offsets(big, nuclei.x[number], nuclei.y[number])
        depth = _ellipse_depth(dx, dy, nuclei.long[number], nuclei.short[number], nuclei.angle[number])
        depth += 0.9 * big.tiled(self._textures["clumps"])
        chromatin = 0.9 + 0.22 * big.tiled(self._textures["clumps"], turn=True)
        return np.asarray(ramp(depth, 2.5) * nuclei.density[number] * chromatin, dtype=np.float32)

    def _fat_walls(self, big: Window) -> Field:
        """Thin walls between fat cells."""
        import cv2

        rng = np.random.default_rng([self.plan.seed, 4])
        side = 250.0
        rows, columns = int(4864 / side) + 2, int(8192 / side) + 2
        j, i = np.mgrid[:rows, :columns]
        x = ((i + 0.5 * (j % 2)) * side + rng.normal(0, 38, i.shape)).ravel().astype(np.float32)
        y = (j * side * 0.88 + rng.normal(0, 38, i.shape)).ravel().astype(np.float32)
        wide = big.grown(400)
        near = _near(x, y, wide)
        labels, _ = _nearest(x[near], y[near], wide)
        distance = cv2.distanceTransform(1 - _edges(labels), cv2.DIST_L2, 5)[400:-400, 400:-400]
        uneven = 1 + 0.35 * big.tiled(self._textures["mottle"])
        return np.asarray(0.11 * uneven * np.exp(-((distance / 2.6) ** 2)), dtype=np.float32)

    def _epithelium(self, big: Window, inside: Field, number: NDArray[np.int32], h: Field, d: Field) -> None:
        import cv2

        t, shape, cells = self._textures, self._cell_shapes, self.plan.cells
        edges = np.maximum(_edges(number), _edges((inside > 0.5).astype(np.int32)))
        distance = cv2.distanceTransform(1 - edges, cv2.DIST_L2, 5)
        where = np.nonzero(inside > 0)
        own = number[where]
        amount = inside[where]
        dx, dy = (part[where] for part in _offsets(big, np.float32(0), np.float32(0)))
        grain, clumps = big.tiled(t["grain"])[where], big.tiled(t["clumps"])[where]
        # Nucleus: chromatin in clumps, a darker rim, a nucleolus.
        nx, ny = dx - shape["nx"][own], dy - shape["ny"][own]
        depth = _ellipse_depth(nx, ny, shape["long"][own], shape["short"][own], shape["angle"][own]) + 0.7 * clumps
        # Some nuclei lie above or below the section.
        nucleus = ramp(depth, 2.2) * (shape["density"][own] > 0)
        rim = np.exp(-(((depth - 1.6) / 1.6) ** 2))
        spot = np.hypot(nx - shape["spot x"][own] * 12, ny - shape["spot y"][own] * 12)
        nucleolus = ramp(shape["spot"][own] - spot, 1.6)
        chromatin = shape["density"][own] * (0.72 + 0.22 * clumps + 0.12 * grain + 0.75 * rim + 0.95 * nucleolus)
        haze = shape["haze"][own] * (1 + 0.28 * clumps + 0.12 * grain)
        h[where] += amount * np.clip(np.where(nucleus > 0, nucleus * chromatin + (1 - nucleus) * haze, haze), 0, None)
        # DAB: a blush in the cytoplasm, and the membrane where its outline is stained.
        dots = big.tiled(t["dab grain"])[where]
        blush = cells.cytoplasm[own] * np.clip(0.85 + 0.45 * dots, 0, None) * (1 - 0.75 * nucleus) + 0.006
        membrane = np.zeros_like(blush)
        close = np.flatnonzero(distance[where] < NEAR)
        membrane[close] = self._membrane(
            cells,
            own[close],
            distance[where][close],
            np.arctan2(dy[close] - cells.y[own[close]], dx[close] - cells.x[own[close]]),
            dots[close],
        )
        d[where] += amount * np.maximum(blush, membrane)

    def _membrane(self, cells: Cells, own: NDArray[np.int32], distance: Field, theta: Field, dots: Field) -> Field:
        shape = self._cell_shapes
        wave = np.zeros_like(theta)
        for k in range(3):
            wave += shape[f"weight {k}"][own] * np.cos((k + 1) * theta + shape[f"phase {k}"][own])
        stained = ramp(wave - shape["threshold"][own], 0.35)
        profile = np.exp(-((distance / MEMBRANE_WIDTH[cells.her2[own]]) ** 2))
        return np.asarray(cells.membrane[own] * stained * profile * np.clip(0.95 + 0.25 * dots, 0.3, 1.6))


def _near(x: Field, y: Field, window: Window) -> NDArray[np.int64]:
    inside = (x >= window.x) & (y >= window.y) & (x < window.x + window.width) & (y < window.y + window.height)
    return np.flatnonzero(inside)


def _nearest(x: Field, y: Field, window: Window) -> tuple[NDArray[np.int32], Field]:
    """Index of the nearest point at each pixel, and the distance to it, px. Every point lies in the window."""
    import cv2

    away = np.full((window.height, window.width), 1, dtype=np.uint8)
    rows, columns = np.floor(y).astype(int) - window.y, np.floor(x).astype(int) - window.x
    away[rows, columns] = 0
    distance, labels = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # OpenCV numbers the points in its own order.
    index = np.zeros(int(labels.max()) + 1, dtype=np.int32)
    index[labels[rows, columns]] = np.arange(len(x), dtype=np.int32)
    return index[labels], np.asarray(distance, dtype=np.float32)


def _edges(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    edges = np.zeros(labels.shape, dtype=np.uint8)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges


def _offsets(window: Window, x: Field | np.float32, y: Field | np.float32) -> tuple[Field, Field]:
    """Distance of each pixel from a point of its own, px."""
    rows = np.arange(window.y, window.y + window.height, dtype=np.float32)[:, None]
    columns = np.arange(window.x, window.x + window.width, dtype=np.float32)[None, :]
    full = np.zeros((window.height, window.width), dtype=np.float32)
    return full + columns - x, full + rows - y


def _ellipse_depth(dx: Field, dy: Field, long: Field, short: Field, angle: Field) -> Field:
    """Depth inside an ellipse, px, roughly; negative outside."""
    c, s = np.cos(angle), np.sin(angle)
    radius = np.sqrt(((dx * c + dy * s) / long) ** 2 + ((dy * c - dx * s) / short) ** 2)
    return np.asarray((1 - radius) * np.minimum(long, short), dtype=np.float32)
