"""The chosen scorer is made ready while the reader still looks, and says where it works."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from her2viewer.scoring.registry import DEVICE_SETTING
from her2viewer.scoring.working_on import NO_NETWORK, WorkingOn
from her2viewer.viewer.scoring_controller import ScoringController

_Key = tuple[str, tuple[str, ...], str]


class Warming(QObject):
    """Follows the choice of scorer, network and device."""

    changed = Signal()
    """``working_on`` may be another."""

    def __init__(self, controller: ScoringController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._begun = False
        self._warmed: _Key | None = None
        self._known: dict[_Key, WorkingOn] = {}
        controller.device_known.connect(self._learn)
        controller.scorer_changed.connect(lambda _: self._follow())

    @property
    def working_on(self) -> WorkingOn | None:
        """Where the chosen scorer works; None before its networks were loaded."""
        key = self._key(self._controller.scorer)
        if key is None:
            return None
        return self._known.get(key) if key[1] else WorkingOn("CPU", NO_NETWORK)

    def begin(self) -> None:
        """A slide is there: make the chosen scorer ready, and from now on each other one that is chosen."""
        self._begun, self._warmed = True, None
        self._follow()

    def _follow(self) -> None:
        key = self._key(self._controller.scorer)
        if self._begun and key is not None and key != self._warmed:
            self._warmed = key
            self._controller.warm_up()
        self.changed.emit()

    def _learn(self, scorer: str, works: WorkingOn) -> None:
        key = self._key(scorer)
        if key is not None:
            self._known[key] = works
            self.changed.emit()

    def _key(self, scorer: str) -> _Key | None:
        """What the device depends on: scorer, networks, and where they are wanted."""
        settings = self._controller.settings_of(scorer)
        entry = next((e for e in self._controller.scorers if e.id == scorer), None)
        if entry is None or entry.manifest is None:
            return None
        return scorer, tuple(entry.manifest.chosen_models(settings)), str(settings.get(DEVICE_SETTING, "auto"))
