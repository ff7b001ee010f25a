"""Every command of the window in one table: text, key, icon, tip. Menus, tool bar and key list are made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from her2viewer.viewer.icons import set_icon


@dataclass(frozen=True)
class Command:
    """One command. ``id`` names it in code; ``text`` stands in the menu."""

    id: str
    text: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    tip: str = ""
    """What it does, where the text does not say it."""
    group: str = ""
    """Commands of one group exclude each other: one of them is checked."""
    checkable: bool = False
    on_canvas: bool = False
    """The key works only while the canvas has the focus (Tab, Enter), because it means something elsewhere too."""


SEPARATOR = ""

FILE = (
    Command("open", "Open slide...", ("Ctrl+O",), "open", "Open a whole-slide image or another picture"),
    Command("sample", "Open the sample slide", (), "sample", "A small synthetic HER2 slide with its region"),
    Command("recent", "Recent slides", (), "recent"),
    Command("close_slide", "Close slide", ("Ctrl+W",)),
    Command("slide_info", "Slide information...", ("Ctrl+I",), "info", "All that the file says about itself"),
    Command("pixel_size", "Pixel size...", (), "ruler", "Enter or correct the size of a pixel"),
    Command("case_details", "Case details...", ("Ctrl+D",), "case", "Case number, block, laboratory, reader"),
    Command("import", "Import annotations...", ("Ctrl+Shift+O",), "import", "Add outlines from a GeoJSON file"),
    Command("export", "Export annotations...", ("Ctrl+Shift+S",), "save", "Write the outlines as GeoJSON for QuPath"),
    Command("save", "Save now", ("Ctrl+S",), "", "Everything is saved by itself; this does it at once"),
    Command("show_case", "Show case folder", (), "folder", "Open the folder that holds the case"),
    Command("quit", "Quit", ("Ctrl+Q",), "quit"),
)

VIEW = (
    Command("fit", "Fit whole slide", ("0",), "fit"),
    Command("mag_2.5", "2.5x", ("1",), "", "Show at 2.5x"),
    Command("mag_5", "5x", ("2",), "", "Show at 5x"),
    Command("mag_10", "10x", ("3",), "", "Show at 10x"),
    Command("mag_20", "20x", ("4",), "", "Show at 20x"),
    Command("mag_40", "40x", ("5",), "", "Show at 40x"),
    Command("mag_1:1", "1:1", ("6",), "", "One pixel of the slide for each pixel of the screen"),
    Command("zoom_in", "Zoom in", ("+", "="), "zoom-in"),
    Command("zoom_out", "Zoom out", ("-",), "zoom-out"),
    Command("rotate", "Rotate right", ("R",), "rotate", "Turn the slide by a quarter, clockwise"),
    Command("rotate_back", "Rotate left", ("Shift+R",), "rotate-back", "Turn the slide by a quarter, back"),
    Command("read_again", "Read again", ("F5",), "", "Try anew what could not be read and is hatched"),
    Command(
        "next_field", "Next field", ("Tab",), "next-field", "Go through the region field by field", on_canvas=True
    ),
    Command("previous_field", "Previous field", ("Shift+Tab", "Shift+Backtab"), "", "One field back", on_canvas=True),
    Command("next_unseen", "Next field not yet looked at", ("U",), "", "At 20x or more, on the way of Tab"),
    Command("fields_0", "As on the screen", (), "", "Fields at the zoom of the screen", group="fields"),
    Command("fields_10", "10x", (), "", "All fields at 10x, however far one had zoomed in", group="fields"),
    Command("fields_20", "20x", (), "", "All fields at 20x, however far one had zoomed in", group="fields"),
    Command("fields_40", "40x", (), "", "All fields at 40x, however far one had zoomed in", group="fields"),
    Command("reset_reviewed", "Forget what was looked at", (), "", "The map of what was looked at begins anew"),
    Command("go_decisive", "Go to what decides", ("G",), "go", "The field with most cells of the class that decides"),
    Command("next_deciding", "Next patch that decides", ("D",), "", "The surest 3+ and 2+, then the faintest 1+"),
    Command("previous_deciding", "Previous patch that decides", ("Shift+D",), "", "One back"),
    Command("next_chosen", "Next chosen cell", ("J",), "", "Cells are chosen on the tissue or in the panel Cells"),
    Command("previous_chosen", "Previous chosen cell", ("Shift+J",), "", "One back"),
    Command(
        "overlays",
        "Show overlays",
        ("O",),
        "overlays",
        "All layers over the tissue; hold H to hide them for a moment",
        checkable=True,
    ),
    Command("opacity_down", "Fainter overlays", ("[",)),
    Command("opacity_up", "Stronger overlays", ("]",)),
    Command(
        "icc",
        "Apply colour profile",
        (),
        "colour",
        "Show the colours as the scanner's ICC profile says; scorers use raw pixels",
        checkable=True,
    ),
    Command(
        "second_plain",
        "Second view: same slide, no overlay",
        ("F9",),
        "views",
        "The bare tissue beside the view with overlays; both move together",
    ),
    Command(
        "second_other",
        "Second view: other slide...",
        ("Shift+F9",),
        "",
        "H&E or control slide beside this one; landmarks align the two",
    ),
    Command("four_views", "Four views", ("Ctrl+F9",), "", "Bare tissue, other scorers and other slides at once"),
    Command("close_views", "Close further views", ("Ctrl+Shift+W",), "", "Show this slide alone again"),
    Command(
        "link_views",
        "Link views",
        ("Ctrl+L",),
        "link",
        "All views move together; off, each moves alone",
        checkable=True,
    ),
    Command(
        "stack_views",
        "One above the other",
        (),
        "",
        "Two views stand one above the other; off, side by side. The line between views can be dragged",
        checkable=True,
    ),
    Command(
        "align_mark",
        "Align: mark this place",
        ("A",),
        "landmark",
        "Point at a place and press A, then at the same place in the other view and press A again",
    ),
    Command("align_undo", "Align: undo last landmark", ("Shift+A",), "", "Take the last landmark back"),
    Command("align_flip", "Align: flip the other slide", (), "flip", "It was mounted face down"),
    Command(
        "align_take",
        "Align: as shown",
        (),
        "",
        "What both views show now is the same tissue: for views that were moved alone (Link views off)",
    ),
    Command("align_reset", "Align: begin anew", (), "", "Forget landmarks, rotation and flip of the other slide"),
    Command(
        "copy_view",
        "Copy picture of the view",
        ("Ctrl+Shift+C",),
        "camera",
        "The view in focus with overlays and scale bar, to the clipboard",
    ),
    Command(
        "save_view",
        "Save picture of the view...",
        ("Ctrl+Shift+P",),
        "",
        "The view in focus with overlays and scale bar, as PNG",
    ),
    Command(
        "smooth_zoom",
        "Smooth motion",
        (),
        "",
        "Zoom steps ease in, and the slide goes on for a moment after a quick drag",
        checkable=True,
    ),
    Command("left_column", "Left column", ("F7",), "panel-left", "", checkable=True),
    Command("right_column", "Right column", ("F8",), "panel-right", "", checkable=True),
    Command("toolbar", "Tool bar", (), "", "", checkable=True),
    Command("overview", "Overview map", (), "", "", checkable=True),
    Command("theme_dark", "Dark", (), "", "For the reading room", group="theme"),
    Command("theme_light", "Light", (), "", "For a bright room", group="theme"),
    Command("full_screen", "Full screen", ("F11",), "fullscreen", "", checkable=True),
)

ROI = (
    Command(
        "tool_select",
        "Select and edit",
        ("V",),
        "select",
        "Pick outlines, move them, move their corners",
        group="tool",
    ),
    Command("tool_polygon", "Polygon", ("P",), "polygon", "Click the corners, double click closes", group="tool"),
    Command("tool_freehand", "Freehand", ("F",), "freehand", "Draw the outline with the button held", group="tool"),
    Command("tool_rectangle", "Rectangle", ("T",), "rectangle", "Drag from corner to corner", group="tool"),
    Command("tool_brush", "Brush", ("B",), "brush", "Paint; Shift erases, Ctrl+wheel changes the size", group="tool"),
    Command(
        "tool_tumour_add",
        "Add tumour",
        ("M",),
        "mask-add",
        "Paint tumour that the scorer has missed; Shift removes, Ctrl+wheel changes the size",
        group="tool",
    ),
    Command(
        "tool_tumour_remove",
        "Remove tumour",
        ("Shift+M",),
        "mask-remove",
        "Paint over what is no tumour; Shift adds, Ctrl+wheel changes the size",
        group="tool",
    ),
    Command(
        "tool_correct_cells",
        "Correct cells",
        ("E",),
        "correct-cells",
        "Point at a cell or draw round several (Ctrl: rectangle), then say by a key what they are: 0 to 3, Del",
        group="tool",
    ),
    Command("tool_note", "Note", ("N",), "note", "Click where the note belongs", group="tool"),
    Command("role_roi", "Draw invasive carcinoma", ("I",), "", "What is drawn next is scored", group="role"),
    Command(
        "role_exclude",
        "Draw exclusion",
        ("X",),
        "exclude",
        "What is drawn next is left out: in situ, benign, artefact",
        group="role",
    ),
    Command(
        "role_control",
        "Draw control tissue",
        ("C",),
        "control",
        "What is drawn next is the on-slide control",
        group="role",
    ),
    Command("undo", "Undo", ("Ctrl+Z",), "undo"),
    Command("redo", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo"),
    Command("select_all", "Select all", ("Ctrl+A",)),
    Command("merge", "Merge", ("Ctrl+M",), "merge", "Make one outline of the selected ones"),
    Command(
        "subtract",
        "Subtract",
        ("Ctrl+Shift+M",),
        "subtract",
        "Cut the other selected outlines out of the one selected first",
    ),
    Command("smooth", "Smooth", ("Ctrl+Shift+F",), "smooth", "Round the corners of the selected outlines"),
    Command("delete", "Delete", ("Del", "Backspace"), "delete", "Delete the selected outlines"),
)

SCORE = (
    Command(
        "run",
        "Run the scorer",
        ("Return", "Enter"),
        "run",
        "Score the region; Enter works with the slide in focus",
        on_canvas=True,
    ),
    Command("cancel", "Cancel", ("Esc",), "cancel", "Stop scoring, or drop what is half drawn", on_canvas=True),
    Command("calibrate", "Calibrate the scorer...", (), "", "Fit it to slides of yours with known scores"),
)

REPORT = (
    Command(
        "report_pdf", "Report as PDF...", ("Ctrl+E",), "report", "One to three pages with fields, shares and decision"
    ),
    Command("report_json", "Report as JSON...", (), "", "The same for machines"),
    Command("report_csv", "Cells as CSV...", (), "table", "Every cell with its class and measures"),
    Command("report_geojson", "Cells as GeoJSON...", (), "", "Every cell with its outline, for QuPath"),
    Command(
        "export_training",
        "Corrected cells as training data...",
        (),
        "",
        "Adds this slide with what you said of its cells to a data set for her2viewer train",
    ),
)

HELP = (
    Command("guide", "Guide", ("F1",), "book", "How to read a slide, in five minutes"),
    Command("shortcuts", "Keyboard shortcuts", ("?",), "keyboard"),
    Command("log", "Open log file", (), "log", "What the program wrote about its failures"),
    Command("about", "About her2viewer", (), "info"),
)

MENUS: tuple[tuple[str, str, tuple[Command, ...]], ...] = (
    ("File", "&File", FILE),
    ("View", "&View", VIEW),
    ("ROI", "&ROI", ROI),
    ("Score", "&Score", SCORE),
    ("Report", "R&eport", REPORT),
    ("Help", "&Help", HELP),
)

MAGNIFICATIONS = {"mag_2.5": 2.5, "mag_5": 5.0, "mag_10": 10.0, "mag_20": 20.0, "mag_40": 40.0}

POINTER_KEYS = (
    ("Wheel", "Zoom at the pointer"),
    ("Drag, arrow keys", "Move the slide"),
    ("Space held", "Move the slide in any tool"),
    ("Double click", "Zoom in"),
    ("Shift + arrow keys", "Move by a whole view"),
    ("H held", "Hide all overlays"),
    ("Ctrl+1 to Ctrl+9, Ctrl+0", "Show or hide a panel"),
    ("Shift with brush", "Erase"),
    ("Ctrl+wheel, comma, point", "Size of the brush"),
    ("Click a cell with the panel Cells open", "Choose it; Ctrl adds it to those chosen"),
    ("Drag in the plot of cells", "Choose the cells of the points; Ctrl: a rectangle, Shift: add"),
    ("0 to 3, letters, Del, Z with Correct cells", "Class of the cells, remove them, back to the scorer's class"),
)


class Actions(QObject):
    """The QActions of a window by id."""

    def __init__(self, window: QWidget, canvas: QWidget) -> None:
        super().__init__(window)
        self._commands: dict[str, Command] = {}
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for _, _, commands in MENUS:
            for command in commands:
                self._commands[command.id] = command
                self._actions[command.id] = self._make(command, window, canvas)

    def __getitem__(self, command_id: str) -> QAction:
        return self._actions[command_id]

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._actions

    def __iter__(self) -> Iterator[str]:
        return iter(self._actions)

    def draw_icons(self, *ids: str) -> None:
        """Give actions their icons: just before they are seen, for drawing all of them would delay the window."""
        for command_id in ids:
            action, name = self._actions[command_id], self._commands[command_id].icon
            if name and action.icon().isNull():
                set_icon(action, name)

    def fill(self, menu: QMenu, *ids: str) -> QMenu:
        """Put actions into a menu; ``SEPARATOR`` draws a line."""
        menu.setToolTipsVisible(True)
        self.draw_icons(*(i for i in ids if i != SEPARATOR))
        for command_id in ids:
            if command_id == SEPARATOR:
                menu.addSeparator()
            else:
                menu.addAction(self._actions[command_id])
        return menu

    def allow(self, command_id: str, reason: str = "") -> None:
        """Enable an action, or disable it with the reason that its tip then gives."""
        action = self._actions[command_id]
        action.setEnabled(not reason)
        action.setToolTip(self._tip(self._commands[command_id], reason))
        action.setStatusTip(reason)

    def keys(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """All keys by menu, for the key list."""
        groups = [("Pointer", list(POINTER_KEYS))]
        for title, _, commands in MENUS:
            rows = [(self._key_text(c), c.text.rstrip(".")) for c in commands if c.keys]
            groups.append((title, rows))
        return groups

    def _make(self, command: Command, window: QWidget, canvas: QWidget) -> QAction:
        action = QAction(command.text, window)
        action.setObjectName(command.id)
        action.setShortcuts([QKeySequence(k) for k in command.keys])
        action.setCheckable(command.checkable or bool(command.group))
        action.setToolTip(self._tip(command))
        # Otherwise macOS moves "About" and "Quit" by guessing at their texts.
        action.setMenuRole(QAction.MenuRole.NoRole)
        # Check marks say more than an icon where both would stand in one place.
        action.setIconVisibleInMenu(not action.isCheckable())
        if command.group:
            group = self._groups.get(command.group)
            if group is None:
                group = self._groups[command.group] = QActionGroup(window)
            group.addAction(action)
        if command.on_canvas:
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            canvas.addAction(action)
        else:
            # Added to the window, so that the key works while the menu bar is hidden in full screen.
            window.addAction(action)
        return action

    @staticmethod
    def _key_text(command: Command) -> str:
        shown = [k for k in command.keys if k not in ("=", "Return", "Shift+Backtab", "Backspace", "Ctrl+Y")]
        return " or ".join(QKeySequence(k).toString(QKeySequence.SequenceFormat.NativeText) for k in shown)

    @classmethod
    def _tip(cls, command: Command, reason: str = "") -> str:
        key = f" ({cls._key_text(command)})" if command.keys else ""
        what = command.text.rstrip(".")
        lines = [f"{what}{key}"]
        if command.tip:
            lines.append(command.tip)
        if reason:
            lines.append(f"Not now: {reason}")
        return "\n".join(lines)
