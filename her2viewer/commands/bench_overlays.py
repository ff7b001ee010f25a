"""The two largest overlays at once: frames, the words under the cursor, and shares while a region is edited."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from her2viewer.commands import bench_zoom
from her2viewer.commands.bench_figures import summary
from her2viewer.commands.bench_load import cells, patches

if TYPE_CHECKING:
    from her2viewer.commands.bench_canvas import CanvasBench
    from her2viewer.domain.evidence import CellTable, ClassMap
    from her2viewer.domain.region import Region

CELLS, PATCHES = 1_000_000, 500_000
CORNERS = 400
"""Of the region that is edited: one drawn by hand has some hundreds."""
ZOOMS = (1.0, 8.0)
"""Level-0 px per px of the screen, at which frames and words are asked for."""
EDITS = 60


def measure(bench: CanvasBench, rounds: int) -> dict[str, Any]:
    """Times with a million cells over half a million patches on the bench's slide.

    Args:
        bench: canvas with its slide.
        rounds: frames of each kind.

    Returns:
        ``frames`` as ``CanvasBench.frames`` gives them; ``readout`` and ``shares``: rows of ``what`` and times in ms.
    """
    from her2viewer.viewer.overlays.cells import CellLayer
    from her2viewer.viewer.overlays.grids import ClassMapLayer

    canvas, slide = bench.canvas, bench.slide
    # In runs of a few seconds as many as these can show.
    share = 1.0 if bench.unit >= 0.5 else 0.1
    table = cells(round(share * CELLS), slide.width, slide.height)
    class_map = patches(round(share * PATCHES), slide.width, slide.height)
    below = ClassMapLayer("patches", class_map.scheme)
    above = CellLayer("cells", table.scheme, (slide.width, slide.height))
    below.opacity = 0.5
    below.append(class_map)
    above.append(table)
    canvas.add_layer(below)
    canvas.add_layer(above)
    words = f"{len(table):,} cells over {class_map.classes.size:,} patches"
    frames, readout = [], []
    try:
        for zoom in ZOOMS:
            middle = replace(canvas.viewport, cx=slide.width / 2, cy=slide.height / 2, rotation=0.0)
            bench.settle(replace(middle, downsample=zoom), lambda: above.idle and below.idle)
            name = "1:1" if zoom == 1 else f"1/{zoom:g}"
            frames.append(bench.compare(f"{words} at {name}", canvas.repaint, rounds))
            frames.append(bench.panned(f"{words} at {name}", rounds))
            readout.append({"what": f"{words} at {name}", **summary(_readouts(bench))})
        frames.append(bench_zoom.measure(bench, rounds, f"{words}, while zooming"))
    finally:
        for layer in (below, above):
            canvas.remove_layer(layer)
            layer.stop()
    return {"frames": frames, "readout": readout, "shares": _shares(bench, table, class_map)}


def _readouts(bench: CanvasBench, times: int = 400) -> list[float]:
    """Time for the words on random points of the view, ms each."""
    canvas, pick = bench.canvas, random.Random(1)
    x0, y0, x1, y1 = canvas.viewport.bounds()
    taken = []
    for _ in range(times):
        x, y = pick.uniform(x0, x1), pick.uniform(y0, y1)
        begun = time.perf_counter()
        canvas.readout(x, y)
        taken.append(1000 * (time.perf_counter() - begun))
    return taken


def _shares(bench: CanvasBench, table: CellTable, class_map: ClassMap) -> list[dict[str, Any]]:
    """From an outline that was edited to the shares in it, as the window counts them at each step of a drag."""
    from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
    from her2viewer.viewer.live_shares import LiveShares

    size = bench.slide.pixel_size or PixelSize(0.25, 0.25, PixelSizeSource.USER, "assumed")
    found = []
    for what, evidence in (("cells", table), ("surface", class_map)):
        live = LiveShares("cells" if what == "cells" else "surface", size)
        live.set_whole(None, (evidence,))
        count = len(table) if what == "cells" else class_map.classes.size
        noun = "cells" if what == "cells" else "patches"
        found.append({"what": f"shares of {count:,} {noun}, a corner dragged", **summary(_edits(bench, live.shares))})
    return found


def _edits(bench: CanvasBench, shares: Callable[[Region], object]) -> list[float]:
    """A corner of a large region, wavy as one drawn by hand, goes outwards step by step; ms for each step."""
    import shapely

    from her2viewer.domain.region import Region

    width, height = bench.slide.width, bench.slide.height
    angles = [2 * math.pi * i / CORNERS for i in range(CORNERS)]
    radii = [0.37 + 0.04 * math.sin(3 * a) + 0.02 * math.sin(11 * a) + 0.01 * math.sin(29 * a) for a in angles]
    taken = []
    for step in range(EDITS):
        radii[7] = 0.3 + 0.15 * step / EDITS
        ring = [
            (width * (0.5 + r * math.cos(a)), height * (0.5 + r * math.sin(a)))
            for a, r in zip(angles, radii, strict=True)
        ]
        begun = time.perf_counter()
        shares(Region.of([shapely.Polygon(ring)]))
        taken.append(1000 * (time.perf_counter() - begun))
    # The first one builds what is kept.
    return taken[1:]
