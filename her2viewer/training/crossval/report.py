"""A cross-validation as the paper's table 1 on the terminal, as one JSON value and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.cases.atomic import atomic_text
from her2viewer.training.crossval.table import (
    ACCURACY,
    FOREST,
    METHODS,
    NETWORK,
    SVM,
    Entry,
    rows_of,
    settings_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from her2viewer.training.crossval.components import Components
    from her2viewer.training.crossval.run import Crossval, CrossvalRequest

STARS = ((0.01, "**"), (0.05, "*"))


def titles_of(request: CrossvalRequest) -> dict[str, str]:
    """What the methods are called."""
    return {
        SVM: "linear SVM",
        FOREST: "random forest",
        NETWORK: request.recipe.title,
    }


def as_json(request: CrossvalRequest, found: Crossval, components: Sequence[Components]) -> dict[str, Any]:
    """One JSON value; numbers that cannot be said are null."""
    assert request.recipe.hand_made is not None
    titles, rows = titles_of(request), rows_of(found.answers, found.classes)
    return {
        "format": "her2viewer-crossval",
        "version": 1,
        "plugin": request.plugin,
        "recipe": request.recipe.name,
        "data_set": request.data_set.name,
        "data_set_hash": request.data_set.hash,
        "classes": list(found.classes),
        "folds": request.folds,
        "by": request.by,
        "groups": found.groups,
        "patients": found.patients,
        "patients_in_several_folds": found.shared_patients,
        "fields_of_fold": found.fields.tolist(),
        "cells_of_fold_by_class": found.cells.tolist(),
        "seed": request.seed,
        "options": {
            "field_um": request.field_um,
            "most_cells": request.most_cells,
            "trees": request.trees,
            "epochs": request.epochs,
            "max_minutes": request.max_minutes,
        },
        "features": [
            {"name": f.name, "unit": f.unit, "group": f.group, "what": f.what}
            for f in request.recipe.hand_made.features
        ],
        "methods": [
            {
                "method": row.method,
                "title": titles[row.method],
                "figures": [
                    {"of": e.of, "mean": _plain(e.mean), "sd": _plain(e.sd), "folds": e.folds, "p": _plain(e.p)}
                    for e in row.entries
                ],
                "by_fold": [[_plain(v) for v in line] for line in row.by_fold.tolist()],
                "confusion_truth_by_predicted": row.confusion.tolist(),
                "chosen_in_each_fold": settings_of(_notes(found, row.method)),
            }
            for row in rows
        ],
        "components": [
            {
                "of": part.title,
                "fold": found.view.fold + 1,
                "explained": [_plain(v) for v in part.explained],
                "silhouette": _plain(part.silhouette),
            }
            for part in components
        ],
        "remarks": remarks(request, found),
    }


def write_table(path: Path, request: CrossvalRequest, found: Crossval) -> None:
    """``crossval.csv``: a line for each method, fold and number.

    Raises:
        StorageError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "fold", "measure", "of", "value", "cells"])
    for row in rows_of(found.answers, found.classes):
        for fold, line in enumerate(row.by_fold.tolist()):
            for k, (entry, value) in enumerate(zip(row.entries, line, strict=True)):
                whole = entry.of == ACCURACY
                cells = int(found.cells[fold].sum() if whole else found.cells[fold][k])
                measure, of = (ACCURACY, "") if whole else ("f1", entry.of)
                writer.writerow(
                    [row.method, fold + 1, measure, of, "" if math.isnan(value) else f"{value:.5f}", cells]
                )
    atomic_text(path, text.getvalue())


def show(console: Console, request: CrossvalRequest, found: Crossval, components: Sequence[Components]) -> None:
    """The table and what belongs to it."""
    from rich.table import Table

    titles = titles_of(request)
    table = Table(
        title=f"{request.plugin} {request.recipe.name} on {request.data_set.name}: F1 of each class and accuracy, "
        f"mean and standard deviation over {request.folds} folds",
        title_justify="left",
        box=None,
        header_style="dim",
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for name in (*found.classes, ACCURACY):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows_of(found.answers, found.classes):
        table.add_row(titles[row.method], *(entry_text(e) for e in row.entries))
    counts = found.cells.sum(axis=0)
    table.add_row("cells", *(f"{n:,}" for n in counts), f"{counts.sum():,}", style="dim")
    console.print(table)
    assert request.recipe.hand_made is not None
    console.print(
        f"{titles[SVM]} and {titles[FOREST]} on {len(request.recipe.hand_made.features)} hand-made features; "
        f"* p < 0.05, ** p < 0.01 against {titles[NETWORK]}: two-tailed paired t test over the folds, not adjusted "
        "for their number"
    )
    accuracy = {row.method: row for row in rows_of(found.answers, found.classes)}
    for method in METHODS:
        if method != NETWORK and method in accuracy and NETWORK in accuracy:
            mine, other = (accuracy[m].entry(ACCURACY) for m in (method, NETWORK))
            console.print(
                f"{titles[NETWORK]} against {titles[method]}: accuracy {100 * (other.mean - mine.mean):+.1f} points, "
                f"p {'-' if math.isnan(mine.p) else '< 0.0001' if mine.p < 0.0001 else f'{mine.p:.4f}'}"
            )
    for part in components:
        shares = ", ".join(f"{100 * v:.0f}" for v in part.explained)
        console.print(
            f"Fold {found.view.fold + 1}, {part.title}: the first {len(part.explained)} components hold {shares} % "
            f"of the variance; silhouette of the classes {part.silhouette:.2f}"
        )
    for sentence in remarks(request, found):
        console.print(f"* {sentence}", markup=False)


def entry_text(entry: Entry) -> str:
    """ "0.58**±0.25", "-" where there is nothing to say."""
    if math.isnan(entry.mean):
        return "-"
    stars = next((mark for limit, mark in STARS if entry.p < limit), "")
    spread = "" if math.isnan(entry.sd) else f"±{entry.sd:.2f}"
    return f"{entry.mean:.2f}{stars}{spread}"


def remarks(request: CrossvalRequest, found: Crossval) -> list[str]:
    """What is to be known of the figures."""
    what = {"field": "fields", "slide": "slides", "patient": "patients"}[request.by]
    said = [
        f"{found.groups} {what} were dealt out whole to {request.folds} folds of {_range(found.fields.tolist())} "
        "fields; no cell is told by a method that has seen its field."
    ]
    if found.shared_patients:
        said.append(
            f"{found.shared_patients} of {found.patients} patients have fields in more than one fold, so the figures "
            "may be too good for new patients; --by patient keeps them together."
        )
    missing = [name for name, folds in zip(found.classes, (found.cells > 0).sum(axis=0), strict=True) if folds == 0]
    if missing:
        said.append(f"Of {', '.join(missing)} there are no cells.")
    for name, folds in zip(found.classes, (found.cells > 0).sum(axis=0).tolist(), strict=True):
        if 0 < folds < request.folds:
            said.append(f"{name} occurs in {folds} of {request.folds} folds; its figures are of these.")
    notes = settings_of(_notes(found, NETWORK))
    if notes:
        said.append(
            f"The network was trained for {_range(notes['epochs'])} epochs in each fold, "
            f"{sum(notes['seconds']) / 60:.0f} min in all; the fold after the tested one told which epoch was the "
            "best, so it learnt from one fold less than the others."
        )
    for method, name, title in ((SVM, "C", "C of the SVM"), (FOREST, "features_per_split", "features per split")):
        values = settings_of(_notes(found, method)).get(name, [])
        if values:
            each = sorted(set(values))
            counted = ", ".join(f"{v:g} in {values.count(v)}" for v in each)
            said.append(f"Chosen by the inner cross-validation, {title}: {counted} folds.")
    return said


def _notes(found: Crossval, method: str) -> list[Mapping[str, float]]:
    return [note for kind, _, note in found.notes if kind == method]


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
