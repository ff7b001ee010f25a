"""An evaluation as one JSON value, CSV tables and text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.cases.atomic import atomic_text
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import CONCORDANT_ENTROPY, DISCORDANT_ENTROPY
from her2viewer.training.evaluation.measures import LevelReport, Measure
from her2viewer.training.evaluation.slides import SlideRow
from her2viewer.training.evaluation.statuses import show_statuses
from her2viewer.training.evaluation.units import Units

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = (
    ("accuracy", "accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    ("macro_f1", "macro F1"),
    ("weighted_precision", "precision, weighted by support"),
    ("weighted_recall", "recall, weighted by support"),
    ("weighted_f1", "F1, weighted by support"),
    ("kappa", "Cohen's kappa"),
    ("kappa_quadratic", "Cohen's kappa, quadratic"),
    ("kendall_tau_b", "Kendall's tau-b"),
)
PUBLISHED_ENTROPY = {"truth": "0.42 and 0.69", "predicted": f"{CONCORDANT_ENTROPY:.2f} and {DISCORDANT_ENTROPY:.2f}"}
"""Medians on the slides of Vandenberghe et al. 2017, by the pathologist's shares and by the scorer's."""
SHOWN_SHARES = (
    ("share_mae", "MAE"),
    ("share_bias", "bias"),
    ("share_limit_low", "limit, low"),
    ("share_limit_high", "limit, high"),
    ("share_icc_2_1", "ICC(2,1)"),
    ("share_icc_3_1", "ICC(3,1)"),
)


@dataclass
class ReaderReport:
    """One scorer (or reader) against the truth."""

    name: str
    version: str
    rows: list[SlideRow]
    answers: Mapping[str, Any]
    levels: list[LevelReport]
    shares: tuple[Measure, ...]
    entropy: Mapping[str, Mapping[str, float]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    slides: Units | None = None
    """For plots."""
    masks: tuple[Measure, ...] = ()
    """Of the tumour mask, where the scorer draws one and the truth has one."""
    labels: tuple[str, ...] = HER2_LABELS
    """Of the slides."""
    statuses: LevelReport | None = None
    """The slides as negative, equivocal and positive; None where none has two answers."""
    draws: int = 0
    """Of the bootstrap."""
    against: str = ""
    """The person whose readings are the truth; "" for what the set or the table says."""

    def level(self, name: str) -> LevelReport | None:
        """The report of one level."""
        return next((r for r in self.levels if r.level == name), None)


def as_json(title: str, facts: Mapping[str, Any], readers: Sequence[ReaderReport], tests: Any) -> dict[str, Any]:
    """One JSON value; numbers that cannot be said are null."""
    value: dict[str, Any] = _plain(
        {
            "format": "her2viewer-evaluation",
            "version": 1,
            "title": title,
            **facts,
            "readers": [
                {
                    "name": r.name,
                    "version": r.version,
                    "settings": dict(r.settings),
                    "answers": r.answers,
                    "levels": [
                        {
                            "level": level.level,
                            "labels": level.labels,
                            "n": level.n,
                            "groups": level.groups,
                            "confusion_truth_by_predicted": level.confusion.tolist(),
                            "measures": [asdict(m) for m in level.measures],
                            "notes": level.notes,
                        }
                        for level in (*r.levels, *(() if r.statuses is None else (r.statuses,)))
                    ],
                    "against": r.against,
                    "shares": [asdict(m) for m in r.shares],
                    "tumour_mask": [asdict(m) for m in r.masks],
                    "entropy_by_concordance": r.entropy,
                }
                for r in readers
            ],
            "paired_tests": tests,
        }
    )
    return value


def write_tables(folder: Path, readers: Sequence[ReaderReport]) -> dict[str, Path]:
    """``slides.csv`` and ``measures.csv``.

    Raises:
        StorageError: they cannot be written.
    """
    slides = [["reader", "slide", "patient_or_slide", "lab", "scanner", "truth", "predicted", "reason", "counted"]]
    slides[0] += ["close_call"]
    slides[0] += [f"{who}_{c}" for who in ("truth", "predicted") for c in HER2_LABELS]
    measures = [["reader", "level", "measure", "of", "value", "low", "high", "n"]]
    for reader in readers:
        slide_level = reader.level("slide")
        labels = slide_level.labels if slide_level else HER2_LABELS
        for r in reader.rows:
            codes = ["" if c is None else labels[c] for c in (r.truth, r.predicted)]
            counted = "" if r.counted is None else f"{r.counted:g}"
            shares = [
                "" if s is None else f"{s[c]:.3f}" for s in (r.truth_shares, r.predicted_shares) for c in range(4)
            ]
            close = "" if r.close is None else "yes" if r.close else "no"
            slides.append(
                [reader.name, r.slide, r.group, r.lab, r.scanner, *codes, r.reason, counted, close, *shares]
            )
        finer = [(x.level, x.measures) for x in (*reader.levels, reader.statuses) if x is not None]
        for level, found in [*finer, ("slide", reader.shares), ("slide", reader.masks)]:
            for m in found:
                numbers = ["" if math.isnan(v) else f"{v:.6g}" for v in (m.value, m.low, m.high)]
                measures.append([reader.name, level, m.name, m.of, *numbers, f"{m.n:g}"])
    written = {"slides": folder / "slides.csv", "measures": folder / "measures.csv"}
    for name, table in (("slides", slides), ("measures", measures)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(table)
        atomic_text(written[name], text.getvalue())
    return written


def show(console: Console, readers: Sequence[ReaderReport], tests: Sequence[Mapping[str, Any]]) -> None:
    """The evaluation on the terminal."""
    from rich.markup import escape

    for reader in readers:
        console.print(f"\n[bold]{escape(reader.name)}[/bold] {escape(reader.version)}")
        _show_answers(console, reader.answers)
        for level in reader.levels:
            if level.n:
                _show_level(console, level)
        if reader.statuses is not None:
            show_statuses(console, reader.statuses, draws=reader.draws)
        if reader.shares:
            _show_shares(console, reader.shares)
        if reader.masks:
            _show_masks(console, reader.masks)
        for who, found in reader.entropy.items():
            if found["concordant_n"] and found["discordant_n"]:
                console.print(
                    f"Shannon entropy by the shares of the {'scorer' if who == 'predicted' else who}: median "
                    f"{found['concordant_median']:.2f} where the scores agree, {found['discordant_median']:.2f} "
                    f"where not (Wilcoxon rank sum W {found['w']:.0f}, p {found['p']:.3f}; published: "
                    f"{PUBLISHED_ENTROPY[who]})"
                )
    for test in tests:
        console.print(f"\n[bold]{escape(test['first'])} against {escape(test['second'])}[/bold]")
        console.print(f"{test['both_answered']} of {test['slides']} slides with an answer of both")
        if "mcnemar" in test:
            m, s = test["mcnemar"], test["score_error"]
            console.print(
                f"Right only by the first {m['only_first_right']:.0f}, only by the second "
                f"{m['only_second_right']:.0f}: McNemar p {m['p']:.3f}. Distance from the true score: paired t p "
                f"{_number(s['t_p'], 3)}, Wilcoxon p {_number(s['wilcoxon_p'], 3)}"
            )
        if "share_error" in test:
            s = test["share_error"]
            console.print(
                f"Error of the shares, first less second: {s['mean_difference']:+.2f} points, paired t p "
                f"{_number(s['t_p'], 3)}, Wilcoxon p {_number(s['wilcoxon_p'], 3)}"
            )


def _show_answers(console: Console, found: Mapping[str, Any]) -> None:
    from rich.markup import escape

    console.print(f"{found['compared']} of {found['slides']} slides have a truth and an answer")
    if found["without_truth"]:
        console.print(f"[yellow]Without a known score:[/yellow] {escape(', '.join(found['without_truth']))}")
    for entry in found["without_answer"]:
        console.print(f"[yellow]No answer:[/yellow] {escape(entry['slide'])}: {escape(entry['reason'])}")
    if close := found.get("close_calls"):
        console.print(
            f"Close calls: {close['wrong_and_close']} of {close['wrong']} wrong answers are marked as close, and "
            f"{close['right_and_close']} of {close['right']} right ones"
        )


def _show_level(console: Console, level: LevelReport) -> None:
    from rich.table import Table

    plural = {"patch": "patches"}.get(level.level, f"{level.level}s")
    of = "" if level.level == "slide" else f" of {level.groups} slides or patients"
    table = Table(title=f"{level.n:,} {plural}{of}", title_justify="left", box=None, header_style="dim")
    table.add_column("truth \\ predicted")
    for label in level.labels:
        table.add_column(label, justify="right")
    for name in ("recall", "precision", "F1", "specificity"):
        table.add_column(name, justify="right")
    for c, label in enumerate(level.labels):
        single = [_number(level.value(name, label)) for name in ("recall", "precision", "f1", "specificity")]
        table.add_row(label, *(f"{int(v):,}" for v in level.confusion[c]), *single)
    console.print(table)
    summary = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("", "value", "95 %"):
        summary.add_column(title, justify="left" if not title else "right")
    rows = [(name, "", title) for name, title in SHOWN]
    rows += [("auc", m.of, f"AUC {m.of}") for m in level.measures if m.name == "auc" and not math.isnan(m.value)]
    rows += [(m.name, m.of, f"cells found: {m.of}") for m in level.measures if m.name == "detection"]
    for name, of, title in rows:
        m = next(x for x in level.measures if x.name == name and x.of == of)
        summary.add_row(title, _number(m.value), _interval(m))
    console.print(summary)
    for note in level.notes:
        console.print(f"[dim]{note}[/dim]")


def _show_shares(console: Console, measures: Sequence[Measure]) -> None:
    from rich.table import Table

    table = Table(
        title="Shares, percentage points (bias with its 95 % limits of agreement)",
        title_justify="left",
        box=None,
        header_style="dim",
    )
    table.add_column("", no_wrap=True, min_width=11)
    kinds = [*HER2_LABELS, "mean of 4"]
    for kind in kinds:
        table.add_column(kind, justify="right", no_wrap=True)
    for name, title in SHOWN_SHARES:
        cells = []
        for kind in kinds:
            m = next((x for x in measures if x.name == name and x.of == kind), None)
            decimals = 2 if "icc" in name else 1
            cells.append("" if m is None else f"{_number(m.value, decimals)} {_interval(m, decimals)}".strip())
        table.add_row(title, *cells)
    console.print(table)


def _show_masks(console: Console, measures: Sequence[Measure]) -> None:
    from rich.table import Table

    table = Table(title="Invasive tumour inside the outlines", title_justify="left", box=None, header_style="dim")
    for title in ("", "value", "95 %", "slides"):
        table.add_column(title, justify="left" if not title else "right")
    for m in measures:
        table.add_row(m.of, _number(m.value, 3), _interval(m, 3), f"{m.n:.0f}")
    console.print(table)


def _number(value: float, decimals: int = 2) -> str:
    return "-" if math.isnan(value) else f"{value:.{decimals}f}"


def _interval(m: Measure, decimals: int = 2) -> str:
    return "" if math.isnan(m.low) else f"({m.low:.{decimals}f}, {m.high:.{decimals}f})"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
