"""Carries what the reader adds and what scorers find between the scoring controller and the case."""

from __future__ import annotations

from PySide6.QtCore import QObject

from her2viewer.domain.result import Result
from her2viewer.viewer.case_keeper import CaseKeeper
from her2viewer.viewer.case_loading import LoadedCase
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import Reading


class CaseSync(QObject):
    """What changes in the controller goes into the case; what a loaded case holds goes into the controller."""

    def __init__(self, controller: ScoringController, keeper: CaseKeeper, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._keeper = keeper
        self._restoring = False
        controller.reading_changed.connect(self._reading_changed)
        controller.result_changed.connect(self._result_changed)
        controller.scorer_changed.connect(self._scorer_changed)

    def restore(self, loaded: LoadedCase) -> None:
        """Show the results and the reading of a case; nothing of it is saved again."""
        case = loaded.case
        self._restoring = True
        try:
            for scorer, settings in case.settings.items():
                self._controller.keep_settings(scorer, settings)
            # The scorer chosen last comes last: it is the one that is shown.
            for result in sorted(loaded.results, key=lambda r: r.provenance.scorer == case.scorer):
                self._controller.restore(result)
            if case.scorer and any(e.id == case.scorer for e in self._controller.scorers):
                self._controller.set_scorer(case.scorer)
            self._controller.set_reading(
                Reading(
                    profile=case.profile or Reading().profile,
                    pattern_marked=case.pattern_marked,
                    marks=frozenset(case.marks),
                    control_checked=case.control_checked,
                    own_score=case.own_score,
                    comment=case.comment,
                )
            )
        finally:
            self._restoring = False

    def _reading_changed(self, reading: Reading) -> None:
        if not self._restoring:
            self._keeper.update(
                profile=reading.profile,
                pattern_marked=reading.pattern_marked,
                marks=tuple(sorted(reading.marks)),
                control_checked=reading.control_checked,
                own_score=reading.own_score,
                comment=reading.comment,
            )

    def _result_changed(self, result: Result | None) -> None:
        kept = self._controller.kept_result
        if result is not None and kept is not None and not self._restoring:
            self._keeper.save_result(kept)

    def _scorer_changed(self, scorer: str) -> None:
        case = self._keeper.case
        if case is None or self._restoring:
            return
        settings = dict(case.settings)
        chosen = self._controller.settings_of(scorer)
        if chosen:
            settings[scorer] = chosen
        self._keeper.update(scorer=scorer, settings=settings)
