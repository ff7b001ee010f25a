"""The 18 hand-made features of a cell on drawn cells, whose nucleus and membrane are known."""

from __future__ import annotations

import numpy as np
import pytest
from her2viewer_cells.features import FEATURES, measure
from her2viewer_cells.recipes import CELLNET

from her2viewer.stains.vectors import DAB, HAEMATOXYLIN, unit
from her2viewer.training_api import Stained
from tests.helpers.drawn_tissue import ARC, UM, Drawn, draw_cells

pytest.importorskip("skimage", reason="scikit-image (extra 'evaluate') is not installed")

SIDE = CELLNET.cut.stored
GLASS = (236.0, 235.0, 243.0)
NAMES = [feature.name for feature in FEATURES]


def stained(rgb: np.ndarray) -> Stained:
    """Samples of the drawn glass and stains."""
    n = len(rgb)
    vectors = np.array([unit(HAEMATOXYLIN), unit(DAB)], np.float32)
    return Stained(rgb, np.tile(np.float32(GLASS), (n, 1)), np.tile(vectors, (n, 1, 1)))


def cut(drawn: Drawn) -> np.ndarray:
    """(n, SIDE, SIDE, 3) around each drawn cell."""
    corners = np.stack([drawn.x, drawn.y], axis=1).round().astype(int) - SIDE // 2
    return np.stack([drawn.rgb[y : y + SIDE, x : x + SIDE] for x, y in corners])


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw_cells((0.25, 0.25, 0.25, 0.25), (640, 640), seed=5)


@pytest.fixture(scope="module")
def found(drawn: Drawn) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, measure(stained(cut(drawn)), UM).T, strict=True))


def test_there_are_18_features_in_the_five_groups_of_the_paper() -> None:
    assert len(set(NAMES)) == 18
    groups = [feature.group for feature in FEATURES]
    assert list(dict.fromkeys(groups)) == [
        "nuclear colour",
        "nuclear texture",
        "nuclear morphology",
        "membrane intensity",
        "share of positive membrane",
    ]
    assert CELLNET.hand_made is not None
    assert CELLNET.hand_made.features == FEATURES


def test_the_nucleus_is_measured_as_it_was_drawn(drawn: Drawn, found: dict[str, np.ndarray]) -> None:
    # Ellipses with half axes of 7 to 8.5 and 6 to 7 px, in 0.15 to 0.2 OD of haematoxylin.
    faint = drawn.classes < 2
    assert np.median(found["area"][faint]) == pytest.approx(np.pi * 7.75 * 6.5 * UM**2, rel=0.22)
    assert np.median(found["major_axis"][faint]) == pytest.approx(15.5 * UM, rel=0.12)
    assert np.median(found["minor_axis"][faint]) == pytest.approx(13 * UM, rel=0.12)
    assert np.median(found["solidity"][faint]) > 0.9
    assert np.median(found["nucleus_haematoxylin"][faint]) == pytest.approx(0.175 + 0.02, abs=0.04)
    # Blue nuclei take away more red and green light than blue light.
    assert (found["nucleus_od_red"] > found["nucleus_od_blue"])[faint].all()


def test_the_membrane_is_darker_and_more_of_it_is_positive_from_class_to_class(
    drawn: Drawn, found: dict[str, np.ndarray]
) -> None:
    for name in ("membrane_mean", "membrane_high", "membrane_positive"):
        medians = [np.median(found[name][drawn.classes == c]) for c in range(4)]
        assert (np.diff(medians) > 0.03).all(), name
    for c, part in enumerate(ARC):
        assert np.median(found["positive_share"][drawn.classes == c]) == pytest.approx(100 * part, abs=13)


def test_a_coarse_nucleus_has_more_contrast_than_an_even_one() -> None:
    rows, columns = np.indices((SIDE, SIDE)) - SIDE // 2
    nucleus = np.hypot(rows, columns) < 9
    even = np.where(nucleus, 0.3, 0.02)
    coarse = even + np.where(nucleus & ((rows // 2 + columns // 2) % 2 == 0), 0.25, 0)
    pictures = [np.array(GLASS) * 10.0 ** -(od[..., None] * np.array(unit(HAEMATOXYLIN))) for od in (even, coarse)]
    smooth, rough = (
        dict(zip(NAMES, row, strict=True)) for row in measure(stained(np.stack(pictures).astype(np.uint8)), UM)
    )
    assert rough["glcm_contrast"] > smooth["glcm_contrast"] + 1
    assert rough["haematoxylin_sd"] > 3 * smooth["haematoxylin_sd"]
    assert rough["glcm_homogeneity"] < smooth["glcm_homogeneity"]
    assert smooth["glcm_energy"] > 0.95
    assert smooth["form_factor"] > 0.9
    assert smooth["area"] == pytest.approx(nucleus.sum() * UM**2, rel=0.15)


def test_a_quarter_turn_changes_nothing_but_rounding(drawn: Drawn) -> None:
    samples = cut(drawn)[:40]
    # An even side has its middle between pixels, a turned one too.
    here, turned = (measure(stained(np.ascontiguousarray(s)), UM) for s in (samples, np.rot90(samples, axes=(1, 2))))
    scale = np.maximum(here.std(axis=0), 1e-3)
    assert np.median(np.abs(here - turned) / scale) < 0.05


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_sample_without_anything_has_numbers_too(level: int) -> None:
    found = measure(stained(np.full((2, SIDE, SIDE, 3), level, np.uint8)), UM)
    assert np.isfinite(found).all()
    # The stand-in is a disc of 2 um.
    assert found[:, NAMES.index("area")] == pytest.approx(np.pi * 4, rel=0.3)


def test_noise_has_numbers_too() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (60, SIDE, SIDE, 3)).astype(np.uint8)
    assert np.isfinite(measure(stained(noise), UM)).all()
