"""What the window and the scoring process say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from her2viewer.scoring.job import JobEvent, JobRequest


@dataclass(frozen=True)
class Start:
    """Window: run this job."""

    job: int
    request: JobRequest


@dataclass(frozen=True)
class Prepare:
    """Window: this scorer will probably be run; do now what needs no slide."""

    scorer: str


@dataclass(frozen=True)
class Cancel:
    """Window: stop that job."""

    job: int


@dataclass(frozen=True)
class Ready:
    """Process: started, waiting for a job; later on: the work now goes to another device."""

    device: str


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


FromProcess = Ready | JobSays | JobCancelled | JobFailed | Died
