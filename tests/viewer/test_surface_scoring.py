"""The surface scorer in the window, with small networks in the place of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.evidence import ClassMap, TissueMask
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.scoring_model import ScoringState
from tests.helpers.surface_models import install
from tests.helpers.surface_slide import write_strips

PATIENCE_MS = 120_000


@pytest.fixture
def window(qtbot, tmp_path: Path) -> MainWindow:
    """With the strips open, outlined as a whole, and the scorer chosen."""
    install()
    path = write_strips(tmp_path / "strips.ome.tif")
    made = MainWindow()
    qtbot.addWidget(made)
    made.resize(1280, 800)
    made.show()
    made.open_slide(path)
    qtbot.waitUntil(lambda: made.session.slide is not None, timeout=PATIENCE_MS)
    slide = made.session.slide
    made.session.add(Annotation.drawn(shapely.box(0, 0, slide.width, slide.height), Role.ROI), "Draw region")
    made.controller.set_scorer("surface")
    return made


def test_the_answer_is_of_the_tumour_surface_with_mask_and_class_map(qtbot, window: MainWindow) -> None:
    assert window.controller.run()
    qtbot.waitUntil(lambda: window.controller.state is ScoringState.ANSWERED, timeout=PATIENCE_MS)
    shares = window.controller.shares
    assert shares is not None
    # The small segmenter loses some of the edge of the palest strip.
    assert shares.percent == pytest.approx((25, 25, 25, 25), abs=4)
    kinds = {type(e) for e in window.controller.evidence}
    assert {ClassMap, TissueMask} <= kinds
    result = window.controller.result
    assert result is not None
    assert result.provenance.device.startswith("CPU")
    assert set(result.provenance.weights) == {"segmenter", "classifier"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_the_reader_looks_at_is_scored_first(qtbot, window: MainWindow, side: str) -> None:
    slide = window.session.slide
    x = 100.0 if side == "left" else slide.width - 100.0
    window.canvas.set_viewport(window.canvas.viewport.centred(x, 100.0))
    looked_at = window.canvas.viewport.cx
    seen: list[float] = []
    window.controller._watcher.partial.connect(lambda _, __, covered: seen.append(covered.bounds[0]))
    assert window.controller.run()
    qtbot.waitUntil(lambda: len(seen) > 0, timeout=PATIENCE_MS)
    assert (seen[0] > 0) == (looked_at > slide.width / 2)
    window.controller.cancel()
    qtbot.waitUntil(lambda: window.controller.run_progress is None, timeout=PATIENCE_MS)
