"""Small real scorers for tests of the core: installed as a package with entry points, run like any other."""

from __future__ import annotations

import textwrap
from pathlib import Path

PACKAGE = "her2viewer_trial"

_MANIFEST = """
api = {api}
id = "{id}"
title = "Trial {id}"
version = "1"
summary = "For tests"
stain = "HER2 IHC"
organs = ["breast"]
mpp = 0.5
counts = "cells"
entry = "her2viewer_trial_{id}.scorer:TrialScorer"
needs = {needs}

[[settings]]
id = "step_px"
title = "Step"
type = "int"
default = 64
min = 8
max = 512
"""

# A grid of "cells": class by column, so that every share has a known answer.
_GRID = """
import time
import numpy as np
from her2viewer.domain.classes import TUMOUR_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region
from her2viewer.domain.result import NotAssessable
from her2viewer.scoring.contract import Finished, Partial, Progress, ScorerError

class TrialScorer:
    def prepare(self, settings):
        import os
        folder = os.environ.get("TRIAL_PREPARED")
        if folder:
            open(os.path.join(folder, str(settings["step_px"])), "w").close()

    def score(self, request, runtime):
        step = request.settings["step_px"]
        x0, y0, x1, y1 = request.region.bounds
        tile = step * 8
        columns = range(int(x0 // tile), int(x1 // tile) + 1)
        rows = range(int(y0 // tile), int(y1 // tile) + 1)
        total = len(columns) * len(rows)
        done = 0
        yield Progress("Starting", 0, total)
        for row in rows:
            for column in columns:
                {each}
                runtime.check()
                covered = request.region.intersection(Region.rectangle(column * tile, row * tile, tile, tile))
                i = np.arange(8)
                gx, gy = np.meshgrid(column * tile + (i + .5) * step, row * tile + (i + .5) * step)
                keep = covered.contains_points(gx.ravel(), gy.ravel())
                x = gx.ravel()[keep].astype(np.float32)
                y = gy.ravel()[keep].astype(np.float32)
                classes = ((x // step) % 4).astype(np.uint8)
                table = CellTable("Cells", TUMOUR_SCHEME, x, y, classes,
                                  features={{"od": np.full(len(x), .5, np.float32)}}, feature_units={{"od": "OD"}})
                done += 1
                yield Progress("Cells", done, total)
                yield Partial((table,), covered)
        runs = request.estimates.get("runs", 0) + 1
        yield Finished(estimates={{"runs": runs}}, not_assessable={verdict})
"""

_RIDDLE = """
from her2viewer.scoring.contract import Finished

class Riddle:
    def __reduce__(self):
        return (__import__, ("a_module_that_the_window_lacks",))

class TrialScorer:
    def score(self, request, runtime):
        yield Finished(estimates={"riddle": Riddle()})
"""

# Leaves a thread behind, which asks whether it may go on and says when it may not.
_LEAVES = """
import os, threading, time
from pathlib import Path
from her2viewer.scoring.contract import Cancelled, Progress, ScorerError

class TrialScorer:
    def score(self, request, runtime):
        folder = Path(os.environ["TRIAL_LEFT"])
        def helper():
            try:
                while True:
                    (folder / "working").touch()
                    runtime.check()
                    time.sleep(0.02)
            except Cancelled:
                (folder / "stopped").touch()
        threading.Thread(target=helper, daemon=True).start()
        while not (folder / "working").exists():
            time.sleep(0.01)
        yield Progress("Working", 1, 2)
        if request.settings["step_px"] == 64:
            raise ScorerError("The stain cannot be told apart.")
        while True:
            runtime.check()
            time.sleep(0.02)
"""

# Says the last figure of the slide's name, and is far too sure of it.
_SURE = """
from her2viewer.scoring.contract import Finished

class TrialScorer:
    def score(self, request, runtime):
        score = int(request.slide.path.stem[-1])
        found = tuple(0.997 if k == score else 0.001 for k in range(4))
        yield Finished(score=score, score_probabilities=found)
"""

_SURE_MANIFEST = """
[[settings]]
id = "temperature"
title = "Temperature"
type = "float"
default = 1.0
min = 0.05
max = 20.0

[[settings]]
id = "calibration"
title = "Calibration"
type = "text"
default = ""

[calibration]
method = "temperature"
settings = ["temperature"]
"""

_GLASS = "NotAssessable('glass', 'There is only glass here.', 'Outline tissue.') if x0 >= 1000 else None"


def _grid(each: str, verdict: str = "None") -> str:
    return _GRID.format(each=each, verdict=verdict)


SCORERS = {
    "picky": _grid("pass", _GLASS),
    "grid": _grid("pass"),
    "slow": _grid("time.sleep(0.1)"),
    "deaf": _grid("time.sleep(3600)"),
    # Three tiles, then no more until the file that TRIAL_GATE names is there.
    "gated": _grid(
        "while done > 2 and not __import__('os').path.exists(__import__('os').environ['TRIAL_GATE']): "
        "time.sleep(0.02); runtime.check()"
    ),
    "crash": _grid("import os; os.abort()"),
    "memory": _grid("raise MemoryError"),
    "bug": _grid("1 / 0"),
    "refuses": _grid("raise ScorerError('The stain cannot be told apart.')"),
    "chatty": _grid("print('noise on standard output', flush=True)"),
    "riddle": _RIDDLE,
    "leaves": _LEAVES,
    # Calls its column by another name in a second run, so that the evidence of both cannot be joined.
    "fickle": _grid("pass").replace('{"od":', '{"other" if request.estimates else "od":'),
    "noimport": "import a_module_that_does_not_exist\n",
}


def install(folder: Path) -> None:
    """Write the packages and their metadata into ``folder``, to be put on ``sys.path`` and ``PYTHONPATH``."""
    points = []
    for name, code in SCORERS.items():
        _package(folder, name, code, _MANIFEST.format(id=name, api=1, needs="[]"))
        points.append(f"{name} = her2viewer_trial_{name}")
    _package(folder, "future", "", _MANIFEST.format(id="future", api=99, needs="[]"))
    _package(folder, "needy", "", _MANIFEST.format(id="needy", api=1, needs='["a_module_nobody_has"]'))
    _package(folder, "garbled", "", "api = [")
    manifest = _MANIFEST.format(id="sure", api=1, needs="[]").replace('"cells"', '"nothing"') + _SURE_MANIFEST
    _package(folder, "sure", _SURE, manifest)
    points += [f"{n} = her2viewer_trial_{n}" for n in ("future", "needy", "garbled", "gone", "sure")]
    info = folder / "her2viewer_trial-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: her2viewer-trial\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[her2viewer.scorers]\n" + "\n".join(points) + "\n")


def _package(folder: Path, name: str, code: str, manifest: str) -> None:
    package = folder / f"her2viewer_trial_{name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "scorer.py").write_text(textwrap.dedent(code))
    (package / "scorer.toml").write_text(manifest)
