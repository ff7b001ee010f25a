"""How shares are spread by the known score of the slide."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="matplotlib (extra 'evaluate') is not installed")
pytest.importorskip("sklearn", reason="scikit-learn (extra 'evaluate') is not installed")

from her2viewer.training.evaluation.distributions import (
    Distribution,
    distributions,
    write_distributions,
)
from her2viewer.training.evaluation.run import reader_report
from her2viewer.training.evaluation.slides import STATUSES, SlideRow


def row(slide: str, truth: int | None, shares: tuple[float, float, float, float] | None) -> SlideRow:
    return SlideRow(slide, slide, truth, truth, None, shares)


ROWS = (
    row("a", 1, (60, 36, 4, 0)),
    row("b", 1, (50, 36, 14, 0)),
    row("c", 1, (92, 8, 0, 0)),
    row("d", 0, (70, 30, 0, 0)),
    row("unknown", None, (100, 0, 0, 0)),
    row("no shares", 3, None),
)


def test_shares_are_grouped_by_known_score_and_slides_without_either_are_left_out() -> None:
    found = {(d.score, d.grade): d for d in distributions(ROWS)}
    assert {score for score, _ in found} == {0, 1}
    assert found[1, 2].shares.tolist() == [4, 14, 0]


def test_slides_beyond_the_limit_of_their_score_are_counted() -> None:
    found = {(d.score, d.grade): d for d in distributions(ROWS)}
    assert (found[1, 0].limit, found[1, 0].beyond) == (None, None), "lower classes are free"
    assert (found[1, 1].limit, found[1, 1].beyond) == (10, 1), "one slide has too little of its own class"
    assert (found[1, 2].limit, found[1, 2].beyond) == (10, 1), "one has too much of a higher one"
    assert (found[0, 0].limit, found[0, 0].beyond) == (70, 0)
    assert (found[0, 1].limit, found[0, 1].beyond) == (10, 1)


def test_exactly_ten_per_cent_is_enough_of_the_own_class_and_too_much_of_a_higher_one() -> None:
    # 0.1 * 3 / 3 and the like are not 10 exactly.
    assert Distribution(1, 1, np.array([10 - 1e-12])).beyond == 0
    assert Distribution(1, 2, np.array([10 - 1e-12])).beyond == 1


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_a_density_holds_all_slides_between_nothing_and_everything(shares: list[float]) -> None:
    at = np.linspace(0, 100, 2001)
    density = Distribution(2, 1, np.array(shares)).density(at)
    assert np.trapezoid(density, at) == pytest.approx(1, abs=0.02)


def test_table_and_picture_are_written(tmp_path: Path) -> None:
    reader = reader_report("membrane 1", "1", ROWS, [], draws=(10, 1))
    names = {p.name for p in write_distributions(tmp_path, [reader])}
    assert names == {"share_distributions.csv", "membrane_1_share_distributions.png"}
    with (tmp_path / "share_distributions.csv").open() as file:
        lines = {(r["known_score"], r["share_of"]): r for r in csv.DictReader(file)}
    assert len(lines) == 8
    assert float(lines["1+", "1+"]["median"]) == 36
    assert lines["1+", "2+"]["slides_beyond_limit"] == "1"
    assert lines["1+", "0"]["limit"] == ""


def test_readers_without_shares_or_with_other_classes_give_no_files(tmp_path: Path) -> None:
    without = reader_report("a", "", [row("a", 1, None)], [], draws=(5, 1))
    statuses = reader_report("b", "", [row("a", 1, (1, 1, 1, 97))], [], labels=STATUSES, draws=(5, 1))
    assert write_distributions(tmp_path, [without, statuses]) == []
    assert list(tmp_path.iterdir()) == []
