"""Data sets of small drawn slides with known cells, written to disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import tifffile

from her2viewer.domain.classes import HER2_LABELS
from tests.helpers.drawn_tissue import UM, draw_cells

SHARES = (
    *((0.95, 0.05, 0, 0), (0.97, 0.03, 0, 0), (1, 0, 0, 0)),
    *((0.6, 0.4, 0, 0), (0.7, 0.3, 0, 0), (0.5, 0.45, 0.05, 0)),
    *((0.3, 0.3, 0.4, 0), (0.2, 0.4, 0.4, 0), (0.4, 0.2, 0.395, 0.005)),
    *((0.1, 0.1, 0.2, 0.6), (0.2, 0.2, 0.2, 0.4), (0, 0, 0.3, 0.7)),
)
"""Three slides of each score."""
SCORES = ("0",) * 3 + ("1+",) * 3 + ("2+",) * 3 + ("3+",) * 3


def write_set(
    folder: Path,
    shares: Sequence[Sequence[float]] = SHARES,
    scores: Sequence[str] = SCORES,
    *,
    truth: bool = True,
    size: int = 500,
    **look: object,
) -> Path:
    """Write slides, their truth and SET.toml; two slides of a patient each. Returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ['format = "her2viewer-set"', "version = 1", 'name = "drawn"']
    for number, (parts, score) in enumerate(zip(shares, scores, strict=True)):
        drawn = draw_cells(parts, (size, size), seed=number, glass=60, **look)
        name = f"s{number}"
        tifffile.imwrite(folder / f"{name}.tif", drawn.rgb, photometric="rgb", tile=(256, 256))
        lines += [f'[[slides]]\nid = "{name}"\nslide = "{name}.tif"\nscore = "{score}"\nmpp = {UM}']
        lines += [f'patient = "p{number // 2}"\nlab = "here"']
        if truth:
            write_truth(folder / f"{name}.truth.h5", drawn.x, drawn.y, drawn.classes, score)
            lines.append(f'truth = "{name}.truth.h5"')
    path = folder / "SET.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_truth(path: Path, x: np.ndarray, y: np.ndarray, her2: np.ndarray, score: str) -> None:
    """The part of a truth file that an evaluation reads."""
    counts = np.bincount(her2[her2 < 4], minlength=4)
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["version"], file.attrs["score"] = "her2viewer-truth", 1, score
        file.attrs["shares_by_cell"] = 100 * counts / counts.sum()
        group = file.create_group("cells")
        group["x"], group["y"], group["her2"] = x.astype("f4"), y.astype("f4"), her2.astype("u1")


def write_patch_set(
    folder: Path, shares: Sequence[Sequence[float]] = SHARES, scores: Sequence[str] = SCORES, *, side: int = 10
) -> Path:
    """As ``write_set``, of squares of 64 um on the grid of the patches, each of one class; ``side`` of them a row."""
    folder.mkdir(parents=True, exist_ok=True)
    px, glass = round(64 / UM), 2
    large = (4 * px + 120, 4 * px + 120)
    tissue = [draw_cells(np.eye(4)[c], large, glass=0, seed=c).rgb[60:-60, 60:-60] for c in range(4)]
    lines = ['format = "her2viewer-set"', "version = 1", 'name = "patches"']
    for number, (parts, score) in enumerate(zip(shares, scores, strict=True)):
        rng = np.random.default_rng(number)
        classes = np.repeat(np.arange(4), np.diff([0, *np.round(np.cumsum(parts) * side * side).astype(int)]))
        rgb = np.full(((side + 2 * glass) * px, (side + 2 * glass) * px, 3), (236, 235, 243), np.uint8)
        for at, c in enumerate(rng.permutation(classes)):
            row, column = (glass + at // side) * px, (glass + at % side) * px
            x, y = px * rng.integers(0, 4, 2)
            rgb[row : row + px, column : column + px] = tissue[c][y : y + px, x : x + px]
        tifffile.imwrite(folder / f"s{number}.tif", rgb, photometric="rgb", tile=(256, 256))
        lines += [f'[[slides]]\nid = "s{number}"\nslide = "s{number}.tif"\nscore = "{score}"\nmpp = {UM}']
        lines += [f'patient = "p{number}"\nlab = "here"']
        percent = ", ".join(f'"{name}" = {100 * part}' for name, part in zip(HER2_LABELS, parts, strict=True))
        lines.append(f"shares = {{ {percent} }}")
    path = folder / "SET.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
