"""One slide of a set while it is cut: open file, pixel size, region, stains, truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.slides.slide import Slide, SlideError
from her2viewer.stains.estimate import StainEstimate, estimate_stains
from her2viewer.training.dataset import SlideEntry
from her2viewer.training.recipe import TrainingError

OVERVIEW_UM = 8.0
STRIP = 512
"""Rows of an overview read at a time."""


@dataclass(frozen=True)
class TruthMask:
    """A mask of a truth file."""

    codes: NDArray[np.uint8]
    step: float
    """Level-0 px per px."""
    legend: dict[int, str]

    def code_of(self, name: str) -> int | None:
        """Code of a name in the legend."""
        return next((code for code, known in self.legend.items() if known == name), None)

    def sampled(self, left: float, top: float, side: float, pixels: int) -> NDArray[np.uint8]:
        """Codes under a square of level-0 px, (pixels, pixels), nearest neighbour; 0 outside the mask."""
        offsets = (np.arange(pixels) + 0.5) * side / pixels
        columns = np.floor((left + offsets) / self.step).astype(np.int64)
        rows = np.floor((top + offsets) / self.step).astype(np.int64)
        height, width = self.codes.shape
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None, :]
        found = self.codes[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)[None, :]]
        return np.where(inside, found, 0).astype(np.uint8)


class SlideSource:
    """Opens a slide of a set and what belongs to it; everything is read when it is first asked for.

    Raises:
        TrainingError: the slide cannot be opened or has no pixel size.
    """

    def __init__(self, entry: SlideEntry, check: Callable[[], None] = lambda: None) -> None:
        from her2viewer.slides.open import open_slide

        self.entry = entry
        self._check = check
        try:
            self.slide: Slide = open_slide(entry.slide)
        except SlideError as error:
            raise TrainingError(f'Slide "{entry.id}": {error}') from error
        size = self.slide.pixel_size
        if entry.mpp is not None:
            size = PixelSize(entry.mpp, entry.mpp, PixelSizeSource.USER, "data set")
        if size is None or not size.plausible:
            self.slide.close()
            raise TrainingError(f'Slide "{entry.id}" does not say how large its pixels are; give its mpp in the set.')
        self.pixel_size: PixelSize = size

    def __enter__(self) -> SlideSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.slide.close()

    @cached_property
    def region(self) -> Region:
        """The outlined tumour; the whole slide where none is outlined.

        Raises:
            TrainingError: the outline cannot be read or lies elsewhere.
        """
        everything = Region.rectangle(0, 0, self.slide.width, self.slide.height)
        if self.entry.roi is None:
            return everything
        from her2viewer.cases.geojson import GeoJsonError, load_geojson

        try:
            region = load_geojson(self.entry.roi).annotations.region().intersection(everything)
        except GeoJsonError as error:
            raise TrainingError(f'Slide "{self.entry.id}": {error}') from error
        if region.empty:
            raise TrainingError(f'Slide "{self.entry.id}": {self.entry.roi.name} outlines nothing on this slide.')
        return region

    @cached_property
    def stains(self) -> StainEstimate:
        """Glass and stain vectors as a scorer would estimate them in the region."""
        return estimate_stains(self.slide, self.pixel_size, self.region, check=self._check)

    @cached_property
    def tissue(self) -> TruthMask:
        """Tissue of the whole slide as the program finds it: 0 glass, 1 tissue.

        Raises:
            SlideError: the slide cannot be read.
        """
        from her2viewer.stains.tissue import tissue_mask

        downsample = max(1.0, OVERVIEW_UM / self.pixel_size.mpp)
        width = max(1, int(self.slide.width / downsample))
        rows = max(1, int(self.slide.height / downsample))
        strips = []
        for top in range(0, rows, STRIP):
            self._check()
            strips.append(self.slide.read_at(downsample, 0, top * downsample, width, min(STRIP, rows - top)))
        found = tissue_mask(np.concatenate(strips), self.stains.background, downsample * self.pixel_size.mpp)
        return TruthMask(found.astype(np.uint8), downsample, {0: "glass", 1: "tissue"})

    def truth_mask(self, name: str) -> TruthMask | None:
        """A mask of the truth file by name; None where the slide has no truth file.

        Raises:
            TrainingError: the file is no truth file, or lacks the mask.
        """
        if self.entry.truth is None:
            return None
        from her2viewer.training.truth import read_mask

        return read_mask(self.entry.truth, name)

    @property
    def truth(self) -> Path | None:
        """The truth file."""
        return self.entry.truth
