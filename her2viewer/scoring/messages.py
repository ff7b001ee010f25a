"""What the window and the scoring process say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from her2viewer.scoring.job import JobEvent, JobRequest
from her2viewer.scoring.working_on import NoGpu


@dataclass(frozen=True)
class Start:
    """Window: run this job."""

    job: int
    request: JobRequest


@dataclass(frozen=True)
class Prepare:
    """Window: this scorer will probably be run; do now what needs no slide."""

    scorer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that were chosen, over the defaults."""


@dataclass(frozen=True)
class Cancel:
    """Window: stop that job."""

    job: int


@dataclass(frozen=True)
class Ready:
    """Process: started, waiting for a job; in a run: where its networks work."""

    device: str
    no_gpu: NoGpu | None = None
    """Why the networks of the run work on no GPU."""
    loaded: bool = False
    """Whether there are any yet: what is said before is no more than the usual."""


@dataclass(frozen=True)
class Prepared:
    """Process: that scorer is ready, or could not be prepared, which a run of it will explain."""

    scorer: str
    device: str
    no_gpu: NoGpu | None = None


@dataclass(frozen=True)
class JobSays:
    """Process: an event of a job; the last one is ``JobDone``."""

    job: int
    event: JobEvent


@dataclass(frozen=True)
class JobCancelled:
    """Process: that job has stopped as asked."""

    job: int


@dataclass(frozen=True)
class JobFailed:
    """Process: that job has failed; the process lives on."""

    job: int
    sentence: str
    log: str


@dataclass(frozen=True)
class Died:
    """Said by the client itself: the process has ended unasked."""

    sentence: str
    log: str


FromProcess = Ready | Prepared | JobSays | JobCancelled | JobFailed | Died
