"""Confusion matrix, ROC curves and Bland-Altman plots as PNG files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from her2viewer.cases.atomic import atomic_file
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.evaluation.measures import LevelReport
from her2viewer.training.evaluation.report import ReaderReport
from her2viewer.training.evaluation.slides import SlideRow
from her2viewer.training.evaluation.units import CUT_POINTS, Units

INK, FAINT = "#222222", "#999999"
COLOURS = ("#0072b2", "#e69f00", "#cc3311")


def write_plots(folder: Path, readers: Sequence[ReaderReport]) -> list[Path]:
    """All plots of all readers.

    Raises:
        StorageError: they cannot be written.
    """
    written = []
    for reader in readers:
        name = re.sub(r"[^\w.-]+", "_", reader.name)
        for level in reader.levels:
            if level.n:
                figure = confusion_plot(level, f"{reader.name}: {level.level}s"[:60])
                written.append(_save(figure, folder / f"{name}_confusion_{level.level.replace(' ', '_')}.png"))
        if reader.slides is not None and (figure := roc_plot(reader.slides, reader.name)) is not None:
            written.append(_save(figure, folder / f"{name}_roc.png"))
        if (figure := bland_altman_plot(reader.rows, reader.name)) is not None:
            written.append(_save(figure, folder / f"{name}_bland_altman.png"))
    return written


def confusion_plot(level: LevelReport, title: str) -> Any:
    """Counts, shaded by the share of the true class."""
    k = len(level.labels)
    figure, axes = _figure(1, 1, (1.6 + 0.9 * k, 1.4 + 0.8 * k))
    ax = axes[0]
    part = level.confusion / np.maximum(level.confusion.sum(axis=1, keepdims=True), 1)
    ax.imshow(part, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(level.confusion):
        ax.text(column, row, f"{count:,}", ha="center", va="center", color="w" if part[row, column] > 0.6 else INK)
    ax.set_xticks(range(k), level.labels)
    ax.set_yticks(range(k), level.labels)
    ax.set_xlabel("predicted")
    ax.set_ylabel("truth")
    ax.set_title(title, fontsize=10)
    return figure


def roc_plot(slides: Units, title: str) -> Any | None:
    """One curve for each cut-point that has slides on both sides; None where none has."""
    from sklearn.metrics import roc_auc_score, roc_curve

    if slides.values is None:
        return None
    curves = []
    for cut, name in enumerate(CUT_POINTS):
        value = slides.values[:, cut]
        known = ~np.isnan(value)
        positive = slides.truth[known] > cut
        if positive.any() and not positive.all():
            curves.append((cut, name, positive, value[known]))
    if not curves:
        return None
    figure, axes = _figure(1, 1, (4.4, 4.4))
    ax = axes[0]
    ax.plot([0, 1], [0, 1], color=FAINT, lw=0.8)
    for cut, name, positive, value in curves:
        false, true, _ = roc_curve(positive, value)
        ax.plot(
            false, true, color=COLOURS[cut], label=f"{name}: {roc_auc_score(positive, value):.2f} (n {len(value)})"
        )
    ax.set_xlabel("1 - specificity")
    ax.set_ylabel("sensitivity")
    ax.set_aspect("equal")
    ax.legend(fontsize=8, loc="lower right", title="AUC")
    ax.set_title(f"{title}: slides", fontsize=10)
    return figure


def bland_altman_plot(rows: Sequence[SlideRow], title: str) -> Any | None:
    """Difference against mean for each share; None where no slide has both shares."""
    both = [r for r in rows if r.truth_shares is not None and r.predicted_shares is not None]
    if not both:
        return None
    truth = np.array([r.truth_shares for r in both], np.float64)
    found = np.array([r.predicted_shares for r in both], np.float64)
    figure, axes = _figure(2, 2, (7.6, 6.4))
    for c, ax in enumerate(axes):
        difference, mean = found[:, c] - truth[:, c], (found[:, c] + truth[:, c]) / 2
        ax.scatter(mean, difference, s=14, color=COLOURS[0], alpha=0.7, linewidths=0)
        bias = float(difference.mean())
        lines = [(bias, "bias")]
        if len(both) > 1:
            sd = float(difference.std(ddof=1))
            lines += [(bias - 1.96 * sd, "-1.96 SD"), (bias + 1.96 * sd, "+1.96 SD")]
        for height, name in lines:
            ax.axhline(height, color=INK if name == "bias" else FAINT, lw=0.9, ls="-" if name == "bias" else "--")
            label = f"{name} {height:.1f}"
            ax.annotate(label, (1, height), xycoords=("axes fraction", "data"), fontsize=7, ha="right", va="bottom")
        ax.set_title(f"{HER2_LABELS[c]} %", fontsize=9)
        ax.set_xlabel("mean of both", fontsize=8)
        ax.set_ylabel("predicted less truth", fontsize=8)
        ax.tick_params(labelsize=7)
    figure.suptitle(f"{title}: shares of {len(both)} slides", fontsize=10)
    return figure


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    # Figure and canvas by hand: pyplot keeps every figure alive and looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def _save(figure: Any, path: Path) -> Path:
    with atomic_file(path) as out:
        figure.savefig(out, dpi=120, format="png")
    return path
