"""The plan of a phantom slide: any part of it can be laid out without the rest, in bounded memory."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.phantom.looks import Lab, Scanner
from her2viewer.phantom.recipe import GROWTHS, LAYOUTS, ORGANS, Recipe

BLOCK = 1024
"""Px of the squares that are rendered at a time; the grid of blocks starts at the slide's corner."""
PITCH = 4.0
"""um between the nodes at which compartments are known."""
CHUNK_UM = 450.0
"""Size that the squares aim at which are laid out at a time."""
OVERLAP = 46.0
"""um around a chunk in which its cells are right, too: as far as a cell reaches, and the optics."""
FAT_PITCH = 74.0
MITOSES = (0.0005, 0.0014, 0.0035)
"""Part of the invasive cells in which a section shows a mitosis, by grade: about 8, 24 and 60 in 2.4 mm2."""


@dataclass(frozen=True)
class Chunk:
    """Part of a plan: compartments and cells, of which those within ``OVERLAP`` of its square are right."""

    fields: NDArray[np.float32]
    """(LAYERS, rows, columns), see ``_compartments``."""
    i0: int
    j0: int
    """Node of the first value."""
    cells: NDArray[np.float64]
    """(n, COLUMNS), see ``_cells``."""


class SlidePlan:
    """Compartments and cells of a slide as functions of place; safe to use from several threads."""

    def __init__(self, recipe: Recipe, seed: int, size: tuple[int, int], *, scanner: Scanner, lab: Lab) -> None:
        self.recipe, self.seed = recipe, seed
        self.width, self.height = size
        self.scanner, self.lab = scanner, lab
        self.mpp = scanner.mpp
        self.salt = 1000 * (seed % 1_000_003) + 17
        self.thresholds = np.array([math.inf, math.inf, math.inf])
        """Scores from which an invasive cell is 1+, 2+, 3+; set by ``truth.survey``."""
        self.blocks_per_chunk = max(1, round(CHUNK_UM / (BLOCK * self.mpp)))
        self.chunk_px = BLOCK * self.blocks_per_chunk
        self._parameters = self._encoded()
        self._chunks: OrderedDict[tuple[int, int], Chunk] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def chunk_counts(self) -> tuple[int, int]:
        """Columns and rows of chunks."""
        return math.ceil(self.width / self.chunk_px), math.ceil(self.height / self.chunk_px)

    @property
    def pellet_um(self) -> float:
        """Height of the part of the slide that belongs to one control pellet, um; 0 without control."""
        return self.height * self.mpp / 4 if self.recipe.tissue.control else 0.0

    @property
    def pellet_radius_um(self) -> float:
        """Radius of a control pellet, um."""
        return min(0.072 * self.width, 0.1 * self.height) * self.mpp

    def chunk(self, column: int, row: int) -> Chunk:
        """A chunk of the plan; the same whatever was asked before."""
        key = (column, row)
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
                return self._chunks[key]
        made = self._lay_out(column, row)
        with self._lock:
            self._chunks[key] = made
            # A row of chunks holds several rows of blocks, and each of those comes by once more.
            while len(self._chunks) > self.chunk_counts[0] + 4:
                self._chunks.popitem(last=False)
        return made

    def traits(self, cells: NDArray[np.float64]) -> NDArray[np.float32]:
        """What cells look like, (n, TRAITS) float32, see ``_traits``."""
        from her2viewer.phantom import _traits

        tissue, her2 = self.recipe.tissue, self.recipe.her2
        manner = np.array(
            [
                tissue.grade,
                her2.lateral,
                her2.cytoplasm * self.lab.cytoplasm,
                her2.membrane * self.lab.brown,
                her2.benign_stained,
                her2.in_situ_class,
                tissue.mitoses * MITOSES[tissue.grade - 1],
            ],
            dtype=np.float64,
        )
        traits = _traits.describe(cells, self.thresholds, manner, self.pellet_um, self.salt)
        return np.asarray(traits, dtype=np.float32)

    def _encoded(self) -> NDArray[np.float64]:
        from her2viewer.phantom import _compartments as c

        tissue, her2 = self.recipe.tissue, self.recipe.her2
        p = np.zeros(c.COUNT, dtype=np.float64)
        p[c.WIDTH], p[c.HEIGHT], p[c.SEED] = self.width * self.mpp, self.height * self.mpp, self.salt
        p[c.LAYOUT], p[c.ORGAN] = LAYOUTS.index(tissue.layout), ORGANS.index(tissue.organ)
        p[c.CONTROL], p[c.PELLET] = tissue.control, self.pellet_radius_um
        p[c.GROWTH], p[c.SECOND] = (GROWTHS.index(g) for g in tissue.growth)
        p[c.IN_SITU], p[c.BENIGN], p[c.FAT], p[c.LYMPH] = (
            tissue.in_situ,
            tissue.benign,
            tissue.fat,
            tissue.lymphocytes,
        )
        p[c.NECROSIS], p[c.VESSELS], p[c.COVERAGE] = tissue.necrosis, tissue.vessels, tissue.coverage
        p[c.MUCIN], p[c.SIGNET] = tissue.mucin, tissue.signet
        p[c.CELL], p[c.COLUMN] = tissue.cell_um, 36.0 if tissue.organ == "gastric" else 19.0
        p[c.REGIONAL], p[c.LOCAL], p[c.OWN] = 1.0, her2.clusters, her2.mosaic
        return p

    def _lay_out(self, column: int, row: int) -> Chunk:
        from her2viewer.phantom import _cells, _compartments

        side = self.chunk_px * self.mpp
        x0, y0 = column * side, row * side
        reach = OVERLAP + _cells.margin()
        i0, j0 = (math.floor((v - reach) / PITCH) - 2 for v in (x0, y0))
        i1, j1 = (math.ceil((v + side + reach) / PITCH) + 3 for v in (x0, y0))
        fields = np.empty((_compartments.LAYERS, j1 - j0, i1 - i0), dtype=np.float32)
        _compartments.fill(self._parameters, i0, j0, PITCH, fields)
        a0, b0 = (math.floor((v - reach) / _cells.LATTICE) for v in (x0, y0))
        count = math.ceil((side + 2 * reach) / _cells.LATTICE) + 1
        if fields[_compartments.F_TISSUE].max() > 0:
            cells = _cells.scatter(self._parameters, fields, i0, j0, PITCH, a0, b0, count, count)
            x, y = cells[:, _cells.X], cells[:, _cells.Y]
            near = (x > x0 - OVERLAP) & (x < x0 + side + OVERLAP) & (y > y0 - OVERLAP) & (y < y0 + side + OVERLAP)
            cells = np.concatenate([cells[near], self._fat_cells(fields, (i0, j0), (x0, y0), side)])
        else:
            cells = np.zeros((0, _cells.COLUMNS), dtype=np.float64)
        return Chunk(fields, i0, j0, np.ascontiguousarray(cells))

    def _fat_cells(
        self, fields: NDArray[np.float32], node: tuple[int, int], corner: tuple[float, float], side: float
    ) -> NDArray[np.float64]:
        """Centres of fat cells near fat, as rows of ``_cells``."""
        from her2viewer.phantom import _cells, _compartments
        from her2viewer.phantom._noise import uniform

        (i0, j0), (x0, y0) = node, corner
        rows: list[Any] = []
        fat = fields[_compartments.F_FAT]
        if fat.max() < -90:
            return np.zeros((0, _cells.COLUMNS), dtype=np.float64)
        # Fields are known only around the chunk; a fat cell further away cannot reach it.
        first, last = math.floor((x0 - 110) / FAT_PITCH), math.ceil((x0 + side + 110) / FAT_PITCH)
        top, end = math.floor((y0 - 110) / FAT_PITCH), math.ceil((y0 + side + 110) / FAT_PITCH)
        for j in range(top, end):
            for i in range(first, last):
                x = (i + 0.5 * (j % 2) + 0.5 * uniform(i, j, self.salt + 81)) * FAT_PITCH
                y = (j + 0.5 * uniform(i, j, self.salt + 82)) * FAT_PITCH
                cell = np.zeros(_cells.COLUMNS)
                cell[_cells.X], cell[_cells.Y], cell[_cells.KIND] = x, y, _cells.FAT_CELL
                cell[_cells.RADIUS], cell[_cells.LONG] = 46.0, 1.0
                cell[_cells.WHO] = i * 7919 + j
                u, v = round(x / PITCH) - i0, round(y / PITCH) - j0
                if 0 <= u < fat.shape[1] and 0 <= v < fat.shape[0] and fat[v, u] > -90:
                    rows.append(cell)
        return np.array(rows) if rows else np.zeros((0, _cells.COLUMNS), dtype=np.float64)
