"""``her2viewer evaluate`` on drawn slides whose every cell is known."""

from __future__ import annotations

import csv
import json

import pytest

from her2viewer.commands import evaluate
from her2viewer.training.evaluation import scored
from tests.helpers.drawn_sets import write_set, write_truth

pytest.importorskip("sklearn", reason="scikit-learn (extra 'evaluate') is not installed")
pytest.importorskip("matplotlib", reason="matplotlib (extra 'evaluate') is not installed")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set"))


def run(capsys, *arguments) -> tuple[int, dict]:
    code = evaluate.main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_set_is_evaluated_at_every_level_and_everything_is_written(drawn, tmp_path, capsys):
    code, value = run(capsys, drawn, "--out", tmp_path, "--draws", 50)
    assert code == 0
    (reader,) = value["readers"]
    levels = {x["level"]: x for x in reader["levels"]}
    assert list(levels) == ["cell", "tumour cell", "patch", "field", "slide", "status"]
    assert sum(map(sum, levels["slide"]["confusion_truth_by_predicted"])) == 12
    of = {(m["name"], m["of"]): m["value"] for x in ("cell", "slide") for m in levels[x]["measures"]}
    assert of["kappa_quadratic", ""] > 0.85
    shares = {(m["name"], m["of"]): m["value"] for m in reader["shares"]}
    assert shares["share_mae", "mean of 4"] < 4
    names = {p.name for p in tmp_path.iterdir()}
    assert {"evaluation.json", "slides.csv", "measures.csv", "membrane_bland_altman.png"} <= names
    assert {"membrane_confusion_slide.png", "membrane_roc.png", "membrane_share_distributions.png"} <= names
    with (tmp_path / "share_distributions.csv").open() as file:
        known = {(line["known_score"], line["share_of"]): line for line in csv.DictReader(file)}
    assert float(known["3+", "3+"]["median"]) > float(known["0", "3+"]["median"])
    with (tmp_path / "slides.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12


def test_a_second_call_scores_nothing_anew_and_says_the_same(drawn, tmp_path, capsys, monkeypatch):
    _, first = run(capsys, drawn, "--out", tmp_path, "--draws", 20)

    def forbidden(*_, **__):
        raise AssertionError("scored again")

    monkeypatch.setattr(scored, "score_slide", forbidden)
    _, second = run(capsys, drawn, "--out", tmp_path, "--draws", 20)
    assert second["readers"] == first["readers"]


def test_a_damaged_kept_result_is_made_again(drawn, tmp_path, capsys):
    _, first = run(capsys, drawn, "--out", tmp_path, "--draws", 20)
    kept = sorted((tmp_path / "scored" / "membrane").iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:1000])
    _, second = run(capsys, drawn, "--out", tmp_path, "--draws", 20)
    assert second["readers"] == first["readers"]


def test_slides_that_cannot_be_scored_are_reported_and_the_rest_goes_on(tmp_path, capsys):
    path = write_set(tmp_path / "set", ((1, 0, 0, 0), (0.2, 0.2, 0.2, 0.4)), ("0", "3+"))
    (tmp_path / "set" / "s1.tif").write_bytes(b"no slide")
    code, value = run(capsys, path, "--out", tmp_path / "out", "--draws", 20)
    assert code == 0
    (missing,) = value["readers"][0]["answers"]["without_answer"]
    assert missing["slide"] == "s1"
    assert missing["reason"]


def test_a_slide_that_is_not_assessable_is_reported_with_the_scorers_reason(tmp_path, capsys):
    path = write_set(tmp_path / "set", ((1, 0, 0, 0), (0.2, 0.2, 0.2, 0.4)), ("0", "3+"), haematoxylin=(1, 1, 1))
    import numpy as np
    import tifffile

    tifffile.imwrite(tmp_path / "set" / "s1.tif", np.full((400, 400, 3), 240, np.uint8), photometric="rgb")
    _, value = run(capsys, path, "--out", tmp_path / "out", "--draws", 20)
    reasons = {x["slide"]: x["reason"] for x in value["readers"][0]["answers"]["without_answer"]}
    assert "hardly any tissue" in reasons["s1"]


def test_a_slide_with_no_true_tumour_cell_does_not_end_the_evaluation(tmp_path, capsys):
    import numpy as np

    path = write_set(tmp_path / "set", ((1, 0, 0, 0), (0.2, 0.2, 0.2, 0.4)), ("0", "3+"))
    none = np.array([255, 255], "u1")
    with np.errstate(invalid="ignore"):
        write_truth(tmp_path / "set" / "s1.truth.h5", np.array([100.0, 130]), np.array([100.0, 100]), none, "3+")
    code, value = run(capsys, path, "--out", tmp_path / "out", "--draws", 20)
    assert code == 0
    assert value["readers"][0]["answers"]["compared"] == 2


def test_two_readers_of_a_table_are_compared(tmp_path, capsys):
    path = tmp_path / "pairs.csv"
    lines = ["slide,scorer,truth,predicted"]
    lines += [f"s{k},{who},{k % 4},{(k + (who == 'b' and k < 9)) % 4}" for k in range(16) for who in "ab"]
    path.write_text("\n".join(lines))
    code, value = run(capsys, "--pairs", path)
    assert code == 0
    assert [r["name"] for r in value["readers"]] == ["a", "b"]
    assert value["paired_tests"][0]["mcnemar"]["only_first_right"] == 9


def test_the_text_names_what_has_no_answer(tmp_path, capsys):
    path = tmp_path / "pairs.csv"
    path.write_text("slide,truth,predicted\na,1,1\nb,2,\nc,3,3\n")
    assert evaluate.main(["--pairs", str(path), "--draws", "20"]) == 0
    out = capsys.readouterr().out
    assert "2 of 3 slides have a truth and an answer" in out
    assert "b: no answer in the table" in out


def test_missing_packages_are_named_with_the_line_that_installs_them(drawn, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "NEEDS", {"no_such_module": "no-such-package"})
    code, value = run(capsys, drawn)
    assert code == 1
    assert "pip install 'her2viewer[evaluate]'" in value["error"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Name a data set"),
        (("nowhere.toml",), "There is no data set"),
        (("--pairs", "nowhere.csv"), "There is no table"),
    ],
)
def test_what_cannot_be_evaluated_ends_in_a_sentence(arguments, sentence, capsys):
    code, value = run(capsys, *arguments)
    assert code == 2
    assert sentence in value["error"]


def test_an_unknown_scorer_is_refused_before_anything_is_scored(drawn, capsys):
    code, value = run(capsys, drawn, "--scorer", "membrain")
    assert code == 2
    assert "no scorer named 'membrain'" in value["error"]


def test_scorers_are_held_against_what_persons_said_of_the_set(drawn, tmp_path, capsys):
    path = tmp_path / "persons.csv"
    said = [f"s{k},Dr A,{k // 3},,,," for k in range(12)] + [f"s{k},Dr B,,0,0,0,100" for k in range(6)]
    path.write_text("\n".join(["slide,reader,score,share_0,share_1,share_2,share_3", *said]), encoding="utf-8")
    code, value = run(capsys, drawn, "--readers", path, "--out", tmp_path / "out", "--draws", 20)
    assert code == 0
    readers = {r["name"]: r for r in value["readers"]}
    assert list(readers) == ["membrane", "membrane against Dr A", "membrane against Dr B", "Dr B against Dr A"]
    # Dr A says what the set says.
    for level in ("slide", "status"):
        first, second = (
            next(x["confusion_truth_by_predicted"] for x in readers[name]["levels"] if x["level"] == level)
            for name in ("membrane", "membrane against Dr A")
        )
        assert first == second
    assert readers["membrane against Dr B"]["answers"]["slides"] == 6
    assert readers["Dr B against Dr A"]["answers"]["compared"] == 6
    close = readers["membrane"]["answers"]["close_calls"]
    assert close["right"] + close["wrong"] == 12
    # Paired tests are of readers against one and the same truth.
    tested = [(test["first"], test["second"]) for test in value["paired_tests"]]
    assert tested == [("membrane against Dr A", "Dr B against Dr A")]


def test_a_profile_that_gives_statuses_alone_is_compared_by_status(drawn, tmp_path, capsys):
    code, value = run(capsys, drawn, "--profile", "vandenberghe_2017", "--out", tmp_path, "--draws", 20)
    assert code == 0
    levels = {x["level"]: x for x in value["readers"][0]["levels"]}
    assert levels["slide"]["labels"] == ["negative", "equivocal", "positive"]
    assert sum(map(sum, levels["slide"]["confusion_truth_by_predicted"])) == 12


def test_persons_who_speak_of_other_slides_are_refused_before_anything_is_scored(drawn, tmp_path, capsys):
    path = tmp_path / "persons.csv"
    path.write_text("slide,score\ns0,1\nelsewhere,2\n", encoding="utf-8")
    code, value = run(capsys, drawn, "--readers", path)
    assert code == 2
    assert "not in drawn: elsewhere" in value["error"]
    code, value = run(capsys, "--pairs", path, "--readers", path)
    assert code == 2
    assert "--readers goes with a data set" in value["error"]
