"""The reader's corrections of cells: what class they are, or that they are none, told by the place of the cell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from her2viewer.domain.cell_bins import CellBins
from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, CellTable
from her2viewer.domain.region import Region

NO_CELL = NOT_SCORED
"""Code of a cell that the reader has removed."""
REMOVED = -1
"""Index into ``CellCorrections.classes`` that stands for "this is no cell"."""

Places = NDArray[np.complex128]
"""x + iy, level-0 px."""


@dataclass(frozen=True)
class SaidClass:
    """A class as the reader said it, in words that other class schemes understand too."""

    name: str
    her2: int
    """0 to 3, or -1 for what is not invasive tumour."""

    @classmethod
    def of(cls, scheme: ClassScheme, code: int) -> SaidClass:
        """Class ``code`` of a scheme."""
        return cls(scheme.names[code], scheme.her2[code])

    def code_in(self, scheme: ClassScheme) -> int:
        """The same class in a scheme: by name, else by HER2 class; ``NO_CELL`` where it knows nothing like it.

        A scheme with one class for all that is not tumour takes stroma, immune cells and artefacts for that one.
        """
        pairs = list(zip(scheme.names, scheme.her2, strict=True))
        if (self.name, self.her2) in pairs:
            return pairs.index((self.name, self.her2))
        return scheme.her2.index(self.her2) if self.her2 in scheme.her2 else NO_CELL


@dataclass(frozen=True)
class Fit:
    """Which correction speaks of which cell of a table."""

    correction: NDArray[np.int64]
    cell: NDArray[np.int64]
    """(k,) each; no cell comes twice."""


@dataclass(frozen=True, eq=False)
class CellCorrections:
    """Corrections by place. They belong to the slide, not to a run: scoring again keeps them."""

    x: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    y: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """(n,) centre of the cell as the table had it, level-0 px; no place comes twice."""
    said: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    """(n,) index into ``classes``, or ``REMOVED``."""
    classes: tuple[SaidClass, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    @property
    def empty(self) -> bool:
        """True where nothing was corrected."""
        return len(self.x) == 0

    def same(self, other: CellCorrections) -> bool:
        """Whether both say the same of the same places."""
        if self is other:
            return True
        if len(self) != len(other):
            return False
        mine, theirs = self._sorted(), other._sorted()
        names = [[None if k == REMOVED else c.classes[k] for k in c.said.tolist()] for c in (mine, theirs)]
        return bool((mine.places == theirs.places).all()) and names[0] == names[1]

    def after(self, x: ArrayLike, y: ArrayLike, said: SaidClass | None) -> CellCorrections:
        """With one more word of the reader on the cells at these places; the last one counts.

        Args:
            x: (k,) centres of the cells, level-0 px.
            y: (k,).
            said: their class; None removes them.
        """
        new_x, new_y = np.atleast_1d(np.asarray(x, np.float32)), np.atleast_1d(np.asarray(y, np.float32))
        _, once = np.unique(_places(new_x, new_y), return_index=True)
        new_x, new_y = new_x[np.sort(once)], new_y[np.sort(once)]
        kept = self.without(new_x, new_y)
        classes = kept.classes if said is None or said in kept.classes else (*kept.classes, said)
        code = REMOVED if said is None else classes.index(said)
        return CellCorrections(
            np.concatenate([kept.x, new_x]),
            np.concatenate([kept.y, new_y]),
            np.concatenate([kept.said, np.full(len(new_x), code, np.int16)]),
            classes,
        )

    def without(self, x: ArrayLike, y: ArrayLike) -> CellCorrections:
        """Without what was said of exactly these places, (k,) level-0 px: there the scorer's word counts again."""
        gone = np.isin(self.places, _places(np.atleast_1d(x), np.atleast_1d(y)))
        return self.chosen(~gone)

    def without_in(self, region: Region) -> CellCorrections:
        """Without what was said of places in a region."""
        return self.chosen(~region.contains_points(self.x, self.y))

    def chosen(self, keep: NDArray[np.bool_]) -> CellCorrections:
        """Those where ``keep`` (n,) is true."""
        return self if keep.all() else replace(self, x=self.x[keep], y=self.y[keep], said=self.said[keep])

    def codes_in(self, scheme: ClassScheme) -> NDArray[np.uint8]:
        """(n,) what each says in a scheme; ``NO_CELL`` for removed cells."""
        codes = np.array([*(known.code_in(scheme) for known in self.classes), NO_CELL], dtype=np.uint8)
        return codes[self.said]

    def fit(self, cells: CellBins, reach: float = 0.0, placed: NDArray[np.bool_] | None = None) -> Fit:
        """Which cells they speak of: those exactly at their places; else the nearest that no other speaks of.

        Args:
            cells: of the table.
            reach: farthest distance at which a cell is still taken for the one that was meant, level-0 px.
            placed: (n,) those whose cell is known to lie exactly there, in this table or in another part of the
                slide: they look for no other.
        """
        correction, cell = cells.at(self.x, self.y)
        if reach > 0 and len(cells):
            open_ones = np.ones(len(self), dtype=bool) if placed is None else ~placed
            open_ones[correction] = False
            left = np.flatnonzero(open_ones)
            if len(left):
                asked, near, distance = cells.near(self.x[left], self.y[left], reach)
                free = ~np.isin(near, cell)
                more, taken = _one_to_one(left[asked[free]], near[free], distance[free])
                correction, cell = np.concatenate([correction, more]), np.concatenate([cell, taken])
        return Fit(correction, cell)

    def applied(self, table: CellTable, reach: float = 0.0) -> CellTable:
        """The table as the reader corrected it: classes changed, removed cells left out, what the scorer said kept.

        Args:
            table: as the scorer gave it.
            reach: as ``fit``.
        """
        if self.empty or not table.scheme.counted:
            return table
        codes = table.classes.copy()
        fit = self.fit(CellBins(table.x, table.y), reach)
        codes[fit.cell] = self.codes_in(table.scheme)[fit.correction]
        return recoded(table, codes, fit.cell)

    @property
    def places(self) -> Places:
        """(n,) x + iy, level-0 px."""
        return _places(self.x, self.y)

    def _sorted(self) -> CellCorrections:
        order = np.argsort(self.places, kind="stable")
        return replace(self, x=self.x[order], y=self.y[order], said=self.said[order])


NO_CELL_CORRECTIONS = CellCorrections()


@dataclass(frozen=True)
class CellChange:
    """How many cells of a region are others than the scorer said."""

    reclassified: int = 0
    removed: int = 0
    confirmed: int = 0
    """The reader gave them the class that the scorer had given them."""
    unfit: int = 0
    """Corrections of a class that find no cell any more: kept, and of no effect here."""

    @property
    def any(self) -> bool:
        """True where a number is another one for the reader's word, or a word found no cell."""
        return self.reclassified > 0 or self.removed > 0 or self.unfit > 0


NO_CELL_CHANGE = CellChange()


def count_text(cells: int) -> str:
    """``1 cell``, ``1,204 cells``."""
    return f"{cells:,} {'cell' if cells == 1 else 'cells'}"


def recoded(table: CellTable, codes: NDArray[np.uint8], said: NDArray[np.int64]) -> CellTable:
    """A table with other classes.

    Args:
        table: as the scorer gave it.
        codes: (n,) class of each cell now; cells of code ``NO_CELL`` are left out.
        said: (k,) the cells that the reader spoke of.
    """
    if len(said) == 0:
        return table
    of_scorer = np.full(len(table), NOT_SCORED, dtype=np.uint8)
    of_scorer[said] = table.classes[said]
    changed = replace(table, classes=codes, scorer_classes=of_scorer)
    gone = codes == NO_CELL
    return changed.selected(~gone) if gone.any() else changed


def _places(x: ArrayLike, y: ArrayLike) -> Places:
    return np.asarray(x, np.float32).astype(np.float64) + 1j * np.asarray(y, np.float32).astype(np.float64)


def _one_to_one(
    asked: NDArray[np.int64], cell: NDArray[np.int64], distance: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs in which each is the nearest that the other can still have."""
    order = np.lexsort((cell, asked, distance))
    asked, cell = asked[order], cell[order]
    chosen_a, chosen_c = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    while len(asked):
        first_a, first_c = (np.zeros(len(asked), dtype=bool) for _ in range(2))
        first_a[np.unique(asked, return_index=True)[1]] = True
        first_c[np.unique(cell, return_index=True)[1]] = True
        # What is the first for both is the nearest pair of both; the shortest pair always is.
        both = first_a & first_c
        chosen_a.append(asked[both])
        chosen_c.append(cell[both])
        left = ~(np.isin(asked, asked[both]) | np.isin(cell, cell[both]))
        asked, cell = asked[left], cell[left]
    return np.concatenate(chosen_a), np.concatenate(chosen_c)
