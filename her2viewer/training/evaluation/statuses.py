"""Agreement on the status of slides (negative, equivocal, positive), as table 2 of Vandenberghe et al. 2017."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from her2viewer.training.evaluation.measures import LevelReport, level_report
from her2viewer.training.evaluation.slides import STATUS_OF_SCORE, STATUSES, SlideRow, slide_units

if TYPE_CHECKING:
    from rich.console import Console

STATUS = "status"
SHOWN = (("accuracy", "overall agreement"), ("kappa", "Cohen's kappa"), ("kendall_tau_b", "Kendall's tau-b"))


def status_report(rows: Sequence[SlideRow], labels: tuple[str, ...], draws: tuple[int, int]) -> LevelReport | None:
    """Both answers as statuses (0 and 1+ negative, 2+ equivocal, 3+ positive); None where no slide has two answers.

    Args:
        rows: one a slide.
        labels: of the rows: HER2 scores or statuses.
        draws: number and seed of the bootstrap.
    """
    units = slide_units([_status(row, labels) for row in rows], STATUSES)
    return level_report(replace(units, level=STATUS), *draws) if len(units) else None


def _status(row: SlideRow, labels: tuple[str, ...]) -> SlideRow:
    if labels == STATUSES:
        return row
    truth, predicted = (None if code is None else STATUS_OF_SCORE[code] for code in (row.truth, row.predicted))
    return replace(row, truth=truth, predicted=predicted)


def show_statuses(console: Console, report: LevelReport, *, draws: int) -> None:
    """The table and its three measures; rows are what was predicted, as in the paper."""
    from rich.table import Table

    # A title of the table itself would be broken to its width.
    console.print(f"[italic]Status of {report.n:,} slides (0 and 1+ negative, 2+ equivocal, 3+ positive)[/italic]")
    table = Table(box=None, header_style="dim")
    table.add_column("predicted \\ truth")
    for label in report.labels:
        table.add_column(label, justify="right")
    for c, label in enumerate(report.labels):
        table.add_row(label, *(f"{int(v):,}" for v in report.confusion[:, c]))
    console.print(table)
    parts = []
    for name, title in SHOWN:
        m = next(x for x in report.measures if x.name == name)
        value = "-" if m.value != m.value else f"{m.value:.2f}"
        reach = "" if m.low != m.low else f" ({m.low:.2f} to {m.high:.2f})"
        parts.append(f"{title} {value}{reach}")
    console.print(f"{', '.join(parts)}; intervals 95 %, {draws:,} draws")
