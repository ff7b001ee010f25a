"""Progress of a run on the terminal."""

from __future__ import annotations

from typing import Any

from her2viewer.commands.progress import StageBar
from her2viewer.scoring.contract import Progress


class ScoringProgress(StageBar):
    """Shows the events of a job while it runs."""

    def on_event(self, event: Any) -> None:
        """Take in one event of the job."""
        if isinstance(event, Progress):
            self.show(event.stage, event.done, event.total, line=f"{event.stage} ...")
