"""Menu bar and tool bar of the window, made of its actions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QActionGroup, QColor
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QMenu, QToolBar, QToolButton, QWidget

from her2viewer.domain.annotation import EXCLUSION_CLASSES
from her2viewer.domain.palette import PALETTES
from her2viewer.viewer.actions import MENUS, SEPARATOR, Actions
from her2viewer.viewer.recent import RecentSlides

_ICON = QSize(20, 20)
_LAYOUT = {
    "File": (
        "open sample recent close_slide | slide_info pixel_size case_details | import export | save show_case | quit"
    ),
    "View": (
        "fit *zoom zoom_in zoom_out | rotate rotate_back read_again | next_field previous_field next_unseen *fields "
        "reset_reviewed | go_decisive next_deciding previous_deciding next_chosen previous_chosen | "
        "overlays opacity_down opacity_up *palette | "
        "icc smooth_zoom | *compare copy_view save_view | left_column right_column *panels toolbar overview | "
        "*theme full_screen"
    ),
    "ROI": (
        "tool_select tool_polygon tool_freehand tool_rectangle tool_brush tool_note | tool_tumour_add "
        "tool_tumour_remove tool_correct_cells | role_roi role_exclude "
        "*exclusions role_control | undo redo | select_all merge subtract smooth delete"
    ),
    "Score": "run cancel | *scorer calibrate",
    "Report": "report_pdf report_json | report_csv report_geojson export_training",
    "Help": "guide shortcuts log | about",
}
_COMPARE = (
    "second_plain *second_scorer second_other *aligned four_views | link_views stack_views close_views | "
    "align_mark align_undo align_flip align_take align_reset"
)
_COMPARE_TITLES = {"second_scorer": "Second view: other scorer", "aligned": "Second view: aligned slide"}
_TOOLS = (
    "open",
    SEPARATOR,
    "tool_select",
    "tool_polygon",
    "tool_freehand",
    "tool_rectangle",
    "tool_brush",
    "role_exclude",
    "role_control",
    "tool_note",
    SEPARATOR,
    "tool_tumour_add",
    "tool_tumour_remove",
    "tool_correct_cells",
    SEPARATOR,
    "undo",
    "redo",
    SEPARATOR,
    "fit",
    "mag_2.5",
    "mag_5",
    "mag_10",
    "mag_20",
    "mag_40",
    "mag_1:1",
    SEPARATOR,
    "rotate",
    "overlays",
    "go_decisive",
    SEPARATOR,
    "run",
    "report_pdf",
)


class Menus:
    """The menu bar; ``sub`` holds the sub-menus that are filled later: recent, panels, palette, scorer."""

    def __init__(self, window: QMainWindow, actions: Actions) -> None:
        self.sub: dict[str, QMenu] = {}
        self.groups: dict[str, QActionGroup] = {}
        titles = {
            "zoom": "Magnification",
            "fields": "Magnification of fields",
            "palette": "Class colours",
            "panels": "Panels",
            "theme": "Theme",
            "exclusions": "Exclusion class",
            "compare": "Side by side",
            "scorer": "Scorer",
        }
        for name, title, commands in MENUS:
            menu = window.menuBar().addMenu(title)
            menu.setToolTipsVisible(True)
            menu.aboutToShow.connect(lambda ids=[c.id for c in commands]: actions.draw_icons(*ids))
            for word in _LAYOUT[name].split():
                if word == "|":
                    menu.addSeparator()
                elif word == "recent":
                    self.sub["recent"] = menu.addMenu(actions["recent"].text())
                elif word.startswith("*"):
                    self.sub[word[1:]] = menu.addMenu(titles[word[1:]])
                else:
                    menu.addAction(actions[word])
        self._fill_compare(actions)
        for sub in self.sub.values():
            sub.setToolTipsVisible(True)
        actions.fill(self.sub["zoom"], "mag_2.5", "mag_5", "mag_10", "mag_20", "mag_40", "mag_1:1")
        actions.fill(self.sub["fields"], "fields_0", "fields_10", "fields_20", "fields_40")
        actions.fill(self.sub["theme"], "theme_dark", "theme_light")
        self._parent = window

    def _fill_compare(self, actions: Actions) -> None:
        menu = self.sub["compare"]
        # Icons are drawn when the menu is seen, not at start.
        menu.aboutToShow.connect(lambda: actions.draw_icons(*(w for w in _COMPARE.split() if w in actions)))
        for word in _COMPARE.split():
            if word == "|":
                menu.addSeparator()
            elif word.startswith("*"):
                self.sub[word[1:]] = menu.addMenu(_COMPARE_TITLES[word[1:]])
            else:
                menu.addAction(actions[word])

    def choices(
        self, name: str, entries: list[tuple[str, str, str]], chosen: str, use: Callable[[str], None]
    ) -> None:
        """Fill a sub-menu with things of which one is chosen.

        Args:
            name: key in ``sub``.
            entries: id, title, and why it cannot be chosen ("" where it can).
            chosen: id of the present one.
            use: called with the id of another one.
        """
        menu = self.sub[name]
        menu.clear()
        old = self.groups.pop(name, None)
        if old is not None:
            old.deleteLater()
        group = self.groups[name] = QActionGroup(self._parent)
        for entry, title, reason in entries:
            action = menu.addAction(title)
            action.setCheckable(True)
            action.setChecked(entry == chosen)
            action.setEnabled(not reason)
            action.setToolTip(reason or title)
            action.setObjectName(f"{name}_{entry}")
            group.addAction(action)
            action.triggered.connect(lambda _=False, e=entry: use(e))

    def palettes(self, chosen: str, use: Callable[[str], None]) -> None:
        """Class colours."""
        self.choices("palette", [(p.id, p.title, "") for p in PALETTES.values()], chosen, use)

    def exclusions(self, use: Callable[[str], None]) -> None:
        """What the next exclusion is: in situ, benign, artefact."""
        menu = self.sub["exclusions"]
        for name in EXCLUSION_CLASSES:
            action = menu.addAction(name)
            action.setObjectName(f"exclusion_{name}")
            action.setToolTip(f"Draw exclusions of the class {name}")
            action.triggered.connect(lambda _=False, n=name: use(n))

    def recent(self, recent: RecentSlides, use: Callable[[Path], None]) -> None:
        """Recent slides; those that are gone are greyed and say so."""
        menu = self.sub["recent"]
        menu.clear()
        for number, path in enumerate(recent.paths, start=1):
            gone = recent.missing(path)
            # "&" in a file name is no mnemonic.
            name = path.name.replace("&", "&&")
            action = menu.addAction(f"&{number % 10}  {name}{'  (not found)' if gone else ''}")
            action.setEnabled(not gone)
            action.setToolTip(
                f"{path}\nNot found: it was moved, or its drive is not connected" if gone else str(path)
            )
            action.triggered.connect(lambda _=False, p=path: use(p))
        if recent.paths:
            menu.addSeparator()
            menu.addAction("Clear this list").triggered.connect(recent.clear)
        else:
            action = menu.addAction("No slide was opened yet")
            action.setEnabled(False)

    def panel(self, title: str, number: int, panel: QWidget, changed: Callable[[], None]) -> QAction:
        """An entry that shows and hides one panel."""
        action = self.sub["panels"].addAction(title)
        action.setObjectName(f"panel_{title}")
        action.setCheckable(True)
        action.setChecked(True)
        # Ten panels, ten figures: the last one has the 0.
        action.setShortcut(f"Ctrl+{number % 10}")
        action.setToolTip(f"Show or hide {title} (Ctrl+{number % 10})")

        def toggle(shown: bool) -> None:
            panel.setVisible(shown)
            changed()

        action.toggled.connect(toggle)
        self._parent.addAction(action)
        return action


class ToolBar(QToolBar):
    """The slim bar below the menus: tools, zoom steps, what is used all the time; at its end what is drawn next."""

    def __init__(self, window: QMainWindow, actions: Actions) -> None:
        super().__init__("Tool bar", window)
        self.setObjectName("toolbar")
        self.setMovable(False)
        self.setFloatable(False)
        self.setIconSize(_ICON)
        # The menu of a tool bar that hides it for good is no help here: View has the entry.
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        actions.draw_icons(*(i for i in _TOOLS if i != SEPARATOR))
        for command_id in _TOOLS:
            if command_id == SEPARATOR:
                self.addSeparator()
                continue
            self.addAction(actions[command_id])
            button = self.widgetForAction(actions[command_id])
            if isinstance(button, QToolButton):
                button.setObjectName(f"button_{command_id}")
                # Keys go to the slide, also after a click up here.
                button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._swatch = QLabel()
        self._swatch.setFixedSize(12, 12)
        self._label = QLabel()
        self._label.setObjectName("drawingLabel")
        self._label.setProperty("role", "muted")
        self._label.setToolTip("What is drawn next: I carcinoma, X exclusion, C control tissue")
        row = QHBoxLayout()
        row.setContentsMargins(10, 0, 10, 0)
        row.setSpacing(6)
        row.addWidget(self._swatch)
        row.addWidget(self._label)
        row.addStretch(1)
        holder = QWidget()
        holder.setLayout(row)
        self.addWidget(holder)
        window.addToolBar(Qt.ToolBarArea.TopToolBarArea, self)

    @property
    def drawing(self) -> str:
        """What is drawn next, as shown."""
        return self._label.text()

    def set_drawing(self, text: str, color: QColor) -> None:
        """Say what is drawn next, in its colour; an empty text for a tool that does not draw."""
        self._label.setText(text)
        self._swatch.setVisible(bool(text))
        self._swatch.setStyleSheet(f"background: {color.name()}; border-radius: 2px;")
