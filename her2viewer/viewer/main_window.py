"""The window: puts canvas, panels, bars and models together and wires them. What they do is written in them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QElapsedTimer, QEvent, QSize, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QMainWindow, QSplitter

from her2viewer.domain.annotation import Role
from her2viewer.domain.palette import DEFAULT_PALETTE
from her2viewer.viewer.actions import Actions
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.case_keeper import CaseKeeper
from her2viewer.viewer.case_sync import CaseSync
from her2viewer.viewer.cell_evidence import CellEvidence
from her2viewer.viewer.cell_selection import CellSelection
from her2viewer.viewer.commanding import Commanding
from her2viewer.viewer.compare.grid import CompareGrid
from her2viewer.viewer.comparing import Comparing
from her2viewer.viewer.correcting import CellCorrecting
from her2viewer.viewer.desk import Desk
from her2viewer.viewer.exporting import Exporting
from her2viewer.viewer.field_walk import FieldWalk
from her2viewer.viewer.icons import refresh_icons
from her2viewer.viewer.looking import Looking
from her2viewer.viewer.menus import Menus, ToolBar
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.opening import SlideExtras
from her2viewer.viewer.overlays.annotation_layer import AnnotationLayer
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.overlays.legend import LegendWidget
from her2viewer.viewer.pictures import Pictures
from her2viewer.viewer.pointing import Pointing
from her2viewer.viewer.recent import RecentSlides
from her2viewer.viewer.review_display import ReviewDisplay
from her2viewer.viewer.reviewed import Reviewing
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session
from her2viewer.viewer.settings import Settings
from her2viewer.viewer.showing import Showing
from her2viewer.viewer.side_panels import SidePanels
from her2viewer.viewer.slide_flow import SlideFlow
from her2viewer.viewer.states import StartCard
from her2viewer.viewer.statusbar import StatusBar
from her2viewer.viewer.storage import Storage
from her2viewer.viewer.theme import Tokens, notifier, tokens
from her2viewer.viewer.tools.toolbox import ToolBox
from her2viewer.viewer.warming import Warming

_LEFT_WIDTH, _RIGHT_WIDTH = 284, 336
_MOVING_MS = 200
"""After the last step of a movement."""
_HIDEABLE = ("left_column", "right_column", "toolbar", "overview")


class MainWindow(QMainWindow):
    """One slide in the middle, what one draws and sees on the left, the answer on the right."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("mainWindow")
        self.setAcceptDrops(True)
        self.settings = Settings()
        self.storage = Storage(self)
        self.session = Session(self)
        self.canvas = SlideCanvas(self)
        self.toolbox = ToolBox(self.session, self)
        self.controller = ScoringController(self)
        self.controller.focus = lambda: (self.canvas.viewport.cx, self.canvas.viewport.cy)
        moved = QElapsedTimer()
        self.canvas.viewport_changed.connect(lambda _: moved.start())
        self.controller.moving = lambda: moved.isValid() and moved.elapsed() < _MOVING_MS
        self.warming = Warming(self.controller, self)
        self.keeper = CaseKeeper(self.session, self.storage, self)
        self.sync = CaseSync(self.controller, self.keeper, self)
        self.recent = RecentSlides(self.settings, self.storage, self)
        self.messages = Messages(self.canvas, self.canvas.overview)
        self.flow = SlideFlow(
            self,
            session=self.session,
            canvas=self.canvas,
            keeper=self.keeper,
            sync=self.sync,
            storage=self.storage,
            recent=self.recent,
            messages=self.messages,
        )
        self.chosen_cells = CellSelection(self)
        desk = Desk(self.session, self.controller, self.keeper, self.storage, self.messages, self.chosen_cells)
        self.exporting = Exporting(self, desk)
        self.legend = LegendWidget(self.canvas)
        self.evidence = EvidenceLayers(self.canvas, self.legend, self)
        self.cells = CellEvidence(self, desk, canvas=self.canvas, evidence=self.evidence)
        self.cells.follow_clicks(self.toolbox.select)
        self.outlines = AnnotationLayer(self.session, self.toolbox.state, self)
        self.canvas.add_layer(self.outlines)
        self.canvas.add_layer(self.outlines.texts)
        self.looking = Looking(self.session, self.canvas, self.controller, self.messages, self)
        self.reviewing = Reviewing(self.session, self.canvas, self.keeper, self)
        self.flow.import_outlines = self.exporting.import_file
        self.exporting.reviewed = lambda: self.reviewing.map
        self.exporting.clusters = lambda: self.cells.panel.clusters.search
        self.walk = FieldWalk(self.session, self.canvas, self.reviewing, self.messages, self)
        self.correcting = CellCorrecting(self, desk, toolbox=self.toolbox, canvas=self.canvas, evidence=self.evidence)
        self.correcting.bar.room_taken.connect(self.legend.set_room_below)
        self.panels = SidePanels(
            self,
            session=self.session,
            state=self.toolbox.state,
            controller=self.controller,
            evidence=self.evidence,
            cells=self.cells.panel,
        )
        self.commands = Actions(self, self.canvas)
        self.menus = Menus(self, self.commands)
        self.bar = ToolBar(self, self.commands)
        self.status = StatusBar(self)
        self.setStatusBar(self.status)
        self.reviewed = ReviewDisplay(
            self.canvas,
            self.session,
            reviewing=self.reviewing,
            walk=self.walk,
            status=self.status,
            messages=self.messages,
            regions=self.panels.regions,
            parent=self,
        )
        self.compare = CompareGrid(self.canvas)
        self.flow.readers = self.compare.readers
        self.comparing = Comparing(self, desk, grid=self.compare, outlines=self.outlines)
        self.pointing = Pointing(
            self,
            session=self.session,
            canvas=self.canvas,
            compare=self.compare,
            evidence=self.evidence,
            outlines=self.outlines,
            status=self.status,
        )
        self.pictures = Pictures(
            self, active=lambda: self.compare.active, storage=self.storage, messages=self.messages
        )
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._closed = self._give_up = False
        self._lay_out()
        self.showing = Showing(self)
        self.commanding = Commanding(self)
        self._wire()
        self.controller.set_session(self.session)
        self.toolbox.attach(self.canvas, self.outlines)
        self._restore()
        self._slide_changed()
        self.canvas.setFocus()

    # -- called from outside --------------------------------------------------------------------------------------

    def open_slide(self, path: Path) -> None:
        """Open a slide; what happens is shown in the window."""
        self.flow.open(path)

    def open_sample(self) -> None:
        """Open the bundled sample slide with its region."""
        self.flow.open_sample()

    def show_error(self, text: str) -> None:
        """Show a sentence about something that went wrong."""
        self.messages.show_message(text, "error", [("Open log", self.commanding.open_log)])

    # -- building -------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(4)
        for widget in (self.panels.left, self.compare, self.panels.right):
            self._split.addWidget(widget)
        self._split.setStretchFactor(1, 1)
        self._split.setSizes([_LEFT_WIDTH, 900, _RIGHT_WIDTH])
        self.setCentralWidget(self._split)
        self.panels.fill_menu(self.menus)
        self.card = StartCard(
            self.canvas,
            self.recent,
            open_clicked=self.commands["open"].trigger,
            sample_clicked=self.open_sample,
            recent_clicked=self.open_slide,
        )

    def _wire(self) -> None:
        session, canvas, controller, messages = self.session, self.canvas, self.controller, self.messages
        canvas.files_dropped.connect(self.commanding.open_files)
        canvas.context_menu_requested.connect(self.commanding.show_context_menu)
        canvas.message.connect(lambda text: messages.show_message(text, "warning"))
        canvas.overlays_hidden_changed.connect(self._overlays_hidden)
        self.toolbox.state.message.connect(messages.show_message)
        self.toolbox.state.changed.connect(self.showing.show_drawing)
        self.toolbox.tool_changed.connect(lambda _: self.showing.show_drawing())
        self.panels.deciding.chosen.connect(self.looking.show_patch)
        for brush in self.toolbox.mask_brushes:
            brush.correctable = lambda: controller.correctable
        self.panels.regions.message.connect(messages.show_message)
        self.panels.regions.zoom_requested.connect(canvas.fit_region)
        self.panels.slides.info_clicked.connect(self.commanding.show_slide_info)
        self.panels.slides.image_clicked.connect(self.commanding.show_image)
        self.panels.case.edited.connect(self.keeper.update_fields)
        self.panels.layers.palette_changed.connect(self.commanding.use_palette)
        controller.evidence_added.connect(self.evidence.append)
        controller.evidence_changed.connect(self.evidence.replace)
        controller.evidence_corrected.connect(self.evidence.correct)
        controller.cells_corrected.connect(
            lambda scorer, patch: self.evidence.correct_cells(patch) if scorer == controller.scorer else None
        )
        controller.scored_changed.connect(self.evidence.set_region)
        controller.shares_changed.connect(self.evidence.set_shares)
        controller.progress.connect(lambda _: self.showing.show_progress())
        self.warming.changed.connect(self.showing.show_device)
        self.status.describe_device(self.showing.device_words)
        self.status.device_clicked.connect(self.commanding.show_about)
        for signal in (
            controller.state_changed,
            controller.scorer_changed,
            controller.decision_changed,
            controller.result_changed,
            session.annotations_changed,
            session.selection_changed,
            session.locked_changed,
            session.undo_stack.indexChanged,
            session.undo_stack.cleanChanged,
        ):
            signal.connect(lambda *_: self.showing.refresh())
        self.toolbox.state.begun_changed.connect(self.showing.show_hint)
        # Run means the outline that is seen, also while its last corner is not set.
        self.panels.scorers.run_pressed.connect(self.toolbox.finish)
        session.slide_changed.connect(lambda _: self._slide_changed())
        session.pixel_size_changed.connect(lambda _: self._slide_changed())
        self.flow.opening_changed.connect(self.showing.set_opening)
        self.flow.shown.connect(self._shown)
        self.keeper.state_changed.connect(lambda _: self.showing.show_title())
        self.keeper.case_changed.connect(self.showing.show_case)
        self.keeper.problem.connect(
            lambda text: messages.show_message(text, "error", [("Try again", self.keeper.flush)])
        )
        self.storage.failed.connect(lambda text: messages.show_message(text, "error"))
        self.exporting.busy_changed.connect(self.showing.set_writing)
        self.status.cancel_clicked.connect(controller.cancel)
        self.status.pixel_size_clicked.connect(self.flow.ask_pixel_size)
        self.menus.sub["recent"].aboutToShow.connect(self.commanding.fill_recent)
        self.menus.sub["scorer"].aboutToShow.connect(self.commanding.fill_scorers)
        self.menus.exclusions(lambda name: self.commanding.draw(Role.EXCLUDE, name))
        self.comparing.wire(self.commands, self.menus)
        notifier().changed.connect(self._theme_changed)

    def _restore(self) -> None:
        settings, commands = self.settings, self.commands
        self._dress(tokens())
        geometry = settings.data("geometry")
        if geometry.isEmpty() or not self.restoreGeometry(geometry):
            self.resize(QSize(1440, 900).boundedTo(self.screen().availableSize()))
        sizes = settings.numbers("columns")
        if len(sizes) == self._split.count():
            self._split.setSizes(sizes)
        self.panels.restore(settings)
        for name in _HIDEABLE:
            # Everything is there at first; what was hidden hides itself by the change.
            commands[name].setChecked(True)
            commands[name].setChecked(settings.flag(name, True))
        commands["icc"].setChecked(settings.flag("icc", False))
        commands["overlays"].setChecked(True)
        self.commanding.restore_motion()
        self.commanding.use_palette(settings.text("palette", DEFAULT_PALETTE))
        self.showing.show_drawing()
        self.recent.check()

    # -- what is shown --------------------------------------------------------------------------------------------

    def _slide_changed(self) -> None:
        self.panels.slides.set_slide(self.session.slide, self.session.pixel_size)
        self.pointing.show_view()
        self.showing.show_title()
        self.showing.refresh()

    def _shown(self, extras: SlideExtras | None) -> None:
        slide = self.session.slide
        self.reviewing.begin(self.keeper.reviewed)
        self.evidence.set_slide(slide.width if slide else 1, slide.height if slide else 1)
        self.evidence.replace(self.controller.evidence)
        self.evidence.set_region(self.session.region, self.controller.scored)
        self.evidence.set_shares(self.controller.shares)
        self.panels.slides.set_images(self.flow.images())
        self.showing.show_colours()
        self.pointing.clear()
        self.comparing.keeping.reopen()
        self.showing.refresh()
        if slide is not None:
            self.canvas.setFocus()
            self.warming.begin()

    def _overlays_hidden(self, hidden: bool) -> None:
        self.commands["overlays"].setChecked(not hidden)
        self.evidence.set_all_hidden(hidden)
        self.showing.show_hint()

    def _theme_changed(self, chosen: Tokens) -> None:
        refresh_icons(self)
        self._dress(chosen)

    def _dress(self, chosen: Tokens) -> None:
        self.commands[f"theme_{chosen.name}"].setChecked(True)
        self.compare.set_outside_color(chosen.color("background"))

    # -- dropping and closing -------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.commanding.open_files([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        # Whoever comes back from a terminal may have installed a model there.
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.controller.reread_scorers()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._closed:
            return
        # The disk first, reports under way included: nothing that follows may cost what was drawn.
        self.toolbox.settle()
        self.keeper.flush()
        self.storage.drain()
        if self.keeper.state == "unsaved" and not self._give_up:
            event.ignore()
            self._warn_unsaved()
            return
        self._closed = True
        self.pictures.cancel()
        self.cells.stop()
        self._keep_settings()
        self.hide()
        self.keeper.detach()
        self.storage.close()
        self.flow.shutdown()
        self.controller.shutdown()
        self.compare.shutdown()
        self.canvas.shutdown()

    def _warn_unsaved(self) -> None:
        def give_up() -> None:
            self._give_up = True
            self.close()

        self.messages.show_message(
            "The case could not be saved, so the window stays open. Mend what the message above says and close "
            "again, or close it now and lose what was drawn since.",
            "error",
            [("Close without saving", give_up)],
        )

    def _keep_settings(self) -> None:
        settings = self.settings
        if not self.isFullScreen():
            settings.set("geometry", QByteArray(self.saveGeometry()))
        if self.panels.left.isVisible() and self.panels.right.isVisible():
            settings.set("columns", self._split.sizes())
        for name in _HIDEABLE:
            settings.set(name, self.commands[name].isChecked())
        self.panels.save(settings)
        settings.save()
