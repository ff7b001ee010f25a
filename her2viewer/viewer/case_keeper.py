"""Keeps the case of the open slide on disk: saves changes within a second, says whether all is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from her2viewer.domain.cell_corrections import REMOVED
from her2viewer.viewer.case_loading import LoadedCase, closing_key
from her2viewer.viewer.session import Session
from her2viewer.viewer.storage import Storage

if TYPE_CHECKING:
    from her2viewer.cases.alignment_file import AlignedSlide
    from her2viewer.cases.case import Case
    from her2viewer.cases.store import CaseStore
    from her2viewer.cases.views_file import KeptViews
    from her2viewer.domain.result import Result
    from her2viewer.domain.reviewed import ReviewedMap

# Not restarted by further edits: what is drawn without a pause is on disk within this time, too.
SAVE_AFTER_MS = 500
RETRY_AFTER_MS = 15_000
# Looking about is no edit: it is kept in the background, without a word in the window.
REVIEWED_AFTER_MS = 2000


class CaseKeeper(QObject):
    """Between the session and the disk. Main thread; all files are touched by the storage thread."""

    state_changed = Signal(str)
    """"saved", "saving", "unsaved", or "" without a case."""
    problem = Signal(str)
    """A sentence: something could not be saved."""
    case_changed = Signal(object)
    """Case after an edit, or None without a slide."""

    def __init__(self, session: Session, storage: Storage, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._storage = storage
        self._store: CaseStore | None = None
        self._case: Case | None = None
        self._dirty_case = False
        self._dirty_annotations = False
        self.alignments: tuple[AlignedSlide, ...] = ()
        """Slides that were aligned with this one."""
        self._dirty_alignments = self._dirty_corrections = self._dirty_cells = False
        self._unsaved_results: dict[str, Result] = {}
        """By scorer: what could not be written and is to be tried again."""
        self._changes = 0
        """Counts edits, to know whether something changed while a save was under way."""
        self._saves = 0
        self._told: str | None = None
        self._last_problem = ""
        self._known: tuple[str, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SAVE_AFTER_MS)
        self._timer.timeout.connect(self.flush)
        self._retry = QTimer(self)
        self._retry.setSingleShot(True)
        self._retry.setInterval(RETRY_AFTER_MS)
        self._retry.timeout.connect(self.flush)
        self.reviewed: ReviewedMap | None = None
        """Which places were looked at, as far as the case knows."""
        self.views: KeptViews | None = None
        """Which views stand side by side, as far as the case knows."""
        self._reviewed_dirty = self._views_dirty = False
        self._reviewed_timer = QTimer(self)
        self._reviewed_timer.setSingleShot(True)
        self._reviewed_timer.setInterval(REVIEWED_AFTER_MS)
        self._reviewed_timer.timeout.connect(self._save_looks)
        session.annotations_changed.connect(self._annotations_changed)
        session.corrections_changed.connect(self._corrections_changed)
        session.cell_corrections_changed.connect(self._cells_changed)

    @property
    def case(self) -> Case | None:
        """The case as it is in the window."""
        return self._case

    @property
    def store(self) -> CaseStore | None:
        """Where it is kept."""
        return self._store

    @property
    def state(self) -> str:
        """ "saved", "saving", "unsaved", or "" without a case."""
        if self._store is None:
            return ""
        if self._saves:
            return "saving"
        return "unsaved" if self._dirty else "saved"

    def attach(self, loaded: LoadedCase) -> None:
        """Keep this case from now on; the session already shows its annotations."""
        self._store, self._case = loaded.store, loaded.case
        self._known = loaded.problems
        self._dirty_case = self._dirty_annotations = self._dirty_corrections = self._dirty_cells = False
        self._unsaved_results = {}
        self.alignments, self._dirty_alignments = loaded.alignments, False
        self.reviewed, self._reviewed_dirty = loaded.reviewed, False
        self.views, self._views_dirty = loaded.views, False
        self._tell()
        self.case_changed.emit(self._case)
        self.log("opened")

    def detach(self) -> None:
        """Save what is left and let the case go."""
        self.flush()
        self._save_looks()
        self.reviewed = self.views = None
        self.alignments, self._dirty_alignments = (), False
        self._timer.stop()
        self._retry.stop()
        store = self._store
        self._store = self._case = None
        self._dirty_case = self._dirty_annotations = self._dirty_corrections = self._dirty_cells = False
        if store is not None:
            self._storage.submit("Closing the case", store.close, key=closing_key(store), quiet=True)
        self._tell()
        self.case_changed.emit(None)

    def update(self, **changes: Any) -> None:
        """Change fields of the case (``comment="..."``); saved soon."""
        if self._case is None:
            return
        changed = replace(self._case, **changes)
        if changed != self._case:
            self._case = changed
            self._dirty_case = True
            self._edited()
            self.case_changed.emit(changed)

    def update_fields(self, fields: Mapping[str, str]) -> None:
        """Change some of the fields that a report prints; the others stay."""
        if self._case is not None:
            self.update(fields={**self._case.fields, **fields})

    def keep_alignments(self, alignments: tuple[AlignedSlide, ...]) -> None:
        """Keep how other slides lie on this one; saved soon."""
        if self._store is not None and alignments != self.alignments:
            self.alignments = alignments
            self._dirty_alignments = True
            self._edited()

    def keep_reviewed(self, reviewed: ReviewedMap | None) -> None:
        """Keep which places were looked at, once the case holds anything else."""
        if self._store is not None and reviewed is not None:
            self.reviewed, self._reviewed_dirty = reviewed, True
            if not self._reviewed_timer.isActive():
                self._reviewed_timer.start()

    def keep_views(self, views: KeptViews) -> None:
        """Keep which views stand side by side, once the case holds anything else."""
        if self._store is not None and views != self.views:
            self.views, self._views_dirty = views, True
            if not self._reviewed_timer.isActive():
                self._reviewed_timer.start()

    def _save_looks(self) -> None:
        """What is no edit: what was looked at, and in which views."""
        self._reviewed_timer.stop()
        self._save_reviewed()
        self._save_views()

    def _save_views(self) -> None:
        store, views = self._store, self.views
        if store is None or views is None or not self._views_dirty:
            return

        def done(written: bool) -> None:
            if written and self.views is views:
                self._views_dirty = False

        work = partial(store.save_views, views)
        self._storage.submit("Keeping the views", work, done=done, key=f"views {id(store)}", quiet=True)

    def _save_reviewed(self) -> None:
        store, reviewed = self._store, self.reviewed
        if store is None or reviewed is None or not self._reviewed_dirty:
            return

        def done(written: bool) -> None:
            if written and self.reviewed is reviewed:
                self._reviewed_dirty = False

        work = partial(store.save_reviewed, reviewed)
        self._storage.submit("Keeping what was looked at", work, done=done, key=f"reviewed {id(store)}", quiet=True)

    def save_result(self, result: Result) -> None:
        """Keep a result with its evidence, and say so in the audit trail."""
        store = self._store
        if store is None:
            return
        origin = result.provenance
        self._unsaved_results.pop(origin.scorer, None)

        def work() -> None:
            store.save_result(result)
            store.log("scored", scorer=origin.scorer, version=origin.scorer_version, region=origin.region_hash)

        def failed() -> None:
            if store is self._store:
                self._unsaved_results.setdefault(origin.scorer, result)

        self._run("Saving the result", work, failed=failed, key=f"result {origin.scorer} {id(store)}")

    def log(self, event: str, **details: Any) -> None:
        """One line of the audit trail."""
        store = self._store
        if store is not None:
            self._storage.submit(
                "Writing the audit trail", lambda: store.log(event, **details), failed=self._log_failed
            )

    def flush(self) -> None:
        """Save at once what has changed."""
        self._timer.stop()
        store, case = self._store, self._case
        if store is None or case is None or not self._dirty:
            return
        for result in tuple(self._unsaved_results.values()):
            self.save_result(result)
        annotations = self._session.annotations if self._dirty_annotations else None
        alignments = self.alignments if self._dirty_alignments else None
        corrections = self._session.corrections if self._dirty_corrections else None
        cells = self._session.cell_corrections if self._dirty_cells else None
        changes = self._changes

        def work() -> None:
            if annotations is not None:
                store.save_annotations(annotations)
                store.log("annotations saved", objects=len(annotations), region=annotations.region().hash)
            store.save(case)
            if alignments is not None:
                store.save_alignments(alignments)
                store.log("slides aligned", slides=[aligned.path for aligned in alignments])
            if corrections is not None:
                store.save_corrections(corrections)
                areas = {"added_px": corrections.added.area, "removed_px": corrections.removed.area}
                store.log("tumour mask corrected", **areas)
            if cells is not None:
                store.save_cell_corrections(cells)
                removed = int((cells.said == REMOVED).sum())
                store.log("cells corrected", classed=len(cells) - removed, removed=removed)

        def done(_: object) -> None:
            if store is self._store and changes == self._changes:
                self._dirty_case = self._dirty_annotations = self._dirty_alignments = False
                self._dirty_corrections = self._dirty_cells = False
            self._retry.stop()
            self._last_problem = ""

        # Not one key for all slides: the last state of a slide that was left must not be replaced.
        self._run("Saving the case", work, done=done, key=f"case {id(store)}")

    @property
    def _dirty(self) -> bool:
        edited = self._dirty_case or self._dirty_annotations or self._dirty_alignments or self._dirty_corrections
        return edited or self._dirty_cells or bool(self._unsaved_results)

    def _annotations_changed(self, _: object) -> None:
        if self._store is not None:
            self._dirty_annotations = True
            self._edited()

    def _corrections_changed(self, _: object) -> None:
        if self._store is not None:
            self._dirty_corrections = True
            self._edited()

    def _cells_changed(self, _: object) -> None:
        if self._store is not None:
            self._dirty_cells = True
            self._edited()

    def _edited(self) -> None:
        self._changes += 1
        if not self._timer.isActive():
            self._timer.start()
        self._tell()

    def _run(
        self,
        name: str,
        work: Callable[[], None],
        *,
        done: Callable[[object], None] | None = None,
        failed: Callable[[], None] | None = None,
        key: str,
    ) -> None:
        def finished(result: object) -> None:
            self._saves = max(0, self._saves - 1)
            if done is not None:
                done(result)
            self._tell()

        def gone_wrong(sentence: str) -> None:
            self._saves = max(0, self._saves - 1)
            if failed is not None:
                failed()
            self._failed(sentence)

        replaced = self._storage.submit(name, work, done=finished, failed=gone_wrong, key=key)
        self._saves += 1 - replaced
        self._tell()

    def _log_failed(self, sentence: str) -> None:
        # A case that is open elsewhere or cannot be written to was told when it was loaded.
        if not any(sentence.endswith(known) for known in self._known):
            self._failed(sentence)

    def _failed(self, sentence: str) -> None:
        self._tell()
        if self._dirty:
            self._retry.start()
        # The same trouble is told once, however often saving is tried.
        if sentence != self._last_problem:
            self._last_problem = sentence
            self.problem.emit(sentence)

    def _tell(self) -> None:
        state = self.state
        if state != self._told:
            self._told = state
            self.state_changed.emit(state)
