"""Principal components of the hand-made and of the learnt features of the same cells, as figure 3 of the paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.cases.atomic import atomic_file, atomic_text

COMPONENTS = 3
SILHOUETTE_CELLS = 2000
COLOURS = ("#8c8c8c", "#c49c6b", "#3a923a", "#56b4e9", "#f0e442", "#e69f00", "#b2182b", "#6a3d9a", "#000000")
"""Of the classes, in their order."""


@dataclass(frozen=True)
class Views:
    """The cells of one fold as the methods see them."""

    fold: int
    truth: NDArray[np.int64]
    """(m,) classes."""
    hand_made: NDArray[np.float32]
    """(m, features)."""
    learnt: NDArray[np.float32]
    """(m, units) what enters the last layer of the network."""


@dataclass(frozen=True)
class Components:
    """The first components of one kind of features."""

    title: str
    features: int
    """How many features they come from."""
    values: NDArray[np.float64]
    """(m, COMPONENTS)."""
    explained: tuple[float, ...]
    """Share of the variance of each component."""
    silhouette: float
    """-1 to 1: how far the classes lie apart in the components; NaN where that cannot be said."""


def components_of(view: Views, seed: int = 1) -> tuple[Components, Components]:
    """Of the hand-made features (each with mean 0 and spread 1) and of the learnt ones (centred)."""
    spread = view.hand_made.std(axis=0)
    scaled = (view.hand_made - view.hand_made.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return (
        _components(f"{scaled.shape[1]} hand-made features", scaled, view.truth, seed),
        _components(f"{view.learnt.shape[1]} features of the network", view.learnt, view.truth, seed),
    )


def _components(title: str, x: NDArray[Any], truth: NDArray[np.int64], seed: int) -> Components:
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score

    if not np.ptp(x, axis=0).any():
        # Features that are the same for all cells have no components.
        return Components(title, x.shape[1], np.zeros((len(x), COMPONENTS)), (), np.nan)
    number = min(COMPONENTS, *x.shape)
    fitted = PCA(number, svd_solver="full").fit(x.astype(np.float64))
    values = np.zeros((len(x), COMPONENTS))
    values[:, :number] = fitted.transform(x)
    kinds = len(np.unique(truth))
    apart = np.nan
    if 1 < kinds < len(truth):
        size = SILHOUETTE_CELLS if len(truth) > SILHOUETTE_CELLS else None
        apart = float(silhouette_score(values, truth, sample_size=size, random_state=seed))
    return Components(title, x.shape[1], values, tuple(fitted.explained_variance_ratio_.tolist()), apart)


def write_components(
    folder: Path, view: Views, found: Sequence[Components], classes: Sequence[str]
) -> tuple[Path, Path]:
    """``components.csv`` and ``components.png``.

    Raises:
        StorageError: they cannot be written.
    """
    head = ["fold", "class", *(f"{kind}_{k + 1}" for kind in ("hand_made", "network") for k in range(COMPONENTS))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for k, code in enumerate(view.truth.tolist()):
        numbers = [f"{v:.5g}" for part in found for v in part.values[k]]
        writer.writerow([view.fold + 1, classes[code], *numbers])
    written = (folder / "components.csv", folder / "components.png")
    atomic_text(written[0], text.getvalue())
    with atomic_file(written[1]) as out:
        _figure(view, found, classes).savefig(out, dpi=130, format="png", metadata={"Software": None})
    return written


def _figure(view: Views, found: Sequence[Components], classes: Sequence[str]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6 * len(found), 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    size = float(np.clip(6000 / max(len(view.truth), 1), 2, 14))
    for place, part in enumerate(found):
        axes = figure.add_subplot(1, len(found), place + 1, projection="3d")
        # The crowd is to fill the box; what lies far out is left out of the picture.
        low, high = np.percentile(part.values, [0.5, 99.5], axis=0)
        inside = ((part.values >= low) & (part.values <= high)).all(axis=1)
        for code in np.unique(view.truth):
            mine = (view.truth == code) & inside
            axes.scatter(
                *part.values[mine].T, s=size, color=COLOURS[code % len(COLOURS)], alpha=0.75, linewidths=0,
                label=classes[code] if place == 0 else None,
            )  # fmt: skip
        axes.set_title(f"{part.title}, silhouette {part.silhouette:.2f}", fontsize=10)
        for k, name in enumerate("xyz"):
            share = part.explained[k] if k < len(part.explained) else 0.0
            getattr(axes, f"set_{name}label")(f"component {k + 1} ({100 * share:.0f} %)", fontsize=8)
            getattr(axes, f"set_{name}lim")(low[k], max(high[k], low[k] + 1e-6))
        axes.tick_params(labelsize=6)
    figure.legend(loc="outside lower center", ncols=min(len(classes), 7), fontsize=8, markerscale=2)
    return figure
