"""A job in this process: events, result, and what a changed region costs."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from her2viewer.domain.region import Region
from her2viewer.scoring.contract import Cancelled, Partial, ScorerError
from her2viewer.scoring.job import JobEvent, JobRequest, score_slide
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from tests.helpers.array_slide import ArraySlide

SLIDE = ArraySlide(np.full((2048, 2048, 3), 240, np.uint8))


def request_for(scorer: str, region: Region) -> JobRequest:
    assert SLIDE.pixel_size is not None
    return JobRequest(
        scorer, "in-memory", SLIDE.identity, SLIDE.pixel_size, region, settings=find_scorer(scorer).complete({})
    )


def test_a_job_gives_shares_and_says_where_they_come_from(trial_scorers: Path) -> None:
    result = score_slide(request_for("grid", Region.rectangle(0, 0, 1024, 512)), SLIDE, LocalRuntime(1))
    assert result.shares is not None
    assert result.shares.amounts == (32, 32, 32, 32)
    p = result.provenance
    assert (p.scorer, p.scorer_version, p.slide_identity) == ("grid", "1", SLIDE.identity)
    assert p.region_hash == Region.rectangle(0, 0, 1024, 512).hash
    assert p.settings == {"step_px": 64}


def test_a_larger_region_scores_only_what_is_new_and_agrees_with_scoring_all(trial_scorers: Path) -> None:
    small, large = Region.rectangle(0, 0, 700, 700), Region.rectangle(0, 0, 2000, 1500)
    first = score_slide(request_for("grid", small), SLIDE, LocalRuntime(1))
    covered: list[Region] = []

    def watch(event: JobEvent) -> None:
        if isinstance(event, Partial):
            covered.append(event.covered)

    second = score_slide(request_for("grid", large), SLIDE, LocalRuntime(1), previous=first, on_event=watch)
    assert all(part.intersection(small).area_px < 1 for part in covered)
    whole = score_slide(request_for("grid", large), SLIDE, LocalRuntime(1))
    assert second.shares == whole.shares
    assert second.provenance.estimates == {"runs": 2}


def test_a_smaller_region_needs_no_scorer_at_all(trial_scorers: Path) -> None:
    first = score_slide(request_for("grid", Region.rectangle(0, 0, 1024, 1024)), SLIDE, LocalRuntime(1))
    events: list[JobEvent] = []
    second = score_slide(
        request_for("grid", Region.rectangle(0, 0, 512, 512)), SLIDE, LocalRuntime(1), first, events.append
    )
    assert len(events) == 1
    assert second.shares is not None
    assert second.shares.total == 64


def test_an_outline_elsewhere_on_the_slide_is_a_question_of_its_own(trial_scorers: Path) -> None:
    """Bug: an empty core outlined after a full one took over its verdict and its estimates."""
    first = score_slide(request_for("picky", Region.rectangle(0, 0, 512, 512)), SLIDE, LocalRuntime(1))
    elsewhere = request_for("picky", Region.rectangle(1024, 1024, 512, 512))
    second = score_slide(elsewhere, SLIDE, LocalRuntime(1), previous=first)
    assert second.not_assessable is not None
    assert second.provenance.estimates == {"runs": 1}
    assert not second.warnings


def test_glass_added_to_what_was_assessable_is_a_warning(trial_scorers: Path) -> None:
    first = score_slide(request_for("picky", Region.rectangle(0, 0, 1024, 512)), SLIDE, LocalRuntime(1))
    larger = request_for("picky", Region.rectangle(0, 0, 2000, 512))
    second = score_slide(larger, SLIDE, LocalRuntime(1), previous=first)
    assert second.not_assessable is None
    assert [w.code for w in second.warnings] == ["glass"]


def test_glass_beside_a_sliver_without_any_tumour_is_not_assessable(trial_scorers: Path) -> None:
    first = score_slide(request_for("picky", Region.rectangle(0, 0, 1024, 512)), SLIDE, LocalRuntime(1))
    sliver = request_for("picky", Region.rectangle(1000, 0, 1000, 20))
    second = score_slide(sliver, SLIDE, LocalRuntime(1), previous=first)
    assert second.not_assessable is not None


def test_other_settings_score_everything_again(trial_scorers: Path) -> None:
    region = Region.rectangle(0, 0, 1024, 1024)
    first = score_slide(request_for("grid", region), SLIDE, LocalRuntime(1))
    request = request_for("grid", region)
    request = JobRequest(**{**request.__dict__, "settings": {"step_px": 32}})
    second = score_slide(request, SLIDE, LocalRuntime(1), previous=first)
    assert second.shares is not None
    assert second.shares.total == 1024
    assert second.provenance.estimates == {"runs": 1}


def test_a_cancelled_job_stops(trial_scorers: Path) -> None:
    flag = threading.Event()
    seen: list[JobEvent] = []

    def cancel_after_three(event: JobEvent) -> None:
        seen.append(event)
        if len(seen) == 3:
            flag.set()

    with pytest.raises(Cancelled):
        score_slide(
            request_for("grid", Region.rectangle(0, 0, 2000, 2000)),
            SLIDE,
            LocalRuntime(1, flag),
            on_event=cancel_after_three,
        )
    assert len(seen) <= 4


def test_a_refusal_of_a_scorer_reaches_the_reader_as_it_is(trial_scorers: Path) -> None:
    with pytest.raises(ScorerError, match="cannot be told apart"):
        score_slide(request_for("refuses", Region.rectangle(0, 0, 500, 500)), SLIDE, LocalRuntime(1))
