"""Speed of the membrane scorer's parts beside the usual scikit-image way, in the same run."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from her2viewer_membrane.analysis import Stain, cells_in
from her2viewer_membrane.nuclei import detect
from her2viewer_membrane.rules import rules_for

from her2viewer.api import deconvolution, deconvolve
from her2viewer.scoring.registry import find_scorer
from her2viewer.stains.vectors import DAB, HAEMATOXYLIN
from tests.helpers.drawn_tissue import UM, draw_cells

RULES = rules_for(find_scorer("membrane").complete({}))
GLASS = (236.0, 235.0, 243.0)
TABLES = deconvolution(GLASS, HAEMATOXYLIN, DAB)


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    cv2.setNumThreads(1)
    rgb = draw_cells(size=(1000, 1000)).rgb
    cells_in(rgb, UM, Stain(GLASS, TABLES, 0.15), RULES)
    return rgb


def scikit_image_nuclei(rgb: np.ndarray) -> int:
    from scipy import ndimage
    from skimage import color, feature, filters, measure, segmentation

    haematoxylin = filters.gaussian(color.rgb2hed(rgb)[..., 0], 1.5)
    mask = haematoxylin > filters.threshold_otsu(haematoxylin)
    distance = filters.gaussian(ndimage.distance_transform_edt(mask), 1.0)
    peaks = feature.peak_local_max(distance, min_distance=6, labels=measure.label(mask))
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = segmentation.watershed(-distance, seeds, mask=mask)
    return len(measure.regionprops_table(labels, haematoxylin, ("area", "centroid", "eccentricity"))["area"])


def test_nuclei_of_a_megapixel(benchmark, field) -> None:  # type: ignore[no-untyped-def]
    def ours() -> int:
        return len(detect(*deconvolve(field, TABLES), UM, RULES.nuclei))

    started = time.perf_counter()
    expected = scikit_image_nuclei(field)
    baseline = time.perf_counter() - started
    started = time.perf_counter()
    found = ours()
    benchmark.extra_info["times_as_fast_as_scikit_image"] = baseline / (time.perf_counter() - started)
    assert abs(found - expected) < 0.1 * expected
    benchmark(ours)


def test_cells_of_a_megapixel(benchmark, field) -> None:  # type: ignore[no-untyped-def]
    stain = Stain(GLASS, TABLES, 0.15)
    started = time.perf_counter()
    cells_in(field, UM, stain, RULES)
    benchmark.extra_info["megapixels_per_second"] = (
        field.shape[0] * field.shape[1] / 1e6 / (time.perf_counter() - started)
    )
    benchmark(cells_in, field, UM, stain, RULES)
