"""How fast phantoms are laid out and painted; figures for pytest-benchmark, no limits."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from her2viewer.phantom.looks import lab, scanner
from her2viewer.phantom.recipe import read_recipe
from her2viewer.phantom.rendering import Renderer
from her2viewer.phantom.slide_plan import SlidePlan


def _plan() -> SlidePlan:
    return SlidePlan(read_recipe("gastric"), 1, (8192, 8192), scanner=scanner("white"), lab=lab("A"))


def test_laying_out_a_chunk_of_tissue(benchmark: Any) -> None:
    plan = _plan()
    plan.chunk(0, 0)
    places = itertools.cycle([(1, 1), (2, 1), (1, 2), (2, 2)])

    def fresh() -> int:
        column, row = next(places)
        return len(plan._lay_out(column, row).cells)

    assert benchmark(fresh) > 500


@pytest.mark.parametrize("stain", ["ihc", "he"])
def test_painting_a_block_of_tissue(benchmark: Any, stain: str) -> None:
    renderer = Renderer(_plan(), stain)
    renderer.block(3, 3)
    image = benchmark(renderer.block, 3, 3)
    assert image.std() > 5
