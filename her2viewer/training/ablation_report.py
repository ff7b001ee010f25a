"""The comparison of a run's stages as values, text and plots; see ``ablation``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from her2viewer.cases.atomic import atomic_file
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.evaluation.measures import Measure
from her2viewer.training.evaluation.report import ReaderReport
from her2viewer.training.evaluation.run import reader_report
from her2viewer.training.evaluation.slides import SlideRow
from her2viewer.training.slide_level import SlideLevel

if TYPE_CHECKING:
    from rich.console import Console

    from her2viewer.training.ablation import Ablation
    from her2viewer.training.dataset import SplitName

SHOWN: tuple[tuple[SplitName, str], ...] = (("train", "training"), ("validation", "validation"), ("test", "held out"))
MATRICES: tuple[SplitName, ...] = ("train", "test")


@dataclass(frozen=True)
class StageReport:
    """One stage on the slides of one split."""

    number: int
    name: str
    split: SplitName
    slides: SlideLevel
    reader: ReaderReport

    @property
    def macro_f1(self) -> Measure:
        """Of the scores of slides, with its interval."""
        level = self.reader.level("slide")
        assert level is not None
        return next(m for m in level.measures if m.name == "macro_f1")

    @property
    def right(self) -> int:
        """How many slides have their score."""
        return int((self.slides.predicted == self.slides.score).sum())


def reports(found: Ablation, draws: tuple[int, int]) -> list[StageReport]:
    """Every stage on every split that has slides; ``draws``: number and seed of the bootstrap of patients."""
    made = []
    for number, stage in enumerate(found.stages, start=1):
        for split, _ in SHOWN:
            slides = stage.slides.get(split)
            if slides is not None and len(slides):
                reader = reader_report(f"{number} {stage.name}", "", _rows(slides), [], draws=draws)
                made.append(StageReport(number, stage.name, split, slides, reader))
    return made


def remarks(found: Ablation, made: Sequence[StageReport]) -> list[str]:
    """What each stage changed, in sentences; where it changed nothing, why."""
    by = {(r.number, r.split): r for r in made}
    said = []
    for number, (before, after) in enumerate(zip(found.stages, found.stages[1:], strict=False), start=2):
        first, then = by.get((number - 1, "train")), by.get((number, "train"))
        if first is None or then is None:
            continue
        head = f"Stage {number}, {after.name}, against stage {number - 1}, {before.name}:"
        if not after.changed:
            why = (
                "no limit was broken on the training slides, so there was nothing to learn from."
                if not first.slides.slides_broken
                else "nothing that was tried broke the limits less where that is judged (stages: validation slides, "
                "factors of logits: training slides), so what was before is kept."
            )
            said.append(f"{head} no difference; {why}")
            continue
        parts = []
        for split, title in SHOWN:
            a, b = by.get((number - 1, split)), by.get((number, split))
            if a is not None and b is not None:
                mended, spoilt = _changed(a.slides, b.slides)
                parts.append(
                    f"{title} macro F1 {b.macro_f1.value - a.macro_f1.value:+.3f} ({mended} slides mended, {spoilt} "
                    f"spoilt), limits broken by {a.slides.broken:.3f} before and {b.slides.broken:.3f} after"
                )
        said.append(f"{head} {'; '.join(parts)}.")
    held_out = next((r for r in made if r.split == "test"), None)
    if held_out is not None:
        each = np.bincount(held_out.slides.score, minlength=len(HER2_LABELS))
        least = each[each > 0].min()
        said.append(
            f"{len(held_out.slides)} held-out slides, the rarest score on {least}: one slide more or less moves the "
            f"macro F1 by about {1 / (2 * least * (each > 0).sum()):.2f} to {1 / (least * (each > 0).sum()):.2f}."
        )
    said += [f"Stage {name}: its weights are not there; the run has not come to its end." for name in found.missing]
    return said


def as_json(found: Ablation, made: Sequence[StageReport]) -> dict[str, Any]:
    """One JSON value."""
    return {
        "format": "her2viewer-ablation",
        "version": 1,
        "plugin": found.plugin,
        "recipe": found.recipe,
        "data_set": found.data_set,
        "stages": [
            {
                "stage": r.number,
                "name": r.name,
                "split": r.split,
                **r.slides.summary(),
                "macro_f1_interval": [_finite(r.macro_f1.low), _finite(r.macro_f1.high)],
                "share_measures": [
                    {k: _finite(v) if isinstance(v, float) else v for k, v in asdict(m).items()}
                    for m in r.reader.shares
                    if m.name == "share_mae"
                ],
                "predicted": {
                    i: HER2_LABELS[p] for i, p in zip(r.slides.ids, r.slides.predicted.tolist(), strict=True)
                },
            }
            for r in made
        ],
        "finished": dict(found.finished),
        "remarks": remarks(found, made),
    }


def show(console: Console, found: Ablation, made: Sequence[StageReport]) -> None:
    """Tables and sentences on the terminal."""
    from rich.table import Table

    table = Table(title=f"{found.plugin} {found.recipe} on {found.data_set}", title_justify="left", box=None)
    for title in (
        "stage",
        "slides of",
        "macro F1",
        "95 %",
        "right",
        "limits broken by",
        "on slides",
        "error of shares",
    ):
        table.add_column(title, justify="left" if title in ("stage", "slides of") else "right")
    titles = dict(SHOWN)
    for r in made:
        f1, error = r.macro_f1, r.slides.share_error
        spread = "" if np.isnan(f1.low) else f"{f1.low:.3f} to {f1.high:.3f}"
        table.add_row(
            f"{r.number} {r.name}", titles[r.split], f"{f1.value:.3f}", spread, f"{r.right} of {len(r.slides)}",
            f"{r.slides.broken:.3f}", str(r.slides.slides_broken), "" if error is None else f"{error:.1f}",
        )  # fmt: skip
    console.print(table)
    for split in MATRICES:
        mine = [r for r in made if r.split == split]
        if mine:
            matrices = Table(
                title=f"\nSlides ({titles[split]}): known score by score after each stage",
                title_justify="left",
                box=None,
            )
            matrices.add_column("known")
            for r in mine:
                matrices.add_column(f"{r.number} {r.name}\n{_row(HER2_LABELS)}", no_wrap=True)
            for code, label in enumerate(HER2_LABELS):
                matrices.add_row(label, *(_row(r.slides.confusion[code]) for r in mine))
            console.print(matrices)
    console.print()
    for sentence in remarks(found, made):
        console.print(f"* {sentence}", markup=False)


def write_plots(folder: Path, found: Ablation, made: Sequence[StageReport]) -> list[Path]:
    """``ablation_confusion.png`` (figure 7 of the paper) and ``ablation_f1.png`` (figure 8).

    Raises:
        StorageError: they cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    by = {(r.number, r.split): r for r in made}
    titles = dict(SHOWN)
    splits = [s for s in MATRICES if any(r.split == s for r in made)]
    rows = len(found.stages)
    matrices = Figure(figsize=(2.9 * len(splits), 2.6 * rows), layout="constrained")
    FigureCanvasAgg(matrices)
    grid = matrices.subplots(rows, len(splits), squeeze=False)
    for row, stage in enumerate(found.stages):
        for column, split in enumerate(splits):
            report = by.get((row + 1, split))
            if report is None:
                grid[row, column].set_axis_off()
                continue
            _matrix(grid[row, column], report.slides)
            title = f"{row + 1} {stage.name}, {titles[split]}\nmacro F1 {report.macro_f1.value:.3f}"
            grid[row, column].set_title(title, fontsize=8)
    bars = Figure(figsize=(1.8 + 1.3 * rows, 3.4), layout="constrained")
    FigureCanvasAgg(bars)
    axes = bars.add_subplot()
    width = 0.8 / max(len(splits), 1)
    for column, split in enumerate(splits):
        mine = [r for r in made if r.split == split]
        x = np.array([r.number for r in mine]) + (column - (len(splits) - 1) / 2) * width
        f1 = [r.macro_f1 for r in mine]
        reach = [[m.value - (m.value if np.isnan(m.low) else m.low) for m in f1],
                 [(m.value if np.isnan(m.high) else m.high) - m.value for m in f1]]  # fmt: skip
        axes.bar(
            x, [m.value for m in f1], 0.92 * width, yerr=np.maximum(reach, 0), capsize=3,
            label=f"{titles[split]}, {len(mine[0].slides)} slides", color=("#0072b2", "#e69f00")[column % 2],
            error_kw={"elinewidth": 0.8, "ecolor": "#555555"},
        )  # fmt: skip
        for place, m in zip(x, f1, strict=True):
            axes.text(
                place, 0.03, f"{m.value:.2f}", ha="center", fontsize=8, color="#222222",
                bbox={"facecolor": "w", "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
    axes.set_xticks(range(1, rows + 1), [f"{k} {s.name}" for k, s in enumerate(found.stages, start=1)], fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("macro F1 of the scores of slides", fontsize=8)
    bars.legend(loc="outside upper center", ncols=2, fontsize=8)
    written = []
    for name, figure in (("ablation_confusion.png", matrices), ("ablation_f1.png", bars)):
        with atomic_file(folder / name) as out:
            figure.savefig(out, dpi=130, format="png", metadata={"Software": None})
        written.append(folder / name)
    return written


def _matrix(axes: Any, slides: SlideLevel) -> None:
    part = slides.confusion / np.maximum(slides.confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(part, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(slides.confusion):
        axes.text(
            column, row, str(count), ha="center", va="center", fontsize=8,
            color="w" if part[row, column] > 0.6 else "#222222",
        )  # fmt: skip
    axes.set_xticks(range(len(HER2_LABELS)), HER2_LABELS, fontsize=7)
    axes.set_yticks(range(len(HER2_LABELS)), HER2_LABELS, fontsize=7)
    axes.set_xlabel("by class fractions", fontsize=7)
    axes.set_ylabel("known", fontsize=7)


def _rows(slides: SlideLevel) -> list[SlideRow]:
    rows = []
    for k, slide in enumerate(slides.ids):
        known, share = 100 * slides.known[k], 100 * slides.share[k]
        rows.append(
            SlideRow(
                slide,
                slides.groups[k],
                int(slides.score[k]),
                int(slides.predicted[k]),
                None if np.isnan(known).any() else _percent(known),
                _percent(share),
                unit="surface",
            )
        )
    return rows


def _percent(values: Any) -> tuple[float, float, float, float]:
    a, b, c, d = (float(v) for v in values)
    return (a, b, c, d)


def _changed(before: SlideLevel, after: SlideLevel) -> tuple[int, int]:
    """Slides that are right now and were not, and the other way round."""
    was, now = before.predicted == before.score, after.predicted == after.score
    return int((now & ~was).sum()), int((was & ~now).sum())


def _row(values: Any) -> str:
    return "".join(f"{value!s:>4}" for value in values)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def finished_text(finished: Mapping[str, Any]) -> str:
    """The fitted factors in one line; "" where there are none."""
    alphas = finished.get("alphas")
    return "" if alphas is None else f"Factors of the logits: {', '.join(f'{a:.3f}' for a in alphas)}"
