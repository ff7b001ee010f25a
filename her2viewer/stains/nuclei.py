"""Nuclei as labels on a picture: watershed by steepest ascent, shapes, stains and colours of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.stains.background import RGB

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of one picture, n of them, in its px."""

    labels: NDArray[np.int32]
    """(h, w), 1 to n; 0 is none."""
    shapes: NDArray[np.float64]
    """(n, 12): area, x, y, major axis, minor axis (full lengths of the ellipse of equal moments), mean haematoxylin,
    mean DAB, touches the border (0 or 1), x min, y min, x max, y max."""

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def roundness(self) -> NDArray[np.float64]:
        """(n,) minor by major axis, 0 to 1."""
        found: NDArray[np.float64] = self.shapes[:, 4] / np.maximum(self.shapes[:, 3], 1e-6)
        return found

    def kept(self, keep: NDArray[np.bool_]) -> Nuclei:
        """Those where ``keep`` (n,) is true, numbered anew. The labels are changed in place: use the answer only."""
        from her2viewer.stains import _cell_kernels

        new = np.zeros(len(self) + 1, np.int32)
        new[1:][keep] = np.arange(1, int(keep.sum()) + 1)
        _cell_kernels.relabel(self.labels, new)
        return Nuclei(self.labels, self.shapes[keep])

    def hue(self, rgb: NDArray[np.uint8], background: RGB) -> NDArray[np.float64]:
        """(OD red - OD blue) / OD sum of the mean colour of each nucleus, (n,).

        Args:
            rgb: (h, w, 3) the picture.
            background: grey levels of the glass.
        """
        from her2viewer.stains import _cell_kernels

        mean = _cell_kernels.colours(self.labels, len(self), np.ascontiguousarray(rgb))[1:]
        density = np.log10(np.asarray(background)[None, :] / np.maximum(mean, 0.5))
        total = np.maximum(density.sum(axis=1), 1e-6)
        hue: NDArray[np.float64] = (density[:, 0] - density[:, 2]) / total
        return hue


def watershed(
    height: Array,
    mask: NDArray[np.uint8],
    haematoxylin: Array,
    dab: Array,
    *,
    valley: float = 0.0,
    least: float = 0.0,
) -> Nuclei:
    """One nucleus for each peak of a landscape: the pixels from which steepest ascent leads to it.

    The result depends on the pixels alone: a plateau is one peak.

    Args:
        height: (h, w) float32, high in the middle of nuclei.
        mask: (h, w) uint8, not 0 where there may be nuclei.
        haematoxylin: (h, w) float32 OD, for the shapes.
        dab: (h, w) float32 OD, for the shapes.
        valley: share of the lower of two neighbouring peaks by which the ground between them must be lower; else
            they are one.
        least: the same, in units of ``height``.
    """
    from her2viewer.stains import _cell_kernels

    labels, count = _cell_kernels.ascend(height, mask)
    if valley > 0 or least > 0:
        count = _cell_kernels.merge_basins(labels, count, height, valley, least)
    return Nuclei(labels, _cell_kernels.shapes(labels, count, haematoxylin, dab)[1:])
