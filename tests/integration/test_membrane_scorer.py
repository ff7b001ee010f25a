"""The membrane scorer on drawn tissue whose every cell is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from her2viewer_membrane.scorer import MembraneScorer
from scipy.spatial import cKDTree

from her2viewer.api import (
    Cancelled,
    CellTable,
    Event,
    Finished,
    Heatmap,
    Partial,
    Progress,
    Region,
    ScorerError,
    ScoringInput,
    StainEstimate,
    TileError,
)
from her2viewer.scoring.aggregate import shares_of
from her2viewer.scoring.merge import EvidenceStore
from her2viewer.scoring.registry import find_scorer
from tests.helpers.array_slide import ArraySlide
from tests.helpers.drawn_tissue import UM, Drawn, draw_cells, draw_he

MANIFEST = find_scorer("membrane")
NOWHERE = Region.of(())


class Desk:
    """A runtime that never cancels, or does so after some looks."""

    device = "CPU"

    def __init__(self, threads: int = 2, cancel_after: int | None = None) -> None:
        self.threads = threads
        self._left = cancel_after

    def check(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Cancelled


def request(
    slide: ArraySlide,
    region: Region | None = None,
    whole: Region | None = None,
    estimates: Mapping[str, Any] | None = None,
    control: Region = NOWHERE,
    **settings: Any,
) -> ScoringInput:
    assert slide.pixel_size is not None
    region = region if region is not None else Region.rectangle(0, 0, slide.width, slide.height)
    return ScoringInput(
        slide,
        slide.pixel_size,
        region,
        whole if whole is not None else region,
        control,
        MANIFEST.complete(settings),
        estimates or {},
    )


def events_of(given: ScoringInput, desk: Desk | None = None) -> list[Event]:
    return list(MembraneScorer().score(given, desk or Desk()))


def outcome(events: list[Event]) -> tuple[Finished, CellTable, Heatmap]:
    store = EvidenceStore()
    for event in events:
        if isinstance(event, Partial):
            store.add(event.evidence)
    finished = events[-1]
    assert isinstance(finished, Finished)
    cells, heatmap = store.merged()
    assert isinstance(cells, CellTable)
    assert isinstance(heatmap, Heatmap)
    return finished, cells, heatmap


@pytest.fixture(scope="module")
def mixed() -> Drawn:
    return draw_cells()


@pytest.fixture(scope="module")
def wide() -> Drawn:
    """Larger than one tile in both directions (a tile is 1536 px here)."""
    return draw_cells((0.4, 0.2, 0.2, 0.2), (1900, 1900), seed=3)


@pytest.fixture(scope="module")
def wide_events(wide: Drawn) -> list[Event]:
    return events_of(request(ArraySlide(wide.rgb, UM)))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"background": (178, 178, 180)},
        {"background": (252, 252, 253), "dab": (0.31, 0.54, 0.78)},
        {"haematoxylin": (0.68, 0.63, 0.37), "background": (214, 214, 214)},
        {"shares": (0.85, 0.05, 0.05, 0.05)},
        {"shares": (0.05, 0.1, 0.25, 0.6), "seed": 5},
    ],
)
def test_the_shares_that_were_drawn_are_found(how):
    drawn = draw_cells(**how)
    slide = ArraySlide(drawn.rgb, UM)
    given = request(slide)
    finished, cells, _ = outcome(events_of(given))
    assert finished.not_assessable is None
    shares = shares_of([cells], given.region, "cells", given.pixel_size)
    truth = 100 * np.bincount(drawn.classes, minlength=4) / len(drawn.classes)
    assert shares is not None
    assert np.abs(np.array(shares.percent) - truth).max() < 6
    assert abs(shares.total - len(drawn.classes)) < 0.04 * len(drawn.classes)


def test_each_cell_has_the_class_it_was_drawn_with(mixed):
    _, cells, _ = outcome(events_of(request(ArraySlide(mixed.rgb, UM))))
    distance, nearest = cKDTree(np.stack([mixed.x, mixed.y], axis=1)).query(np.stack([cells.x, cells.y], axis=1))
    near = distance < 5
    assert near.mean() > 0.97
    assert (cells.classes[near] == mixed.classes[nearest[near]]).mean() > 0.9


def test_a_finer_scan_gives_the_same_answer(mixed):
    fine = np.repeat(np.repeat(mixed.rgb, 2, axis=0), 2, axis=1)
    coarse = outcome(events_of(request(ArraySlide(mixed.rgb, UM))))[1]
    found = outcome(events_of(request(ArraySlide(fine, UM / 2, downsamples=(1,)))))[1]
    assert len(found) == len(coarse)
    assert (found.classes == coarse.classes).mean() > 0.98
    assert np.abs(found.x / 2 - coarse.x).max() < 1.0


def test_columns_have_units_and_contours_lie_around_their_cells(mixed):
    _, cells, _ = outcome(events_of(request(ArraySlide(mixed.rgb, UM))))
    assert set(cells.features) == set(cells.feature_units)
    assert cells.feature_units["membrane_od"] == "OD"
    assert (cells.features["completeness"] <= 100.001).all()
    for k in range(0, len(cells), 40):
        outline = cells.contour(k)
        assert 3 <= len(outline) <= 16
        assert np.hypot(*(outline.mean(axis=0) - (cells.x[k], cells.y[k]))) < 6


def test_no_cell_is_counted_twice_or_lost_at_a_seam(wide, wide_events):
    _, cells, _ = outcome(wide_events)
    assert sum(isinstance(e, Partial) for e in wide_events) == 4
    xy = np.stack([cells.x, cells.y], axis=1)
    between, _ = cKDTree(xy).query(xy, k=2)
    assert between[:, 1].min() > 4
    to_truth, _ = cKDTree(xy).query(np.stack([wide.x, wide.y], axis=1))
    seam = (np.abs(wide.x - 1536) < 40) | (np.abs(wide.y - 1536) < 40)
    assert seam.sum() > 150
    assert (to_truth[seam] < 5).mean() > 0.98


def test_seams_do_not_show_against_one_big_tile(wide, wide_events):
    from her2viewer_membrane.analysis import Stain, cells_in
    from her2viewer_membrane.rules import rules_for

    from her2viewer.api import deconvolution

    finished, cells, _ = outcome(wide_events)
    known = StainEstimate.from_json(finished.estimates)
    tables = deconvolution(known.background, known.haematoxylin, known.dab)
    stain = Stain(known.background, tables, finished.estimates["nucleus_od"])
    margin = np.pad(wide.rgb, ((80, 80), (80, 80), (0, 0)), constant_values=255)
    whole = cells_in(margin, UM, stain, rules_for(MANIFEST.complete({})))
    tree = cKDTree(np.stack([whole.x - 79.5, whole.y - 79.5], axis=1))
    distance, nearest = tree.query(np.stack([cells.x, cells.y], axis=1))
    assert abs(len(whole.x) - len(cells)) <= 0.002 * len(cells)
    assert (distance < 0.1).mean() > 0.995
    assert (whole.classes[nearest] == cells.classes).mean() > 0.995


def test_threads_do_not_change_the_answer(wide, wide_events):
    _, once, map_once = outcome(wide_events)
    alone = events_of(request(ArraySlide(wide.rgb, UM)), Desk(threads=1))
    _, again, map_again = outcome(alone)
    for key in ("x", "y", "classes", "contours"):
        assert (getattr(once, key) == getattr(again, key)).all()
    assert np.array_equal(map_once.values, map_again.values, equal_nan=True)


def test_partials_cover_the_region_once(wide_events):
    covered = [e.covered for e in wide_events if isinstance(e, Partial)]
    assert sum(c.area_px for c in covered) == pytest.approx(1900**2, rel=1e-6)


def test_progress_ends_at_its_total(wide_events):
    steps = [e for e in wide_events if isinstance(e, Progress) and e.stage == "Cells"]
    assert steps[-1].done == steps[-1].total == 4
    assert [s.done for s in steps] == sorted(s.done for s in steps)


def test_the_heatmap_is_one_grid_and_dark_where_staining_is_strong():
    drawn = draw_cells((0, 0, 0, 1), (900, 900))
    weak = draw_cells((1, 0, 0, 0), (900, 900)).rgb
    both = np.concatenate([weak, drawn.rgb], axis=1)
    _, _, heatmap = outcome(events_of(request(ArraySlide(both, UM))))
    assert heatmap.unit == "OD"
    gx, _ = heatmap.grid.centres()
    left, right = heatmap.values[gx < 800], heatmap.values[gx > 1000]
    assert np.nanmean(left) < 0.05
    assert np.nanmean(right) > 0.5
    assert np.isnan(heatmap.values).any()


def test_a_region_scored_in_two_parts_is_the_region_scored_at_once(wide, wide_events):
    slide = ArraySlide(wide.rgb, UM)
    whole = Region.rectangle(0, 0, 1900, 1900)
    first = Region.rectangle(0, 0, 1100, 1300)
    finished, all_cells, all_map = outcome(wide_events)
    store = EvidenceStore()
    for part in (first, whole.difference(first)):
        for event in events_of(request(slide, part, whole, finished.estimates)):
            if isinstance(event, Partial):
                store.add(event.evidence)
            if isinstance(event, Finished):
                assert event.not_assessable is None
                assert event.estimates == finished.estimates
    cells, heatmap = store.merged()
    assert isinstance(cells, CellTable)
    assert isinstance(heatmap, Heatmap)
    assert abs(len(cells) - len(all_cells)) <= 3
    counts = [np.bincount(t.classes, minlength=5) for t in (cells, all_cells)]
    assert np.abs(counts[0] - counts[1]).max() <= 3
    assert np.nanmax(np.abs(heatmap.values - all_map.values)) < 0.05


def test_only_cells_of_the_region_come_back(mixed):
    part = Region.of([Region.rectangle(200, 200, 300, 300).geometry], [Region.rectangle(300, 300, 60, 60).geometry])
    _, cells, _ = outcome(events_of(request(ArraySlide(mixed.rgb, UM), part)))
    assert len(cells) > 50
    assert part.contains_points(cells.x, cells.y).all()


def test_a_hand_full_of_cells_is_not_assessable(mixed):
    small = Region.rectangle(150, 150, 110, 110)
    finished = events_of(request(ArraySlide(mixed.rgb, UM), small))[-1]
    assert isinstance(finished, Finished)
    assert finished.not_assessable is not None
    assert finished.not_assessable.code == "few_cells"
    assert finished.estimates == {}


def test_empty_glass_is_not_assessable():
    rng = np.random.default_rng(0)
    glass = np.clip(np.array((236, 235, 243)) + rng.normal(0, 1, (900, 900, 3)), 0, 255).astype(np.uint8)
    events = events_of(request(ArraySlide(glass, UM)))
    assert events[-1].not_assessable.code == "no_tissue"
    assert not any(isinstance(e, Partial) for e in events)


def test_a_black_picture_is_said_to_be_black():
    rng = np.random.default_rng(0)
    black = np.clip(6 + rng.normal(0, 2, (900, 900, 3)), 0, 255).astype(np.uint8)
    finished = events_of(request(ArraySlide(black, UM)))[-1]
    assert finished.not_assessable.code == "too_dark"
    assert "nearly black" in finished.not_assessable.reason


def test_haematoxylin_and_eosin_is_not_assessable():
    finished = events_of(request(ArraySlide(draw_he(), UM)))[-1]
    assert finished.not_assessable.code == "not_ihc_he"


def test_brown_nuclei_are_not_assessable():
    finished = events_of(request(ArraySlide(draw_cells(nuclear_dab=0.5).rgb, UM)))[-1]
    assert finished.not_assessable.code == "nuclear_stain"


def test_a_blurred_region_is_not_assessable():
    finished = events_of(request(ArraySlide(draw_cells((0, 0, 0.5, 0.5), blur=4.5).rgb, UM)))[-1]
    assert finished.not_assessable.code == "out_of_focus"


def test_a_refusal_can_be_overruled_and_stays_as_a_warning():
    slide = ArraySlide(draw_cells(nuclear_dab=0.5).rgb, UM)
    finished, cells, _ = outcome(events_of(request(slide, score_anyway=True)))
    assert finished.not_assessable is None
    assert "nuclear_stain" in {w.code for w in finished.warnings}
    assert len(cells) > 100


def test_a_section_without_dab_is_a_plain_zero():
    slide = ArraySlide(draw_cells((1, 0, 0, 0)).rgb, UM)
    finished, cells, _ = outcome(events_of(request(slide)))
    assert finished.not_assessable is None
    assert (cells.classes == 0).mean() > 0.97
    assert "usual_vector" not in {w.code for w in finished.warnings}


def test_what_a_person_enters_is_used_and_named(mixed):
    entered = {"background": "230 230 240", "haematoxylin": "0.6 0.6 0.5", "dab": "0.25 0.5 0.83"}
    finished = events_of(request(ArraySlide(mixed.rgb, UM), **entered))[-1]
    assert isinstance(finished, Finished)
    assert finished.estimates["background"] == [230.0, 230.0, 240.0]
    assert finished.estimates["background_source"] == "entered"
    assert finished.estimates["dab_source"] == "entered"


def test_vectors_that_are_one_stain_end_in_a_sentence(mixed):
    with pytest.raises(ScorerError, match="too alike"):
        events_of(request(ArraySlide(mixed.rgb, UM), haematoxylin="0.6 0.6 0.5", dab="0.6 0.6 0.51"))


def test_damaged_estimates_end_in_a_sentence(mixed):
    with pytest.raises(ScorerError, match="cannot be used again"):
        events_of(request(ArraySlide(mixed.rgb, UM), estimates={"background": [1, 2]}))


def test_coarse_pixels_and_few_cells_are_said():
    drawn = draw_cells((0.5, 0, 0, 0.5), (600, 600))
    coarse = drawn.rgb[::2, ::2]
    events = events_of(request(ArraySlide(coarse, 2 * UM, downsamples=(1,))))
    codes = {w.code for w in events[-1].warnings}
    assert "coarse_pixels" in codes


def test_pixels_wider_than_a_membrane_are_not_assessable(mixed):
    finished = events_of(request(ArraySlide(mixed.rgb, 124.0)))[-1]
    assert finished.not_assessable.code == "too_coarse"


def test_an_empty_region_ends_in_a_sentence(mixed):
    with pytest.raises(ScorerError, match="Nothing is outlined"):
        events_of(request(ArraySlide(mixed.rgb, UM), NOWHERE, NOWHERE))


def test_brown_cytoplasm_is_said():
    drawn = draw_cells((0, 0, 0.5, 0.5))
    brown = np.zeros(drawn.rgb.shape[:2])
    brown[90:-90, 90:-90] = 0.35
    rgb = drawn.rgb * 10.0 ** -(brown[..., None] * np.array((0.22, 0.48, 0.85)))
    events = events_of(request(ArraySlide(rgb.round().astype(np.uint8), UM)))
    assert "cytoplasmic" in {w.code for w in events[-1].warnings}
    plain = events_of(request(ArraySlide(drawn.rgb, UM)))
    assert "cytoplasmic" not in {w.code for w in plain[-1].warnings}


def test_control_tissue_is_judged_and_not_counted():
    strong, weak = (
        draw_cells((0, 0, 0.1, 0.9), (500, 900), glass=60),
        draw_cells((0.9, 0.1, 0, 0), (500, 900), glass=60),
    )
    slide = ArraySlide(np.concatenate([strong.rgb, weak.rgb]), UM)
    above, below = Region.rectangle(0, 0, 900, 500), Region.rectangle(0, 500, 900, 500)
    finished, cells, _ = outcome(events_of(request(slide, below, control=above)))
    assert (cells.y > 500).all()
    assert finished.estimates["control"]["cells"] > 200
    assert finished.estimates["control"]["percent"][3] > 80
    assert not {w.code for w in finished.warnings} & {"control_weak", "control_few_cells"}
    again, _, _ = outcome(events_of(request(slide, below, control=above, estimates=finished.estimates)))
    assert again.estimates == finished.estimates
    turned, _, _ = outcome(events_of(request(slide, above, control=below)))
    assert "control_weak" in {w.code for w in turned.warnings}


@pytest.mark.parametrize("looks", [0, 2, 8, 30])
def test_cancelling_ends_the_run_at_any_point(wide, looks):
    desk = Desk(cancel_after=looks)
    with pytest.raises(Cancelled):
        events_of(request(ArraySlide(wide.rgb, UM)), desk)


def test_closing_the_generator_leaves_no_thread_behind(wide):
    import threading

    run = MembraneScorer().score(request(ArraySlide(wide.rgb, UM)), Desk())
    for event in run:
        if isinstance(event, Partial):
            break
    run.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("membrane")]


class Torn(ArraySlide):
    """A slide with one area that cannot be decoded."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        if level == 0 and x > 1000 and y > 1000 and width > 190:
            raise TileError("This area cannot be decoded.")
        return super().read(level, x, y, width, height)


def test_an_unreadable_area_is_left_out_and_said(wide):
    finished, cells, _ = outcome(events_of(request(Torn(wide.rgb, UM))))
    assert "unread" in {w.code for w in finished.warnings}
    assert not ((cells.x > 1536) & (cells.y > 1536)).any()
    assert (cells.x > 1536).any()


def test_estimates_survive_json(mixed):
    import json

    finished = events_of(request(ArraySlide(mixed.rgb, UM)))[-1]
    back = json.loads(json.dumps(dict(finished.estimates)))
    assert back == finished.estimates
    assert StainEstimate.from_json(back).as_json() == {k: back[k] for k in StainEstimate.from_json(back).as_json()}
