"""Which fields represent a result."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap, FieldVote, FieldVotes, Grid, Heatmap
from her2viewer.domain.region import Region
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.decision import deciding_classes
from her2viewer.guidelines.engine import decide
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles
from her2viewer.reports.fields import (
    FIELD_UM,
    FieldChoice,
    choose_fields,
    control_field,
    on_slide,
)
from her2viewer.reports.pictures import nice_length

MPP = 0.5
SIDE = FIELD_UM / MPP
REGION = Region.rectangle(0, 0, 6000, 4000)
DEFAULT = load_profiles()[DEFAULT_PROFILE]


def table(x: list[float], y: list[float], classes: list[int]) -> CellTable:
    return CellTable(
        "Cells",
        CELL_SCHEME,
        np.array(x, dtype=np.float32),
        np.array(y, dtype=np.float32),
        np.array(classes, dtype=np.uint8),
    )


def cluster(x: float, y: float, classes: list[int], seed: int) -> tuple[list[float], list[float], list[int]]:
    rng = np.random.default_rng(seed)
    n = len(classes)
    return (list(x + rng.uniform(-150, 150, n)), list(y + rng.uniform(-150, 150, n)), classes)


def test_the_first_field_holds_most_of_what_decides_and_another_one_the_least() -> None:
    strong = cluster(1000, 1000, [2] * 120 + [0] * 80, 1)
    weak = cluster(4000, 3000, [0] * 190 + [2] * 10, 2)
    cells = table(strong[0] + weak[0], strong[1] + weak[1], strong[2] + weak[2])
    decision = decide(DEFAULT, Shares.from_percent((60, 0, 40, 0)))
    chosen = choose_fields([cells], REGION, MPP, decision)
    assert [c.title for c in chosen] == ["Where 2+ is densest", "Where 2+ is rarest"]
    assert (chosen[0].x, chosen[0].y) == pytest.approx((1000, 1000), abs=20)
    assert (chosen[1].x, chosen[1].y) == pytest.approx((4000, 3000), abs=20)
    assert chosen[0].side == SIDE


def test_cells_outside_the_region_and_cells_that_are_not_tumour_never_attract_a_field() -> None:
    inside = cluster(1000, 1000, [3] * 20, 1)
    outside = cluster(5000, 3000, [3] * 500, 2)
    stroma = cluster(1000, 3000, [4] * 500, 3)
    parts = [inside, outside, stroma]
    cells = table(*[list(itertools.chain(*(p[k] for p in parts))) for k in range(3)])  # type: ignore[arg-type]
    region = Region.rectangle(0, 0, 4000, 4000)
    chosen = choose_fields([cells], region, MPP, decide(DEFAULT, Shares.from_percent((0, 0, 0, 100))))
    assert len(chosen) == 1
    assert (chosen[0].x, chosen[0].y) == pytest.approx((1000, 1000), abs=30)


@given(
    points=st.lists(
        st.tuples(st.floats(0, 6000), st.floats(0, 4000), st.integers(0, 4)),
        min_size=1,
        max_size=80,
    ),
    percent=st.sampled_from([(100, 0, 0, 0), (80, 20, 0, 0), (82, 9, 9, 0), (70, 0, 30, 0), (50, 0, 0, 50)]),
)
def test_fields_never_overlap_and_each_shows_tumour(
    points: list[tuple[float, float, int]], percent: tuple[float, float, float, float]
) -> None:
    cells = table([p[0] for p in points], [p[1] for p in points], [p[2] for p in points])
    chosen = choose_fields([cells], REGION, MPP, decide(DEFAULT, Shares.from_percent(percent)))
    assert 1 <= len(chosen) <= 3
    for a, b in itertools.combinations(chosen, 2):
        assert max(abs(a.x - b.x), abs(a.y - b.y)) >= SIDE - 1
    her2 = np.asarray(CELL_SCHEME.her2)[cells.classes]
    tumour = REGION.contains_points(cells.x, cells.y) & (her2 >= 0)
    for field in chosen if tumour.any() else ():
        near = (np.abs(cells.x - field.x) <= SIDE / 2 + 1) & (np.abs(cells.y - field.y) <= SIDE / 2 + 1)
        assert (near & tumour).any()


def test_the_deciding_classes_are_those_of_the_row_that_fired() -> None:
    assert deciding_classes(decide(DEFAULT, Shares.from_percent((50, 0, 0, 50)))) == (3,)
    assert deciding_classes(decide(DEFAULT, Shares.from_percent((82, 9, 9, 0)))) == (1, 2)
    assert deciding_classes(decide(DEFAULT, Shares.from_percent((100, 0, 0, 0)))) == (0,)
    assert deciding_classes(decide(DEFAULT, Shares.from_percent((100, 0, 0, 0)), pattern_marked=True)) == (2,)
    assert deciding_classes(decide(DEFAULT, None, own_score=3)) == (3,)
    assert deciding_classes(decide(DEFAULT, None)) == ()
    assert deciding_classes(None) == ()


def test_a_class_map_gives_fields_by_tumour_surface() -> None:
    grid = Grid(0, 0, 100, 60, 40)
    classes = np.full(grid.shape, NOT_SCORED, dtype=np.uint8)
    classes[5:15, 5:15] = 3
    classes[25:35, 40:50] = 0
    weight = np.where(classes == 3, 0.5, 1.0).astype(np.float32)
    item = ClassMap("Classes", grid, TUMOUR_SCHEME, classes, weight)
    chosen = choose_fields([item], REGION, MPP, decide(DEFAULT, Shares.from_percent((67, 0, 0, 33))))
    assert chosen[0].title == "Where 3+ is densest"
    assert 500 <= chosen[0].x <= 1500
    assert chosen[1].title == "Where 3+ is rarest"
    assert 4000 <= chosen[1].x <= 5000


def test_a_heatmap_gives_its_highest_and_its_lowest_place() -> None:
    grid = Grid(0, 0, 100, 60, 40)
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    values[10, 20], values[30, 50], values[3, 3] = 0.9, 0.1, 0.5
    item = Heatmap("attention", grid, values, "", 0, 1)
    high, low = choose_fields([item], REGION, MPP, None)
    assert (high.x, high.y, high.title) == (2050, 1050, "Highest attention")
    assert (low.x, low.y) == (5050, 3050)


def test_votes_give_the_fields_with_the_highest_and_the_lowest_score() -> None:
    votes = FieldVotes(
        "Votes", tuple(FieldVote(x, 0, 400, s, (s,), (1.0,)) for x, s in [(0, 1), (1000, 3), (2000, 0)])
    )
    chosen = choose_fields([votes], REGION, MPP, None)
    assert [c.title for c in chosen] == ["Voted 3+", "Voted 0"]


def test_without_evidence_a_place_inside_the_region_is_shown() -> None:
    ring = Region.of([shapely.Point(3000, 2000).buffer(1500)], [shapely.Point(3000, 2000).buffer(1000)])
    (only,) = choose_fields([], ring, MPP, None)
    assert ring.geometry.contains(shapely.Point(only.x, only.y))
    assert choose_fields([], Region.of(()), MPP, None) == ()


@given(st.floats(1e-3, 1e6))
def test_a_scale_bar_has_a_round_length_that_fits(um: float) -> None:
    length = nice_length(um)
    assert length <= um * (1 + 1e-9)
    assert length > um / 2.6
    assert f"{length:.0e}"[0] in "125"


def test_graded_controls_are_shown_side_by_side_and_a_spread_one_by_its_largest_piece() -> None:
    spots = [shapely.Point(1000, 500 + 800 * k).buffer(250) for k in range(4)]
    field = control_field(Region.of(spots), 0.25)
    assert field is not None
    box = shapely.box(
        field.x - field.side / 2, field.y - field.side / 2, field.x + field.side / 2, field.y + field.side / 2
    )
    assert all(box.contains(spot) for spot in spots)
    far = control_field(Region.of([shapely.Point(0, 0).buffer(300), shapely.Point(40000, 0).buffer(200)]), 0.25)
    assert far is not None
    assert (far.x**2 + far.y**2) ** 0.5 < 300
    assert far.side == pytest.approx(1600)
    assert control_field(Region.of([]), 0.25) is None


def test_a_field_at_the_edge_of_the_slide_is_moved_onto_it() -> None:
    assert on_slide(FieldChoice(10, 950, 400, ""), 2000, 1000) == FieldChoice(200, 800, 400, "")
    assert on_slide(FieldChoice(10, 950, 400, ""), 2000, 300) == FieldChoice(200, 150, 400, "")
