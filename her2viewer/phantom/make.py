"""Phantom slides as files: slide, outlines and truth; registered pairs; sets."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from her2viewer.cases.geojson import write_geojson
from her2viewer.phantom.looks import Lab, Scanner
from her2viewer.phantom.recipe import Recipe, RecipeError
from her2viewer.phantom.rendering import Renderer
from her2viewer.phantom.slide_plan import BLOCK, SlidePlan
from her2viewer.phantom.streaming import TILE, jpeg_encoder, padded, write_stream
from her2viewer.phantom.survey import survey
from her2viewer.phantom.truth import score_of, write_truth
from her2viewer.slides.slide import RGBImage

LEAST, MOST = 256, 200_000
"""Smallest and largest side of a phantom, px."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Phantom:
    """What was written for one phantom."""

    slides: tuple[Path, ...]
    outlines: Path
    truths: tuple[Path, ...]
    score: str
    shares: tuple[float, float, float, float]
    """% by cell."""


def make_phantom(
    path: Path,
    recipe: Recipe,
    seed: int,
    size: tuple[int, int],
    *,
    scanner: Scanner,
    lab: Lab,
    stain: str = "ihc",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Phantom:
    """Write a phantom slide to ``path`` (.tif), its outlines (.geojson) and its truth (.truth.h5).

    With ``stain`` "both" the pair is ``NAME_ihc.tif`` and ``NAME_he.tif``, of the same tissue, pixel on pixel. The
    same arguments give the same bytes with the same versions of the libraries on the same kind of processor.

    Raises:
        RecipeError: the size is out of range.
        StorageError, OSError: a file cannot be written.
    """
    width, height = size
    if not (LEAST <= width <= MOST and LEAST <= height <= MOST):
        raise RecipeError(
            f"A phantom of {width} x {height} px cannot be made; each side must be {LEAST} to {MOST} px."
        )
    workers = workers or min(8, os.cpu_count() or 1)
    plan = SlidePlan(recipe, seed, size, scanner=scanner, lab=lab)
    truth = survey(plan, workers, _named(progress, "laying out"))
    outlines = path.with_suffix(".geojson")
    write_geojson(outlines, truth.outlines)
    slides, truths = [], []
    for kind in ("ihc", "he") if stain == "both" else (stain,):
        slide = path.with_name(f"{path.stem}_{kind}.tif") if stain == "both" else path
        write_slide(slide, plan, kind, workers, _named(progress, f"painting {slide.name}"))
        truths.append(slide.with_suffix(".truth.h5"))
        write_truth(truths[-1], plan, truth, kind)
        slides.append(slide)
    return Phantom(tuple(slides), outlines, tuple(truths), score_of(truth, recipe.tissue.organ), truth.shares_by_cell)


def _named(progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(name, done, total)) if progress else None


def write_slide(
    path: Path, plan: SlidePlan, stain: str, workers: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Paint a surveyed plan into ``path``, whole or not at all: written beside its place, then put there.

    Raises:
        OSError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    scanner = plan.scanner
    try:
        with ThreadPoolExecutor(workers) as pool:
            rows = _rows(pool, Renderer(plan, stain), workers, progress)
            write_stream(
                part,
                (plan.width, plan.height),
                rows,
                factors=scanner.factors,
                quality=scanner.quality,
                subsampling=scanner.subsampling,
                mpp=plan.mpp,
                magnification=scanner.magnification,
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _rows(
    pool: ThreadPoolExecutor, renderer: Renderer, workers: int, progress: Callable[[int, int], None] | None
) -> Iterator[list[tuple[RGBImage, list[bytes]]]]:
    """Rows of blocks, rendered and encoded; only a row and what is under way are held."""
    plan = renderer.plan
    across, down = math.ceil(plan.width / BLOCK), math.ceil(plan.height / BLOCK)
    encode = jpeg_encoder(plan.scanner.quality, plan.scanner.subsampling)

    def one(column: int, row: int) -> tuple[RGBImage, list[bytes]]:
        image = renderer.block(column, row)
        high, wide = image.shape[:2]
        tiles = [
            encode(padded(image[y : y + TILE, x : x + TILE]))
            for y in range(0, high, TILE)
            for x in range(0, wide, TILE)
        ]
        return image, tiles

    waiting: deque[Future[tuple[RGBImage, list[bytes]]]] = deque()
    places = iter((column, row) for row in range(down) for column in range(across))
    for row in range(down):
        blocks = []
        for column in range(across):
            while len(waiting) < 2 * workers and (place := next(places, None)):
                waiting.append(pool.submit(one, *place))
            blocks.append(waiting.popleft().result())
            if progress:
                progress(row * across + column + 1, across * down)
        yield blocks
