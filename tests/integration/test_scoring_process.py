"""The scoring process as the window uses it: warm, cancelled, crashed, killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.job import JobDone, JobRequest, ResultBuilder
from her2viewer.scoring.messages import Died, FromProcess, JobCancelled, JobFailed, JobSays, Ready
from her2viewer.scoring.process import ScoringProcess
from her2viewer.scoring.registry import find_scorer
from her2viewer.slides.identity import slide_identity


@pytest.fixture
def process(trial_scorers: Path) -> Iterator[ScoringProcess]:
    client = ScoringProcess()
    yield client
    client.close()
    assert not client.alive


@pytest.fixture
def slide_file(tmp_path: Path) -> Path:
    import numpy as np
    import tifffile

    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, np.full((1024, 1024, 3), 240, np.uint8), tile=(256, 256), photometric="rgb")
    return path


def request_for(scorer: str, slide: Path, side: int = 1024) -> JobRequest:
    return JobRequest(
        scorer,
        str(slide),
        slide_identity(slide) if slide.exists() else "gone",
        PixelSize(0.5, 0.5, PixelSizeSource.USER),
        Region.rectangle(0, 0, side, side),
        settings=find_scorer(scorer).complete({}),
    )


def until(client: ScoringProcess, *kinds: type, seconds: float = 60) -> list[FromProcess]:
    said: list[FromProcess] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = client.receive(0.1)
        if message is not None:
            said.append(message)
            done = isinstance(message, JobSays) and isinstance(message.event, JobDone)
            if isinstance(message, kinds) or (done and JobDone in kinds):
                return said
    raise AssertionError(f"nothing of {kinds} within {seconds} s, only {said}")


def test_a_job_runs_and_its_arrays_arrive(process: ScoringProcess, slide_file: Path) -> None:
    request = request_for("grid", slide_file)
    process.start(request)
    said = until(process, JobDone)
    assert isinstance(said[0], Ready)
    builder = ResultBuilder(request, find_scorer("grid"), None)
    for message in said[1:]:
        assert isinstance(message, JobSays)
        builder.add(message.event)
    assert isinstance(said[-1], JobSays)
    assert isinstance(said[-1].event, JobDone)
    result = builder.result(said[-1].event)
    (table,) = result.evidence
    assert isinstance(table, CellTable)
    assert len(table) == 256
    assert result.shares is not None
    assert result.shares.amounts == (64, 64, 64, 64)


def test_the_process_is_kept_warm_between_jobs(process: ScoringProcess, slide_file: Path) -> None:
    process.start(request_for("grid", slide_file))
    until(process, JobDone)
    first = process.pid
    process.start(request_for("grid", slide_file))
    until(process, JobDone)
    assert process.pid == first


def test_a_warmed_up_process_lets_the_scorer_prepare_before_any_run(
    process: ScoringProcess, slide_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAL_PREPARED", str(tmp_path))
    assert process.warm_up("grid")
    until(process, Ready)
    deadline = time.monotonic() + 30
    while not (tmp_path / "64").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not process.warm_up("grid")
    process.start(request_for("grid", slide_file))
    until(process, JobDone)


def test_a_scorer_that_cannot_prepare_spoils_nothing(process: ScoringProcess, slide_file: Path) -> None:
    process.warm_up("noimport")
    process.start(request_for("grid", slide_file))
    until(process, JobDone)


def test_a_cancel_stops_a_scorer_that_listens_and_keeps_the_process(
    process: ScoringProcess, slide_file: Path
) -> None:
    process.start(request_for("slow", slide_file))
    until(process, JobSays)
    pid = process.pid
    process.cancel()
    until(process, JobCancelled, seconds=10)
    assert process.alive
    assert process.pid == pid


def test_a_cancel_ends_the_process_of_a_scorer_that_does_not_listen(
    process: ScoringProcess, slide_file: Path
) -> None:
    process.start(request_for("deaf", slide_file))
    # Only once it has begun: before that a cancel is seen by the core, and the process lives on.
    until(process, JobSays)
    process.cancel()
    until(process, JobCancelled, seconds=10)
    assert not process.alive
    process.start(request_for("grid", slide_file))
    until(process, JobDone)


def test_a_process_killed_from_outside_is_a_sentence_and_the_next_run_works(
    process: ScoringProcess, slide_file: Path
) -> None:
    process.start(request_for("slow", slide_file))
    until(process, JobSays)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    died = until(process, Died)[-1]
    assert isinstance(died, Died)
    assert "ended from outside" in died.sentence
    process.start(request_for("grid", slide_file))
    until(process, JobDone)


def test_a_crash_in_native_code_leaves_a_log(process: ScoringProcess, slide_file: Path) -> None:
    process.start(request_for("crash", slide_file))
    died = until(process, Died)[-1]
    assert isinstance(died, Died)
    assert "crashed" in died.sentence
    assert "Fatal Python error" in died.log


@pytest.mark.parametrize(
    ("scorer", "words"),
    [("memory", "memory"), ("bug", "ZeroDivisionError"), ("refuses", "cannot be told apart"), ("noimport", "loaded")],
)
def test_a_failing_scorer_is_a_sentence_and_the_process_lives(
    process: ScoringProcess, slide_file: Path, scorer: str, words: str
) -> None:
    process.start(request_for(scorer, slide_file))
    failed = until(process, JobFailed)[-1]
    assert isinstance(failed, JobFailed)
    assert words in failed.sentence
    assert "Traceback" in failed.log
    assert process.alive


def test_prints_of_a_scorer_do_not_disturb_the_messages(process: ScoringProcess, slide_file: Path) -> None:
    process.start(request_for("chatty", slide_file))
    until(process, JobDone)


def test_a_slide_that_is_gone_is_a_sentence(process: ScoringProcess, slide_file: Path) -> None:
    process.start(request_for("grid", slide_file.with_name("gone.tif")))
    failed = until(process, JobFailed)[-1]
    assert isinstance(failed, JobFailed)
    assert "gone.tif" in failed.sentence


def test_the_process_ends_when_its_window_is_gone(process: ScoringProcess, slide_file: Path) -> None:
    process.start(request_for("deaf", slide_file))
    until(process, Ready)
    handle = process._process
    assert handle is not None
    assert handle.stdin is not None
    handle.stdin.close()
    assert handle.wait(timeout=10) == 0


def test_a_message_that_cannot_be_read_ends_the_run_and_not_the_window(
    process: ScoringProcess, slide_file: Path
) -> None:
    process.start(request_for("riddle", slide_file))
    died = until(process, Died)[-1]
    assert isinstance(died, Died)
    assert "could not be read" in died.sentence
    assert not process.alive
    process.start(request_for("grid", slide_file))
    until(process, JobDone)


def test_another_slide_under_the_same_name_is_not_scored_as_the_one_that_is_shown(
    process: ScoringProcess, slide_file: Path
) -> None:
    import numpy as np
    import tifffile

    request = request_for("grid", slide_file)
    tifffile.imwrite(slide_file, np.full((512, 512, 3), 99, np.uint8), tile=(256, 256), photometric="rgb")
    process.start(request)
    failed = until(process, JobFailed)[-1]
    assert isinstance(failed, JobFailed)
    assert "changed since it was opened" in failed.sentence
