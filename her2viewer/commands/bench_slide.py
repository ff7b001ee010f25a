"""A slide to be measured on, large enough to pan in: the bundled sample side by side."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError

SIDE = 12_288
"""Width and height, px."""
FACTORS = (4, 16)
"""Reduced levels, as scanners write them."""


def make_slide(path: Path, side: int = SIDE) -> None:
    """Write the slide to ``path`` (.tif): JPEG tiles of 256 px, levels 1, 4 and 16.

    In a process of its own: the whole picture in memory must not count as the viewer's.

    Raises:
        CommandError: it could not be written.
    """
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(path, side))
    process.start()
    process.join()
    if process.exitcode or not path.exists():
        raise CommandError(
            exit_codes.PROBLEM,
            f"The slide could not be written to {path.parent}. It needs about {side * side / 3e6:.0f} MB there and "
            f"{7 * side * side / 1e9:.0f} GB of memory.",
        )


def _write(path: Path, side: int) -> None:
    import numpy as np

    from her2viewer.phantom.pyramid import reduced, write_pyramid
    from her2viewer.resources import resource_path
    from her2viewer.slides.open import open_slide

    with open_slide(resource_path("sample", "sample_her2.tif")) as sample:
        width, height = min(sample.width, side), min(sample.height, side)
        # The middle: glass around the tissue would be decoded too easily.
        part = sample.read(0, (sample.width - width) // 2, (sample.height - height) // 2, width, height)
        mpp = None if sample.pixel_size is None else sample.pixel_size.mpp
    picture = np.empty((side, side, 3), dtype=np.uint8)
    for y in range(0, side, height):
        for x in range(0, side, width):
            target = picture[y : y + height, x : x + width]
            target[:] = part[: target.shape[0], : target.shape[1]]
    write_pyramid(path, reduced(picture, FACTORS), mpp=mpp, magnification=40, quality=80)
