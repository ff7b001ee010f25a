"""What each command of the window does: connects the actions to those who do the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtGui import QImage, QKeyEvent
from PySide6.QtWidgets import QApplication, QDialog, QMenu

from her2viewer.domain.annotation import Role
from her2viewer.domain.palette import DEFAULT_PALETTE, PALETTES
from her2viewer.viewer.actions import MAGNIFICATIONS, SEPARATOR
from her2viewer.viewer.desk import file_dialog
from her2viewer.viewer.exporting import open_with_desktop
from her2viewer.viewer.slide_flow import SLIDE_FILTERS
from her2viewer.viewer.startup import log_file
from her2viewer.viewer.theme import apply_theme
from her2viewer.viewer.tools import commands
from her2viewer.viewer.tools.drawing_tool import SessionTool

if TYPE_CHECKING:
    from her2viewer.viewer.main_window import MainWindow

_OPACITY_STEP = 0.1
FIELD_MAGNIFICATIONS = (0, 10, 20, 40)
"""At which Tab goes through a region; 0 for the zoom of the screen."""
_CONTEXT = (
    "tool_select",
    "tool_polygon",
    "tool_freehand",
    "tool_rectangle",
    "tool_brush",
    "tool_note",
    SEPARATOR,
    "fit",
    "mag_20",
    "mag_40",
    "rotate",
    SEPARATOR,
    "overlays",
    "slide_info",
)


class Commanding(QObject):
    """The hands of one window; holds no state of its own."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.native_dialogs = True
        """Tests use Qt's own file dialog."""
        self._connect()

    def _connect(self) -> None:
        w = self._window
        toolbox, session, look = w.toolbox, w.session, w.comparing.look
        work: dict[str, Callable[[], object]] = {
            "open": self.ask_slide,
            "sample": w.open_sample,
            "close_slide": w.flow.close,
            "slide_info": self.show_slide_info,
            "pixel_size": w.flow.ask_pixel_size,
            "case_details": self.edit_case,
            "import": w.exporting.ask_import,
            "export": w.exporting.ask_export,
            "save": w.keeper.flush,
            "show_case": self.show_case,
            "quit": w.close,
            "fit": lambda: look(lambda c: c.fit()),
            "mag_1:1": lambda: look(lambda c: c.one_to_one()),
            "zoom_in": lambda: look(lambda c: c.zoom_in()),
            "zoom_out": lambda: look(lambda c: c.zoom_out()),
            "rotate": lambda: look(lambda c: c.rotate(90)),
            "rotate_back": lambda: look(lambda c: c.rotate(-90)),
            "read_again": w.comparing.read_again,
            "copy_view": w.pictures.copy,
            "save_view": w.pictures.ask,
            "next_field": lambda: w.walk.step(1),
            "previous_field": lambda: w.walk.step(-1),
            "next_unseen": w.walk.next_unseen,
            "reset_reviewed": w.reviewed.reset,
            "go_decisive": w.looking.go_decisive,
            "next_deciding": lambda: self.step_deciding(1),
            "previous_deciding": lambda: self.step_deciding(-1),
            "next_chosen": lambda: w.cells.step(1),
            "previous_chosen": lambda: w.cells.step(-1),
            "opacity_down": lambda: w.evidence.change_opacity(-_OPACITY_STEP),
            "opacity_up": lambda: w.evidence.change_opacity(_OPACITY_STEP),
            "theme_dark": lambda: self.set_theme("dark"),
            "theme_light": lambda: self.set_theme("light"),
            "role_roi": lambda: self.draw(Role.ROI),
            "role_exclude": lambda: self.draw(Role.EXCLUDE),
            "role_control": lambda: self.draw(Role.CONTROL),
            "undo": session.undo_stack.undo,
            "redo": session.undo_stack.redo,
            "select_all": lambda: toolbox.report(commands.select_all(session)),
            "merge": lambda: toolbox.report(commands.merge_selected(session)),
            "subtract": lambda: toolbox.report(commands.subtract_selected(session)),
            "smooth": lambda: toolbox.report(commands.smooth_selected(session)),
            "delete": toolbox.delete,
            "run": self.enter,
            "cancel": self.escape,
            "calibrate": self.calibrate,
            "export_training": lambda: w.correcting.ask_training_set(w, native=self.native_dialogs),
            "guide": self.show_guide,
            "shortcuts": self.show_shortcuts,
            "about": self.show_about,
            "log": self.open_log,
        }
        for command_id, do in work.items():
            w.commands[command_id].triggered.connect(lambda _=False, do=do: do())
        for command_id, power in MAGNIFICATIONS.items():
            w.commands[command_id].triggered.connect(lambda _=False, p=power: look(lambda c: c.set_magnification(p)))
        for tool_id in w.toolbox.tools:
            if f"tool_{tool_id}" not in w.commands:
                continue
            w.commands[f"tool_{tool_id}"].triggered.connect(lambda _=False, t=tool_id: self.use_tool(t))
        for kind in ("pdf", "json", "csv", "geojson"):
            w.commands[f"report_{kind}"].triggered.connect(lambda _=False, k=kind: w.exporting.ask_report(k))
        for power in FIELD_MAGNIFICATIONS:
            w.commands[f"fields_{power}"].triggered.connect(lambda _=False, p=power: self.set_fields(p))
        w.commands["smooth_zoom"].triggered.connect(self.set_smooth)
        w.commands["overlays"].triggered.connect(w.looking.set_overlays)
        w.commands["icc"].triggered.connect(self.set_icc)
        w.commands["left_column"].toggled.connect(w.panels.show_left)
        w.commands["right_column"].toggled.connect(w.panels.show_right)
        w.commands["toolbar"].toggled.connect(w.bar.setVisible)
        w.commands["overview"].toggled.connect(self.show_overview)
        w.commands["full_screen"].triggered.connect(self.set_full_screen)

    # -- slides and files -----------------------------------------------------------------------------------------

    def ask_slide(self) -> None:
        """Ask for a slide and open it."""
        w = self._window
        folder = w.recent.paths[0].parent if w.recent.paths else Path.home()
        native = self.native_dialogs
        file_dialog(w, "Open a slide", str(folder), SLIDE_FILTERS, w.open_slide, native=native).open()

    def open_files(self, files: list[Path]) -> None:
        """What was dropped on the window: a slide is opened, outlines (GeoJSON) are added to it."""
        w = self._window
        outlines = [f for f in files if f.suffix.lower() in (".geojson", ".json")]
        slides = [f for f in files if f not in outlines]
        if len(slides) > 1:
            w.messages.show_message(f"One slide at a time: only {slides[0].name} is opened.", "warning")
        if slides:
            w.flow.open(slides[0], (lambda: w.exporting.import_file(outlines[0])) if outlines else None)
        elif outlines:
            w.exporting.import_file(outlines[0])

    def fill_recent(self) -> None:
        """The menu of recent slides, as it is about to be shown."""
        w = self._window
        w.recent.check()
        w.menus.recent(w.recent, w.open_slide)

    def fill_scorers(self) -> None:
        """The menu of scorers, as it is about to be shown."""
        w = self._window
        w.controller.reread_scorers()
        titles = [
            (e.id, e.manifest.title if e.manifest else e.id, "" if e.usable else e.problem or "cannot be used")
            for e in w.controller.scorers
        ]
        w.menus.choices("scorer", titles, w.controller.scorer, w.controller.set_scorer)

    def show_slide_info(self) -> None:
        """All that the slide file says about itself."""
        from her2viewer.viewer.dialogs.slide_info import SlideInfoDialog

        w = self._window
        if w.session.slide is not None:
            self._show(SlideInfoDialog(w.session.slide, w.session.pixel_size, w))

    def show_image(self, title: str, image: QImage) -> None:
        """Label or macro image at full size."""
        from her2viewer.viewer.dialogs.slide_info import ImageDialog

        self._show(ImageDialog(title, image, self._window))

    def edit_case(self) -> None:
        """Bring the case fields to view and put the cursor there."""
        self._window.commands["left_column"].setChecked(True)
        self._window.panels.edit_case()

    def show_case(self) -> None:
        """Open the folder of the case, or the slide's where nothing was saved yet."""
        store = self._window.keeper.store
        if store is not None:
            open_with_desktop(store.folder if store.folder.is_dir() else store.folder.parent)

    def open_log(self) -> None:
        """Open the log file, or say that there is nothing in it."""
        if log_file().exists():
            open_with_desktop(log_file())
        else:
            self._window.messages.show_message("The log is empty: nothing has failed yet.")

    # -- looking --------------------------------------------------------------------------------------------------

    def set_theme(self, name: str) -> None:
        """Dark or light; remembered."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            self._window.settings.set("theme", name)
            apply_theme(app, name)

    def use_palette(self, palette: str) -> None:
        """Class colours by the id of a palette, everywhere; remembered."""
        w = self._window
        chosen = palette if palette in PALETTES else DEFAULT_PALETTE
        w.settings.set("palette", chosen)
        w.evidence.set_palette(chosen)
        w.comparing.set_palette(chosen)
        w.correcting.bar.set_palette(chosen)
        w.panels.set_palette(chosen)
        w.exporting.palette = chosen
        w.menus.palettes(chosen, self.use_palette)

    def set_icc(self, wanted: bool) -> None:
        """Show the slide with or without its colour profile; remembered."""
        self._window.settings.set("icc", wanted)
        self._window.showing.show_colours()

    def step_deciding(self, direction: int) -> None:
        """The next or previous of the patches that decide, or why there is none."""
        if not self._window.panels.deciding.step(direction):
            self._window.messages.show_message(
                "There are no patches to go to: run a scorer that classes the tumour surface first."
            )

    def set_fields(self, power: int) -> None:
        """Magnification at which Tab goes through the region, 0 for that of the screen; remembered."""
        w = self._window
        chosen = power if power in FIELD_MAGNIFICATIONS else 0
        w.settings.set("field_magnification", str(chosen))
        w.commands[f"fields_{chosen}"].setChecked(True)
        w.walk.magnification = float(chosen) or None

    def set_smooth(self, wanted: bool) -> None:
        """Let zoom steps ease in and the slide glide, or not; remembered."""
        self._window.settings.set("smooth_zoom", "true" if wanted else "false")
        self._move_smoothly(wanted)

    def restore_motion(self) -> None:
        """As the reader has chosen; else smooth, unless the system asks for less motion."""
        w = self._window
        chosen = w.settings.text("field_magnification", "0")
        self.set_fields(int(chosen) if chosen.isdigit() else 0)
        self._move_smoothly(w.settings.flag("smooth_zoom", True))
        if not w.settings.text("smooth_zoom"):
            from her2viewer.viewer.less_motion import less_motion_wanted

            def found(less: bool) -> None:
                if less and not w.settings.text("smooth_zoom"):
                    self._move_smoothly(False)

            w.storage.submit("Asking the system about motion", less_motion_wanted, done=found, quiet=True)

    def _move_smoothly(self, wanted: bool) -> None:
        motion = self._window.canvas.motion
        self._window.commands["smooth_zoom"].setChecked(wanted)
        motion.settle()
        motion.enabled = wanted

    def show_overview(self, shown: bool) -> None:
        """Show or hide the overview map."""
        self._window.canvas.overview.shown = shown
        self._window.canvas.overview.place()

    def set_full_screen(self, wanted: bool) -> None:
        """The window over the whole screen, or as it was."""
        w = self._window
        w.setWindowState(
            w.windowState() | Qt.WindowState.WindowFullScreen
            if wanted
            else w.windowState() & ~Qt.WindowState.WindowFullScreen
        )

    def show_context_menu(self, x: float, y: float, at: QPoint) -> None:
        """What can be done with the outline under the pointer, or with the view where there is none."""
        w = self._window
        of_cells = w.correcting.menu_at(x, y, w)
        found = w.outlines.annotation_at(x, y, w.canvas.viewport)
        if of_cells is not None:
            menu = of_cells
        elif found is not None:
            if found.id not in w.session.selection:
                w.session.select((found.id,))
            menu = w.panels.regions.menu()
        else:
            menu = w.commands.fill(QMenu(w), *_CONTEXT)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at)

    # -- drawing and scoring --------------------------------------------------------------------------------------

    def use_tool(self, tool_id: str) -> None:
        """Take up a tool and give the slide the keys."""
        self._window.toolbox.choose(tool_id)
        self._window.canvas.setFocus()

    def draw(self, role: Role, class_name: str | None = None) -> None:
        """What is drawn next; the same key again goes back to the carcinoma."""
        w = self._window
        if role is Role.ROI:
            w.toolbox.state.set_role(Role.ROI)
        else:
            w.toolbox.toggle_role(role, class_name)
        w.showing.show_drawing()
        w.canvas.setFocus()

    def enter(self) -> None:
        """Enter: close the half-drawn shape, else run the scorer."""
        w = self._window
        event = QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier)
        if w.toolbox.current.key(event):
            w.canvas.update()
            return
        reason = w.controller.obstacle
        if reason:
            w.messages.show_message(reason)
        else:
            w.controller.run()

    def escape(self) -> None:
        """Esc: drop what is half drawn, else stop scoring, else clear role and selection, else leave full screen."""
        w = self._window
        tool = w.toolbox.current
        if isinstance(tool, SessionTool) and tool.cancel():
            return
        if w.controller.run_progress is not None:
            w.controller.cancel()
            return
        if not w.cells.cancel() and not w.toolbox.cancel() and w.isFullScreen():
            w.commands["full_screen"].trigger()

    # -- help -----------------------------------------------------------------------------------------------------

    def show_guide(self) -> None:
        """How to read a slide."""
        from her2viewer.viewer.dialogs.help import GuideDialog

        self._show(GuideDialog(self._window))

    def show_shortcuts(self) -> None:
        """All keys."""
        from her2viewer.viewer.dialogs.help import ShortcutsDialog

        self._show(ShortcutsDialog(self._window.commands.keys(), self._window))

    def show_about(self) -> None:
        """Versions, licence, research use."""
        from her2viewer.viewer.dialogs.help import AboutDialog

        self._show(AboutDialog(self._window.showing.computer, self._window))

    def calibrate(self) -> None:
        """Fit the limits of the chosen scorer to slides of the laboratory."""
        from her2viewer.viewer.dialogs.calibrate import CalibrateDialog

        w = self._window
        manifest, problem = w.controller.manifest, w.controller.calibration_problem
        if manifest is None or problem:
            w.messages.show_message(problem)
            return
        dialog = CalibrateDialog(manifest, w.controller.settings_of(manifest.id), w)
        dialog.native_dialogs = self.native_dialogs
        dialog.use.connect(w.controller.use_calibration)
        self._show(dialog)

    def _show(self, dialog: QDialog) -> None:
        dialog.finished.connect(dialog.deleteLater)
        # Where no window manager does it, keys would go nowhere.
        dialog.finished.connect(lambda _: self._window.activateWindow())
        dialog.open()
