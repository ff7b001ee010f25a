"""What is measured on the held-out slides: values for ``model.toml``, lines for the card. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.confusion import figures, overlap
from her2viewer.training.recipe import Recipe
from her2viewer.training.slide_level import slides_of

if TYPE_CHECKING:
    from her2viewer.training.measured import Measured
    from her2viewer.training.tiles import TileStore


def held_out_metrics(
    recipe: Recipe, measured: Measured, store: TileStore, finished: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``model.toml`` says of the held-out slides.

    Besides the figures of samples (pixels where the recipe has masks): for masks ``by_score``, the overlap of each
    class but the first on the slides of each score; for slide labels ``slide_scores``, the scores of whole slides by
    class fractions, and ``calibrated_slide_scores`` with the factors of logits that the recipe fitted.
    """
    matrix = measured.confusion
    found: dict[str, Any] = {
        "split": "test",
        "slides": len(store.tiles),
        "samples": int(matrix.sum()),
        "loss": round(measured.loss, 4),
        **{key: round(value, 4) for key, value in figures(matrix).items()},
        "confusion": matrix.tolist(),
    }
    if recipe.labels == "mask":
        found["by_score"] = _by_score(recipe, measured, store)
    if recipe.labels == "slide" and recipe.classes == HER2_LABELS and measured.logits is not None:
        found["slide_scores"] = slides_of(measured.logits, store).summary()
        if "alphas" in finished:
            calibrated = slides_of(measured.logits, store, np.asarray(finished["alphas"], np.float64))
            found["calibrated_slide_scores"] = calibrated.summary()
    return found


def _by_score(recipe: Recipe, measured: Measured, store: TileStore) -> dict[str, Any]:
    """Pixels of all slides of a score together, as table 3 of Pham et al. 2022 has them."""
    scores = np.array([-1 if t.entry.score_index is None else t.entry.score_index for t in store.tiles], np.int64)
    found: dict[str, Any] = {}
    for code, label in enumerate(HER2_LABELS):
        mine = scores == code
        if mine.any():
            matrix = measured.by_slide[mine].sum(axis=0)
            found[label] = {"slides": int(mine.sum()), "pixels": int(matrix.sum())}
            for number, name in list(enumerate(recipe.classes))[1:]:
                values = {key: None if v is None else round(v, 4) for key, v in overlap(matrix, number).items()}
                found[label][name] = values
    return found


def held_out_lines(recipe: Recipe, metrics: Mapping[str, Any]) -> list[str]:
    """Markdown of what ``held_out_metrics`` found beyond single samples."""
    lines: list[str] = []
    for name in recipe.classes[1:]:
        rows = [(label, found) for label, found in metrics.get("by_score", {}).items() if name in found]
        if rows:
            lines += [
                f"{name.capitalize()}, pixel by pixel, by the score of the slide: the samples as they were cut, each "
                "seen alone, all pixels of the slides together.",
                "",
                "| score of the slide | slides | precision | recall | Dice |",
                "|---|---|---|---|---|",
                *(
                    f"| {label} | {found['slides']} | "
                    + " | ".join(_number(found[name][key]) for key in ("precision", "recall", "dice"))
                    + " |"
                    for label, found in rows
                ),
                "",
            ]
    for key, how in (
        ("slide_scores", "the most probable class of each patch"),
        ("calibrated_slide_scores", "the same after the factors of the logits"),
    ):
        if key in metrics:
            lines += _slide_lines(metrics[key], how)
    return lines


def _slide_lines(found: Mapping[str, Any], how: str) -> list[str]:
    error, right = found.get("share_error"), sum(row[k] for k, row in enumerate(found["confusion"]))
    shares = "" if error is None else f", mean error of the four shares {error:.1f} points"
    return [
        f"Scores of whole slides by {how}, tumour of the truth or the outline: macro F1 {found['macro_f1']:.3f}, "
        f"right on {right} of {found['slides']} slides{shares}; on {found['slides_with_broken_limits']} of them a "
        "limit of the guideline is broken.",
        "",
        f"| known score | {' | '.join(f'said {label}' for label in HER2_LABELS)} |",
        "|---|---|---|---|---|",
        *(
            f"| {label} | {' | '.join(str(n) for n in row)} |"
            for label, row in zip(HER2_LABELS, found["confusion"], strict=True)
        ),
        "",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
