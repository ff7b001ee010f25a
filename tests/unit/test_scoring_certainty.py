"""Uncertainty of a class map and the patches that decide."""

from __future__ import annotations

import numpy as np
import pytest

from her2viewer.domain.classes import TUMOUR_SCHEME, ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Grid
from her2viewer.domain.region import Region
from her2viewer.scoring.certainty import deciding_patches, uncertainty

EVERYWHERE = Region.rectangle(0, 0, 1e5, 1e5)


def row(*patches: tuple[float, float, float, float], weight: list[float] | None = None) -> ClassMap:
    """Patches of 128 px in one row with these probabilities."""
    p = np.array([patches], np.float32)
    return ClassMap(
        "HER2",
        Grid(0, 0, 128, len(patches), 1),
        TUMOUR_SCHEME,
        p.argmax(axis=-1).astype(np.uint8),
        np.array([weight or [1.0] * len(patches)], np.float32),
        p,
        least_weight=0.1,
    )


def test_a_sure_patch_has_no_uncertainty_a_toss_up_has_all_of_it_and_what_is_not_counted_has_none() -> None:
    heat = uncertainty(
        row((0, 0, 0, 1), (0, 0.5, 0.5, 0), (0.1, 0.6, 0.3, 0), (0, 1, 0, 0), weight=[1, 1, 0.5, 0.05])
    )
    assert heat is not None
    np.testing.assert_allclose(heat.values, [[0, 1, 0.7, np.nan]], atol=1e-6)


def test_maps_without_probabilities_or_of_other_things_have_no_uncertainty() -> None:
    found = row((0, 0, 0, 1))
    assert uncertainty(ClassMap("HER2", found.grid, TUMOUR_SCHEME, found.classes, found.weight)) is None
    quality = ClassScheme(("good", "ink", "dust", "fold"), (-1, -1, -1, -1))
    assert (
        uncertainty(ClassMap("Quality", found.grid, quality, found.classes, found.weight, found.probabilities))
        is None
    )


def test_the_surest_strong_patches_come_first_and_then_the_faintest_1_plus() -> None:
    found = row(
        (0.0, 0.0, 0.3, 0.7),
        (0.0, 0.0, 0.1, 0.9),
        (0.0, 0.2, 0.8, 0.0),
        (0.4, 0.6, 0.0, 0.0),
        (0.0, 1.0, 0.0, 0.0),
        (0.9, 0.1, 0.0, 0.0),
    )
    patches = deciding_patches(found, EVERYWHERE, each=2, apart=0)
    assert [(p.kind, round(p.certainty, 3), p.x) for p in patches] == [
        ("3+", 0.9, 192),
        ("3+", 0.7, 64),
        ("2+", 0.8, 320),
        ("1+", 0.6, 448),
        ("1+", 1.0, 576),
    ]


def test_patches_that_one_field_shows_are_one_entry_and_those_outside_the_region_none() -> None:
    found = row(*[(0.0, 0.0, 0.0, 1.0)] * 12)
    assert [p.x for p in deciding_patches(found, EVERYWHERE, each=9, apart=4)] == [64, 576, 1088]
    inside = deciding_patches(found, Region.rectangle(600, 0, 200, 128), each=9, apart=4)
    assert [p.x for p in inside] == [704]


def test_of_equally_sure_patches_the_one_full_of_tumour_goes_first_and_little_tumour_never() -> None:
    found = row(*[(0.0, 0.0, 0.0, 1.0)] * 3, weight=[0.5, 0.9, 0.05])
    patches = deciding_patches(found, EVERYWHERE, apart=0)
    assert [p.tumour for p in patches] == pytest.approx([0.9, 0.5])


def test_nothing_decides_in_a_map_without_probabilities_or_without_patches() -> None:
    found = row((0, 0, 0, 1))
    bare = ClassMap("HER2", found.grid, TUMOUR_SCHEME, found.classes, found.weight)
    assert deciding_patches(bare, EVERYWHERE) == ()
    empty = ClassMap(
        "HER2",
        found.grid,
        TUMOUR_SCHEME,
        np.full((1, 1), NOT_SCORED, np.uint8),
        found.weight,
        found.probabilities,
    )
    assert deciding_patches(empty, EVERYWHERE) == ()
