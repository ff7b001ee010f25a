"""Evidence as a scorer of cells gives it, by hand: tumour cells on a lattice, classes by column, others strewn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import CellTable, Evidence
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result
from her2viewer.scoring.aggregate import shares_of

SEVEN = ClassScheme(("artefact", "stroma", "immune", "0", "1+", "2+", "3+"), (-1, -1, -1, 0, 1, 2, 3))
STEP = 24.0
"""Px between cells of the lattice: 12 um at 0.5 um/px."""


def lattice_cells(columns: int = 40, rows: int = 30, left: float = 100.0, top: float = 100.0) -> CellTable:
    """Tumour cells 0, 1+, 2+, 3+ in four equal bands from left to right, every tenth cell something else.

    Membrane OD and completeness rise with the class, so that the classes lie apart in a plot.
    """
    gx, gy = np.meshgrid(left + np.arange(columns) * STEP, top + np.arange(rows) * STEP)
    her2 = np.broadcast_to(np.arange(columns) * 4 // columns, gx.shape).ravel()
    number = np.arange(gx.size)
    classes = np.where(number % 10 == 3, number % 3, her2 + 3).astype(np.uint8)
    rng = np.random.default_rng(7)
    chances = np.full((gx.size, 7), 0.02, dtype=np.float32)
    chances[number, classes] = 0.88
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = 9 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    centres = np.stack([gx.ravel(), gy.ravel()], axis=1)
    return CellTable(
        "Cells",
        SEVEN,
        gx.ravel().astype(np.float32),
        gy.ravel().astype(np.float32),
        classes,
        features={
            "membrane_od": (0.05 + 0.2 * her2 + rng.uniform(0, 0.1, gx.size)).astype(np.float32),
            "completeness": (5 + 25 * her2 + rng.uniform(0, 15, gx.size)).astype(np.float32),
            "nucleus_od": rng.uniform(0.1, 0.2, gx.size).astype(np.float32),
        },
        feature_units={"membrane_od": "OD", "completeness": "%", "nucleus_od": "OD"},
        contours=(centres[:, None] + circle).reshape(-1, 2).astype(np.float32),
        contour_starts=np.arange(gx.size + 1, dtype=np.int64) * 12,
        probabilities=chances,
    )


def many_cells(n: int, side: float, seed: int = 1) -> CellTable:
    """``n`` cells strewn over a square of ``side`` px, without outlines."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(7, n, p=(0.05, 0.2, 0.15, 0.2, 0.15, 0.15, 0.1)).astype(np.uint8)
    her2 = np.maximum(classes.astype(np.int64) - 3, 0)
    return CellTable(
        "Cells",
        SEVEN,
        rng.uniform(0, side, n).astype(np.float32),
        rng.uniform(0, side, n).astype(np.float32),
        classes,
        features={
            "membrane_od": (0.05 + 0.18 * her2 + rng.gamma(2, 0.04, n)).astype(np.float32),
            "completeness": np.clip(10 + 28 * her2 + rng.normal(0, 14, n), 0, 100).astype(np.float32),
            "nucleus_od": rng.uniform(0.1, 0.2, n).astype(np.float32),
        },
        feature_units={"membrane_od": "OD", "completeness": "%", "nucleus_od": "OD"},
    )


def cells_result(evidence: tuple[Evidence, ...], region: Region, pixel_size: PixelSize) -> Result:
    """As if the scorer ``cells`` had looked at the region."""
    origin = Provenance("cells", "1", "0.1.0", "slide", region.hash, pixel_size.mpp, "from file", "CPU", {})
    result = Result(origin, region, evidence)
    return replace(result, shares=shares_of(evidence, region, "cells", pixel_size))
