"""A case on disk: one folder beside the slide, or in the user's own data folder where that one is read-only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.cases.atomic import make_folder
from her2viewer.cases.case import Case, CaseError, case_from_json
from her2viewer.cases.case_folder import CaseFolder
from her2viewer.cases.places import copy_case, place_of_case
from her2viewer.domain.annotation import AnnotationSet

if TYPE_CHECKING:
    from her2viewer.cases.alignment_file import AlignedSlide
    from her2viewer.cases.views_file import KeptViews
    from her2viewer.domain.cell_corrections import CellCorrections
    from her2viewer.domain.corrections import Corrections
    from her2viewer.domain.result import Result
    from her2viewer.domain.reviewed import ReviewedMap


class CaseStore(CaseFolder):
    """Reads and writes one case. Safe to call from several threads; meant for the one that saves."""

    def __init__(self, folder: Path, slide_path: Path | str = "", identity: str = "") -> None:
        super().__init__(folder, slide_path, identity)
        self._saved_annotations: AnnotationSet | None = None

    @classmethod
    def for_slide(cls, slide_path: Path, identity: str) -> CaseStore:
        """The store of a slide: ``<slide name>.her2case`` beside it, else in the user's data folder.

        A folder beside the slide that belongs to another slide of the same name is left alone. A case in a
        folder that may not be written to is copied to the user's data folder, and goes on there.

        Args:
            slide_path: the file.
            identity: ``Slide.identity``.

        Raises:
            CaseError: a case in a read-only folder cannot be copied.
        """
        slide_path = Path(slide_path).absolute()
        place = place_of_case(slide_path, identity)
        if place.copy_of is not None:
            copy_case(place.copy_of, place.folder)
        store = cls(place.folder, slide_path, identity)
        store._otherwise = place.otherwise
        return store

    # Reading ---------------------------------------------------------------------------------------------

    def load(self) -> Case:
        """The case as last saved; an empty one where there is none.

        Raises:
            CaseError: it is damaged (the damaged file is kept aside under the name in the sentence; loading
                again gives an empty case), or a newer program wrote it.
        """
        path = self.folder / "case.json"
        fresh = Case(slide_path=self.slide_path, identity=self.identity)
        with self._mutex:
            text = self._text(path)
            if text is None:
                return fresh
            try:
                case = case_from_json(json.loads(text))
            except (ValueError, RecursionError) as error:
                raise self._damaged(path, error) from error
        return self._of_this_slide(case)

    def load_annotations(self) -> AnnotationSet:
        """The annotations as last saved; none where there are none.

        Raises:
            CaseError: they are damaged; the file is kept aside.
        """
        from her2viewer.cases.geojson import GeoJsonError, read_geojson

        path = self.folder / "annotations.geojson"
        with self._mutex:
            if not path.exists():
                return AnnotationSet()
            try:
                annotations = read_geojson(path)
            except GeoJsonError as error:
                if isinstance(error.__cause__, OSError):
                    raise CaseError(str(error)) from error
                raise self._damaged(path, error) from error
            self._saved_annotations = annotations
            return annotations

    def load_result(self, scorer: str) -> Result | None:
        """The last result of a scorer, with its evidence; None where there is none.

        Raises:
            CaseError: it is damaged (the file is kept aside), or a newer program wrote it.
        """
        from her2viewer.cases.result_file import read_result

        path = self._result_path(scorer)
        with self._mutex:
            try:
                return read_result(path)
            except FileNotFoundError:
                return None
            except PermissionError as error:
                raise CaseError(f"{path} may not be read. Ask for access to it.") from error
            except ValueError as error:
                raise self._damaged(path, error) from error

    def load_reviewed(self) -> ReviewedMap | None:
        """Which places were looked at; None where nothing is known of it.

        Raises:
            CaseError: it is damaged (the file is kept aside), or a newer program wrote it.
        """
        from her2viewer.cases.reviewed_file import read_reviewed

        return self._load_small("reviewed.json", read_reviewed)

    def load_alignments(self) -> tuple[AlignedSlide, ...]:
        """Slides that were aligned with this one.

        Raises:
            CaseError: the file is damaged (it is kept aside), or a newer program wrote it.
        """
        from her2viewer.cases.alignment_file import read_alignments

        return self._load_small("alignments.json", read_alignments)

    def load_corrections(self) -> Corrections:
        """What the reader added to and removed from the tumour mask.

        Raises:
            CaseError: the file is damaged (it is kept aside), or a newer program wrote it.
        """
        from her2viewer.cases.corrections_file import read_corrections

        return self._load_small("corrections.json", read_corrections)

    def load_cell_corrections(self) -> CellCorrections:
        """What the reader said of single cells.

        Raises:
            CaseError: the file is damaged (it is kept aside), or a newer program wrote it.
        """
        from her2viewer.cases.cell_corrections_file import FILE, read_cell_corrections

        return self._load_small(FILE, read_cell_corrections)

    def load_views(self) -> KeptViews | None:
        """Which views stood side by side; None where nothing is known of it.

        Raises:
            CaseError: the file is damaged (it is kept aside), or a newer program wrote it.
        """
        from her2viewer.cases.views_file import read_views

        return self._load_small("views.json", read_views)

    def scorers(self) -> tuple[str, ...]:
        """Ids of the scorers that have a result here."""
        return tuple(sorted(p.stem for p in (self.folder / "results").glob("*.h5") if not p.name.startswith(".")))

    # Writing ---------------------------------------------------------------------------------------------

    def save(self, case: Case) -> None:
        """Write the case, whole or not at all.

        Raises:
            CaseError: it cannot be written, is open elsewhere, or belongs to a newer program.
        """
        with self._writing():
            self._write_case(case)

    def save_annotations(self, annotations: AnnotationSet) -> None:
        """Write the annotations, whole or not at all; nothing happens where they are those saved last.

        Raises:
            CaseError: as ``save``.
        """
        from her2viewer.cases.geojson import write_geojson

        with self._mutex:
            if annotations == self._saved_annotations:
                return
        with self._writing():
            self._make_known()
            write_geojson(self.folder / "annotations.geojson", annotations)
            self._saved_annotations = annotations

    def save_result(self, result: Result) -> None:
        """Write a result with its evidence in the place of the scorer's last one, whole or not at all.

        Raises:
            CaseError: as ``save``.
        """
        from her2viewer.cases.result_file import write_result

        with self._writing():
            self._make_known()
            make_folder(self.folder / "results")
            write_result(self._result_path(result.provenance.scorer), result)

    def save_reviewed(self, reviewed: ReviewedMap) -> bool:
        """Write which places were looked at; False, and nothing written, before anything else was saved.

        Raises:
            CaseError: as ``save``.
        """
        from her2viewer.cases.reviewed_file import write_reviewed

        return self._save_small("reviewed.json", lambda path: write_reviewed(path, reviewed))

    def save_views(self, views: KeptViews) -> bool:
        """Write which views stand side by side; False, and nothing written, before anything else was saved.

        Raises:
            CaseError: as ``save``.
        """
        from her2viewer.cases.views_file import write_views

        return self._save_small("views.json", lambda path: write_views(path, views))

    def save_alignments(self, slides: tuple[AlignedSlide, ...]) -> None:
        """Write which slides were aligned with this one, whole or not at all; a newer program's list stays.

        Raises:
            CaseError: as ``save``.
        """
        from her2viewer.cases.alignment_file import write_alignments

        with self._writing():
            if "alignments.json" in self._newer:
                return
            self._make_known()
            write_alignments(self.folder / "alignments.json", slides)

    def save_corrections(self, corrections: Corrections) -> None:
        """Write the corrections of the tumour mask, whole or not at all; a newer program's stay.

        Raises:
            CaseError: as ``save``.
        """
        from her2viewer.cases.corrections_file import write_corrections

        with self._writing():
            if "corrections.json" in self._newer:
                return
            self._make_known()
            write_corrections(self.folder / "corrections.json", corrections)

    def save_cell_corrections(self, corrections: CellCorrections) -> None:
        """Write what the reader said of single cells, whole or not at all; a newer program's list stays.

        Raises:
            CaseError: as ``save``.
        """
        from her2viewer.cases.cell_corrections_file import FILE, write_cell_corrections

        with self._writing():
            if FILE in self._newer:
                return
            self._make_known()
            write_cell_corrections(self.folder / FILE, corrections)

    def _result_path(self, scorer: str) -> Path:
        return self.folder / "results" / f"{re.sub(r'[^0-9A-Za-z_.-]', '_', scorer)}.h5"


def open_case(slide_path: Path, identity: str) -> tuple[CaseStore, Case]:
    """The store of a slide and its case as last saved.

    Raises:
        CaseError: as ``CaseStore.load``.
    """
    store = CaseStore.for_slide(slide_path, identity)
    return store, store.load()
