"""HER2 immunohistochemistry classes, and the class schemes that scorers report cells and patches in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Her2Class(IntEnum):
    """Membrane staining class of a cell or a patch; also the score of a slide."""

    ZERO = 0
    ONE = 1
    TWO = 2
    THREE = 3

    @property
    def label(self) -> str:
        """How pathologists write it: ``0``, ``1+``, ``2+``, ``3+``."""
        return "0" if self is Her2Class.ZERO else f"{int(self)}+"


HER2_LABELS: tuple[str, str, str, str] = ("0", "1+", "2+", "3+")


@dataclass(frozen=True)
class ClassScheme:
    """Names of the classes that a table or a map uses, and which of them count towards the shares.

    ``her2[k]`` is the HER2 class (0-3) of class ``k``, or -1 where class ``k`` is not invasive tumour
    (stroma, immune cells, artefact) and stays out of numerator and denominator.
    """

    names: tuple[str, ...]
    her2: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.her2):
            raise ValueError("A class scheme needs one HER2 code for each class name.")
        if any(not -1 <= code <= 3 for code in self.her2):
            raise ValueError("HER2 codes of a class scheme are -1 (not counted) or 0 to 3.")

    @property
    def counted(self) -> bool:
        """Whether any class counts towards shares; a map of artefacts has none that does."""
        return any(code >= 0 for code in self.her2)


TUMOUR_SCHEME = ClassScheme(HER2_LABELS, (0, 1, 2, 3))
"""Four tumour classes and nothing else."""

CELL_SCHEME = ClassScheme((*HER2_LABELS, "not tumour"), (0, 1, 2, 3, -1))
"""Four tumour classes and one class of cells that are seen and left out."""
