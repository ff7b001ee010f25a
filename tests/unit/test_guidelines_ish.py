"""Every cell of the tables of in-situ hybridisation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.guidelines.ish import BREAST, GASTRIC, dual_probe, load_ish, read_ish_table, single_probe
from her2viewer.guidelines.profiles import ProfileError

TABLE = load_ish(BREAST)

# group, ratio, copies, status with IHC 0/1+, with 2+ after a recount in the same group, with 3+, whether commented
DUAL = [
    ("1", 2.0, 4.0, "positive", "positive", "positive", False),
    ("2", 2.0, 3.9, "negative", "negative", "positive", True),
    ("3", 1.9, 6.0, "negative", "positive", "positive", True),
    ("4", 1.9, 4.0, "negative", "negative", "positive", True),
    ("4", 1.9, 5.9, "negative", "negative", "positive", True),
    ("5", 1.9, 3.9, "negative", "negative", "negative", False),
]


@pytest.mark.parametrize(("group", "ratio", "copies", "low", "two", "three", "commented"), DUAL)
def test_each_group_of_the_dual_probe(
    group: str, ratio: float, copies: float, low: str, two: str, three: str, commented: bool
) -> None:
    for ihc, status in [(0, low), (1, low), (2, two), (3, three)]:
        answer = dual_probe(TABLE, ratio, copies, ihc, recount=(ratio, copies))
        assert (answer.group, answer.status) == (group, status)
        assert bool(answer.comments) == commented
        assert answer.next_steps == ()


@pytest.mark.parametrize(("ratio", "copies"), [(2.5, 3.0), (1.5, 7.0), (1.5, 5.0)])
def test_groups_2_to_4_with_2_wait_for_a_blinded_recount(ratio: float, copies: float) -> None:
    waiting = dual_probe(TABLE, ratio, copies, 2)
    assert waiting.status == ""
    assert "20 cells" in waiting.next_steps[0]
    elsewhere = dual_probe(TABLE, ratio, copies, 2, recount=(1.0, 2.0))
    assert elsewhere.status == ""
    assert "adjudicate" in elsewhere.next_steps[0]


def test_groups_1_and_5_need_no_recount_and_no_score() -> None:
    assert dual_probe(TABLE, 3.0, 8.0, 2).status == "positive"
    assert dual_probe(TABLE, 1.0, 2.0, None).status == "negative"
    unknown = dual_probe(TABLE, 1.5, 7.0, None)
    assert unknown.status == ""
    assert "immunohistochemistry" in unknown.next_steps[0]


@pytest.mark.parametrize(
    ("copies", "ihc", "status"),
    [(6.0, 2, "positive"), (3.9, 2, "negative"), (5.0, 3, "positive"), (5.0, 1, "negative"), (4.0, 0, "negative")],
)
def test_each_row_of_the_single_probe(copies: float, ihc: int, status: str) -> None:
    assert single_probe(TABLE, copies, ihc).status == status


def test_a_single_probe_between_the_limits_with_2_asks_for_a_dual_probe() -> None:
    for copies in (4.0, 5.9):
        answer = single_probe(TABLE, copies, 2)
        assert (answer.status, answer.next_steps) == ("", ("Test with a dual probe.",))
    assert single_probe(TABLE, 5.0, None).status == ""


def test_the_stomach_takes_the_ratio_and_marks_the_signals_as_to_be_confirmed() -> None:
    table = load_ish(GASTRIC)
    assert dual_probe(table, 2.0, 3.0, 2).status == "positive"
    assert dual_probe(table, 1.9, 5.9, 2).status == "negative"
    by_signals = dual_probe(table, 1.9, 6.0, 2)
    assert by_signals.status == "positive"
    assert any("To be confirmed" in c for c in by_signals.comments)
    with pytest.raises(ValueError, match="single probe"):
        single_probe(table, 5.0, 2)


@given(ratio=st.floats(0, 100), copies=st.floats(0, 100), ihc=st.sampled_from([None, 0, 1, 2, 3]))
def test_every_count_falls_into_exactly_one_group(ratio: float, copies: float, ihc: int | None) -> None:
    answer = dual_probe(TABLE, ratio, copies, ihc)
    assert answer.group in {"1", "2", "3", "4", "5"}
    assert bool(answer.status) != bool(answer.next_steps)


def test_numbers_that_cannot_be_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="0 upwards"):
        dual_probe(TABLE, -1.0, 4.0, 2)
    with pytest.raises(ValueError, match="0 upwards"):
        single_probe(TABLE, float("nan"), 2)


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text('format = 1\nid = "x"\ntitle = "x"\nreference = ""\n', encoding="utf-8")
    with pytest.raises(ProfileError, match=r"table\.toml lacks the entry groups"):
        read_ish_table(path)
