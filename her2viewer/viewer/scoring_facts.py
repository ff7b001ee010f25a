"""What is known of scoring right now: what panels and commands ask. ``ScoringController`` changes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from her2viewer.domain.cell_corrections import CellChange
from her2viewer.domain.corrections import MaskChange
from her2viewer.domain.evidence import Evidence
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.decision import Decision
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, Profile, load_profiles
from her2viewer.scoring.cell_parts import CellParts
from her2viewer.scoring.manifest import Manifest
from her2viewer.scoring.registry import ScorerEntry
from her2viewer.viewer.scoring_knowledge import NOTHING, Held, Knowledge
from her2viewer.viewer.scoring_model import Reading, ScorerChoice, ScoringState
from her2viewer.viewer.scoring_progress import RunProgress
from her2viewer.viewer.scoring_watcher import Run
from her2viewer.viewer.session import Session


class ScoringFacts(QObject):
    """Main-thread state of scoring with its signals; read only."""

    state_changed = Signal(object)
    """ScoringState."""
    progress = Signal(object)
    """RunProgress while running."""
    evidence_added = Signal(object)
    """tuple[Evidence, ...] of one more part, to be shown beside what is there."""
    evidence_changed = Signal(object)
    """tuple[Evidence, ...] to be shown instead of what is there."""
    evidence_corrected = Signal(object, object)
    """tuple[Evidence, ...]: masks and class maps in place of those shown, and the box that differs (level-0 px)."""
    cells_corrected = Signal(str, object)
    """Scorer, CellTable: cells of which the reader now says other things, removed ones of class ``NO_CELL``."""
    cells_settled = Signal()
    """The shares follow such a correction, whether or not they are others for it."""
    scored_changed = Signal(object, object)
    """Region of the reader, Region that is scored."""
    shares_changed = Signal(object)
    """Shares | None of the present region."""
    decision_changed = Signal(object, object)
    """Decision | None, tuple[Decision, ...] of the other profiles."""
    result_changed = Signal(object)
    """Result | None: a run has ended or a result was restored; what the case keeps."""
    failed = Signal(str, str)
    """Sentence, log."""
    device_known = Signal(str, object)
    """Id of a scorer, ``WorkingOn`` of its networks."""
    reading_changed = Signal(object)
    """Reading."""
    scorers_changed = Signal()
    """A model was installed or removed: there is something else to choose."""
    scorer_changed = Signal(str)
    """Another scorer, or other settings of it."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session: Session | None = None
        self._choice = ScorerChoice()
        self._reading = Reading()
        self._known = Knowledge(self)
        self._profiles: dict[str, Profile] = {}
        self._state = ScoringState.NO_SLIDE
        self._progress: RunProgress | None = None
        self._failure: tuple[str, str] | None = None
        self._run: Run | None = None
        self._cancelling = False
        self._shares: Shares | None = None
        self._decisions: tuple[Decision | None, tuple[Decision, ...]] = (None, ())

    @property
    def state(self) -> ScoringState:
        """Where the reader is."""
        return self._state

    @property
    def scorers(self) -> tuple[ScorerEntry, ...]:
        """All installed scorers, usable or with the reason why not; read at first use."""
        return self._choice.entries

    @property
    def scorer(self) -> str:
        """Id of the chosen scorer."""
        return self._choice.id

    @property
    def manifest(self) -> Manifest | None:
        """Manifest of the chosen scorer; None where it cannot be used."""
        return self._choice.manifest

    @property
    def profiles(self) -> dict[str, Profile]:
        """All guideline profiles by id, read at first use."""
        if not self._profiles:
            self._profiles = load_profiles()
        return self._profiles

    @property
    def profile(self) -> Profile:
        """The profile in use; the default where the chosen one is not there."""
        return self.profiles.get(self._reading.profile) or self.profiles[DEFAULT_PROFILE]

    @property
    def reading(self) -> Reading:
        """What the pathologist has added."""
        return self._reading

    @property
    def shares(self) -> Shares | None:
        """Shares of the present region."""
        return self._shares

    def shares_in(self, region: Region) -> Shares | None:
        """Shares of a part of the region, from what is known of the chosen scorer."""
        return None if self._held is None else self._held.live.shares(region)

    @property
    def decision(self) -> Decision | None:
        """What the profile in use says."""
        return self._decisions[0]

    @property
    def others(self) -> tuple[Decision, ...]:
        """What the other profiles say."""
        return self._decisions[1]

    @property
    def run_progress(self) -> RunProgress | None:
        """How far the present run is."""
        return self._progress

    @property
    def failure(self) -> tuple[str, str] | None:
        """Sentence and log of the last failure, until the next run or another slide."""
        return self._failure

    @property
    def scored(self) -> Region:
        """What the chosen scorer has looked at."""
        held = self._held
        return NOTHING if held is None else held.scored

    @property
    def coverage(self) -> float:
        """Share 0 to 1 of the region that is scored."""
        return self._known.coverage(self.scorer, self._region)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All evidence that is shown."""
        return () if self._held is None else self._held.shown()

    @property
    def known_scorers(self) -> tuple[str, ...]:
        """Ids of the scorers that something is known from for this slide."""
        return self._known.scorers

    def evidence_of(self, scorer: str) -> tuple[Evidence, ...]:
        """All evidence that is known from one scorer, whether or not it is the one shown."""
        held = self._known.get(scorer)
        return () if held is None else held.shown()

    def scored_by(self, scorer: str) -> Region:
        """What that scorer has looked at."""
        held = self._known.get(scorer)
        return NOTHING if held is None else held.scored

    @property
    def result(self) -> Result | None:
        """The result for the region as it is now: shares and warnings follow the outline."""
        return None if self._held is None else self._held.result_for(self._region, self.coverage)

    @property
    def has_result(self) -> bool:
        """Whether there is a ``result``, without making it: a million cells take their time."""
        held = self._held
        return held is not None and held.result is not None and held.stands(self._region)

    @property
    def kept_result(self) -> Result | None:
        """The result as the case keeps it: evidence and shares of cells as the scorer gave them.

        Corrections are kept beside it.
        """
        held, result = self._held, self.result
        if held is None or held.result is None or result is None:
            return result
        counted = result.shares is not None and not held.counting
        shares = held.live.shares_as_found(self._region) if counted else result.shares
        return replace(result, evidence=held.result.evidence, shares=shares)

    @property
    def change(self) -> MaskChange:
        """How much of the tumour mask the reader changed in the region."""
        return MaskChange() if self._held is None else self._held.live.change(self._region)

    @property
    def cell_change(self) -> CellChange:
        """How many cells of the region the reader made others than the scorer said."""
        held = self._held
        if held is None:
            return CellChange()
        return held.live.cell_change(self._region, self._region if self.coverage == 1 else held.scored)

    @property
    def cells(self) -> CellParts | None:
        """The cells that are shown and may be corrected, of a run as far as they are there; None without any."""
        held = self._held
        return None if held is None or held.counting else held.live.cells

    @property
    def correctable(self) -> Region:
        """Where there is a tumour mask that can be corrected: the scored part of the region; empty without one."""
        held = self._held
        if held is None or not held.live.correctable:
            return NOTHING
        return self._region if self.coverage == 1 else self._region.intersection(held.scored)

    @property
    def settings_differ(self) -> bool:
        """True when the answer shown was made with other settings than those chosen now."""
        held = self._held
        if held is None or held.result is None or self.manifest is None:
            return False
        return dict(held.result.provenance.settings) != self.settings_of(self.scorer)

    @property
    def locked(self) -> bool:
        """The case is signed."""
        return self._session is not None and self._session.locked

    @property
    def obstacle(self) -> str:
        """Why the scorer cannot be run now, as a sentence; "" where it can."""
        if self._run is not None:
            return "The scorer is running."
        match self._state:
            case ScoringState.NO_SLIDE:
                return "Open a slide first."
            case ScoringState.NO_PIXEL_SIZE:
                return "Enter the pixel size of this slide first (File, Pixel size)."
            case ScoringState.NO_ROI:
                return "Outline the invasive carcinoma first: P polygon, F freehand, B brush."
        if problem := self._choice.problem:
            return problem
        if self.locked:
            return "The case is signed: amend it before scoring again."
        return ""

    def settings_of(self, scorer: str) -> dict[str, Any]:
        """Complete settings of a scorer: what was chosen over the defaults; {} for an unusable one."""
        return self._choice.settings_of(scorer)

    # -- for the controller ---------------------------------------------------------------------------------------

    @property
    def _held(self) -> Held | None:
        return self._known.get(self.scorer)

    @property
    def _region(self) -> Region:
        return NOTHING if self._session is None else self._session.region

    def _state_now(self) -> ScoringState:
        session = self._session
        held = self._held
        if self._run is not None:
            return ScoringState.CANCELLING if self._cancelling else ScoringState.RUNNING
        if session is None or session.slide is None:
            return ScoringState.NO_SLIDE
        if session.region.empty:
            return ScoringState.NO_ROI
        if session.pixel_size is None:
            return ScoringState.NO_PIXEL_SIZE
        if self._failure is not None:
            return ScoringState.FAILED
        if held is None or held.result is None or not held.stands(session.region):
            return ScoringState.READY
        if held.result.not_assessable is not None:
            return ScoringState.NOT_ASSESSABLE
        return ScoringState.ANSWERED if self.coverage == 1 else ScoringState.PARTLY_SCORED
