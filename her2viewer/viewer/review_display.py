"""Shows what was looked at closely: shading on the overview map, a few words in the status bar, and the way back."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.region import Region
from her2viewer.domain.region_squares import Raster, RegionSquares
from her2viewer.domain.reviewed import share_text
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.overview import LONGEST
from her2viewer.viewer.field_walk import FieldWalk
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.overlays.clip import region_path
from her2viewer.viewer.panels.regions_panel import RegionsPanel
from her2viewer.viewer.reviewed import Reviewing
from her2viewer.viewer.session import Session
from her2viewer.viewer.statusbar import StatusBar

MOST_SHARES = 100
"""Outlines whose shares are told one by one; of more, such as the cells of another program, only that of all."""
MANY_PARTS = 300
"""Regions of more polygons are drawn on the overview map as a raster, which an edit changes only in its place."""
_TIP = (
    "How much of the region was on the screen at 20x or more, sharp, for half a second.\n"
    "Tab goes from field to field, U to the next one not yet looked at. Kept in the case."
)


class ReviewDisplay(QObject):
    """Main thread; holds no state but what is drawn."""

    def __init__(
        self,
        canvas: SlideCanvas,
        session: Session,
        *,
        reviewing: Reviewing,
        walk: FieldWalk,
        status: StatusBar,
        messages: Messages,
        regions: RegionsPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._reviewing = reviewing
        self._walk = walk
        self._status = status
        self._messages = messages
        self._session = session
        self._regions = regions
        self._squares: dict[str, tuple[Annotation, Region, RegionSquares | None]] = {}
        """By id of an outline, with the outline and the net region that they were computed of."""
        self._raster: Raster | None = None
        self._coarse: tuple[Region, Raster, RegionSquares] | None = None
        """A region of many polygons at the size of the overview map."""
        reviewing.changed.connect(self._show)
        reviewing.restarted.connect(self._tell_restart)
        walk.position_changed.connect(lambda _: self._show_words())
        session.region_changed.connect(self._show_outline)
        self._show()

    def reset(self) -> None:
        """Forget what was looked at; the message offers to take that back."""
        before = self._reviewing.reset()
        if before is None or before.nothing:
            self._messages.show_message("Nothing was looked at closely yet.")
            return
        self._messages.show_message(
            "What was looked at is forgotten; the map begins anew.",
            "info",
            [("Take back", lambda: self._reviewing.restore(before))],
        )

    def _show(self) -> None:
        self._canvas.overview.set_reviewed(self._reviewing.map)
        self._show_words()
        self._regions.set_reviewed(self._of_each())

    def _of_each(self) -> dict[str, str]:
        """Share of each outline that counts as tumour, less the exclusions, in words."""
        known, whole = self._reviewing.map, self._session.region
        # No more than needed: of thousands even looking at each is felt.
        rois = list(islice((a for a in self._session.annotations if a.role is Role.ROI), MOST_SHARES + 1))
        if known is None or not rois or len(rois) > MOST_SHARES:
            self._squares = {}
            return {}
        raster = known.raster
        if raster != self._raster:
            # Another slide or another pixel size: squares are counted on another map.
            self._squares, self._raster = {}, raster
        fresh: dict[str, tuple[Annotation, Region, RegionSquares | None]] = {}
        for roi in rois:
            before = self._squares.get(roi.id)
            if before is not None and before[0] is roi and before[1] is whole:
                fresh[roi.id] = before
            elif len(rois) == 1:
                fresh[roi.id] = (roi, whole, self._reviewing.squares)
            else:
                squares = RegionSquares.of(whole.intersection(Region.of([roi.geometry])), known.raster)
                fresh[roi.id] = (roi, whole, squares)
        self._squares = fresh
        return {key: share_text(squares.share(known.seen)) for key, (_, _, squares) in fresh.items() if squares}

    def _show_words(self) -> None:
        share = self._reviewing.share
        words = [self._walk.position] if self._walk.position else []
        if share is not None:
            words.append(f"reviewed {share_text(share)}")
        self._status.set_reviewed("   ".join(words), _TIP if words else "")

    def _show_outline(self, region: Region) -> None:
        slide = self._canvas.slide
        if slide is not None and len(region.parts) > MANY_PARTS:
            self._canvas.overview.set_outline(self._coarse_raster(region, slide.width, slide.height))
            return
        self._coarse = None
        # Half a pixel of the map: a freehand outline has thousands of corners, and this follows each drag.
        coarse = 0.0 if slide is None else max(slide.width, slide.height) / (2 * LONGEST)
        self._canvas.overview.set_outline(region_path(region.geometry.simplify(coarse, preserve_topology=False)))

    def _coarse_raster(self, region: Region, width: int, height: int) -> NDArray[np.bool_]:
        """Which squares of half a pixel of the overview map are in the region, bool (rows, columns)."""
        step = max(width, height) / (2 * LONGEST)
        raster = Raster(step, math.ceil(height / step), math.ceil(width / step))
        known = self._coarse
        if known is None or known[1] != raster:
            squares = RegionSquares.of(region, raster)
        else:
            squares = known[2].updated(known[0], region, raster)
        inside = np.zeros((raster.rows, raster.columns), dtype=bool)
        if squares is not None:
            self._coarse = (region, raster, squares)
            inside[squares.rows, squares.columns] = squares.inside
        return inside

    def _tell_restart(self) -> None:
        self._messages.show_message(
            "The pixel size is another one now, and with it the magnification of what was looked at: the map of it "
            "begins anew."
        )
