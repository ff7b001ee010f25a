"""The panel of cells in the real window: counts, plot, clusters, and what is chosen in it and on the tissue."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.cell_corrections import SaidClass
from her2viewer.domain.evidence import CellTable, Evidence
from her2viewer.scoring import cell_clusters
from her2viewer.viewer import shown_cells
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.panels import cells_panel
from her2viewer.viewer.panels.cells_points import MOST_POINTS
from tests.helpers.cell_evidence import STEP, cells_result, lattice_cells, many_cells
from tests.helpers.surface_evidence import surface_evidence, surface_result
from tests.unit import geojson_rules as rules
from tests.viewer.test_main_window import messages, write_slide
from tests.viewer.test_surface_window import new_window, open_in

NONE, CTRL, SHIFT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> MainWindow:
    made = new_window(qtbot)
    open_in(qtbot, made, write_slide(tmp_path / "cells.ome.tif", 0.5, (1000, 1300)))
    made.session.add(Annotation.drawn(shapely.box(0, 0, 1300, 1000), Role.ROI), "Draw region")
    return made


def put(window: MainWindow, *evidence: Evidence) -> None:
    size = window.session.pixel_size
    assert size is not None
    window.controller.restore(cells_result(evidence, window.session.region, size))


def open_panel(qtbot: QtBot, window: MainWindow, page: str = "Counts") -> None:
    window.panels["Cells"].set_open(True)
    window.panels.right.ensureWidgetVisible(window.panels.cells)
    window.panels.cells.show_page(page)
    settle(qtbot, window)


def settle(qtbot: QtBot, window: MainWindow) -> None:
    """What was changed has been heard, and what follows is worked out."""
    cells = window.cells
    qtbot.waitUntil(lambda: not cells.shown.pausing and cells.panel.idle and cells.browsing.layer.idle)


def click(window: MainWindow, x: float, y: float, keys: Qt.KeyboardModifier = NONE) -> None:
    place = QPoint(*(round(v) for v in window.canvas.viewport.to_screen(x, y)))
    QTest.mouseClick(window.canvas, LEFT, keys, place)


def drag_in_plot(window: MainWindow, *corners: tuple[float, float], keys: Qt.KeyboardModifier = NONE) -> None:
    """Draw with the button held through places of the plot (membrane OD, completeness)."""
    plot = window.panels.cells.plot
    assert plot is not None
    places = [plot.place_of(*corner).toPoint() for corner in corners]
    view = plot.viewport()
    QTest.mousePress(view, LEFT, keys, places[0])
    for start, end in pairwise(places):
        for part in range(1, 5):
            QTest.mouseMove(view, start + (end - start) * part / 4)
            # pyqtgraph takes a move for a drag when it is so long after the press.
            QTest.qWait(20)
    QTest.mouseRelease(view, LEFT, keys, places[-1])


def test_counts_and_shares_are_told_by_class_and_what_was_left_out_apart(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window)
    counts = np.bincount(table.classes, minlength=7).tolist()
    tumour = sum(counts[3:])
    rows = {name: (count, share) for name, count, share in window.panels.cells.counts.texts}
    assert rows["3+"] == (str(counts[6]), f"{100 * counts[6] / tumour:.1f} %")
    assert rows["tumour cells"][0] == f"{tumour:,}"
    assert [rows[kind][0] for kind in ("artefact", "stroma", "immune")] == [str(n) for n in counts[:3]]


def test_entropy_follows_the_outline_and_high_values_are_marked(qtbot: QtBot, window: MainWindow) -> None:
    put(window, lattice_cells())
    open_panel(qtbot, window)
    counts = window.panels.cells.counts
    assert counts.entropy.value == pytest.approx(math.log(4), abs=0.01)
    assert counts.meaning.property("role") == "amber"
    assert counts.meaning.text().startswith("High")
    roi = window.session.annotations.items[0]
    left_band = replace(roi, geometry=shapely.box(0, 0, 100 + 9.5 * STEP, 1000))
    window.session.edit("Shrink", window.session.annotations.replaced(left_band))
    qtbot.waitUntil(lambda: counts.entropy.value == 0)
    assert counts.meaning.property("role") == "muted"
    assert counts.meaning.text().startswith("Low")


def test_the_region_that_is_selected_is_spoken_of_and_all_of_them_otherwise(qtbot: QtBot, window: MainWindow) -> None:
    half = 100 + 19.5 * STEP
    window.session.edit("Clear", AnnotationSet())
    for x0, x1, name in ((0, half, "left"), (half, 1300, "right")):
        window.session.add(replace(Annotation.drawn(shapely.box(x0, 0, x1, 1000), Role.ROI), name=name), "Draw")
    window.session.select(())
    put(window, lattice_cells())
    open_panel(qtbot, window)
    counts = window.panels.cells.counts

    def shown(name: str) -> int:
        return int({row[0]: row[1] for row in counts.texts}[name].replace(",", ""))

    whole = shown("tumour cells")
    assert shown("3+") > 0
    right = next(a for a in window.session.annotations if a.name == "right")
    window.session.select((right.id,))
    settle(qtbot, window)
    assert window.cells.shown.title == "right"
    assert (shown("0"), shown("1+")) == (0, 0)
    assert shown("3+") > 0
    left = next(a for a in window.session.annotations if a.name == "left")
    right_cells = shown("tumour cells")
    window.session.select((left.id,))
    settle(qtbot, window)
    assert shown("3+") == 0
    assert shown("tumour cells") + right_cells == whole


def test_a_scorer_of_surfaces_leaves_the_panel_empty(qtbot: QtBot, window: MainWindow) -> None:
    size = window.session.pixel_size
    assert size is not None
    window.controller.restore(surface_result(surface_evidence(1300, 1000, 0.5), window.session.region, size))
    open_panel(qtbot, window)
    assert "Run a scorer that counts cells" in window.panels.cells.words
    assert not window.panels.cells.counts.isVisible()


def test_cells_without_membrane_measures_are_counted_and_the_plot_says_what_is_missing(
    qtbot: QtBot, window: MainWindow
) -> None:
    put(window, replace(lattice_cells(), features={}, probabilities=None))
    open_panel(qtbot, window, "Plot")
    assert "does not measure" in window.panels.cells.words
    assert window.panels.cells.plot is None
    window.chosen_cells.set(window.controller.evidence[0], [3])
    assert window.panels.cells.chosen.numbers == (("Class", "artefact"),)
    settle(qtbot, window)


class Run:
    """Parts of a run that goes on, as they arrive in the window."""

    def __init__(self, window: MainWindow) -> None:
        self._window, self._controller = window, window.controller
        size = window.session.pixel_size
        assert size is not None
        self._known = self._controller._known.begin("cells", "cells", size)
        self._controller._choice.id = "cells"
        self._controller.evidence_changed.emit(())

    def add(self, *parts: CellTable) -> None:
        for part in parts:
            self._known.add((part,), self._window.session.region)
            self._controller.evidence_added.emit((part,))
            self._controller._update()


def in_bands(table: CellTable) -> list[CellTable]:
    """Three parts of a table, from above to below."""
    return [table.selected((table.y >= y0) & (table.y < y1)) for y0, y1 in ((0, 300), (300, 600), (600, 9e9))]


def tumour(*tables: CellTable) -> int:
    return sum(int((table.classes >= 3).sum()) for table in tables)


def plotted(window: MainWindow) -> int:
    plot = window.panels.cells.plot
    return 0 if plot is None or plot.points is None else len(plot.points)


def test_while_a_run_adds_parts_counts_and_plot_follow(qtbot: QtBot, window: MainWindow, monkeypatch) -> None:
    monkeypatch.setattr(shown_cells, "_GROW_MS", 50)
    table = lattice_cells()
    first, second, third = in_bands(table)
    run = Run(window)
    open_panel(qtbot, window, "Counts")
    run.add(first, second)
    told = {name: count for name, count, _ in window.panels.cells.counts.texts}
    assert told["3+"] == str(sum((part.classes == 6).sum() for part in (first, second)))
    window.panels.cells.show_page("Plot")
    qtbot.waitUntil(lambda: plotted(window) == tumour(first, second))
    assert "the run goes on" in window.panels.cells.words
    run.add(third)
    qtbot.waitUntil(lambda: plotted(window) == tumour(table))
    put(window, table)
    settle(qtbot, window)
    assert plotted(window) == tumour(table)
    assert window.panels.cells.words == ""
    assert not window.cells.shown.growing


def test_before_anything_has_arrived_the_plot_says_when_it_comes(qtbot: QtBot, window: MainWindow) -> None:
    run = Run(window)
    run.add(lattice_cells().selected(np.zeros(1200, dtype=bool)))
    open_panel(qtbot, window, "Counts")
    run.add(lattice_cells().selected(np.zeros(1200, dtype=bool)))
    window.panels.cells.show_page("Plot")
    settle(qtbot, window)
    assert "as soon as cells have arrived" in window.panels.cells.words


def test_cells_chosen_in_the_plot_of_a_run_stay_chosen_while_it_grows(
    qtbot: QtBot, window: MainWindow, monkeypatch
) -> None:
    monkeypatch.setattr(shown_cells, "_GROW_MS", 50)
    table = lattice_cells()
    first, second, third = in_bands(table)
    run = Run(window)
    run.add(first, second)
    open_panel(qtbot, window, "Plot")
    qtbot.waitUntil(lambda: plotted(window) == tumour(first, second))
    drag_in_plot(window, (0.6, 76), (0.76, 76), (0.76, 99.5), (0.6, 99.5))
    strong = int((first.classes == 6).sum() + (second.classes == 6).sum())
    qtbot.waitUntil(lambda: len(window.chosen_cells) == strong)
    plot = window.panels.cells.plot
    assert plot is not None
    assert plot.ringed == strong
    run.add(third)
    qtbot.waitUntil(lambda: plotted(window) == tumour(table))
    settle(qtbot, window)
    assert len(window.chosen_cells) == strong
    assert plot.ringed == strong


def test_clusters_follow_a_run_and_the_one_that_is_looked_at_stays(
    qtbot: QtBot, window: MainWindow, monkeypatch
) -> None:
    monkeypatch.setattr(shown_cells, "_GROW_MS", 50)
    table = lattice_cells()
    # Bands with a gap wider than the link between them: two clusters in each.
    first, second, third = (part.selected(part.y % 300 < 220) for part in in_bands(table))
    run = Run(window)
    run.add(first, second)
    open_panel(qtbot, window, "Clusters")
    found = window.panels.cells.clusters
    qtbot.waitUntil(lambda: len(found.clusters) == 4)
    assert "the run goes on" in found.summary.text()
    found.go(1)
    kept = found.clusters[1]
    run.add(third)
    qtbot.waitUntil(lambda: len(found.clusters) == 6)
    assert found.list.currentRow() == 2
    now = found.clusters[2]
    assert now.indices.tolist() == kept.indices.tolist()


def written(qtbot: QtBot, window: MainWindow, path: Path) -> str:
    window.exporting.write_report(path.suffix[1:], path)
    qtbot.waitUntil(path.exists)
    return path.read_text(encoding="utf-8")


def test_exports_of_cells_carry_the_numbers_of_the_clusters_that_were_looked_at(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    table = lattice_cells()
    put(window, table)
    plain = csv.DictReader(written(qtbot, window, tmp_path / "before.csv").splitlines())
    assert "cluster" not in (plain.fieldnames or ())
    open_panel(qtbot, window, "Clusters")
    page = window.panels.cells.clusters
    page.classes.setCurrentIndex(1)
    settle(qtbot, window)
    # The page need not be open while they are written.
    window.panels.cells.show_page("Counts")
    expected = np.zeros(len(table), dtype=int)
    for number, cluster in enumerate(page.clusters, start=1):
        expected[cluster.indices] = number
    assert expected.max() == len(page.clusters) > 1
    rows = list(csv.DictReader(written(qtbot, window, tmp_path / "after.csv").splitlines()))
    assert [int(row["cluster"] or 0) for row in rows] == expected.tolist()
    rule = "2+ and 3+ cells, 20 um, 10 or more"
    assert {row["cluster_of"] for row in rows} == {"", rule}
    data = json.loads(written(qtbot, window, tmp_path / "cells.geojson"))
    assert rules.broken_rules(data) == []
    told = [f["properties"] for f in data["features"]]
    assert [p["measurements"].get("Cluster", 0) for p in told] == expected.tolist()
    assert {p.get("metadata", {}).get("Cluster of", "") for p in told} == {"", rule}


def test_nothing_is_put_together_of_a_run_that_nobody_looks_at_closely(qtbot: QtBot, window: MainWindow) -> None:
    run = Run(window)
    run.add(*in_bands(lattice_cells()))
    settle(qtbot, window)
    assert not window.cells.shown.growing
    open_panel(qtbot, window, "Plot")
    qtbot.waitUntil(lambda: window.cells.shown.growing)


def test_nothing_is_made_while_the_panel_is_folded(qtbot: QtBot, window: MainWindow) -> None:
    put(window, lattice_cells())
    settle(qtbot, window)
    assert window.panels.cells.plot is None
    click(window, 100 + 5 * STEP, 100 + 5 * STEP)
    assert len(window.chosen_cells) == 0


def test_drawing_around_points_chooses_their_cells(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window, "Plot")
    plot = window.panels.cells.plot
    assert plot is not None
    assert not plot.density
    # Around the points of class 3+: OD from 0.65, complete from 80 %.
    drag_in_plot(window, (0.6, 76), (0.76, 76), (0.76, 99.5), (0.6, 99.5))
    chosen = window.chosen_cells
    qtbot.waitUntil(lambda: len(chosen) > 0)
    assert chosen.indices.tolist() == np.flatnonzero(table.classes == 6).tolist()
    assert plot.ringed == len(chosen)
    assert "cells are chosen" in window.panels.cells.chosen.summary.text()
    settle(qtbot, window)
    # With Ctrl two corners are enough; Shift adds.
    drag_in_plot(window, (0.02, 1), (0.17, 22), keys=CTRL | SHIFT)
    qtbot.waitUntil(lambda: len(chosen) > (table.classes == 6).sum())
    assert set(np.unique(table.classes[chosen.indices])) == {3, 6}
    drag_in_plot(window, (0.3, 90), (0.35, 90), (0.35, 98))
    qtbot.waitUntil(lambda: len(chosen) == 0)


def test_chosen_cells_are_set_off_on_the_tissue(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window)
    at = 20 * 40 + 20
    view = window.canvas.viewport
    window.canvas.set_viewport(view.zoomed(0.5, 10, 10).centred(float(table.x[at]), float(table.y[at])))
    settle(qtbot, window)
    layer = window.cells.browsing.layer

    def bright() -> int:
        image = window.canvas.grab().toImage()
        x, y = window.canvas.viewport.to_screen(float(table.x[at]) + 9, float(table.y[at]))
        near = [image.pixelColor(round(x) + dx, round(y)) for dx in range(-4, 5)]
        return min(c.lightness() for c in near)

    qtbot.waitUntil(lambda: bright() > 60)
    window.chosen_cells.set(table, [at, at + 1])
    qtbot.waitUntil(lambda: layer.idle)
    qtbot.waitUntil(lambda: bright() < 40)
    window.chosen_cells.clear()
    qtbot.waitUntil(lambda: bright() > 60)


def test_a_click_on_the_tissue_marks_the_point_and_tells_the_numbers(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window, "Plot")
    at = 12 * 40 + 38
    window.canvas.set_viewport(window.canvas.viewport.centred(float(table.x[at]), float(table.y[at])))
    click(window, float(table.x[at]) + 4, float(table.y[at]) - 3)
    assert window.chosen_cells.indices.tolist() == [at]
    plot = window.panels.cells.plot
    assert plot is not None
    od, complete = float(table.features["membrane_od"][at]), float(table.features["completeness"][at])
    assert plot.marked == (pytest.approx(od), pytest.approx(complete))
    told = dict(window.panels.cells.chosen.numbers)
    assert told["Class"] == "3+"
    assert told["Probability of 3+"] == "0.88"
    assert len([name for name in told if name.startswith("Probability of")]) == 7
    assert told["Membrane OD"] == f"{od:.2f}"
    assert told["Completeness"] == f"{complete:.0f} %"
    assert told["Nucleus OD"] == f"{float(table.features['nucleus_od'][at]):.2f}"
    click(window, float(table.x[at]) + STEP, float(table.y[at]), CTRL)
    assert window.chosen_cells.indices.tolist() == [at, at + 1]
    click(window, 30, float(table.y[at]))
    assert len(window.chosen_cells) == 0


def test_codes_of_a_scorer_are_told_in_words_and_units_beside_the_values(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    n = len(table)
    features = {"pattern": np.full(n, 2.0, np.float32), "nucleus_area_um2": np.full(n, 41.3, np.float32)}
    units = {"pattern": "0 none, 1 incomplete, 2 basolateral, 3 complete", "nucleus_area_um2": "um2"}
    table = replace(table, features=features, feature_units=units, probabilities=None)
    put(window, table)
    open_panel(qtbot, window)
    window.chosen_cells.set(table, [17])
    expected = (("Class", "1+"), ("Pattern", "basolateral"), ("Nucleus area", "41 µm²"))
    assert window.panels.cells.chosen.numbers == expected


def test_a_class_that_is_hidden_cannot_be_clicked(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window)
    at = int(np.flatnonzero(table.classes == 4)[50])
    layer = window.evidence.cells
    assert layer is not None
    layer.set_shown(4, False)
    click(window, float(table.x[at]), float(table.y[at]))
    assert at not in window.chosen_cells.indices.tolist()


def test_keys_go_from_cell_to_cell_and_escape_lets_them_go(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window)
    window.canvas.setFocus()
    QTest.keyClick(window.canvas, Qt.Key.Key_J)
    assert "No cell is chosen" in messages(window)
    wanted = [5, 500, 1100]
    window.chosen_cells.set(table, wanted)
    window.canvas.set_viewport(window.canvas.viewport.centred(float(table.x[500]), float(table.y[500])))
    seen = []
    for key in (NONE, NONE, NONE, SHIFT):
        QTest.keyClick(window.canvas, Qt.Key.Key_J, key)
        seen.append(window.cells.browsing.current)
        goal = window.canvas.goal
        at = seen[-1]
        assert at is not None
        assert (goal.cx, goal.cy) == (pytest.approx(float(table.x[at])), pytest.approx(float(table.y[at])))
    assert seen == [500, 1100, 5, 1100]
    assert window.panels.cells.chosen.summary.text() == "Cell 3 of 3 chosen"
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    assert len(window.chosen_cells) == 0


def test_many_points_are_drawn_as_density_and_can_be_chosen_all_the_same(qtbot: QtBot, window: MainWindow) -> None:
    table = many_cells(120_000, 1000)
    put(window, table)
    open_panel(qtbot, window, "Plot")
    qtbot.waitUntil(lambda: window.panels.cells.plot is not None)
    plot = window.panels.cells.plot
    assert plot is not None
    assert plot.density
    assert plot.points is not None
    assert plot.points.counts is not None
    assert plot.points.counts.sum() == len(plot.points) > MOST_POINTS
    edge = plot.points.right
    drag_in_plot(window, (0.01, 2), (edge * 0.99, 2), (edge * 0.99, 99), (0.01, 99))
    chosen = window.chosen_cells
    qtbot.waitUntil(lambda: len(chosen) > 0)
    x, y = table.features["membrane_od"], table.features["completeness"]
    sure = (table.classes >= 3) & (x > 0.03) & (x < edge * 0.95) & (y > 5) & (y < 95)
    assert np.isin(np.flatnonzero(sure), chosen.indices).all()
    assert plot.ringed == len(chosen)
    settle(qtbot, window)


def test_the_selection_stays_when_cells_are_classed_anew_and_goes_with_the_slide(
    qtbot: QtBot, window: MainWindow
) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window)
    window.chosen_cells.set(table, [7, 8])
    other = replace(table, classes=np.full_like(table.classes, 5))
    put(window, other)
    assert window.chosen_cells.table is other
    assert window.chosen_cells.indices.tolist() == [7, 8]
    window.flow.close()
    qtbot.waitUntil(lambda: window.session.slide is None)
    assert len(window.chosen_cells) == 0
    settle(qtbot, window)


def test_what_the_reader_corrects_is_counted_plotted_and_still_chosen(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells()
    put(window, table)
    open_panel(qtbot, window, "Plot")
    weak = np.flatnonzero(table.classes == 5)[:30]
    window.chosen_cells.set(table, weak)
    session, panel = window.session, window.panels.cells
    x, y = table.x[weak], table.y[weak]
    session.correct_cells("Class 3+", session.cell_corrections.after(x, y, SaidClass("3+", 3)))
    qtbot.waitUntil(lambda: window.cells.shown.table is not table)
    qtbot.waitUntil(lambda: panel.plot.points is not None and panel.plot.points.table is window.cells.shown.table)
    points, shown = panel.plot.points, window.cells.shown.table
    assert (points.her2 == 3).sum() == (table.classes == 6).sum() + 30
    assert window.chosen_cells.table is shown
    assert window.chosen_cells.indices.tolist() == weak.tolist()
    assert panel.plot.ringed == 30
    window.cells.step(1)
    told = dict(panel.chosen.numbers)
    assert (told["Class, by the reader"], told["Class, by the scorer"]) == ("3+", "2+")
    panel.show_page("Counts")
    counts = {name: count for name, count, _ in panel.counts.texts}
    assert counts["3+"] == str((table.classes == 6).sum() + 30)
    # Removed cells are no longer there, nor chosen.
    session.correct_cells("Remove", session.cell_corrections.after(x[:10], y[:10], None))
    at = window.cells.browsing.place
    qtbot.waitUntil(lambda: len(window.chosen_cells) == 20)
    assert window.cells.browsing.place == (None if at < 10 else at - 10)
    assert len(window.chosen_cells.table) == len(table) - 10
    settle(qtbot, window)


def test_clusters_are_listed_outlined_and_gone_to(qtbot: QtBot, window: MainWindow) -> None:
    table = islands()
    put(window, table)
    open_panel(qtbot, window, "Clusters")
    clusters = window.panels.cells.clusters
    qtbot.waitUntil(lambda: clusters.list.count() == 2)
    assert clusters.list.item(0).text().startswith("1.  36 cells, ")
    assert "2 clusters with 52 of 53 such cells" in clusters.summary.text()
    assert len(window.cells.outlines.clusters) == 2
    clusters.go(1)
    goal = window.canvas.goal
    assert shapely.Point(goal.cx, goal.cy).distance(clusters.clusters[1].outline) < 60
    assert len(window.chosen_cells) == 16
    clusters.outlines.setChecked(False)
    assert window.cells.outlines.clusters == ()
    clusters.outlines.setChecked(True)
    window.panels.cells.show_page("Counts")
    assert window.cells.outlines.clusters == ()
    settle(qtbot, window)


def test_clusters_of_another_class_are_found_when_it_is_chosen(qtbot: QtBot, window: MainWindow) -> None:
    put(window, islands())
    open_panel(qtbot, window, "Clusters")
    clusters = window.panels.cells.clusters
    clusters.classes.setCurrentIndex(clusters.classes.findText("Cells of class 1+"))
    settle(qtbot, window)
    assert clusters.list.count() == 0
    assert clusters.summary.text().startswith("No cluster")


def test_distance_and_least_size_of_clusters_can_be_changed_and_are_kept(qtbot: QtBot, window: MainWindow) -> None:
    put(window, islands())
    open_panel(qtbot, window, "Clusters")
    clusters = window.panels.cells.clusters
    assert (clusters.link.value(), clusters.least.value()) == (20, 10)
    clusters.least.setValue(20)
    settle(qtbot, window)
    assert [len(c) for c in clusters.clusters] == [36]
    assert "(no farther than 20 µm from the next, 20 cells or more)" in clusters.summary.text()
    # Cells of the lattice stand 12 um apart.
    clusters.link.setValue(10)
    settle(qtbot, window)
    assert clusters.clusters == ()
    assert window.cells.outlines.clusters == ()
    clusters.least.setValue(0)
    assert clusters.least.value() == 2
    window.close()
    again = new_window(qtbot)
    assert again.panels.cells.clusters.link.value() == 10
    assert again.panels.cells.clusters.least.value() == 2


def test_clusters_that_could_not_be_found_say_so_and_are_found_when_it_is_tried_again(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(window, islands())
    with monkeypatch.context() as patch:
        patch.setattr(cell_clusters, "clusters", out_of_memory)
        open_panel(qtbot, window, "Clusters")
        page = window.panels.cells.clusters
        assert page.trouble.isVisible()
        assert page.trouble.text.startswith(
            "The clusters could not be worked out: the memory of this machine is used"
        )
        assert not page.summary.isVisible()
        assert not page.list.isVisible()
    page.trouble.button.click()
    settle(qtbot, window)
    assert not page.trouble.isVisible()
    assert page.list.count() == 2


def test_a_plot_that_could_not_be_made_says_so_and_is_made_when_it_is_tried_again(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(window, lattice_cells())
    panel = window.panels.cells
    with monkeypatch.context() as patch:
        patch.setattr(cells_panel, "points_of", lambda *_: 1 // 0)
        open_panel(qtbot, window, "Plot")
        assert "(ZeroDivisionError: integer division or modulo by zero)" in panel.trouble.text
        assert "Help, Open log file" in panel.trouble.text
        assert panel.plot is None
    panel.trouble.button.click()
    settle(qtbot, window)
    assert not panel.trouble.isVisible()
    assert panel.plot is not None
    assert panel.plot.isVisible()


def test_no_panel_is_cut_off_at_the_side_when_its_column_scrolls(qtbot: QtBot, window: MainWindow) -> None:
    put(window, lattice_cells())
    for layer in window.evidence.layers:
        layer.visible = True
    for title in ("Cells", "Layers", "Case"):
        window.panels[title].set_open(True)
    for page in ("Counts", "Plot", "Clusters"):
        open_panel(qtbot, window, page)
        for column in (window.panels.left, window.panels.right):
            qtbot.waitUntil(lambda column=column: column.widget().width() <= column.viewport().width())
    qtbot.waitUntil(lambda: window.cells.maps.idle)


def islands() -> CellTable:
    """Two clusters of 3+ cells, 36 and 16, and one such cell apart, in a sea of 0."""
    table = lattice_cells(40, 30)
    column, row = np.arange(1200) % 40, np.arange(1200) // 40
    three = (column < 6) & (row < 6) | (column >= 20) & (column < 24) & (row >= 20) & (row < 24)
    three |= (column == 35) & (row == 3)
    return replace(table, classes=np.where(three, 6, 3).astype(np.uint8))


def test_a_point_of_the_plot_is_chosen_by_a_click(qtbot: QtBot, window: MainWindow) -> None:
    table = lattice_cells(8, 3)
    put(window, table)
    open_panel(qtbot, window, "Plot")
    plot = window.panels.cells.plot
    assert plot is not None
    tumour = np.flatnonzero(table.classes >= 3)
    at = int(tumour[-1])
    place = plot.place_of(float(table.features["membrane_od"][at]), float(table.features["completeness"][at]))
    QTest.mouseMove(plot.viewport(), place.toPoint())
    QTest.mouseClick(plot.viewport(), LEFT, NONE, place.toPoint())
    qtbot.waitUntil(lambda: len(window.chosen_cells) == 1)
    assert window.chosen_cells.indices.tolist() == [at]


def out_of_memory(*_: object) -> None:
    raise MemoryError
