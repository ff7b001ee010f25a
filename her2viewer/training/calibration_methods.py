"""What of a scorer can be fitted to a laboratory's slides: its limits, or the factors of its network's logits.

``[calibration]`` of the manifest names the method and a module of the plugin with what the method asks for:

* ``cutoffs``: ``candidates(settings) -> {setting: (k,) values}``, the present settings first, and
  ``counts(cells, settings, limits) -> (k, 4)`` tumour cells by class under each of them.
* ``logits``: ``logits(evidence) -> (rows, columns, 4)`` on the grid of the class map that is counted, NaN where it
  has no class, with all factors 1. The manifest names four settings, the factor of each class.
* ``temperature``: nothing; the core divides the logits of ``score_probabilities`` by the one setting that is named.

Evidence is that of a run ``for_calibration``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from her2viewer.domain.evidence import CellTable, ClassMap
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.result import Result
from her2viewer.guidelines.profiles import Profile
from her2viewer.scoring.aggregate import SurfaceCounter
from her2viewer.scoring.manifest import CalibrationSpec
from her2viewer.scoring.temperature import METHOD, logits_of
from her2viewer.training.calibration import (
    CalibrationSlide,
    Comparison,
    KnownSlide,
    compared,
    figures,
    fit,
    folds,
    told,
)
from her2viewer.training.calibration_logits import SlideLogits, broken, fit_alphas, fit_temperature, fractions
from her2viewer.training.metrics import Array

KEPT_PATCHES = 2000
"""Patches of a slide that are fitted on: a share of 10 % is then known to 0.7 points."""
LEAST_FACTOR, MOST_FACTOR = 0.05, 20.0


@dataclass(frozen=True)
class Fitted:
    """The outcome of a method."""

    before: Mapping[str, float]
    """The fitted settings as they were."""
    settings: Mapping[str, float]
    """As they are to be."""
    comparison: Comparison
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else the file is to say."""


class Method(Protocol):
    """Takes in slides one after the other, then fits."""

    def add(self, slide: KnownSlide, result: Result) -> str:
        """Take in a slide that was scored ``for_calibration``; the reason why it cannot be used, else ""."""

    def fit(self, profile: Profile, check: Callable[[], None]) -> Fitted:
        """Fit on all slides, and by cross-validation without those of each group.

        Args:
            profile: makes scores of shares.
            check: called now and then; raises where the reader has cancelled.
        """


class Cutoffs:
    """Limits by which cells are classed: the best of many thousand candidates."""

    def __init__(self, spec: CalibrationSpec, settings: Mapping[str, Any]) -> None:
        self._module: ModuleType = importlib.import_module(spec.entry)
        self._names, self._settings = spec.settings, settings
        self._limits: dict[str, Array] = self._module.candidates(settings)
        self._slides: list[CalibrationSlide] = []

    def add(self, slide: KnownSlide, result: Result) -> str:
        """As ``Method``."""
        table = next((e for e in result.evidence if isinstance(e, CellTable)), None)
        if table is None:
            return "no cells were found."
        counts = np.asarray(self._module.counts(table, self._settings, self._limits), np.float64)
        total = counts.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            percent = np.where(total > 0, 100 * counts / total, np.nan)
        self._slides.append(
            CalibrationSlide(slide.id, slide.group, slide.score, slide.truth_shares, percent.astype(np.float32))
        )
        return ""

    def fit(self, profile: Profile, check: Callable[[], None]) -> Fitted:
        """As ``Method``."""
        found = fit(self._slides, self._limits, profile)
        before, chosen = ({key: float(self._limits[key][at]) for key in self._names} for at in (0, found.chosen))
        return Fitted(before, chosen, found, {"candidates": len(self._limits[self._names[0]])})


class Logits:
    """Factors of the logits of a network that classes patches (paper 001, section 3.5.5)."""

    def __init__(self, spec: CalibrationSpec, settings: Mapping[str, Any]) -> None:
        self._module: ModuleType = importlib.import_module(spec.entry)
        self._names = spec.settings
        self._before = np.array([float(settings[name]) for name in spec.settings])
        self._slides: list[KnownSlide] = []
        self._patches: list[SlideLogits] = []

    def add(self, slide: KnownSlide, result: Result) -> str:
        """As ``Method``."""
        classes = next((e for e in result.evidence if isinstance(e, ClassMap) and e.scheme.counted), None)
        if classes is None:
            return "no tumour was found."
        logits = np.asarray(self._module.logits(result.evidence), np.float64)
        mpp = result.provenance.mpp
        counter = SurfaceCounter(classes, PixelSize(mpp, mpp, PixelSizeSource.USER))
        weight = np.where(classes.shown, classes.weight * counter.cover(result.scored), 0.0)
        weight[np.isnan(logits).any(axis=2)] = 0
        at = np.flatnonzero(weight.ravel() > 0)
        if len(at) == 0:
            return "no tumour was found."
        if len(at) > KEPT_PATCHES:
            at = np.random.default_rng(1).choice(at, KEPT_PATCHES, replace=False)
        self._slides.append(slide)
        self._patches.append(SlideLogits(logits.reshape(-1, 4)[at], weight.ravel()[at], slide.score))
        return ""

    def fit(self, profile: Profile, check: Callable[[], None]) -> Fitted:
        """As ``Method``."""
        after = self._factors(self._patches)
        held = np.zeros((len(self._slides), 4))
        parts = folds(self._slides, seed=1)
        for part in parts:
            check()
            left_out = set(part.tolist())
            held[part] = self._factors([p for k, p in enumerate(self._patches) if k not in left_out])
        factors = [np.broadcast_to(self._before, held.shape), np.broadcast_to(after, held.shape), held]
        percent = [
            np.array([100 * fractions(p, f) for p, f in zip(self._patches, own, strict=True)]) for own in factors
        ]
        found = compared(self._slides, *percent, profile=profile, parts=len(parts))
        before, crossed, fitted = (
            {**measured, "limits_broken": self._broken(own)}
            for measured, own in (
                (found.before, factors[0]),
                (found.cross_validated, held),
                (found.after, factors[1]),
            )
        )
        return Fitted(
            dict(zip(self._names, self._before.tolist(), strict=True)),
            dict(zip(self._names, after.tolist(), strict=True)),
            Comparison(before, fitted, crossed, found.slides, found.folds),
            {"patches": sum(len(p.weights) for p in self._patches)},
        )

    def _factors(self, patches: Sequence[SlideLogits]) -> Array:
        """The factors in force times those that mend what is broken under them: never worse on these slides."""
        present = [SlideLogits(p.logits * self._before, p.weights, p.score) for p in patches]
        found = self._before * np.array(fit_alphas(present).alphas)
        limited: Array = np.clip(found, LEAST_FACTOR, MOST_FACTOR).round(4)
        return limited

    def _broken(self, factors: Array) -> float:
        """Mean over slides of the parts by which limits are broken."""
        each = [broken([p], f) for p, f in zip(self._patches, factors, strict=True)]
        return float(np.mean(each))


class Temperature:
    """A temperature of the probabilities of the slide's score: which score is found stays, how sure it is changes."""

    def __init__(self, spec: CalibrationSpec, settings: Mapping[str, Any]) -> None:
        self._name = spec.settings[0]
        self._before = float(settings[self._name])
        self._slides: list[KnownSlide] = []
        self._logits: list[Array] = []

    def add(self, slide: KnownSlide, result: Result) -> str:
        """As ``Method``."""
        if result.score_probabilities is None:
            return "the scorer gave no probabilities of the scores."
        self._slides.append(slide)
        self._logits.append(logits_of(np.array(result.score_probabilities)))
        return ""

    def fit(self, profile: Profile, check: Callable[[], None]) -> Fitted:
        """As ``Method``."""
        logits, truth = np.stack(self._logits), np.array([s.score for s in self._slides])
        after, held = self._fitted(logits, truth), np.zeros(len(truth))
        parts = folds(self._slides, seed=1)
        for part in parts:
            check()
            rest = np.ones(len(truth), bool)
            rest[part] = False
            held[part] = self._fitted(logits[rest], truth[rest])
        scores = logits.argmax(axis=1)
        common = figures(self._slides, scores, None)
        before, fitted, crossed = (
            {**common, "log_loss": _log_loss(logits, truth, own)}
            for own in (np.full(len(truth), self._before), np.full(len(truth), after), held)
        )
        rows = told(self._slides, scores, scores, scores)
        return Fitted(
            {self._name: self._before},
            {self._name: after},
            Comparison(before, fitted, crossed, rows, len(parts)),
        )

    def _fitted(self, logits: Array, truth: Any) -> float:
        return round(float(np.clip(fit_temperature(logits, truth), LEAST_FACTOR, MOST_FACTOR)), 4)


def _log_loss(logits: Array, truth: Any, temperatures: Array) -> float:
    """Mean of -log of the probability of the true score, each slide at its own temperature."""
    from scipy.special import log_softmax

    picked = log_softmax(logits / temperatures[:, None], axis=1)[np.arange(len(truth)), truth]
    return -float(picked.mean())


METHODS: Mapping[str, Callable[[CalibrationSpec, Mapping[str, Any]], Method]] = {
    "cutoffs": Cutoffs,
    "logits": Logits,
    METHOD: Temperature,
}
