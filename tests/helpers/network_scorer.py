"""A small scorer with one real network, installed as a package with an entry point."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.helpers.made_models import made_model

ID = "netted"
PACKAGE = f"her2viewer_trial_{ID}"
MODEL = "small-net"

_MANIFEST = """
api = 1
id = "netted"
title = "Trial netted"
version = "1"
summary = "For tests"
stain = "HER2 IHC"
organs = ["breast"]
mpp = 0.5
counts = "surface"
entry = "her2viewer_trial_netted.scorer:TrialScorer"

[[models]]
setting = "network"
title = "Network"
"""

_NETWORK = """
import torch

class Net(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                         torch.nn.Flatten(), torch.nn.Linear(4, 4))
"""

_SCORER = """
import numpy as np
from her2viewer.api import TUMOUR_SCHEME, ClassMap, Finished, Grid, Partial, Progress, find_model

SIDE = 64

class TrialScorer:
    def score(self, request, runtime):
        model = find_model("netted", request.settings["network"])
        network = runtime.network(model)
        assert network.device == "CPU"
        x0, y0, x1, y1 = (int(v) // SIDE for v in request.region.bounds)
        rows, columns = y1 - y0, x1 - x0
        yield Progress("Patches", 0, rows)
        classes = np.zeros((rows, columns), np.uint8)
        for row in range(rows):
            runtime.check()
            with runtime.timed("Reading", columns * SIDE * SIDE):
                strip = request.slide.read(0, x0 * SIDE, (y0 + row) * SIDE, columns * SIDE, SIDE)
            images = strip.reshape(SIDE, columns, SIDE, 3).swapaxes(0, 1)
            classes[row] = network(images).argmax(axis=1)
        grid = Grid(float(x0 * SIDE), float(y0 * SIDE), float(SIDE), columns, rows)
        weight = np.ones((rows, columns), np.float32)
        yield Partial((ClassMap("Classes", grid, TUMOUR_SCHEME, classes, weight),), request.region)
        yield Finished(weights={model.name: model.sha256})
"""


def install(folder: Path) -> None:
    """Write the package and its metadata into ``folder``, to be put on ``sys.path`` and ``PYTHONPATH``."""
    package = folder / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "network.py").write_text(textwrap.dedent(_NETWORK))
    (package / "scorer.py").write_text(textwrap.dedent(_SCORER))
    (package / "scorer.toml").write_text(_MANIFEST)
    info = folder / "her2viewer_netted-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: her2viewer-netted\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[her2viewer.scorers]\n{ID} = {PACKAGE}\n")


def make_model(folder: Path) -> None:
    """A model for the scorer, which must be importable."""
    made_model(
        folder,
        architecture=f"{PACKAGE}.network:Net",
        name=MODEL,
        plugin=ID,
        side=64,
        offset=(0.5,) * 3,
        scale=(2.0,) * 3,
        bf16=False,
    )
