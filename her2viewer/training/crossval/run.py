"""A cross-validation from slides to the answers of all methods; what is done is kept. Imports torch."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer.cases.atomic import atomic_text, make_folder
from her2viewer.training.augment import Stained
from her2viewer.training.checkpoint import RunState, load_state
from her2viewer.training.crossval.classical import Learnt, Told, linear_svm, random_forest
from her2viewer.training.crossval.components import Views
from her2viewer.training.crossval.fields import FIELD_UM, By, Fields, chosen, fields_of, folds_of
from her2viewer.training.crossval.kept import keep, kept
from her2viewer.training.crossval.part import PartOfStore
from her2viewer.training.crossval.table import FOREST, METHODS, NETWORK, SVM, FoldAnswers
from her2viewer.training.dataset import DataSet
from her2viewer.training.fit import STATE_FILE, Means, make_fabric, make_network, quiet, run_stages
from her2viewer.training.measured import measure
from her2viewer.training.recipe import HandMade, Recipe, TrainingError
from her2viewer.training.tiles import TileStore, extract

if TYPE_CHECKING:
    from lightning.fabric import Fabric

NOTE_FILE = "comparison.json"
MEASURED_AT_ONCE = 256
VIEW_FOLD = 0
"""The fold whose cells the principal components are shown of."""

Say = Callable[[str, int, int], None]
"""(what is done, done, of how many)."""


@dataclass(frozen=True)
class CrossvalRequest:
    """What is to be compared."""

    plugin: str
    recipe: Recipe
    data_set: DataSet
    out: Path
    folds: int = 10
    by: By = "field"
    field_um: float = FIELD_UM
    most_cells: int = 60
    """Of one class in one field."""
    trees: int = 500
    epochs: int | None = None
    """Of each stage of the network at most; None: as the recipe has it."""
    max_minutes: float | None = None
    """Of the network in each fold."""
    device: str = "auto"
    threads: int | None = None
    seed: int = 1


@dataclass(frozen=True)
class Crossval:
    """All answers."""

    classes: tuple[str, ...]
    answers: tuple[FoldAnswers, ...]
    notes: tuple[tuple[str, int, Mapping[str, float]], ...]
    """(method, fold, what was chosen or how long it took)."""
    view: Views
    cells: NDArray[np.int64]
    """(folds, classes) that are tested."""
    fields: NDArray[np.int64]
    """(folds,) fields."""
    groups: int
    """What was dealt out to the folds: fields, slides or patients."""
    patients: int
    """0 where none is named."""
    shared_patients: int
    """Patients with fields in more than one fold."""


def run_crossval(request: CrossvalRequest, *, stop: Callable[[float], str], say: Say) -> Crossval:
    """Cut samples, measure features, let every method learn and tell in every fold.

    Args:
        request: what.
        stop: given the seconds that a fold's network has had; why it must stop, "" to go on. What it has learnt by
            then counts.
        say: told what is going on.

    Raises:
        TrainingError: it cannot be done; what was done is kept.
        StorageError: nothing can be written.
    """
    _checked(request)
    make_folder(request.out)
    _note(request)
    tiles = extract(
        request.data_set, request.recipe, request.out / "samples", say=lambda *a: say(f"Cutting {a[0]}", *a[1:]),
        check=lambda: None,
    )  # fmt: skip
    whole = TileStore(tiles, request.recipe)
    # Slides without a sample have no place in the store.
    fields = fields_of(whole.tiles, request.recipe.cut, by=request.by, side_um=request.field_um)
    picked = chosen(fields, whole.table.label, request.most_cells)
    cells = PartOfStore(whole, picked)
    # Fields that give nothing are in no fold.
    fields = replace(fields, of=fields.of[picked])
    fold_of_field = folds_of(fields, request.folds, request.seed)
    work = _Work(request, cells, fields, fold_of_field[fields.of], _Ears(stop, say))
    for fold in range(request.folds):
        for method in METHODS:
            work.told(method, fold)
    return _gathered(work, fold_of_field)


@dataclass(frozen=True)
class _Ears:
    """Whom it listens to and whom it tells."""

    stop: Callable[[float], str]
    say: Say


class _Work:
    """All that the folds share."""

    def __init__(
        self, request: CrossvalRequest, cells: PartOfStore, fields: Fields, fold: NDArray[np.int64], ears: _Ears
    ) -> None:
        self.request, self.cells, self.fold, self.stop, self.say = request, cells, fold, ears.stop, ears.say
        names = {name: k for k, name in enumerate(dict.fromkeys(fields.groups))}
        self.group = np.array([names[name] for name in fields.groups], np.int64)[fields.of]
        self.x = self._features(_checked(request))
        self._fabric: Fabric | None = None

    def told(self, method: str, fold: int) -> Told:
        """What a method says of the cells of a fold, from the folder where it is there."""
        path = self.request.out / f"fold-{fold + 1:02d}-{method}.npz"
        found = kept(path)
        if found is None:
            made = {SVM: self._svm, FOREST: self._forest, NETWORK: self._network}[method](fold)
            found = keep(path, made)
            # The epochs of the network have done their work.
            shutil.rmtree(self._folder(fold), ignore_errors=True)
        return Told(found.arrays["predicted"].astype(np.int64), found.note)

    def learnt(self, fold: int) -> NDArray[np.float32]:
        """What enters the last layer of the network for the cells of the fold that is shown."""
        found = kept(self.request.out / f"fold-{fold + 1:02d}-{NETWORK}.npz")
        assert found is not None
        return np.asarray(found.arrays["learnt"], np.float32)

    def _title(self, fold: int, what: str) -> str:
        return f"Fold {fold + 1} of {self.request.folds}, {what}"

    def _learnt_from(self, fold: int) -> Learnt:
        train = self.fold != fold
        return Learnt(self.x[train], self.cells.table.label[train], self.group[train])

    def _svm(self, fold: int) -> dict[str, Any]:
        self.say(self._title(fold, "linear SVM"), 0, 0)
        told = linear_svm(self._learnt_from(fold), self.x[self.fold == fold], seed=self.request.seed)
        return {"predicted": told.predicted, "note": told.chosen}

    def _forest(self, fold: int) -> dict[str, Any]:
        self.say(self._title(fold, "random forest"), 0, 0)
        told = random_forest(
            self._learnt_from(fold), self.x[self.fold == fold],
            seed=self.request.seed, trees=self.request.trees, threads=self.request.threads,
        )  # fmt: skip
        return {"predicted": told.predicted, "note": told.chosen}

    def _network(self, fold: int) -> dict[str, Any]:
        request = self.request
        recipe = _shortened(request.recipe, request.epochs)
        if self._fabric is None:
            if request.threads is not None:
                torch.set_num_threads(request.threads)
            self._fabric = make_fabric(request.device, recipe.bf16)
            with quiet():
                self._fabric.launch()
        title = self._title(fold, recipe.title)
        folder = self._folder(fold)
        make_folder(folder)
        # The next fold tells when to stop; the fold itself is not looked at.
        waits = (fold + 1) % request.folds
        parts = [np.flatnonzero(m) for m in ((self.fold != fold) & (self.fold != waits), self.fold == waits)]
        path = folder / STATE_FILE
        key = f"{_key(request)} fold {fold}"
        state = load_state(path) if path.exists() else RunState(key)
        if state.key != key:
            state = RunState(key)
        means = Means(
            fabric=self._fabric,
            recipe=recipe,
            train=PartOfStore(self.cells, parts[0]),
            validation=PartOfStore(self.cells, parts[1]),
            folder=folder,
            seed=request.seed + fold,
            stop=lambda: self.stop(state.seconds),
            say=lambda what, done, total, entry: self.say(f"{title}: {what}", done, total),
        )
        with quiet():
            state = run_stages(means, state)
            network = make_network(recipe)
            assert state.best is not None
            network.load_state_dict(state.best)
            network.to(self._fabric.device)
            predicted, learnt = _answers(
                self._fabric, recipe, network, PartOfStore(self.cells, np.flatnonzero(self.fold == fold))
            )
        note = {"epochs": float(len(state.history)), "seconds": round(state.seconds, 1)}
        note["best_epoch"] = float(max((e["epoch"] for e in state.history if e["best"]), default=0))
        # Of the other folds nothing is shown.
        return {"predicted": predicted, "note": note, **({"learnt": learnt} if fold == VIEW_FOLD else {})}

    def _folder(self, fold: int) -> Path:
        """Where the network of a fold keeps its epochs."""
        return self.request.out / f"fold-{fold + 1:02d}"

    def _features(self, hand_made: HandMade) -> NDArray[np.float32]:
        path = self.request.out / "features.npz"
        found = kept(path)
        if found is None:
            parts = []
            for start in range(0, len(self.cells), MEASURED_AT_ONCE):
                self.say("Measuring features", start, len(self.cells))
                at = np.arange(start, min(start + MEASURED_AT_ONCE, len(self.cells)))
                slide = self.cells.table.slide[at]
                samples = Stained(self.cells.pixels(at), self.cells.background[slide], self.cells.vectors[slide])
                parts.append(hand_made.measure(samples, self.request.recipe.cut.mpp))
            found = keep(path, {"x": np.concatenate(parts), "note": {}})
        return np.asarray(found.arrays["x"], np.float32)


def _checked(request: CrossvalRequest) -> HandMade:
    recipe = request.recipe
    if recipe.hand_made is None or recipe.labels != "sample":
        raise TrainingError(
            f"The recipe {recipe.name} of {request.plugin} has no hand-made features of samples, so there is nothing "
            "that classical classifiers could learn from."
        )
    return recipe.hand_made


def _shortened(recipe: Recipe, epochs: int | None) -> Recipe:
    if epochs is None:
        return recipe
    return replace(recipe, stages=tuple(replace(s, epochs=min(s.epochs, epochs)) for s in recipe.stages))


def _key(request: CrossvalRequest) -> str:
    """Changes when what is kept must not be gone on with."""
    recipe = request.recipe
    assert recipe.hand_made is not None
    what = {
        "data": request.data_set.hash,
        "recipe": [request.plugin, recipe.name, recipe.version, recipe.architecture, list(recipe.classes)],
        "stages": [[s.name, s.epochs, s.batch, s.monitor, s.samples, s.balance] for s in recipe.stages],
        "features": [f.name for f in recipe.hand_made.features],
        "cut": [recipe.cut.mpp, recipe.cut.pixels, recipe.cut.margin, dict(recipe.cut.sampler.key())],
        "folds": [request.folds, request.by, request.field_um, request.most_cells, request.seed],
        "learning": [request.trees, request.epochs, request.max_minutes],
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _note(request: CrossvalRequest) -> None:
    """Write down whose folder it is.

    Raises:
        TrainingError: it is that of another comparison.
    """
    path, key = request.out / NOTE_FILE, _key(request)
    if path.exists():
        try:
            before = str(json.loads(path.read_text(encoding="utf-8"))["key"])
        except (OSError, ValueError, KeyError, TypeError):
            before = ""
        if before != key:
            raise TrainingError(
                f"{request.out} holds a comparison with other slides or options; choose another --out or delete it."
            )
        return
    atomic_text(path, json.dumps({"key": key, "plugin": request.plugin, "recipe": request.recipe.name}, indent=2))


def _answers(
    fabric: Fabric, recipe: Recipe, network: torch.nn.Module, store: PartOfStore
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The class of each sample, and what enters the last full layer."""
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    entered: list[NDArray[np.float32]] = []

    def seen(layer: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        entered.append(arguments[0].detach().float().cpu().numpy())

    hook = layers[-1].register_forward_pre_hook(seen) if layers else None
    logits = measure(fabric, recipe, network, store, logits=True).logits
    if hook is not None:
        hook.remove()
    assert logits is not None
    told = logits[:, : len(recipe.classes)].argmax(axis=1)
    return np.asarray(told, np.int64), np.concatenate(entered) if entered else np.asarray(logits, np.float32)


def _gathered(work: _Work, fold_of_field: NDArray[np.int64]) -> Crossval:
    request, label = work.request, work.cells.table.label
    answers, notes = [], []
    for fold in range(request.folds):
        truth = label[work.fold == fold]
        for method in METHODS:
            told = work.told(method, fold)
            if len(told.predicted) != len(truth):
                raise TrainingError(f"{request.out} holds answers of other cells; delete it and begin anew.")
            answers.append(FoldAnswers(method, fold, truth, told.predicted))
            notes.append((method, fold, told.chosen))
    classes = len(request.recipe.classes)
    counts = np.bincount(work.fold * classes + label, minlength=request.folds * classes)
    own = work.fold == VIEW_FOLD
    slides = [t.entry for t in work.cells.tiles]
    patient = np.array([f"{e.lab or ''} {e.patient}" if e.patient else "" for e in slides], dtype=str)
    of_cell = patient[work.cells.table.slide]
    named = [name for name in np.unique(of_cell).tolist() if name]
    return Crossval(
        classes=request.recipe.classes,
        answers=tuple(answers),
        notes=tuple(notes),
        view=Views(VIEW_FOLD, label[own], work.x[own], work.learnt(VIEW_FOLD)),
        cells=counts.reshape(request.folds, classes),
        fields=np.bincount(fold_of_field[fold_of_field >= 0], minlength=request.folds),
        groups=len(np.unique(work.group)),
        patients=len(named),
        shared_patients=sum(len(np.unique(work.fold[of_cell == name])) > 1 for name in named),
    )
