"""A case on disk: one folder beside the slide, or in the user's own data folder where that one is read-only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from her2viewer import __version__
from her2viewer.cases.atomic import StorageError, atomic_text, make_folder
from her2viewer.cases.case import FORMAT, VERSION, Case, CaseError, NewerFormatError, case_from_json, case_to_json
from her2viewer.cases.journal import Journal, JournalCheck, now, user_name, verify_journal
from her2viewer.cases.lock import CaseLock
from her2viewer.cases.places import copy_case, place_of_case
from her2viewer.domain.annotation import AnnotationSet

if TYPE_CHECKING:
    from her2viewer.cases.alignment_file import AlignedSlide
    from her2viewer.cases.views_file import KeptViews
    from her2viewer.domain.cell_corrections import CellCorrections
    from her2viewer.domain.corrections import Corrections
    from her2viewer.domain.result import Result
    from her2viewer.domain.reviewed import ReviewedMap

T = TypeVar("T")


class CaseStore:
    """Reads and writes one case. Safe to call from several threads; meant for the one that saves.

    Looking at a slide leaves nothing on the disk: the folder is made with the first thing that is saved, and
    what was logged before goes into its journal then.
    """

    def __init__(self, folder: Path, slide_path: Path | str = "", identity: str = "") -> None:
        self._use(Path(folder))
        self.slide_path = str(slide_path)
        self.identity = identity
        self._otherwise: Path | None = None
        self._mutex = threading.RLock()
        self._waiting: list[tuple[str, Mapping[str, Any], str, str]] = []
        self._saved_annotations: AnnotationSet | None = None
        self._checked = False
        self._newer: set[str] = set()
        """Names of small files that a newer program wrote: they stay as they are."""

    def _use(self, folder: Path) -> None:
        self.folder = folder
        self._lock = CaseLock(folder / "lock")
        self._journal = Journal(folder / "journal.jsonl")

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

    @property
    def exists(self) -> bool:
        """True where something was saved before."""
        return (self.folder / "case.json").exists()

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

    def log(self, event: str, **details: Any) -> None:
        """Add one line to the audit trail; kept in memory until the case has a folder.

        Args:
            event: what happened: "opened", "roi edited", "scored", "report exported".
            details: JSON values.

        Raises:
            CaseError: as ``save``.
        """
        with self._mutex:
            self._waiting.append((event, details, now(), user_name()))
            if self.exists:
                self._flush_log()

    def _flush_log(self) -> None:
        with self._writing():
            pass

    def verify(self) -> JournalCheck:
        """Whether the audit trail is whole, up to the last save at least."""
        expected = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))["journal"]
            expected = (int(kept["entries"]), str(kept["hash"]))
        return verify_journal(self._journal.path, expected=expected)

    # The lock --------------------------------------------------------------------------------------------

    def acquire(self) -> None:
        """Take the case for writing before the first save; does nothing where it has no folder yet.

        Raises:
            CaseLockedError: another window has it.
        """
        with self._mutex:
            if self.folder.is_dir():
                self._lock.acquire()

    def close(self) -> None:
        """Give the case back to other windows."""
        with self._mutex:
            self._lock.release()

    def __enter__(self) -> CaseStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Details ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Folder, lock and journal are there, and nothing of a newer program is overwritten."""
        with self._mutex:
            try:
                self._make_folder()
                self._lock.acquire()
                self._lock.touch()
                self._refuse_newer()
                while self._waiting:
                    event, details, time, who = self._waiting[0]
                    self._journal.append(event, details, time=time, who=who)
                    self._waiting.pop(0)
                yield
            except CaseError:
                raise
            except StorageError as error:
                raise CaseError(str(error)) from error

    def _make_folder(self) -> None:
        try:
            make_folder(self.folder)
        except StorageError:
            # A network drive may say only now that nothing can be written beside the slide.
            if self._otherwise is None or self.folder.exists():
                raise
            self._use(self._otherwise)
            make_folder(self.folder)
        self._otherwise = None

    def _of_this_slide(self, case: Case) -> Case:
        return replace(case, slide_path=self.slide_path or case.slide_path, identity=self.identity or case.identity)

    def _write_case(self, case: Case) -> None:
        lines, last = self._journal.end()
        data = {
            "format": FORMAT,
            "version": VERSION,
            "program": __version__,
            "saved": now(),
            **case_to_json(self._of_this_slide(case)),
            "journal": {"entries": lines, "hash": last},
        }
        atomic_text(self.folder / "case.json", json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def _make_known(self) -> None:
        """A folder with annotations or results says whose they are, even before the case itself is saved."""
        if not self.exists:
            self._write_case(Case(slide_path=self.slide_path, identity=self.identity))

    def _refuse_newer(self) -> None:
        if self._checked:
            return
        path = self.folder / "case.json"
        text = self._text(path)
        if text is not None:
            try:
                case_from_json(json.loads(text))
            except NewerFormatError:
                raise
            except (ValueError, RecursionError):
                _keep_aside(path)
        self._checked = True

    def _load_small(self, name: str, read: Callable[[Path], T]) -> T:
        """A file that names its own format; a newer program's is remembered and never overwritten."""
        path = self.folder / name
        with self._mutex:
            try:
                return read(path)
            except NewerFormatError:
                self._newer.add(name)
                raise
            except OSError as error:
                raise CaseError(f"{path} cannot be read: {error.strerror or error}.") from error
            except (ValueError, RecursionError) as error:
                raise self._damaged(path, error) from error

    def _save_small(self, name: str, write: Callable[[Path], None]) -> bool:
        """Write what is no edit; False, and nothing written, before anything else was saved."""
        if not self.exists:
            return False
        with self._writing():
            if name not in self._newer:
                write(self.folder / name)
        return True

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CaseError(f"{path} cannot be read: {error.strerror or error}.") from error

    def _damaged(self, path: Path, error: Exception) -> CaseError:
        aside = _keep_aside(path)
        kept = f"It was kept as {aside.name} in {path.parent}" if aside else f"It is {path}"
        reason = str(error) if type(error) is ValueError else "its text is damaged"
        return CaseError(
            f"The file {path.name} of this case cannot be read: {reason}. {kept}; "
            "the rest of the case is not affected. Restore the file from a backup, or go on without it."
        )

    def _result_path(self, scorer: str) -> Path:
        return self.folder / "results" / f"{re.sub(r'[^0-9A-Za-z_.-]', '_', scorer)}.h5"


def _keep_aside(path: Path) -> Path | None:
    """Rename a damaged file so that nothing overwrites it; None where that is not possible."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    try:
        os.rename(path, aside)
    except OSError:
        return None
    return aside


def open_case(slide_path: Path, identity: str) -> tuple[CaseStore, Case]:
    """The store of a slide and its case as last saved.

    Raises:
        CaseError: as ``CaseStore.load``.
    """
    store = CaseStore.for_slide(slide_path, identity)
    return store, store.load()
