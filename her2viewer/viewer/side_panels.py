"""The two side columns with their panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QVBoxLayout, QWidget

from her2viewer.viewer.panels.answer_panel import AnswerPanel
from her2viewer.viewer.panels.case_panel import CasePanel
from her2viewer.viewer.panels.cells_panel import CellsPanel
from her2viewer.viewer.panels.collapsible import CollapsiblePanel, SideColumn
from her2viewer.viewer.panels.deciding_list import DecidingList
from her2viewer.viewer.panels.layers_panel import LayersPanel
from her2viewer.viewer.panels.profiles_panel import ProfilesPanel
from her2viewer.viewer.panels.reading_form import ReadingForm
from her2viewer.viewer.panels.regions_panel import RegionsPanel
from her2viewer.viewer.panels.scorer_panel import ScorerPanel
from her2viewer.viewer.panels.slides_panel import SlidesPanel
from her2viewer.viewer.panels.why_panel import WhyPanel
from her2viewer.viewer.settings import Settings

if TYPE_CHECKING:
    from her2viewer.viewer.menus import Menus
    from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
    from her2viewer.viewer.scoring_controller import ScoringController
    from her2viewer.viewer.session import Session
    from her2viewer.viewer.tools.drawing_state import DrawingState

_LEFT_LEAST, _RIGHT_LEAST = 208, 288
"""Logical px below which words of the panels would be cut."""
FOLDED_AT_FIRST = ("Case", "Other profiles", "Cells")


class SidePanels(QObject):
    """Makes the panels, and remembers which are hidden and which are folded."""

    def __init__(
        self,
        parent: QObject,
        *,
        session: Session,
        state: DrawingState,
        controller: ScoringController,
        evidence: EvidenceLayers,
        cells: CellsPanel,
    ) -> None:
        super().__init__(parent)
        self.slides = SlidesPanel()
        self.case = CasePanel()
        self.regions = RegionsPanel(session, state)
        self.layers = LayersPanel(evidence)
        self.answer = AnswerPanel(controller)
        self.why = WhyPanel(controller)
        self.deciding = DecidingList(controller, session)
        self.cells = cells
        self.reading = ReadingForm(controller)
        self.profiles = ProfilesPanel(controller)
        self.scorers = ScorerPanel(controller)
        self.left = SideColumn("Slide, regions, layers")
        self.right = SideColumn("Answer, why, scorers")
        self.left.set_least(_LEFT_LEAST)
        self.right.set_least(_RIGHT_LEAST)
        self._panels: dict[str, CollapsiblePanel] = {}
        self._entries: dict[str, QAction] = {}
        self._shown = {"left": True, "right": True}
        for column, title, content in (
            (self.left, "Slides", self.slides),
            (self.left, "Case", self.case),
            (self.left, "Regions", self.regions),
            (self.left, "Layers", self.layers),
            (self.right, "Answer", self.answer),
            (self.right, "Why", _below(self.why, self.deciding)),
            (self.right, "Cells", self.cells),
            (self.right, "Your reading", self.reading),
            (self.right, "Other profiles", self.profiles),
            (self.right, "Scorers", self.scorers),
        ):
            panel = CollapsiblePanel(title, content, is_open=title not in FOLDED_AT_FIRST)
            self._panels[title] = panel
            # A list of regions may be long: it gets the room that the others leave.
            column.add(panel, grows=title == "Regions", holds=title in ("Cells", "Your reading", "Other profiles"))

        # After the panels themselves, which were connected before.
        controller.decision_changed.connect(self._settle)

    def _settle(self, *_: object) -> None:
        self.right.settle()

    def __getitem__(self, title: str) -> CollapsiblePanel:
        return self._panels[title]

    def fill_menu(self, menus: Menus) -> None:
        """Entries that show and hide each panel."""
        for number, (title, panel) in enumerate(self._panels.items(), start=1):
            self._entries[title] = menus.panel(title, number, panel, self._update)

    def set_palette(self, palette: str) -> None:
        """Class colours of overlays and bars."""
        self.layers.set_palette(palette)
        self.answer.set_palette(palette)
        self.deciding.set_palette(palette)
        self.cells.set_palette(palette)

    def show_left(self, shown: bool) -> None:
        """Show or hide the left column."""
        self._shown["left"] = shown
        self._update()

    def show_right(self, shown: bool) -> None:
        """Show or hide the right column."""
        self._shown["right"] = shown
        self._update()

    def edit_case(self) -> None:
        """Bring the case fields to view and put the cursor there."""
        self._shown["left"] = True
        self._entries["Case"].setChecked(True)
        self._panels["Case"].set_open(True)
        self._update()
        self.left.ensureWidgetVisible(self.case)
        self.case.focus()

    def restore(self, settings: Settings) -> None:
        """As they were when the window was closed."""
        for title, panel in self._panels.items():
            self._entries[title].setChecked(settings.flag(f"panels/{title}/shown", True))
            panel.set_open(settings.flag(f"panels/{title}/open", title not in FOLDED_AT_FIRST))
        self.cells.clusters.restore(settings)
        self._update()

    def save(self, settings: Settings) -> None:
        """Remember which are hidden and which are folded, and what was set in them."""
        self.cells.clusters.save(settings)
        for title, panel in self._panels.items():
            settings.set(f"panels/{title}/shown", self._entries[title].isChecked())
            settings.set(f"panels/{title}/open", panel.is_open)

    def contents(self) -> tuple[QWidget, ...]:
        """What stands in the panels."""
        return tuple(panel.content for panel in self._panels.values())

    def _update(self) -> None:
        # A column without panels gives its room to the slide.
        self.left.setVisible(self._shown["left"] and self.left.any_shown)
        self.right.setVisible(self._shown["right"] and self.right.any_shown)


def _below(*widgets: QWidget) -> QWidget:
    """One below the other, as the content of one panel."""
    both = QWidget()
    column = QVBoxLayout(both)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    for widget in widgets:
        column.addWidget(widget)
    return both
