"""From profiles around a nucleus to intensity, completeness, pattern and class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from her2viewer_membrane.cells import staining
from her2viewer_membrane.rules import INTENSITIES, PATTERNS, rules_for
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.api import SECTORS, Rings, ScorerError
from her2viewer.scoring.registry import find_scorer

DEFAULTS = find_scorer("membrane").complete({})
RULES = rules_for(DEFAULTS)


def ring(stained: np.ndarray, od: float, cytoplasm: float = 0.01) -> Rings:
    peak = np.where(stained, od, cytoplasm).astype(np.float32)[None, :]
    flat = np.full((1, SECTORS), cytoplasm, np.float32)
    radius = np.full((1, SECTORS), 8, np.float32)
    return Rings(peak, flat, radius * 2, radius)


def class_of(rings: Rings, table=RULES.table) -> int:
    _, _, pattern, intensity = staining(rings, RULES.membrane)
    return table[int(intensity[0])][int(pattern[0])]


def arc(share: float) -> np.ndarray:
    return np.arange(SECTORS) < round(share * SECTORS)


def scattered() -> np.ndarray:
    return (np.arange(SECTORS) % 8) < 3


@pytest.mark.parametrize(
    ("share", "od", "breast", "gastric"),
    [
        (0.0, 0.0, 0, 0),
        (1.0, 0.05, 0, 0),
        (0.1, 0.9, 0, 0),
        (0.3, 0.12, 1, 1),
        (1.0, 0.12, 1, 1),
        (0.3, 0.30, 1, 1),
        (0.5, 0.30, 2, 2),
        (1.0, 0.30, 2, 2),
        (0.3, 0.90, 2, 2),
        (0.5, 0.90, 2, 3),
        (1.0, 0.90, 3, 3),
    ],
)
def test_intensity_and_completeness_make_the_class(share, od, breast, gastric):
    gastric_table = rules_for({**DEFAULTS, "table": "gastric"}).table
    assert class_of(ring(arc(share), od)) == breast
    assert class_of(ring(arc(share), od), gastric_table) == gastric


def test_scattered_staining_is_incomplete_and_not_basolateral():
    _, completeness, pattern, _ = staining(ring(scattered(), 0.3), RULES.membrane)
    assert 0.3 < completeness[0] < 0.45
    assert PATTERNS[int(pattern[0])] == "incomplete"


def test_a_cytoplasmic_blush_is_no_membrane():
    rings = ring(arc(1.0), 0.30, cytoplasm=0.25)
    membrane_od, completeness, pattern, intensity = staining(rings, RULES.membrane)
    assert completeness[0] == 0
    assert pattern[0] == 0
    assert INTENSITIES[int(intensity[0])] == "none"
    assert membrane_od[0] == pytest.approx(0.30)


def test_a_single_stained_sector_is_noise():
    lone = np.zeros(SECTORS, bool)
    lone[5] = True
    _, completeness, _, _ = staining(ring(lone, 0.9), RULES.membrane)
    assert completeness[0] == 0


@given(turn=st.integers(0, SECTORS - 1), share=st.floats(0, 1), od=st.floats(0, 2))
def test_turning_a_cell_changes_nothing(turn, share, od):
    still, turned = ring(arc(share), od), ring(np.roll(arc(share), turn), od)
    for a, b in zip(staining(still, RULES.membrane), staining(turned, RULES.membrane), strict=True):
        assert a == pytest.approx(b, abs=1e-5)


@given(share=st.floats(0, 1), low=st.floats(0, 2), more=st.floats(0, 1))
def test_darker_staining_never_lowers_the_class(share, low, more):
    assert class_of(ring(arc(share), low + more)) >= class_of(ring(arc(share), low))


@given(od=st.floats(0, 2), low=st.floats(0, 1), more=st.floats(0, 1))
def test_more_membrane_never_lowers_the_class(od, low, more):
    high = min(1.0, low + more)
    assert class_of(ring(arc(high), od)) >= class_of(ring(arc(low), od))


def test_limits_that_do_not_rise_are_refused():
    with pytest.raises(ScorerError, match="must rise"):
        rules_for({**DEFAULTS, "moderate": 0.5})


@pytest.mark.parametrize("text", ["1 2", "a b c", "0.1 0.2 0.3 0.4", "-1 0.5 0.5", "0 0 0"])
def test_a_stain_vector_must_be_three_numbers(text):
    with pytest.raises(ScorerError, match="DAB vector"):
        rules_for({**DEFAULTS, "dab": text})


@pytest.mark.parametrize("text", ["236 235 243", "236, 235, 243", " 236;235;243 "])
def test_a_glass_colour_is_read_however_it_is_written(text):
    assert rules_for({**DEFAULTS, "background": text}).entered.background == (236.0, 235.0, 243.0)


def test_settings_overrule_the_file():
    rules = rules_for({**DEFAULTS, "complete": 90.0, "expansion": 3.0, "leave_out_stroma": False})
    assert rules.membrane.complete == pytest.approx(0.9)
    assert rules.cells.expansion == 3.0
    assert not rules.not_tumour.stroma
    _, _, pattern, _ = staining(ring(arc(0.8), 0.9), rules.membrane)
    assert PATTERNS[int(pattern[0])] == "basolateral"
    _, _, pattern, _ = staining(ring(arc(0.8), 0.9), replace(rules.membrane, complete=0.7))
    assert PATTERNS[int(pattern[0])] == "complete"


def test_the_form_shows_the_limits_that_the_file_holds():
    for key in ("faint", "moderate", "intense"):
        assert DEFAULTS[key] == rules_for(DEFAULTS).membrane.__dict__[key]
    import tomllib
    from pathlib import Path

    import her2viewer_membrane

    shipped = tomllib.loads((Path(her2viewer_membrane.__file__).parent / "cutoffs.toml").read_text(encoding="utf-8"))
    for key in ("faint", "moderate", "intense"):
        assert DEFAULTS[key] == shipped["membrane"][key]
    assert DEFAULTS["complete"] == 100 * shipped["membrane"]["complete"]
    assert DEFAULTS["expansion"] == shipped["cells"]["expansion"]
    assert DEFAULTS["nucleus_contrast"] == shipped["nuclei"]["contrast"]
