"""Cross-validation by field: fields, folds, the table of figures, the classical classifiers, what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from her2viewer.training.crossval import classical
from her2viewer.training.crossval.components import Views, components_of, write_components
from her2viewer.training.crossval.fields import Fields, chosen, fields_of, folds_of
from her2viewer.training.crossval.kept import keep, kept
from her2viewer.training.crossval.table import ACCURACY, FOREST, NETWORK, SVM, FoldAnswers, rows_of
from her2viewer.training.dataset import SlideEntry
from her2viewer.training.recipe import Cut, TrainingError
from her2viewer.training.samplers import CellSampler
from her2viewer.training.tiles import SlideTiles

pytest.importorskip("sklearn", reason="scikit-learn (extra 'evaluate') is not installed")

CUT = Cut(CellSampler({}), mpp=0.5, pixels=40)


def fields(groups: list[str], scores: list[int]) -> Fields:
    """One sample a field."""
    return Fields(tuple(f"f{k}" for k in range(len(groups))), tuple(groups), tuple(scores), np.arange(len(groups)))


@pytest.fixture
def slide(tmp_path: Path) -> SlideTiles:
    """A slide of 1000 x 500 um with a sample every 25 um."""
    import h5py
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.full((1000, 2000, 3), 240, np.uint8), photometric="rgb", tile=(256, 256))
    x, y = (a.ravel() for a in np.meshgrid(np.arange(25.0, 2000, 50), np.arange(25.0, 1000, 50)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = x, y
    entry = SlideEntry("a", tmp_path / "a.tif", score="2+", mpp=0.5, patient="P1", lab="North")
    return SlideTiles(entry, tmp_path / "a.h5", len(x), 0)


def test_a_slide_is_parted_into_equal_fields_and_what_two_fields_share_is_left_out(slide: SlideTiles) -> None:
    found = fields_of([slide], CUT, by="field", side_um=480)
    assert found.names == ("a, field 1", "a, field 2")
    assert found.groups == found.names
    assert found.scores == (2, 2)
    x = np.tile(np.arange(25.0, 2000, 50), 20)
    # A sample reaches 20 px to each side of its middle; the fields meet at 1000 px.
    near = np.abs(x - 1000) < 20
    assert not near.any()
    assert (found.of == (x > 1000)).all()
    coarse = Cut(CUT.sampler, mpp=1.0, pixels=40)
    apart = fields_of([slide], coarse, by="field", side_um=480)
    assert ((apart.of == -1) == (np.abs(x - 1000) < 40)).all()
    assert (apart.of == -1).any()


def test_a_small_slide_is_one_field_and_fields_can_be_kept_together_by_patient(slide: SlideTiles) -> None:
    assert fields_of([slide], CUT, by="field", side_um=980).names == ("a",)
    by_patient = fields_of([slide], CUT, by="patient", side_um=250)
    assert len(by_patient.names) == 8
    assert set(by_patient.groups) == {"patient North P1"}
    assert set(fields_of([slide], CUT, by="slide", side_um=250).groups) == {"a"}


def test_folds_are_equally_large_and_hold_all_scores_alike() -> None:
    scores = [k % 4 for k in range(44)]
    fold = folds_of(fields([f"f{k}" for k in range(44)], scores), 10, seed=1)
    # 44 fields in ten folds of 4 or 5, as in the paper.
    assert sorted(np.bincount(fold)) == [4] * 6 + [5] * 4
    for score in range(4):
        assert np.bincount(fold[np.array(scores) == score], minlength=10).max() <= 2
    assert (fold != folds_of(fields([f"f{k}" for k in range(44)], scores), 10, seed=2)).any()


def test_what_is_kept_together_is_never_in_two_folds() -> None:
    groups = [f"p{k // 3}" for k in range(45)]
    fold = folds_of(fields(groups, [0] * 45), 5, seed=1)
    for group in set(groups):
        assert len({f for f, g in zip(fold.tolist(), groups, strict=True) if g == group}) == 1
    assert (np.bincount(fold) == 9).all()


def test_too_few_fields_or_folds_are_refused_with_what_to_do() -> None:
    with pytest.raises(TrainingError, match=r"4 fields .* 10 folds\. Add slides, or ask for fewer"):
        folds_of(fields(["a", "b", "c", "d"], [0] * 4), 10, seed=1)
    with pytest.raises(TrainingError, match="at least 3 folds, not 2"):
        folds_of(fields(["a", "b", "c", "d"], [0] * 4), 2, seed=1)


def test_a_field_that_gives_no_cell_is_in_no_fold() -> None:
    some = Fields(("a", "b", "c", "d"), ("a", "b", "c", "d"), (0,) * 4, np.array([0, 2, 3, 3, -1]))
    fold = folds_of(some, 3, seed=1)
    assert fold[1] == -1
    assert sorted(fold[[0, 2, 3]]) == [0, 1, 2]


def test_of_each_class_in_each_field_so_many_cells_are_compared() -> None:
    of = np.repeat([0, 1, -1], 100)
    label = np.tile(np.repeat([0, 1, -1, 2], [60, 30, 5, 5]), 3)
    picked = chosen(Fields(("a", "b"), ("a", "b"), (0, 0), of), label, 20)
    assert (np.diff(picked) > 0).all()
    for field in (0, 1):
        assert np.bincount(label[picked[of[picked] == field]]).tolist() == [20, 20, 5]
    assert (of[picked] >= 0).all()
    # Evenly over the field, not the first ones.
    assert {0, 59} <= set(picked.tolist())


def answers(method: str, truth: list[list[int]], told: list[list[int]]) -> list[FoldAnswers]:
    return [
        FoldAnswers(method, k, np.array(t), np.array(p)) for k, (t, p) in enumerate(zip(truth, told, strict=True))
    ]


def test_the_table_holds_mean_and_spread_over_the_folds_and_paired_t_tests() -> None:
    from scipy.stats import ttest_rel
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(3)
    truth = [rng.integers(0, 3, 80).tolist() for _ in range(6)]

    def guessed(wrong: float) -> list[list[int]]:
        return [[(t + 1) % 3 if rng.random() < wrong else t for t in fold] for fold in truth]

    told = {SVM: guessed(0.4), FOREST: guessed(0.3), NETWORK: guessed(0.2)}
    rows = rows_of([a for m in told for a in answers(m, truth, told[m])], ("a", "b", "c"))
    assert [row.method for row in rows] == [SVM, FOREST, NETWORK]
    by_hand = {
        m: np.array([f1_score(t, p, labels=[1], average=None)[0] for t, p in zip(truth, told[m], strict=True)])
        for m in told
    }
    right = {m: np.array([accuracy_score(t, p) for t, p in zip(truth, told[m], strict=True)]) for m in told}
    for row in rows:
        entry = row.entry("b")
        assert entry.mean == pytest.approx(by_hand[row.method].mean())
        assert entry.sd == pytest.approx(by_hand[row.method].std(ddof=1))
        assert entry.folds == 6
        assert row.entry(ACCURACY).mean == pytest.approx(right[row.method].mean())
        assert row.confusion.sum() == 480
        if row.method != NETWORK:
            assert entry.p == pytest.approx(ttest_rel(by_hand[row.method], by_hand[NETWORK]).pvalue)
    assert np.isnan(rows[-1].entry("b").p)


def test_a_class_counts_in_the_folds_where_it_occurs_and_is_0_where_none_is_told() -> None:
    truth = [[0, 0, 1], [0, 0, 0], [0, 1, 1]]
    rows = rows_of(answers(NETWORK, truth, [[0, 0, 0], [0, 0, 1], [0, 1, 1]]), ("a", "b", "c"))
    entry = rows[0].entry("b")
    assert (entry.mean, entry.folds) == (pytest.approx(0.5), 2)
    assert rows[0].by_fold[:, 1].tolist()[::2] == [0.0, 1.0]
    never = rows[0].entry("c")
    assert (np.isnan(never.mean), never.folds) == (True, 0)


def learnt(seed: int = 0, apart: float = 3.0) -> classical.Learnt:
    """Three classes in four features, the last two noise on a large scale."""
    rng = np.random.default_rng(seed)
    y = np.arange(180) % 3
    middle = np.array([[0, 0], [apart, 0], [0, apart]])[y]
    x = np.concatenate([middle + rng.normal(0, 1, (180, 2)), rng.normal(0, 100, (180, 2))], axis=1)
    return classical.Learnt(x.astype(np.float32), y, np.arange(180) // 20)


@pytest.mark.parametrize("method", ["svm", "forest"])
def test_the_classical_classifiers_learn_and_choose_by_inner_cross_validation(method: str) -> None:
    here, new = learnt(0), learnt(1)
    if method == "svm":
        told = classical.linear_svm(here, new.x, seed=1)
        assert told.chosen["C"] in classical.REGULARISATION
    else:
        told = classical.random_forest(here, new.x, seed=1, trees=60, threads=1)
        assert told.chosen["features_per_split"] in classical.split_sizes(4)
        assert told.chosen["trees"] == 60
        again = classical.random_forest(here, new.x, seed=1, trees=60, threads=1)
        assert (again.predicted == told.predicted).all()
    assert (told.predicted == new.y).mean() > 0.85


def test_the_inner_cross_validation_keeps_fields_together() -> None:
    # The one feature tells the field, and all cells of a field are of one class: by cell it would look perfect.
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(12), 20)
    y = rng.integers(0, 2, 12)[groups]
    here = classical.Learnt(groups[:, None].astype(np.float32), y, groups)
    seen: list[set[int]] = []

    class Spy:
        def fit(self, x: np.ndarray, y: np.ndarray) -> Spy:
            seen.append(set(x[:, 0].astype(int).tolist()))
            return self

        def predict(self, x: np.ndarray) -> np.ndarray:
            assert not seen[-1] & set(x[:, 0].astype(int).tolist())
            return np.zeros(len(x), np.int64)

    assert classical._best(here, (1.0, 2.0), lambda value: Spy()) == 1.0
    assert len(seen) == 2 * classical.INNER_FOLDS


def test_how_many_features_a_split_looks_at_goes_around_the_root() -> None:
    assert classical.split_sizes(18) == (2, 4, 8)
    assert classical.split_sizes(1) == (1,)


def test_components_of_features_that_tell_the_classes_apart_lie_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    truth = np.arange(120) % 3
    noise = rng.normal(0, 1, (120, 18)) * np.linspace(1, 500, 18)
    # One feature says nothing at all.
    noise[:, 0] = 7
    learnt = rng.normal(0, 0.1, (120, 50))
    learnt[:, :3] += 5 * np.eye(3)[truth]
    view = Views(2, truth, noise.astype(np.float32), learnt.astype(np.float32))
    hand_made, network = components_of(view)
    assert (hand_made.features, network.features) == (18, 50)
    assert network.silhouette > 0.9
    assert abs(hand_made.silhouette) < 0.2
    assert sum(network.explained[:2]) > 0.95
    # Features on a large scale do not weigh more: each direction of the noise holds about as much.
    assert max(hand_made.explained) < 0.2
    table, picture = write_components(tmp_path, view, (hand_made, network), ("a", "b", "c"))
    lines = table.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "fold,class,hand_made_1,hand_made_2,hand_made_3,network_1,network_2,network_3"
    assert [line.split(",")[:2] for line in lines[1:4]] == [["3", "a"], ["3", "b"], ["3", "c"]]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_components_of_few_cells_and_features_are_filled_up_with_nought() -> None:
    view = Views(0, np.array([0, 1]), np.eye(2, dtype=np.float32), np.zeros((2, 1), np.float32))
    hand_made, network = components_of(view)
    assert hand_made.values.shape == network.values.shape == (2, 3)
    assert (network.values == 0).all()
    assert np.isnan(network.silhouette)


def test_what_is_kept_comes_back_and_what_is_damaged_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "fold.npz"
    assert kept(path) is None
    keep(path, {"predicted": np.arange(5), "note": {"C": 0.1}})
    found = kept(path)
    assert found is not None
    assert found.arrays["predicted"].tolist() == [0, 1, 2, 3, 4]
    assert found.note == {"C": 0.1}
    path.write_bytes(path.read_bytes()[:200])
    assert kept(path) is None
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "pickled.npy").rename(path)
    assert kept(path) is None
