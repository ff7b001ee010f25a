"""How well glass, stain vectors and artefacts are found on slides of known truth: a line for each slide, and medians.

``python packaging/stain_accuracy.py SET.toml``; ``her2viewer phantom DIR --set N`` makes a set.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tomllib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from her2viewer.domain.region import Region
from her2viewer.slides.open import open_slide
from her2viewer.stains.artefacts import Quality, find_artefacts
from her2viewer.stains.estimate import estimate_stains
from her2viewer.stains.quality import blurred
from her2viewer.stains.vectors import angle

BITS = {
    "fold": Quality.FOLD,
    "pen": Quality.PEN,
    "bubble": Quality.BUBBLE,
    "dust": Quality.DIRT,
    "blur": Quality.BLUR,
}
FOCUS_UM, FOCUS_STEP, FOCUS_LIMIT = 0.5, 16, 0.20
"""As the membrane scorer looks for blur."""


def main() -> int:
    """Measure a set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    folder = (path := parser.parse_args().manifest).parent
    rows = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["slides"]:
        row = {"id": entry["id"], "scanner": entry.get("scanner", "?"), **_measure(folder, entry)}
        rows.append(row)
        print("  ".join(f"{k} {_text(v)}" for k, v in row.items()), flush=True)
    print()
    for scanner in sorted({row["scanner"] for row in rows}):
        chosen = [row for row in rows if row["scanner"] == scanner]
        names = ("glass", "haematoxylin", "dab")
        medians = {name: statistics.median(row[name] for row in chosen) for name in names}
        worst = {name: max(row[name] for row in chosen) for name in names}
        print(f"{scanner} ({len(chosen)}):", *(f"{n} {medians[n]:.1f} (worst {worst[n]:.1f})" for n in names))
    for name in BITS:
        pairs = [row[name] for row in rows if row.get(name)]
        both, found, true = (sum(pair[i] for pair in pairs) for i in range(3))
        dice = 2 * both / (found + true) if found + true else float("nan")
        share = both / true if true else float("nan")
        print(f"{name}: Dice {dice:.2f}, of the true area found {share:.2f} ({true:.2f} mm2 true, {found:.2f} found)")
    return 0


def _measure(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    with open_slide(folder / entry["slide"]) as slide, h5py.File(folder / entry["truth"]) as truth:
        size = slide.pixel_size
        assert size is not None
        region = Region.rectangle(0, 0, slide.width, slide.height)
        estimate = estimate_stains(slide, size, region)
        glass, vectors = np.asarray(truth.attrs["background"], float), np.asarray(truth.attrs["stain_vectors"], float)
        found = find_artefacts(
            slide,
            size,
            region,
            background=estimate.background,
            haematoxylin=estimate.haematoxylin,
            dab=estimate.dab,
        )
        mask = truth["masks/quality"]
        step, legend = float(mask.attrs["step"]), json.loads(mask.attrs["legend"])
        bits = {name: int(code) for code, name in legend.items()}
        known = mask[()]
        rows, columns = np.indices(known.shape)
        x, y = (columns + 0.5) * step, (rows + 0.5) * step
        codes = found.at(x, y)
        soft = _soft(slide, size.mpp, x, y)
        area = size.mm2(step * step)
        out: dict[str, Any] = {
            "glass": float(np.abs(glass - estimate.background).max()),
            "haematoxylin": angle(tuple(vectors[0]), estimate.haematoxylin),
            "dab": angle(tuple(vectors[1]), estimate.dab),
        }
        for name, code in BITS.items():
            if name not in bits:
                continue
            true = (known & bits[name]) > 0
            seen = soft if name == "blur" else codes == code
            if true.any() or seen.any():
                out[name] = tuple(float(area * m.sum()) for m in (true & seen, seen, true))
        return out


def _soft(slide: Any, mpp: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Blur at points, looked for strip by strip."""
    ds = FOCUS_UM / mpp
    width, tall = int(slide.width / ds), 1024
    out = np.zeros(x.shape, bool)
    for top in range(0, int(slide.height / ds), tall):
        height = min(tall, int(slide.height / ds) - top)
        found = blurred(slide.read_at(ds, 0, top * ds, width, height), FOCUS_UM, FOCUS_LIMIT, FOCUS_STEP)
        row = np.floor((y / ds - top) / FOCUS_STEP).astype(int)
        column = np.floor(x / ds / FOCUS_STEP).astype(int)
        inside = (row >= 0) & (row < found.shape[0]) & (column < found.shape[1]) & (y / ds < top + height)
        out[inside] = found[row[inside], column[inside]]
    return out


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        both, found, true = value
        return f"{2 * both / (found + true):.2f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
