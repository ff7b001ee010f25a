"""From steps and frames to what a reader waited."""

from __future__ import annotations

from dataclasses import replace

import pytest

from her2viewer.commands.bench_window import Shown, answers
from her2viewer.viewer.canvas.viewport import Viewport

VIEW = Viewport(0, 0, 1.0, 100, 100)


def at(seconds: float, place: float) -> Shown:
    return Shown(seconds, replace(VIEW, cx=place))


def test_each_step_waits_for_the_first_frame_that_shows_it_or_a_later_one() -> None:
    steps = [at(0.00, 1), at(0.10, 2), at(0.20, 3)]
    frames = [at(0.01, 1), at(0.25, 3)]
    assert answers(steps, frames) == pytest.approx([10, 150, 50])


def test_a_view_that_comes_back_is_not_taken_for_one_that_is_still_to_be_asked_for() -> None:
    steps = [at(0.00, 1), at(0.10, 2), at(0.20, 1)]
    frames = [at(0.01, 1), at(0.11, 2), at(0.26, 1)]
    assert answers(steps, frames) == pytest.approx([10, 10, 60])


def test_steps_without_a_frame_are_left_out() -> None:
    assert answers([at(0.0, 1), at(0.1, 2)], [at(0.05, 1)]) == pytest.approx([50])
    assert answers([at(0.0, 1)], [at(-0.1, 1)]) == []
