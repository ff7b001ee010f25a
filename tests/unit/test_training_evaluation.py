"""The parts of an evaluation: matching, units, tables of pairs, reports."""

from __future__ import annotations

import json

import numpy as np
import pytest

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result
from her2viewer.training.dataset import SlideEntry
from her2viewer.training.evaluation.measures import answers, compare, level_report, share_report
from her2viewer.training.evaluation.readers import PairsError, read_pairs
from her2viewer.training.evaluation.report import as_json
from her2viewer.training.evaluation.run import reader_report
from her2viewer.training.evaluation.scored import ScoredSlide
from her2viewer.training.evaluation.slides import SlideRow, slide_units
from her2viewer.training.evaluation.truth import TrueCells
from her2viewer.training.evaluation.units import Places, Units, cell_units, joined, match, upper_shares

pytest.importorskip("scipy", reason="SciPy (extra 'evaluate') is not installed")


def row(slide: str, truth: int | None, predicted: int | None, **more) -> SlideRow:
    return SlideRow(slide, more.pop("group", slide), truth, predicted, **more)


def test_cells_are_matched_one_to_one_and_the_nearest_first():
    true_xy = np.array([[0.0, 0], [2, 0], [50, 50]])
    found_xy = np.array([[1.8, 0], [0.9, 0], [80, 80]])
    first, second = match(true_xy, found_xy, 3)
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_a_match_is_never_farther_than_the_reach_and_nothing_matches_nothing():
    assert len(match(np.array([[0.0, 0]]), np.array([[3.1, 0]]), 3)[0]) == 0
    assert len(match(np.zeros((0, 2)), np.zeros((4, 2)), 3)[0]) == 0


def test_slides_without_truth_or_answer_are_counted_and_named():
    rows = [row("a", 1, 1), row("b", None, 2), row("c", 3, None, reason="empty glass")]
    found = answers(rows)
    assert (found["slides"], found["compared"]) == (3, 1)
    assert found["without_truth"] == ["b"]
    assert found["without_answer"] == [{"slide": "c", "truth": 3, "reason": "empty glass"}]
    assert len(slide_units(rows)) == 1


def test_intervals_are_drawn_by_patient():
    # Many slides of two patients: by slide the interval would be narrow, by patient it is the whole range.
    rows = [row(f"a{k}", 0, 0, group="p1") for k in range(30)] + [row(f"b{k}", 0, 1, group="p2") for k in range(30)]
    accuracy = next(m for m in level_report(slide_units(rows)).measures if m.name == "accuracy")
    assert accuracy.value == 0.5
    assert (accuracy.low, accuracy.high) == (0, 1)


def test_one_slide_gives_figures_without_intervals_and_says_so():
    report = level_report(slide_units([row("a", 2, 2)]))
    assert report.value("accuracy") == 1
    assert all(np.isnan(m.low) for m in report.measures)
    assert any("One slide" in n for n in report.notes)
    assert any("Only the class 2+" in n for n in report.notes)


def test_no_slide_at_all_gives_a_report_without_figures():
    report = level_report(slide_units([row("a", None, None)]))
    assert report.n == 0
    assert np.isnan(report.value("accuracy"))


def test_roc_areas_of_the_cut_points_equal_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 2000)
    amounts = rng.dirichlet((3, 2, 1, 1), 2000) + 0.3 * np.eye(4)[truth]
    values = np.array([upper_shares(a) for a in amounts])
    groups = np.array([f"s{k % 20}" for k in range(2000)])
    labels = ("0", "1+", "2+", "3+")
    report = level_report(Units("patch", labels, truth, truth, groups, values), draws=50)
    for cut, m in enumerate(m for m in report.measures if m.name == "auc"):
        # More distinct values than bins: near, not equal.
        assert m.value == pytest.approx(metrics.roc_auc_score(truth > cut, values[:, cut]), abs=0.002)
        assert m.low < m.value < m.high


def test_finding_cells_is_measured_over_all_slides_whatever_their_class():
    nothing, none = np.zeros(0, np.int64), np.zeros(0, str)
    parts = [
        Units("cell", ("0", "1+"), nothing, nothing, none, places=(Places(name, scanner, *counts),))
        for name, scanner, counts in (("a", "white", (100, 80, 90, 85)), ("b", "grey", (20, 10, 30, 10)))
    ]
    units = joined(parts)
    assert units is not None
    report = level_report(units, draws=200)
    assert report.value("detection", "precision") == 95 / 120
    assert report.value("detection", "recall") == 90 / 120
    assert report.value("detection", "F1") == pytest.approx(2 / (120 / 95 + 120 / 90))
    f1 = next(m for m in report.measures if (m.name, m.of) == ("detection", "F1"))
    assert report.value("detection", "F1, scanner grey") == pytest.approx(2 * 10 / 50)
    assert report.value("detection", "F1, scanner white") == pytest.approx(2 / (90 / 85 + 100 / 80))
    assert 2 * 10 / 50 <= f1.low < f1.value < f1.high <= 2 / (90 / 85 + 100 / 80)


def test_a_cell_whose_nucleus_the_section_has_missed_need_not_be_found_and_may_be(tmp_path):
    """Found: a nucleus, a cell without one, and nothing; left alone: a nucleus and a cell without one."""
    places = [(10.0, True), (20.0, False), (30.0, True), (40.0, False)]
    truth = TrueCells(
        np.array([x for x, _ in places]),
        np.zeros(4),
        np.zeros(4, np.uint8),
        np.array([shown for _, shown in places]),
    )
    found = CellTable(
        "Cells",
        ClassScheme(("artefact", "0"), (-1, 0)),
        np.array([10, 20, 90, 30], np.float32),
        np.zeros(4, np.float32),
        np.array([1, 1, 1, 0], np.uint8),
    )
    entry = SlideEntry("s", tmp_path / "s.tif", scanner="white")
    region = Region.rectangle(-5, -5, 200, 200)
    result = Result(Provenance("cells", "1", "0", "s", region.hash, 1.0, "from file", "CPU", {}), region, (found,))
    units = cell_units(ScoredSlide(entry, region, 1.0, result), truth, "s")
    assert units is not None
    assert units.places == (Places("s", "white", known=2, met=1, found=3, right=2),)


def test_upper_shares_of_no_tumour_are_unknown():
    assert np.isnan(upper_shares((0, 0, 0, 0))).all()
    assert upper_shares((60, 20, 15, 5)) == pytest.approx((0.4, 0.2, 0.05))


def test_share_errors_leave_out_slides_without_shares():
    rows = [
        row("a", 1, 1, truth_shares=(80, 20, 0, 0), predicted_shares=(70, 30, 0, 0)),
        row("b", 1, None, truth_shares=(80, 20, 0, 0)),
    ]
    found = {(m.name, m.of): m for m in share_report(rows)}
    assert found["share_mae", "1+"].value == 10
    assert found["share_bias", "0"].value == -10
    assert found["share_mae", "mean of 4"].value == 5
    assert found["share_mae", "1+"].n == 1


def test_two_scorers_are_tested_on_the_slides_that_both_answered():
    truth = [k % 4 for k in range(20)]
    first = [row(f"s{k}", t, t) for k, t in enumerate(truth)]
    second = [row(f"s{k}", t, (t + 1) % 4 if k < 12 else t) for k, t in enumerate(truth)]
    second[19] = row("s19", truth[19], None, reason="blurred")
    found = compare(first, second)
    assert (found["slides"], found["both_answered"]) == (20, 19)
    assert found["mcnemar"]["only_first_right"] == 12
    assert found["mcnemar"]["p"] < 0.001
    assert found["score_error"]["t_p"] < 0.01
    assert "share_error" not in found


def test_a_table_of_pairs_is_read_with_scores_in_any_usual_spelling(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("slide,truth,predicted\na,0,1+\nb,2,2+\nc,3+,not assessable\n")
    tables, labels = read_pairs(path)
    assert labels == ("0", "1+", "2+", "3+")
    assert [(r.truth, r.predicted) for r in tables["predicted"]] == [(0, 1), (2, 2), (3, None)]


def test_a_table_of_statuses_with_semicolons_and_two_scorers_is_read(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("Slide;Scorer;Truth;Predicted\na;x;negative;positive\na;y;Negative;equivocal\n", "utf-8-sig")
    tables, labels = read_pairs(path)
    assert labels == ("negative", "equivocal", "positive")
    assert tables["x"][0].predicted == 2
    assert tables["y"][0].predicted == 1


def test_every_mistake_in_a_table_is_named_with_its_line(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("slide,truth,predicted,truth_0,truth_1,truth_2,truth_3\na,5,1,,,,\na,0,1,50,10,0,0\n")
    with pytest.raises(PairsError) as error:
        read_pairs(path)
    assert "Line 2, truth: '5'" in str(error.value)
    assert "Line 3: the slide a stands twice" in str(error.value)
    assert "add up to 60 %" in str(error.value)


def test_a_table_without_its_columns_says_which(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("slide,score\na,1\n")
    with pytest.raises(PairsError, match=r"lacks the column truth \(or truth_0 to truth_3\) and predicted \(or"):
        read_pairs(path)


def test_a_report_in_json_has_null_for_what_cannot_be_said():
    reader = reader_report("x", "1", [row("a", 0, 0)], [], draws=(10, 1))
    value = as_json("t", {}, [reader], [])
    text = json.dumps(value, allow_nan=False)
    kappa = next(m for m in value["readers"][0]["levels"][0]["measures"] if m["name"] == "kappa")
    assert kappa["value"] is None
    assert "NaN" not in text
