"""A million cells on the screen: what the main thread pays for a frame, against a plain blit of the same size."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter
from pytest_benchmark.fixture import BenchmarkFixture
from pytestqt.qtbot import QtBot

from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.cell_index import CellStore
from her2viewer.viewer.overlays.cells import CellLayer

MILLION = 1_000_000
SIDE = 50_000
WIDTH, HEIGHT = 1920, 1080


@pytest.fixture(scope="module")
def million() -> CellTable:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, SIDE, MILLION).astype(np.float32)
    y = rng.uniform(0, SIDE, MILLION).astype(np.float32)
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32) * 18
    outlines = (np.stack([x, y], axis=1)[:, None, :] + ring).reshape(-1, 2)
    return CellTable(
        "cells",
        CELL_SCHEME,
        x,
        y,
        rng.integers(0, 5, MILLION).astype(np.uint8),
        contours=outlines,
        contour_starts=np.arange(0, 16 * MILLION + 1, 16, dtype=np.int64),
    )


def filled(qtbot: QtBot, table: CellTable, viewport: Viewport) -> CellLayer:
    layer = CellLayer("cells", CELL_SCHEME, (SIDE, SIDE))
    layer.append(table)
    layer.viewport_changed(viewport)
    qtbot.waitUntil(lambda: layer.idle, timeout=60_000)
    return layer


@pytest.mark.parametrize("downsample", [1.0, 8.0, 40.0])
def test_a_frame_with_a_million_cells(
    qtbot: QtBot, benchmark: BenchmarkFixture, million: CellTable, downsample: float
) -> None:
    viewport = Viewport(SIDE / 2, SIDE / 2, downsample, WIDTH, HEIGHT)
    layer = filled(qtbot, million, viewport)
    frame = QImage(WIDTH, HEIGHT, QImage.Format.Format_RGB32)
    plain = QImage(WIDTH, HEIGHT, QImage.Format.Format_ARGB32_Premultiplied)
    plain.fill(Qt.GlobalColor.transparent)

    def paint() -> None:
        painter = QPainter(frame)
        layer.paint(painter, viewport)
        painter.end()

    def blit() -> None:
        painter = QPainter(frame)
        painter.drawImage(0, 0, plain)
        painter.end()

    def best(work, times: int = 15) -> float:
        spans = []
        for _ in range(times):
            begun = time.perf_counter()
            work()
            spans.append(time.perf_counter() - begun)
        return min(spans)

    benchmark.extra_info["ratio_to_a_blit"] = round(best(paint) / best(blit), 2)
    benchmark(paint)
    layer.stop()


def test_indexing_a_million_cells(benchmark: BenchmarkFixture, million: CellTable) -> None:
    def build() -> CellStore:
        store = CellStore(CELL_SCHEME, SIDE, SIDE)
        cells = store.prepared(million)
        assert cells is not None
        store.append(cells)
        return store

    assert len(benchmark.pedantic(build, rounds=3)) == MILLION


@pytest.mark.parametrize("downsample", [1.0, 8.0, 40.0])
def test_drawing_one_tile_in_the_worker(
    benchmark: BenchmarkFixture, qtbot: QtBot, million: CellTable, downsample: float
) -> None:
    layer = CellLayer("cells", CELL_SCHEME, (SIDE, SIDE))
    layer.append(million)
    qtbot.waitUntil(lambda: layer.idle, timeout=60_000)
    render = layer._render()
    at, span = SIDE / 2, 512 * downsample
    image = benchmark.pedantic(render, args=((at, at, at + span, at + span), 512, downsample), rounds=5)
    assert image is not None
    layer.stop()
