"""What is known from each scorer on the open slide: evidence, what it covers, its result, its shares."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field, replace

from PySide6.QtCore import QObject, Qt, Signal

from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, CellCorrections
from her2viewer.domain.corrections import NO_CORRECTIONS, Bounds, Corrections
from her2viewer.domain.evidence import CellTable, Evidence, TissueMask
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.domain.shares import Shares
from her2viewer.scoring.aggregate import Counts, ShareCounter
from her2viewer.viewer.live_shares import LiveShares
from her2viewer.viewer.scoring_model import STOPPED, shown_warnings

_AT_ONCE = 100_000
"""Cells of a restored result that are sorted on the spot."""
_NEGLIGIBLE = 0.002
"""Share of the region that may be unscored before it counts: outlines are rounded differently here and there."""
NOTHING = Region.of(())


@dataclass
class Held:
    """What is known from one scorer."""

    live: LiveShares
    scored: Region = NOTHING
    evidence: list[Evidence] = field(default_factory=list)
    """Part by part, until a result takes its place."""
    result: Result | None = None
    counting: bool = False
    """A restored result is being sorted for counting; until then its saved shares are shown."""

    def add(self, evidence: tuple[Evidence, ...], covered: Region, counter: ShareCounter | None = None) -> None:
        """One more part; ``covered`` is all that is covered with it, ``counter`` as for ``LiveShares.add``."""
        self.live.add(evidence, counter)
        self.evidence.extend(evidence)
        self.scored = covered

    def finish(self, result: Result, counter: ShareCounter | None = None) -> None:
        """A run has ended; ``counter`` counts its whole evidence."""
        if counter is not None or any(isinstance(e, TissueMask) for e in result.evidence):
            self.live.set_whole(counter, result.evidence)
        else:
            self.live.hold(result.evidence)
        self.result, self.scored, self.evidence = result, result.scored, []

    def shown(self) -> tuple[Evidence, ...]:
        """All evidence, as a result or as the parts so far, under the corrections of the reader."""
        found = (*(() if self.result is None else self.result.evidence), *self.evidence)
        return tuple(self.live.current(item) for item in found)

    def stands(self, region: Region) -> bool:
        """Whether the result speaks of this region: "not assessable" holds for the outline it was found on."""
        result = self.result
        if result is None:
            return False
        return result.not_assessable is None or result.provenance.region_hash == region.hash

    def shares(self, region: Region) -> Shares | None:
        """Shares of what is known inside the region; None where nothing can be counted."""
        if region.empty or (self.result is not None and self.result.not_assessable is not None):
            return None
        if self.counting and self.result is not None:
            return self.result.shares
        return self.live.shares(region)

    def result_for(self, region: Region, coverage: float) -> Result | None:
        """The result for the region as it is now: shares and warnings follow it, evidence the corrections."""
        result = self.result
        if result is None or not self.stands(region):
            return None
        if result.not_assessable is not None:
            return result
        stopped = tuple(w for w in result.warnings if w.code == STOPPED)
        return replace(
            result,
            evidence=tuple(self.live.current(item) for item in result.evidence),
            shares=self.shares(region),
            warnings=stopped + shown_warnings(result, coverage),
            provenance=replace(result.provenance, region_hash=region.hash),
        )


class Knowledge(QObject):
    """``Held`` by scorer id."""

    counted = Signal()
    """A large restored result can now be counted."""
    cells_corrected = Signal(str, object)
    """As that of ``ScoringFacts``."""
    _sorted = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._held: dict[str, Held] = {}
        self.corrections = NO_CORRECTIONS
        """Of the tumour mask; they belong to the slide, so they hold for every scorer that finds one."""
        self.cell_corrections = NO_CELL_CORRECTIONS
        """They belong to the slide too, and hold for every scorer that finds the cell."""
        self._coverage: tuple[Region, Region, float] = (NOTHING, NOTHING, 0.0)
        self._sorted.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def get(self, scorer: str) -> Held | None:
        """What is known from that scorer."""
        return self._held.get(scorer)

    @property
    def scorers(self) -> tuple[str, ...]:
        """Ids of those that something is known from."""
        return tuple(self._held)

    def begin(self, scorer: str, counts: Counts, pixel_size: PixelSize) -> Held:
        """Start anew with that scorer."""
        held = self._held[scorer] = Held(LiveShares(counts, pixel_size, self.corrections, self.cell_corrections))
        return held

    def restore(self, result: Result, counts: Counts, pixel_size: PixelSize) -> None:
        """Take in a saved result. Many cells are sorted for counting beside the main thread."""
        held = self.begin(result.provenance.scorer, counts, pixel_size)
        held.result, held.scored = result, result.scored

        def work() -> ShareCounter:
            return ShareCounter.of(result.evidence, counts, pixel_size)

        def later() -> None:
            with contextlib.suppress(RuntimeError):  # the window is gone
                self._sorted.emit(held, work())

        if sum(len(e) for e in result.evidence if isinstance(e, CellTable)) < _AT_ONCE:
            held.live.set_whole(work(), result.evidence)
            return
        held.counting = True
        threading.Thread(target=later, name="count cells", daemon=True).start()

    def correct(self, corrections: Corrections, within: Bounds | None) -> None:
        """Other corrections of the tumour mask; ``within`` holds all that can differ from those before."""
        self.corrections = corrections
        for held in self._held.values():
            held.live.correct(corrections, within)

    def correct_cells(self, corrections: CellCorrections) -> None:
        """Other corrections of cells."""
        self.cell_corrections = corrections
        for scorer, held in self._held.items():
            for patch in held.live.correct_cells(corrections):
                self.cells_corrected.emit(scorer, patch)

    def drop(self, scorer: str) -> None:
        """Forget what is known from one scorer."""
        self._held.pop(scorer, None)

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()

    def keep_fitting(self, pixel_size: PixelSize | None) -> bool:
        """Forget what was measured with another pixel size; True where something had to go."""

        def fits(held: Held) -> bool:
            if held.result is None or pixel_size is None:
                return False
            return abs(held.result.provenance.mpp - pixel_size.mpp) < 1e-9

        before = len(self._held)
        self._held = {key: held for key, held in self._held.items() if fits(held)}
        return len(self._held) < before

    def coverage(self, scorer: str, region: Region) -> float:
        """Share 0 to 1 of the region that the scorer has looked at."""
        held = self._held.get(scorer)
        if held is None or region.empty or held.scored.empty:
            return 0.0
        known_region, known_scored, known = self._coverage
        # Asked several times for each frame of an edit; regions are immutable, so identity is enough.
        if known_region is region and known_scored is held.scored:
            return known
        missing = region.difference(held.scored).area_px / region.area_px
        coverage = 1.0 if missing < _NEGLIGIBLE else 1.0 - missing
        self._coverage = (region, held.scored, coverage)
        return coverage

    def _take(self, held: Held, counter: ShareCounter) -> None:
        held.counting = False
        held.live.set_whole(counter, () if held.result is None else held.result.evidence)
        for scorer in [key for key, known in self._held.items() if known is held]:
            for patch in held.live.corrected_cells:
                self.cells_corrected.emit(scorer, patch)
        self.counted.emit()
