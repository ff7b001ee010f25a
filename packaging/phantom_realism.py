"""How far phantoms can be told from real slides.

``python packaging/phantom_realism.py --real REAL... --phantom PHANTOM...``

Cuts fields from real HER2 slides and from phantoms, prints numbers side by side (OD of both stains, nuclei, radial
power spectrum) and trains a small classifier to tell them apart, cross-validated by slide (or by cell of a grid on
a slide that holds several cores, ``--grid 3``). An AUC of 0.5 is indistinguishable, 1.0 is told apart every time.
Needs scikit-learn and scikit-image. Fields are never written to disk.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.open import open_slide
from her2viewer.stains.background import glass_colour
from her2viewer.stains.density import optical_density
from her2viewer.stains.vectors import DAB, HAEMATOXYLIN, unit

FIELD = 512
MPP = 0.25


def features(rgb: NDArray[np.uint8], glass: Any) -> dict[str, float]:
    """Numbers of one field: how much of each stain, its texture, its nuclei."""
    import cv2
    from skimage import filters, measure, morphology

    density = optical_density(rgb, glass)
    vectors = np.array([unit(HAEMATOXYLIN), unit(DAB)])
    stains = density.reshape(-1, 3) @ np.linalg.pinv(vectors)
    blue, brown = stains[:, 0].reshape(FIELD, FIELD), stains[:, 1].reshape(FIELD, FIELD)
    out: dict[str, float] = {}
    for name, stain in (("haematoxylin", blue), ("DAB", brown)):
        for q in (5, 25, 50, 75, 95, 99):
            out[f"{name} OD p{q}"] = float(np.percentile(stain, q))
        out |= {f"{name} power {k}": v for k, v in enumerate(_spectrum(stain))}
    total = density.sum(axis=2)
    out["glass share"] = float((total < 0.06).mean())
    hue = (density[..., 0] - density[..., 2]) / np.maximum(total, 0.1)
    out["hue p10"], out["hue p90"] = (
        float(np.percentile(hue[total > 0.15], q)) if (total > 0.15).any() else 0.0 for q in (10, 90)
    )
    for name, image in (("luminance", total.astype(np.float32)),):
        for sigma in (1, 2, 4, 8):
            band = cv2.GaussianBlur(image, (0, 0), sigma) - cv2.GaussianBlur(image, (0, 0), 2 * sigma)
            spread = float(band.std())
            out[f"{name} band {sigma}"] = spread
            out[f"{name} skew {sigma}"] = float(((band / (spread + 1e-6)) ** 3).mean())
            out[f"{name} kurtosis {sigma}"] = float(((band / (spread + 1e-6)) ** 4).mean())
    gy, gx = np.gradient(cv2.GaussianBlur(total.astype(np.float32), (0, 0), 1.5))
    out["coherence"] = float(
        np.hypot((gx * gx - gy * gy).mean(), 2 * (gx * gy).mean()) / ((gx**2 + gy**2).mean() + 1e-9)
    )
    soft = cv2.GaussianBlur(blue.astype(np.float32), (0, 0), 2)
    cut = max(float(filters.threshold_otsu(soft)), 0.06)
    mask = morphology.remove_small_objects(morphology.opening(soft > cut, morphology.disk(3)), max_size=150)
    nuclei = measure.regionprops(measure.label(mask), intensity_image=blue)
    areas = np.array([n.area for n in nuclei]) * MPP**2 if nuclei else np.zeros(1)
    out["nuclei per mm2"] = len(nuclei) / (FIELD * MPP / 1000) ** 2
    out["nuclear area um2"] = float(np.median(areas))
    out["nuclear area spread"] = float(np.subtract(*np.percentile(areas, [75, 25])))
    if nuclei:
        out["nuclear solidity"] = float(np.median([n.solidity for n in nuclei]))
        out["nuclear eccentricity"] = float(np.median([n.eccentricity for n in nuclei]))
        out["nuclear OD"] = float(np.median([n.intensity_mean for n in nuclei]))
    return out


def _spectrum(stain: NDArray[np.floating]) -> list[float]:
    """Log power of a stain in rings of frequency, from 1/32 um to 1/0.6 um."""
    window = np.hanning(FIELD)[:, None] * np.hanning(FIELD)[None, :]
    power = np.abs(np.fft.rfft2((stain - stain.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(FIELD, MPP)[:, None], np.fft.rfftfreq(FIELD, MPP)[None, :])
    edges = np.geomspace(1 / 32, 1 / 0.6, 9)
    return [float(np.log10(power[(frequency >= a) & (frequency < b)].mean() + 1e-9)) for a, b in pairwise(edges)]


def fields(path: Path, count: int, grid: int, mpp: float | None, seed: int = 1) -> list[tuple[str, dict[str, float]]]:
    """Fields with tissue from a slide, as (group, features); groups are the cells of a grid x grid partition."""
    import cv2

    rng = np.random.default_rng(seed)
    found = []
    with open_slide(path) as slide:
        own = mpp or (slide.pixel_size.mpp if slide.pixel_size else MPP)
        last = slide.levels[-1]
        overview = slide.read(len(slide.levels) - 1, 0, 0, last.width, last.height)
        glass = glass_colour(overview) or (245.0, 245.0, 245.0)
        side = round(FIELD * MPP / own)
        for row in range(grid):
            for column in range(grid):
                w, h = slide.width // grid, slide.height // grid
                kept = 0
                for _ in range(40 * count):
                    if kept >= count:
                        break
                    x, y = column * w + int(rng.integers(0, w - side)), row * h + int(rng.integers(0, h - side))
                    scale = last.downsample
                    part = overview[
                        int(y / scale) : int((y + side) / scale) + 1, int(x / scale) : int((x + side) / scale) + 1
                    ]
                    if optical_density(part, glass).sum(axis=2).mean() < 0.05:
                        continue
                    rgb = slide.read(0, x, y, side, side)
                    if side != FIELD:
                        rgb = cv2.resize(rgb, (FIELD, FIELD), interpolation=cv2.INTER_AREA)
                    tissue = (optical_density(rgb, glass).sum(axis=2) > 0.06).mean()
                    if tissue > 0.4:
                        found.append((f"{path.name} {row},{column}", features(rgb, glass)))
                        kept += 1
    return found


def main() -> None:
    """Read the command line, print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--phantom", type=Path, nargs="+", required=True)
    parser.add_argument("--grid", type=int, default=1, help="cores across a real slide (3 for 3 x 3)")
    parser.add_argument(
        "--count", type=int, default=16, help="fields of each real slide or core, and of each phantom"
    )
    parser.add_argument("--mpp", type=float, help="um/px of the real slides, where the file does not say")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    options = parser.parse_args()
    real = [f for path in options.real for f in fields(path, options.count, options.grid, options.mpp)]
    made = [f for path in options.phantom for f in fields(path, options.count, 1, None)]
    if len({g for g, _ in real}) < 3 or len({g for g, _ in made}) < 3:
        raise SystemExit("At least three real slides (or cores) and three phantoms with tissue are needed.")
    cores, slides = len({g for g, _ in real}), len({g for g, _ in made})
    print(f"{len(real)} fields of {cores} real cores, {len(made)} of {slides} phantoms")
    report = _compare(real, made)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


def _compare(real: list[Any], made: list[Any]) -> dict[str, Any]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = sorted(set.intersection(*[set(f) for _, f in real + made]))
    x = np.array([[f[n] for n in names] for _, f in real + made])
    y = np.array([1] * len(real) + [0] * len(made))
    groups = np.array([g for g, _ in real + made])
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=1)
    report: dict[str, Any] = {"auc": {}, "features": {}}
    models = {
        "random forest": RandomForestClassifier(300, min_samples_leaf=3, class_weight="balanced", random_state=1),
        "logistic": make_pipeline(
            StandardScaler(), LogisticRegression(C=0.05, class_weight="balanced", max_iter=2000)
        ),
    }
    for name, model in models.items():
        chance = cross_val_predict(model, x, y, groups=groups, cv=folds, method="predict_proba")[:, 1]
        report["auc"][name] = float(roc_auc_score(y, chance))
        print(f"AUC, {name}, by slide: {report['auc'][name]:.3f}")
    heads = (("real p10", 9), ("median", 9), ("p90", 9), ("phantom p10", 13), ("median", 9), ("p90", 9), ("AUC", 7))
    print(f"{'feature':<26}" + "".join(f"{head:>{width}}" for head, width in heads))
    rows = []
    for k, name in enumerate(names):
        a, b = x[y == 1, k], x[y == 0, k]
        auc = float(roc_auc_score(y, x[:, k]))
        rows.append((max(auc, 1 - auc), name, np.percentile(a, [10, 50, 90]), np.percentile(b, [10, 50, 90])))
    for auc, name, a, b in sorted(rows, key=lambda r: -r[0]):
        report["features"][name] = {"real": a.tolist(), "phantom": b.tolist(), "auc": auc}
        print(f"{name:<26}{a[0]:9.3g}{a[1]:9.3g}{a[2]:9.3g}{b[0]:13.3g}{b[1]:9.3g}{b[2]:9.3g}{auc:7.2f}")
    return report


if __name__ == "__main__":
    main()
