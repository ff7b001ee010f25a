"""Progress of a training: a bar with the time left for people, one line an epoch for both people and logs."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from her2viewer.commands.score_progress import TimeLeft

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from her2viewer.training.recipe import Recipe

MOST_OFTEN_S = 0.1


class TrainProgress:
    """Shows what ``run_training`` says."""

    def __init__(self, console: Console, recipe: Recipe) -> None:
        self._console, self._recipe = console, recipe
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._title = ""
        self._shown = 0.0
        self._seconds: list[float] = []

    def __enter__(self) -> TrainProgress:
        if self._console.is_terminal and not self._console.quiet:
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeLeft(compact=True),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, title: str, done: int, total: int, entry: dict[str, Any] | None) -> None:
        """See ``training.fit.Means``."""
        if entry is not None:
            self._epoch(entry)
            return
        if title != self._title:
            self._title = title
            if self._bar is not None:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(title, total=total or None)
            elif "epoch" not in title:
                self._console.print(f"{title} ...", markup=False)
        if self._bar is not None and self._task is not None and time.monotonic() - self._shown > MOST_OFTEN_S:
            self._shown = time.monotonic()
            self._bar.update(self._task, completed=done, total=total or None)

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
