"""What the window says of itself: what can be done now, the hint, the title, tool, colours and progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from her2viewer.cases.case import Case
from her2viewer.domain.annotation import Role
from her2viewer.viewer.availability import show_availability
from her2viewer.viewer.scoring_progress import RunProgress
from her2viewer.viewer.states import sentence
from her2viewer.viewer.this_computer import Held, computer_rows
from her2viewer.viewer.tools.drawing_tool import DrawingTool
from her2viewer.viewer.tools.mask_brush import MaskBrushTool
from her2viewer.viewer.tools.polygon import PolygonTool

if TYPE_CHECKING:
    from her2viewer.viewer.main_window import MainWindow

_SAVE_WORDS = {
    "saved": ("saved", "muted", "Everything is on the disk"),
    "saving": ("saving...", "muted", "Writing to the disk"),
    "unsaved": ("not saved yet", "amber", "Saved within a second; if it stays so, a message says why"),
    "": ("", "muted", ""),
}


class Showing(QObject):
    """Reads the models of the window and changes nothing but what is shown."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._opening = self._writing = ""

    def refresh(self) -> None:
        """What can be done now, and the sentence that says what to do next."""
        w = self._window
        session, controller, commands = w.session, w.controller, w.commands
        self.show_hint()
        show_availability(
            commands,
            session,
            controller,
            report=w.exporting.obstacle,
            profile_problem=self._profile_problem(),
        )
        commands.allow("export_training", w.correcting.obstacle)
        w.card.setVisible(session.slide is None and not self._opening)
        self.show_progress()

    def show_hint(self) -> None:
        """The sentence that says what to do next."""
        w = self._window
        words = sentence(
            w.controller.state,
            opening=self._opening,
            locked=w.session.locked,
            drawing=isinstance(w.toolbox.current, PolygonTool) and w.toolbox.current.busy,
            hidden=w.session.slide is not None and w.canvas.overlays_hidden,
        )
        w.messages.set_hint(words, busy=bool(self._opening))

    def show_drawing(self) -> None:
        """Which tool is in use, and what is drawn next."""
        w = self._window
        toolbox, state = w.toolbox, w.toolbox.state
        action = f"tool_{toolbox.current.id}"
        if action in w.commands:
            w.commands[action].setChecked(True)
        roles = {Role.ROI: "role_roi", Role.EXCLUDE: "role_exclude", Role.CONTROL: "role_control"}
        w.commands[roles[state.role]].setChecked(True)
        drawing = isinstance(toolbox.current, DrawingTool)
        if isinstance(toolbox.current, MaskBrushTool):
            w.bar.set_drawing(toolbox.current.label, toolbox.current.color)
        else:
            w.bar.set_drawing(f"draws: {state.label}" if drawing else "", state.color)

    def show_colours(self) -> None:
        """Apply the colour profile or not, and say which colours are on the screen."""
        w = self._window
        extras = w.flow.extras
        wanted = w.commands["icc"].isChecked()
        transform = extras.display_transform if extras is not None else None
        if extras is None:
            w.status.set_colours("")
        elif transform is None:
            w.status.set_colours("colours: no profile", extras.profile_problem or "")
        elif wanted:
            w.status.set_colours("colours: ICC applied", "As the scanner's profile says. Scorers use raw pixels")
        else:
            w.status.set_colours("colours: raw", "As stored in the file; View, Apply colour profile corrects them")
        w.canvas.set_display_transform(transform if wanted else None)
        w.comparing.set_icc(wanted, extras)

    def _profile_problem(self) -> str:
        w = self._window
        extras = w.flow.extras
        return "" if extras is None or extras.display_transform is not None else "the slide has no usable profile"

    def show_progress(self) -> None:
        """How far the run or the report that is written is."""
        w = self._window
        progress: RunProgress | None = w.controller.run_progress
        if progress is not None:
            w.status.set_progress(progress.stage, progress.fraction, progress.seconds_left, can_cancel=True)
        elif self._writing:
            w.status.set_progress(self._writing, None, None)
        else:
            w.status.end_progress()

    def show_device(self) -> None:
        """Where the chosen scorer works; nothing before that is known."""
        works = self._window.warming.working_on
        if works is None:
            self._window.status.set_device("", "")
        else:
            self._window.status.set_device(works.device, works.chip)

    def device_words(self) -> str:
        """Where it works and why, and what memory is held."""
        lines = [f"{title}: {words}" for title, words in self.computer()]
        return "\n".join([*lines, "Click to see this in Help, About."])

    def computer(self) -> list[tuple[str, str]]:
        """The same as rows, as they are now."""
        w = self._window
        return computer_rows(w.warming.working_on, Held.now(w.compare.canvases, w.controller.scoring_pid))

    def show_title(self) -> None:
        """Which slide and case, and whether all is saved."""
        w = self._window
        slide, case = w.session.slide, w.keeper.case
        state = w.keeper.state
        name = ""
        if slide is not None:
            case_id = case.fields.get("case_id", "") if case is not None else ""
            name = f"case {case_id}, {slide.path.name}" if case_id else slide.path.name
        w.setWindowTitle(f"{name}[*] - her2viewer" if name else "her2viewer[*]")
        w.setWindowModified(state in ("unsaved", "saving"))
        w.status.set_saved(*_SAVE_WORDS[state])

    def set_opening(self, name: str) -> None:
        """A slide of this name is being opened; "" for none."""
        self._opening = name
        self.refresh()

    def set_writing(self, name: str) -> None:
        """This is being written; "" for nothing."""
        self._writing = name
        self.show_progress()

    def show_case(self, case: Case | None) -> None:
        """The fields of the case, or that there is none."""
        w = self._window
        w.panels.case.set_case_open(case is not None, w.session.locked)
        if case is None or dict(case.fields) != w.panels.case.values():
            w.panels.case.set_values(case.fields if case is not None else {})
        self.show_title()
