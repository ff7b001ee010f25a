"""Progress of a run on the terminal: a bar with the time left for people, one line a stage in a log."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.progress import TimeRemainingColumn
from rich.text import Text

from her2viewer.scoring.contract import Progress as ProgressEvent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID


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


class ScoringProgress:
    """Shows the events of a job while it runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""

    def __enter__(self) -> ScoringProgress:
        if self._console.is_terminal and not self._console.quiet:
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
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

    def on_event(self, event: Any) -> None:
        """Take in one event of the job."""
        if not isinstance(event, ProgressEvent):
            return
        if event.stage != self._stage:
            self._stage = event.stage
            if self._bar is None:
                self._console.print(f"{event.stage} ...", markup=False)
            else:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(event.stage, total=event.total or None)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=event.done, total=event.total or None)
