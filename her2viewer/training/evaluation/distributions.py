"""How the shares of slides are spread, by the known score of the slide (Pham et al. 2022, figures 9 and 10)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.cases.atomic import atomic_file, atomic_text
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.palette import her2_colors
from her2viewer.training.evaluation.slides import SlideRow
from her2viewer.training.limits import LOWER, UPPER

if TYPE_CHECKING:
    from her2viewer.training.evaluation.report import ReaderReport

LEAST_FOR_CURVE = 3
"""Slides from which a density is drawn; fewer are points alone."""
LEAST_BANDWIDTH = 1.5
"""Percentage points."""


@dataclass(frozen=True)
class Distribution:
    """The share of one class on the slides of one known score."""

    score: int
    grade: int
    """Class of the share."""
    shares: NDArray[np.float64]
    """(n,) % of each slide, in the order of the rows."""

    @property
    def limit(self) -> float | None:
        """% that the score sets the share: its least one for its own class, the end of what is allowed for a higher
        one, none for a lower."""
        if self.grade < self.score:
            return None
        return float(100 * (LOWER if self.grade == self.score else UPPER)[self.score, self.grade])

    @property
    def beyond(self) -> int | None:
        """How many slides break the limit; None where there is none."""
        if self.limit is None:
            return None
        # As elsewhere, what binary fractions lose is no difference.
        low = self.shares < self.limit - 1e-6
        return int(low.sum() if self.grade == self.score else (~low).sum())

    def density(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Kernel density per percentage point, (m,), with Scott's bandwidth.

        What would lie outside 0 to 100 is folded back, so that the curve holds all of the slides.

        Args:
            at: (m,) %.
        """
        from scipy.stats import norm

        n = len(self.shares)
        spread = float(self.shares.std(ddof=1)) if n > 1 else 0.0
        width = max(LEAST_BANDWIDTH, spread * n**-0.2)
        folded = np.concatenate([sign * self.shares + turn for sign in (1, -1) for turn in (-200, 0, 200)])
        found: NDArray[np.float64] = norm.pdf(at[:, None], folded[None], width).sum(axis=1) / n
        return found


def distributions(rows: Sequence[SlideRow]) -> list[Distribution]:
    """One for each known score that occurs and each class, from slides with shares and a known score."""
    known = [r for r in rows if r.truth is not None and r.predicted_shares is not None]
    found = []
    for score in range(len(HER2_LABELS)):
        shares = np.array([r.predicted_shares for r in known if r.truth == score], np.float64)
        if len(shares):
            found += [Distribution(score, grade, shares[:, grade]) for grade in range(len(HER2_LABELS))]
    return found


def write_distributions(folder: Path, readers: Sequence[ReaderReport]) -> list[Path]:
    """``share_distributions.csv`` of all readers that give shares, and a picture of each.

    Raises:
        StorageError: they cannot be written.
    """
    columns = "reader,known_score,share_of,slides,mean,q25,median,q75,least,most,limit,slides_beyond_limit"
    lines: list[list[Any]] = [columns.split(",")]
    written = []
    for reader in readers:
        level = reader.level("slide")
        found = distributions(reader.rows) if level is not None and level.labels == HER2_LABELS else []
        for d in found:
            values = [d.shares.mean(), *np.quantile(d.shares, (0.25, 0.5, 0.75)), d.shares.min(), d.shares.max()]
            limit = ["" if v is None else f"{v:g}" for v in (d.limit, d.beyond)]
            names = [reader.name, HER2_LABELS[d.score], HER2_LABELS[d.grade], len(d.shares)]
            lines.append([*names, *(f"{v:.3f}" for v in values), *limit])
        if found:
            name = re.sub(r"[^\w.-]+", "_", reader.name)
            path = folder / f"{name}_share_distributions.png"
            with atomic_file(path) as out:
                plot(found, reader.name).savefig(out, dpi=120, format="png", metadata={"Software": None})
            written.append(path)
    if not written:
        return []
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    table = folder / "share_distributions.csv"
    atomic_text(table, text.getvalue())
    return [table, *written]


def plot(found: Sequence[Distribution], title: str) -> Any:
    """Known scores as rows, classes as columns; dotted is what the guideline allows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = her2_colors()
    at = np.linspace(0, 100, 401)
    size = len(HER2_LABELS)
    figure = Figure(figsize=(9.2, 7.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(size, size, sharex=True, squeeze=False)
    by = {(d.score, d.grade): d for d in found}
    for row in range(size):
        count = len(by[row, 0].shares) if (row, 0) in by else 0
        slides = f"{count} slide{'s' * (count != 1)}"
        grid[row, 0].set_ylabel(f"slides of {HER2_LABELS[row]}\n{slides}", fontsize=8)
        for column in range(size):
            axes = grid[row, column]
            axes.set_yticks([])
            axes.set_xlim(-2, 102)
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
            axes.tick_params(labelsize=7)
            if row == 0:
                axes.set_title(f"tumour in {HER2_LABELS[column]}", fontsize=9)
            if row == size - 1:
                axes.set_xlabel("% of the tumour", fontsize=8)
            d = by.get((row, column))
            if d is not None:
                _panel(axes, d, at, colours[column])
            elif column == 0:
                axes.text(50, 0.5, "none in the set", ha="center", fontsize=8, color="#777777")
    what = "shares by the known score of the slide (dotted: limit of the guideline; each panel has its own height)"
    figure.suptitle(f"{title}: {what}", fontsize=9)
    return figure


def _panel(axes: Any, d: Distribution, at: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    face = tuple(c / 255 for c in colour)
    if len(d.shares) >= LEAST_FOR_CURVE:
        density = d.density(at)
        axes.fill_between(at, density, color=face, alpha=0.45, linewidth=0)
        axes.plot(at, density, color="#444444", linewidth=0.9)
        top = float(density.max())
    else:
        top = 1.0
    axes.set_ylim(-0.09 * top, 1.12 * top)
    axes.scatter(d.shares, np.full(len(d.shares), -0.05 * top), marker="|", s=26, color="#222222", linewidths=0.8)
    if d.limit is not None and d.beyond is not None:
        axes.axvline(d.limit, color="#222222", linestyle=":", linewidth=1.1)
        if d.beyond:
            text = f"{d.beyond} of {len(d.shares)} beyond"
            axes.text(0.98, 0.93, text, transform=axes.transAxes, ha="right", va="top", fontsize=7)
