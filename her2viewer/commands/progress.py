"""Progress on the terminal: a bar with the time left for people, one line a stage in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

MOST_OFTEN_S = 0.05


class TimeLeft(TimeRemainingColumn):
    """The time left in words, and nothing while it is not known."""

    def render(self, task: Task) -> Text:
        """As rich asks for it."""
        text = super().render(task)
        return (
            Text("")
            if not text.plain or "-" in text.plain or task.finished
            else Text(f"{text.plain} left", style=text.style)
        )


class StageBar:
    """One bar for the stage that is under way; the bar is gone at the end."""

    def __init__(self, console: Console, *, counted: bool = False) -> None:
        """Shown from ``with`` on.

        Args:
            console: where to; a bar is drawn on a terminal only.
            counted: "3/12" instead of "25%".
        """
        self._console, self._counted = console, counted
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._title = self._stage = ""
        self._shown = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn() if self._counted else TaskProgressColumn(),
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

    def show(self, title: str, done: float, total: float, *, line: str = "", stage: str = "") -> None:
        """How far a stage is.

        Args:
            title: beside the bar.
            done: of ``total``.
            total: 0 where it is not known.
            line: printed where there is no bar and the title is another one than before; "" prints nothing.
            stage: another one than before begins a new bar; by default each title is a stage.
        """
        stage = stage or title
        renamed, begins = title != self._title, stage != self._stage
        self._title, self._stage = title, stage
        if self._bar is None:
            if renamed and line:
                self._console.print(line, markup=False)
            return
        if begins:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(title, total=total or None)
        # Training tells of each batch: drawing all of them would take longer than they do.
        elif not renamed and done < total and time.monotonic() - self._shown < MOST_OFTEN_S:
            return
        if self._task is not None:
            self._shown = time.monotonic()
            self._bar.update(self._task, description=title, completed=done, total=total or None)
