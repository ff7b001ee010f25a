"""Bug: a small slide set beside a large one, away from its middle, opened on an empty view."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from her2viewer.viewer.compare.aligner import Aligner


@pytest.fixture
def aligner(qtbot: QtBot) -> Aligner:
    """A slide of 500 x 400 px at half the pixel size beside one of 16,000 x 16,000 px."""
    return Aligner((16_000, 16_000), (500, 400), 2.0)


def test_where_middle_on_middle_shows_nothing_the_other_slide_comes_to_the_place_in_view(aligner: Aligner) -> None:
    aligner.guess_from(8250, 13_500)
    assert aligner.alignment.transform.apply(8250, 13_500) == pytest.approx((250, 200))
    assert aligner.alignment.transform.scale == 2.0
    assert not aligner.alignment.known


def test_middle_on_middle_stays_where_it_shows_tissue(aligner: Aligner) -> None:
    before = aligner.alignment
    aligner.guess_from(8100, 7950)
    assert aligner.alignment == before


def test_what_the_reader_aligned_is_never_guessed_anew(aligner: Aligner) -> None:
    aligner.mark_here(1000, 1000)
    aligner.mark_there(50, 60)
    aligned = aligner.alignment
    aligner.guess_from(15_000, 15_000)
    assert aligner.alignment == aligned
