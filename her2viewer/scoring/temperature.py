"""Probabilities of an answer made less sure, or surer, by a temperature (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.contract import Finished
from her2viewer.scoring.manifest import Manifest

METHOD = "temperature"
"""Method of ``[calibration]`` of a scorer whose probabilities the core divides by its one fitted setting."""


def tempered(finished: Finished, manifest: Manifest, settings: Mapping[str, Any]) -> Finished:
    """The answer with the probabilities of scores and status at the temperature of the settings.

    The scorer gives them as its network does. Which score is the likeliest does not change.
    """
    spec = manifest.calibration
    if spec is None or spec.method != METHOD:
        return finished
    temperature = float(settings[spec.settings[0]])
    if temperature == 1.0:
        return finished
    scores, status = finished.score_probabilities, finished.status_probability
    if scores is not None:
        a, b, c, d = (float(p) for p in softened(np.array(scores), temperature))
        scores = (a, b, c, d)
    if status is not None:
        status = float(softened(np.array([status, 1.0 - status]), temperature)[0])
    return replace(finished, score_probabilities=scores, status_probability=status)


def softened(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities (..., classes) whose logits are divided by a temperature."""
    log = logits_of(probabilities) / temperature
    odds = np.exp(log - log.max(axis=-1, keepdims=True))
    found: NDArray[np.float64] = odds / odds.sum(axis=-1, keepdims=True)
    return found


def logits_of(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits (..., classes) of probabilities, but for a sum that all of them have in common."""
    # A network that is surer than its digits tell says 0.
    found: NDArray[np.float64] = np.log(np.clip(probabilities, 1e-9, 1.0))
    return found
