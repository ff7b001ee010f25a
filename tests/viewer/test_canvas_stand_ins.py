"""What stands in for missing tiles: few pieces, quick in motion, smooth at rest, the map beside it untouched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.grid import view_box
from tests.helpers.canvases import MakeCanvas, rgb, tissue, wait_idle
from tests.helpers.gated_slide import GatedSlide


@pytest.fixture
def held(make_canvas: MakeCanvas, qtbot: QtBot):
    """A canvas at 1:1.6 with all its tiles, whose slide answers no more."""
    slide = GatedSlide(8000, 8000, (1, 4, 16))
    canvas = make_canvas(slide, 900, 700)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.6))
    wait_idle(qtbot, canvas)
    slide.hold()
    # What is decoded would do for the next zoom.
    assert canvas.loader._renderer is not None
    canvas.loader._renderer._blocks.clear()
    return canvas


def test_missing_tiles_are_drawn_in_no_more_pieces_than_there_are_tiles_at_hand(held) -> None:
    before = held.pyramid.scale(held.frame_view.downsample)
    columns, rows = before.tiles(view_box(held.frame_view, before.downsample))
    held.zoom_by(0.3)
    now = held.pyramid.scale(held.frame_view.downsample)
    pieces = list(held.store.pieces(now, view_box(held.frame_view, now.downsample)))
    assert not any(piece.exact for piece in pieces)
    assert len(pieces) <= len(columns) * len(rows)


def test_the_first_frame_of_a_zoom_is_rough_and_the_picture_is_smooth_at_rest(held, qtbot: QtBot) -> None:
    held.repaint()
    assert not held.tissue.rough
    held.zoom_by(0.3)
    kept = tissue(held)
    assert not held.tissue.rough
    rough = rgb(held.grab().toImage())
    assert held.tissue.rough
    qtbot.waitUntil(lambda: not held.tissue.rough, timeout=5000)
    smooth = rgb(held.grab().toImage())
    # A picture that is kept is never rough.
    assert np.array_equal(kept, tissue(held))
    assert not held.sharp
    # The same tissue at the same place.
    assert not np.array_equal(rough, smooth)
    assert np.abs(rough.astype(int) - smooth).mean() < 1.5


def test_a_view_is_rough_while_it_is_turned_and_smooth_at_rest(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(6000, 6000), 600, 400)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, rotation=30.0))
    wait_idle(qtbot, canvas)
    qtbot.waitUntil(lambda: not canvas.tissue.rough, timeout=5000)
    canvas.set_viewport(canvas.viewport.panned(3, 1))
    canvas.repaint()
    # Only a strip came into view: there is time to do it well.
    assert not canvas.tissue.rough
    canvas.set_viewport(canvas.viewport.rotated(2))
    canvas.repaint()
    assert canvas.tissue.rough
    qtbot.waitUntil(lambda: not canvas.tissue.rough, timeout=5000)


def test_panning_is_never_rough(held) -> None:
    held.repaint()
    for _ in range(4):
        held.set_viewport(held.viewport.panned(-300, 0))
        held.repaint()
        assert not held.tissue.rough
    assert not held.sharp


def test_a_turned_view_is_composed_once_for_many_steps_of_a_pan(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(6000, 6000), 600, 400)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, rotation=30.0))
    wait_idle(qtbot, canvas)
    canvas.repaint()
    composed = canvas.tissue._upright
    assert composed is not None
    for _ in range(5):
        canvas.set_viewport(canvas.viewport.panned(12, 7))
        canvas.repaint()
        assert canvas.tissue._upright is composed
    wait_idle(qtbot, canvas)
    moved = tissue(canvas)
    canvas.tissue.forget()
    assert np.array_equal(moved, tissue(canvas))


def test_tiles_that_come_to_a_turned_view_are_drawn_over_what_stood_in(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(6000, 6000)
    canvas = make_canvas(slide, 600, 400)
    wait_idle(qtbot, canvas)
    slide.hold()
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, rotation=30.0))
    canvas.repaint()
    before = canvas.tissue._upright
    blurred = tissue(canvas)
    assert not canvas.sharp
    slide.gate.set()
    wait_idle(qtbot, canvas)
    came = tissue(canvas)
    assert canvas.tissue._upright is before
    assert not np.array_equal(came, blurred)
    canvas.tissue.forget()
    assert np.array_equal(came, tissue(canvas))


def test_what_is_enlarged_a_lot_is_as_smooth_as_ever(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(16_000, 12_000, (1, 16))
    canvas = make_canvas(slide, 900, 700)
    wait_idle(qtbot, canvas)
    slide.hold()
    canvas.overview.shown = canvas.scale_bar_visible = False
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=8000.0, cy=6000.0))
    shown = rgb(canvas.grab().toImage()).astype(int)
    assert not canvas.sharp
    # Red follows x, green follows y: a step of one grey level at most from each pixel to the next.
    assert np.abs(np.diff(shown[..., 0], axis=1)).max() <= 1
    assert np.abs(np.diff(shown[..., 1], axis=0)).max() <= 1
    xs = canvas.frame_view.bounds()[0] + np.arange(900) + 0.5
    assert np.abs(shown[..., 0] - xs * 255 / 15_999).max() <= 2
