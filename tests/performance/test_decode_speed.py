"""Tiles from file to memory: a raw decoder, this reader and OpenSlide on the same tiles."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from her2viewer.commands.bench_decode import decode_rates
from her2viewer.resources import resource_path
from her2viewer.slides.open import open_slide

TILES = [(x, y) for y in range(8, 14) for x in range(8, 18)]
"""Columns and rows in the middle of the sample."""


@pytest.fixture(scope="module")
def sample() -> Path:
    return resource_path("sample", "sample_her2.tif")


def test_rates_beside_a_raw_decoder_and_openslide(sample: Path) -> None:
    with open_slide(sample) as slide:
        rates = decode_rates(sample, slide, 4)
    for threads, row in rates["threads"].items():
        sys.stdout.write(
            f"\n  {threads}: raw {row['raw']:.0f}, reader {row['reader']:.0f}, OpenSlide {row['openslide']:.0f} "
            f"Mpx/s; {row['of_raw']:.0%} of raw, {row['of_openslide']:.1f} x OpenSlide"
        )
    assert rates["raw_decoder"] == "simplejpeg"


@pytest.mark.parametrize("way", ["rgb", "bgra", "bgra at 1/2", "bgra at 1/4", "openslide"])
def test_sixty_tiles(benchmark: BenchmarkFixture, sample: Path, way: str) -> None:
    with open_slide(sample) as slide:
        reduce = {"bgra at 1/2": 2, "bgra at 1/4": 4}.get(way, 1)

        def read() -> None:
            for column, row in TILES:
                at = (column * 256, row * 256, 256, 256)
                if way == "openslide":
                    slide.through_openslide(0, *at)  # type: ignore[attr-defined]
                elif way == "rgb":
                    slide.read(0, *at)
                else:
                    slide.read_bgra(0, *at, reduce=reduce)

        benchmark(read)
        benchmark.extra_info["megapixels"] = len(TILES) * 256 * 256 / 1e6
