"""Readers against one another and against scorers: tables of shares, statuses, heterogeneity, close calls."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from her2viewer.commands import evaluate
from her2viewer.guidelines.profiles import load_profiles
from her2viewer.training.agreement import entropy_by_concordance
from her2viewer.training.evaluation.measures import answers, close_calls
from her2viewer.training.evaluation.readers import PairsError, against, read_pairs, read_readers, two_readers
from her2viewer.training.evaluation.run import reader_report
from her2viewer.training.evaluation.slides import STATUSES, SlideRow
from her2viewer.training.evaluation.statuses import status_report

pytest.importorskip("sklearn", reason="scikit-learn (extra 'evaluate') is not installed")

PROFILES = load_profiles()
PAPER = np.array([[41, 3, 0], [2, 8, 1], [0, 6, 10]])
"""Table 2 of Vandenberghe et al. 2017: automated score (row) by pathologist (column), 71 slides."""
SHARES = {0: (70, 22, 8, 0), 1: (30, 30, 30, 10), 2: (20, 20, 40, 20)}
"""A negative, an equivocal and a positive slide by the rule of the paper; 3+ of 10 % is not more than 10 %."""
COLUMNS = [f"{who}_{k}" for who in ("truth", "predicted") for k in range(4)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The 71 slides of the paper, as shares alone."""
    lines = [",".join(["slide", *COLUMNS])]
    for (automated, pathologist), count in np.ndenumerate(PAPER):
        for _ in range(count):
            numbers = (*SHARES[pathologist], *SHARES[automated])
            lines.append(",".join([f"s{len(lines)}", *map(str, numbers)]))
    path = tmp_path / "readers.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = evaluate.main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_shares_of_71_slides_give_table_2_of_the_paper(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, value = asked(capsys, "--pairs", table)
    assert code == 0
    (reader,) = value["readers"]
    status = next(level for level in reader["levels"] if level["level"] == "status")
    assert status["labels"] == ["negative", "equivocal", "positive"]
    assert (np.array(status["confusion_truth_by_predicted"]).T == PAPER).all()
    measures = {m["name"]: m for m in status["measures"] if not m["of"]}
    published = {"accuracy": (0.83, 0.74, 0.92), "kappa": (0.69, 0.55, 0.84), "kendall_tau_b": (0.84, 0.75, 0.93)}
    for name, (printed, low, high) in published.items():
        assert round(measures[name]["value"], 2) == printed
        # The paper fits a normal curve to its draws, here they are percentiles.
        assert measures[name]["low"] == pytest.approx(low, abs=0.025)
        assert measures[name]["high"] == pytest.approx(high, abs=0.025)
    for who in ("truth", "predicted"):
        assert (reader["entropy_by_concordance"][who]["concordant_n"], 12) == (
            59,
            reader["entropy_by_concordance"][who]["discordant_n"],
        )


def test_people_see_the_table_as_the_paper_prints_it(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--pairs", str(table)]) == 0
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    start = next(k for k, line in enumerate(lines) if line[:2] == ["predicted", "\\"])
    assert lines[start][3:] == ["negative", "equivocal", "positive"]
    for row, line in zip(PAPER, lines[start + 1 : start + 4], strict=True):
        assert line[1:] == [str(v) for v in row]
    sentence = " ".join(text.split())
    assert "overall agreement 0.83 (0.7" in sentence
    assert "Cohen's kappa 0.69 (0.5" in sentence
    assert "Kendall's tau-b 0.84 (0.7" in sentence
    assert "1,000 draws" in sentence
    assert "Wilcoxon rank sum W" in sentence
    assert "published: 0.71 and 1.04" in sentence


def test_the_rank_sum_counts_the_slides_that_agree_as_the_paper_does() -> None:
    # 59 and 12 slides without ties: the paper prints W 162 and p 0.003 for the scorer's shares.
    first = np.linspace(0, 30, 71)
    agree = np.ones(71, bool)
    # W is how often an agreeing slide is above another one: 12 slides that leave 162 of 708 pairs so.
    above = np.array([14] * 6 + [13] * 6)
    places = 59 - above + np.arange(12)
    agree[places] = False
    assert agree.sum() == 59
    percent = np.stack([100 - first, first, np.zeros(71), np.zeros(71)], axis=1)
    found = entropy_by_concordance(percent, agree)
    pairs = sum(int((np.flatnonzero(agree) > place).sum()) for place in np.flatnonzero(~agree))
    assert found["w"] == pairs
    assert found["w"] == 162
    assert found["p"] == pytest.approx(0.003, abs=0.0005)
    assert np.isnan(entropy_by_concordance(percent, np.ones(71, bool))["w"])


def test_another_profile_makes_scores_of_the_shares(table: Path) -> None:
    tables, labels = read_pairs(table, PROFILES["asco_cap_2018_2023"])
    assert labels == ("0", "1+", "2+", "3+")
    assert {r.truth for r in tables["predicted"]} == {1, 2, 3}
    tables, labels = read_pairs(table)
    assert labels == STATUSES
    assert np.bincount([r.truth for r in tables["predicted"]]).tolist() == PAPER.sum(axis=0).tolist()


def test_a_score_that_is_written_counts_before_the_shares(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(
        "slide,truth,predicted,truth_0,truth_1,truth_2,truth_3,predicted_0,predicted_1,predicted_2,predicted_3\n"
        "a,1+,,40,40,20,0,0,0,0,100\n"
        "b,,not assessable,40,40,20,0,0,0,0,100\n"
        "c,2+,,,,,,,,,\n",
        encoding="utf-8",
    )
    tables, labels = read_pairs(path)
    assert labels == ("0", "1+", "2+", "3+")
    assert [(r.truth, r.predicted) for r in tables["predicted"]] == [(1, 3), (2, None), (2, None)]


def test_decimal_commas_of_a_spreadsheet_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(";".join(["slide", *COLUMNS]) + "\na;50,5;49,5;0;0;0;0;0;100 %\n", encoding="utf-8")
    (row,) = read_pairs(path)[0]["predicted"]
    assert row.truth_shares == (50.5, 49.5, 0, 0)
    assert (row.truth, row.predicted) == (0, 2)


def test_statuses_come_from_scores_where_scores_are_known() -> None:
    rows = [
        SlideRow(f"s{k}", f"s{k}", truth, told) for k, (truth, told) in enumerate([(0, 1), (1, 1), (2, 3), (3, 3)])
    ]
    report = status_report(rows, ("0", "1+", "2+", "3+"), (20, 1))
    assert report is not None
    assert report.confusion.tolist() == [[2, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert status_report([SlideRow("a", "a", 1, None)], ("0", "1+", "2+", "3+"), (20, 1)) is None


def test_wrong_and_right_answers_are_counted_by_whether_they_are_close() -> None:
    told = [(0, 0, False), (1, 1, True), (2, 1, True), (2, 3, True), (3, 2, False)]
    rows = [SlideRow(f"s{k}", "g", truth, score, close=close) for k, (truth, score, close) in enumerate(told)]
    expected = {"wrong": 3, "wrong_and_close": 2, "right": 2, "right_and_close": 1}
    # What has no answer or no truth is neither.
    more = [SlideRow("x", "g", 1, None), SlideRow("y", "g", None, 2, close=True)]
    assert close_calls([*rows, *more]) == expected
    assert answers(rows)["close_calls"] == expected
    assert close_calls([SlideRow("z", "g", 1, 1)]) == {}


def test_a_scorer_is_held_against_each_person_and_persons_against_one_another(tmp_path: Path) -> None:
    path = tmp_path / "persons.csv"
    path.write_text(
        "slide,reader,score,share_0,share_1,share_2,share_3\n"
        "a,Dr A,0,,,,\nb,Dr A,,10,10,10,70\na,Dr B,1+,,,,\nc,Dr B,2,,,,\n",
        encoding="utf-8",
    )
    persons = read_readers(path, PROFILES["asco_cap_2018_2023"])
    assert {name: {s: r.code for s, r in mine.items()} for name, mine in persons.items()} == {
        "Dr A": {"a": 0, "b": 3},
        "Dr B": {"a": 1, "c": 2},
    }
    assert persons["Dr A"]["b"].shares == (10, 10, 10, 70)
    rows = [SlideRow(s, f"patient {s}", 2, 3, (0, 0, 100, 0), (0, 0, 0, 100), close=True) for s in "abc"]
    mine = against(rows, persons["Dr A"])
    assert [(r.slide, r.truth, r.predicted, r.truth_shares) for r in mine] == [
        ("a", 0, 3, None),
        ("b", 3, 3, (10, 10, 10, 70)),
    ]
    assert reader_report("x against Dr A", "1", mine, [], draws=(10, 1)).answers["compared"] == 2
    both = two_readers(persons["Dr A"], persons["Dr B"], {"a": "patient a"})
    assert [(r.slide, r.group, r.truth, r.predicted) for r in both] == [("a", "patient a", 0, 1)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("slide,reader\na,Dr A\n", r"lacks the column score \(or share_0 to share_3\)"),
        ("slide,score\na,4+\n", r"Line 2, score: '4\+' is none of"),
        ("slide,score\na,1\na,2\n", "Line 3: the slide a stands twice for reader"),
        ("slide,share_0,share_1,share_2,share_3\na,10,10,10,10\n", "the shares share_0 to share_3 add up to 40 %"),
        ("slide,share_0,share_1,share_2,share_3\na,x,10,10,10\n", "must be percentages"),
        ("slide,score\n", "holds no slides"),
    ],
)
def test_what_is_wrong_with_a_table_of_persons_is_told(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "persons.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PairsError, match=sentence):
        read_readers(path, PROFILES["asco_cap_2018_2023"])
