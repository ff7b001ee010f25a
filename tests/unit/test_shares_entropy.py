import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.shares import CountedUnit, Shares
from her2viewer.scoring.aggregate import shares_of

SEVEN = ClassScheme(("artefact", "stroma", "immune", "0", "1+", "2+", "3+"), (-1, -1, -1, 0, 1, 2, 3))


def test_entropy_is_nought_for_one_class_and_ln_4_for_equal_shares() -> None:
    assert Shares((0, 0, 812, 0), CountedUnit.CELLS).entropy == 0
    assert Shares((5, 5, 5, 5), CountedUnit.CELLS).entropy == pytest.approx(math.log(4))
    assert Shares((50, 50, 0, 0), CountedUnit.CELLS).entropy == pytest.approx(math.log(2))
    assert Shares((0, 0, 0, 0), CountedUnit.CELLS, excluded=9).entropy is None


@given(st.tuples(*[st.floats(0, 1e6)] * 4), st.permutations(range(4)), st.floats(0.5, 100))
def test_entropy_heeds_neither_order_nor_amount_and_stays_in_its_bounds(amounts, order, factor) -> None:
    entropy = Shares(amounts, CountedUnit.CELLS).entropy
    other = Shares(tuple(factor * amounts[i] for i in order), CountedUnit.CELLS).entropy
    if entropy is None or other is None:
        assert sum(amounts) < 1e-300
        return
    assert 0 <= entropy <= math.log(4) + 1e-9
    assert other == pytest.approx(entropy, abs=1e-9)


def test_cells_that_are_left_out_are_told_apart_by_class() -> None:
    classes = np.array([0, 0, 1, 2, 2, 2, 4, 5, 6, 6], np.uint8)
    x = np.arange(10, dtype=np.float32)
    table = CellTable("cells", SEVEN, x, np.zeros(10, np.float32), classes)
    region = Region.rectangle(-1, -1, 9.5, 5)
    shares = shares_of([table], region, "cells", PixelSize(0.5, 0.5, PixelSizeSource.FILE))
    assert shares is not None
    assert shares.left_out == (("artefact", 2.0), ("stroma", 1.0), ("immune", 3.0))
    assert sum(amount for _, amount in shares.left_out) == shares.excluded
    assert shares.amounts == (0, 1, 1, 1)
