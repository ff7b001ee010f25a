"""Progress of a training: a bar with the time left for people, one line an epoch for both people and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from her2viewer.commands.progress import StageBar

if TYPE_CHECKING:
    from rich.console import Console

    from her2viewer.training.recipe import Recipe


class TrainProgress(StageBar):
    """Shows what ``run_training`` says."""

    def __init__(self, console: Console, recipe: Recipe) -> None:
        super().__init__(console)
        self._recipe = recipe
        self._seconds: list[float] = []

    def say(self, title: str, done: int, total: int, entry: dict[str, Any] | None) -> None:
        """See ``training.fit.Means``."""
        if entry is not None:
            self._epoch(entry)
        else:
            # An epoch has its line at its end.
            self.show(title, done, total, line="" if "epoch" in title else f"{title} ...")

    def _epoch(self, entry: dict[str, Any]) -> None:
        stage = next(s for s in self._recipe.stages if s.name == entry["stage"])
        self._seconds = [*self._seconds[-4:], float(entry["seconds"])]
        left = (stage.epochs - entry["epoch"]) * sum(self._seconds) / len(self._seconds)
        seen = (
            f"validation loss {entry['validation_loss']:.4f}, macro F1 {entry['macro_f1']:.3f}"
            if "validation_loss" in entry
            else "no validation"
        )
        if "slide_macro_f1" in entry:
            seen += (
                f", macro F1 of slides {entry['slide_macro_f1']:.3f}, limits broken by {entry['limits_broken']:.4f}"
            )
        mark = ", best so far" if entry["best"] else ""
        self._console.print(
            f"{entry['stage']}, epoch {entry['epoch']}: loss {entry['train_loss']:.4f}, {seen}{mark} "
            f"({entry['seconds']:.0f} s; at most {max(1, round(left / 60))} min left in this stage)",
            markup=False,
        )
