"""The legend of flaws of a slide names those that occur, that of classes all of them."""

from __future__ import annotations

import numpy as np
from pytestqt.qtbot import QtBot

from her2viewer.domain.classes import TUMOUR_SCHEME, ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Grid
from her2viewer.domain.shares import CountedUnit, Shares
from her2viewer.stains.artefacts import QUALITY_SCHEME
from her2viewer.viewer.overlays.grids import ClassMapLayer


def one_patch(scheme: ClassScheme, code: int) -> ClassMap:
    classes = np.full((2, 2), NOT_SCORED, np.uint8)
    classes[0, 0] = code
    return ClassMap("Map", Grid(0, 0, 16, 2, 2), scheme, classes, np.ones((2, 2), np.float32))


def named(layer: ClassMapLayer) -> tuple[str, ...]:
    legend = layer.legend()
    assert legend is not None
    return tuple(row.text for row in legend.rows)


def test_flaws_are_named_as_they_are_found_and_classes_always(qtbot: QtBot) -> None:
    flaws, classes = ClassMapLayer("Image quality", QUALITY_SCHEME), ClassMapLayer("Classes", TUMOUR_SCHEME)
    flaws.append(one_patch(QUALITY_SCHEME, 1))
    assert named(flaws) == (QUALITY_SCHEME.names[1],)
    with qtbot.waitSignal(flaws.legend_changed):
        flaws.append(one_patch(QUALITY_SCHEME, 3))
    assert named(flaws) == (QUALITY_SCHEME.names[1], QUALITY_SCHEME.names[3])
    classes.append(one_patch(TUMOUR_SCHEME, 1))
    assert named(classes) == TUMOUR_SCHEME.names


def test_classes_that_the_shares_do_not_tell_apart_have_no_amount_and_the_others_do(qtbot: QtBot) -> None:
    scheme = ClassScheme(("artefact", "stroma", *TUMOUR_SCHEME.names), (-1, -1, 0, 1, 2, 3))
    layer = ClassMapLayer("Cells", scheme)
    layer.set_shares(Shares((10.0, 20.0, 30.0, 40.0), CountedUnit.CELLS, excluded=7.0))
    legend = layer.legend()
    assert legend is not None
    assert [row.amount for row in legend.rows] == ["", "", "10", "20", "30", "40"]
    apart = (("artefact", 2.0), ("stroma", 5.0))
    layer.set_shares(Shares((10.0, 20.0, 30.0, 40.0), CountedUnit.CELLS, excluded=7.0, left_out=apart))
    told = layer.legend()
    assert told is not None
    assert [row.amount for row in told.rows] == ["2", "5", "10", "20", "30", "40"]
    flaws = ClassMapLayer("Image quality", QUALITY_SCHEME)
    flaws.set_shares(Shares((10.0, 20.0, 30.0, 40.0), CountedUnit.CELLS))
    assert flaws.legend() is None or not any(row.amount for row in flaws.legend().rows)
