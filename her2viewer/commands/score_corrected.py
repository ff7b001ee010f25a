"""What a reader corrected in the case that ``her2viewer score`` writes into: applied to the answer, and said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.domain.cell_corrections import NO_CELL_CHANGE, NO_CELL_CORRECTIONS, CellChange, CellCorrections
from her2viewer.domain.corrections import NO_CHANGE, NO_CORRECTIONS, Corrections, MaskChange
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence

if TYPE_CHECKING:
    from her2viewer.cases.store import CaseStore
    from her2viewer.domain.pixelsize import PixelSize
    from her2viewer.domain.region import Region
    from her2viewer.domain.result import Result
    from her2viewer.scoring.aggregate import Counts


@dataclass(frozen=True)
class Word:
    """What a reader corrected."""

    mask: Corrections = NO_CORRECTIONS
    cells: CellCorrections = NO_CELL_CORRECTIONS

    @property
    def empty(self) -> bool:
        """True where nothing was corrected."""
        return self.mask.empty and self.cells.empty


@dataclass(frozen=True)
class Corrected:
    """A result under a reader's corrections."""

    result: Result
    word: Word = Word()
    """What was applied: nothing where there is no answer to apply it to."""
    change: MaskChange = NO_CHANGE
    cell_change: CellChange = NO_CELL_CHANGE
    """Both in the region that was scored."""


def word_in(store: CaseStore) -> Word:
    """What a reader corrected in a case.

    Raises:
        CaseError: a file is damaged (it is kept aside), or a newer program wrote it.
    """
    return Word(store.load_corrections(), store.load_cell_corrections())


def corrected(result: Result, word: Word, region: Region, counts: Counts, pixel_size: PixelSize) -> Corrected:
    """The result as the reader corrected it: evidence, and shares counted anew.

    Args:
        result: as the scorer gave it.
        word: of the reader.
        region: that was scored.
        counts: what the scorer counts.
        pixel_size: of the slide.
    """
    from her2viewer.scoring.aggregate import SurfaceCounter, shares_of
    from her2viewer.scoring.cell_parts import CellParts
    from her2viewer.scoring.corrected import surface_of

    if word.empty or result.not_assessable is not None:
        return Corrected(result)
    change, cells = NO_CHANGE, CellParts(pixel_size, word.cells)
    surface = None if word.mask.empty else surface_of(result.evidence, word.mask)
    if surface is not None:
        change = surface.change(SurfaceCounter(surface.class_map, pixel_size).cover(region), pixel_size)
    evidence: list[Evidence] = []
    for item in result.evidence:
        if isinstance(item, CellTable) and item.scheme.counted:
            evidence.append(cells.add(item).table)
        elif surface is not None and item.kind == "mask":
            evidence.append(surface.mask)
        elif surface is not None and isinstance(item, ClassMap) and item.scheme.counted:
            evidence.append(surface.class_map)
        else:
            evidence.append(item)
    now = replace(result, evidence=tuple(evidence), shares=shares_of(evidence, region, counts, pixel_size))
    return Corrected(now, word, change, cells.change(region))


def sentences(found: Corrected) -> list[str]:
    """What was applied, for people; nothing where nothing was corrected."""
    from her2viewer.reports.pdf_parts import cell_change_sentence, change_sentence

    if found.word.empty:
        return []
    said = [change_sentence(found.change)] if found.change.any else []
    if found.cell_change.any:
        said.append(cell_change_sentence(found.cell_change))
    if not said:
        return ["The corrections of the reader in this case change nothing in this region."]
    return [f"The corrections of the reader in this case were applied. {' '.join(said)}"]


def elsewhere(slide_path: Path, identity: str, folder: Path) -> str:
    """That the slide has another case with corrections, which are not applied; "" where it has none.

    Args:
        slide_path: of the slide.
        identity: ``Slide.identity``.
        folder: the case that is written.
    """
    from her2viewer.cases.cell_corrections_file import FILE, read_cell_corrections
    from her2viewer.cases.corrections_file import read_corrections
    from her2viewer.cases.places import existing_case

    other = existing_case(slide_path, identity)
    if other is None or other.resolve() == folder.resolve():
        return ""
    try:
        # Not through a store, which sets damaged files aside: what is not written is not changed either.
        word = Word(read_corrections(other / "corrections.json"), read_cell_corrections(other / FILE))
    except (OSError, ValueError, RecursionError):
        return ""
    if word.empty:
        return ""
    kinds = [] if word.mask.empty else ["of the tumour mask"]
    if not word.cells.empty:
        kinds.append(f"of {'1 cell' if len(word.cells) == 1 else f'{len(word.cells):,} cells'}")
    way = f'give --out "{other.parent}"' if other.name == folder.name else f'copy it to "{folder}" first'
    return (
        f'Corrections of the reader {" and ".join(kinds)} in "{other}" are not applied: this run writes another case.'
        f" To score with them, {way}."
    )
