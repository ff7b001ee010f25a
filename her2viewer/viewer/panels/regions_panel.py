"""The list of what was drawn on the slide, with areas, and the total that will be scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import groupby, islice

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QStackedLayout, QTreeWidgetItem, QVBoxLayout, QWidget

from her2viewer.domain.annotation import EXCLUSION_CLASSES, Annotation, Role
from her2viewer.viewer.panels.regions_tree import REVIEWED_TIP, RegionTree, swatch, tabular
from her2viewer.viewer.session import Session
from her2viewer.viewer.theme import tokens
from her2viewer.viewer.tools import commands
from her2viewer.viewer.tools.drawing_state import DrawingState, title_of
from her2viewer.viewer.tools.drawing_tool import LOCKED
from her2viewer.viewer.tools.measure import area_number, area_text, area_unit

NO_SLIDE = "Open a slide to outline regions on it."
EMPTY = "No region yet. Outline the invasive carcinoma:\nP polygon, F freehand, B brush."
_ID = Qt.ItemDataRole.UserRole
_ORDER = (Role.ROI, Role.EXCLUDE, Role.CONTROL, Role.NOTE)
MOST_ROWS = 2_000
"""Nobody reads a longer list; cells of another program come by the ten thousand."""
_PREFIX = {Role.EXCLUDE: "− "}


class RegionsPanel(QWidget):
    """Rows by role; selection goes both ways; F2 or a double click renames, the context menu does the rest."""

    zoom_requested = Signal(float, float, float, float)
    """Show this rectangle: x0, y0, x1, y1 in level-0 px."""
    message = Signal(str)
    """Why a command did nothing."""

    def __init__(self, session: Session, state: DrawingState | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._state = state
        self._filling = False
        self._items: dict[str, QTreeWidgetItem] = {}
        self._dressed: dict[str, tuple[Annotation, object]] = {}
        """What each row shows."""
        self._rest = 0
        self._reviewed: dict[str, str] = {}

        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setProperty("role", "small")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.tree = RegionTree()
        self.tree.delete_pressed.connect(lambda: self._run(commands.delete_selected))
        self.tree.itemSelectionChanged.connect(self._selected_here)
        self.tree.itemChanged.connect(self._renamed)
        self.tree.itemDoubleClicked.connect(self._double_clicked)
        self.tree.customContextMenuRequested.connect(self._open_menu)

        self._total_words = QLabel("Net carcinoma area")
        self.total = QLabel()
        self.total.setFont(tabular(self.total.font()))
        self.total.setToolTip("Carcinoma less exclusions and control tissue; overlaps count once.")
        self._total_words.setToolTip(self.total.toolTip())
        self._footer = QWidget()
        row = QHBoxLayout(self._footer)
        row.setContentsMargins(4, 2, 8, 2)
        row.addWidget(self._total_words)
        row.addStretch(1)
        row.addWidget(self.total)

        self._pages = QStackedLayout()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self.tree)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 4)
        column.setSpacing(0)
        column.addLayout(self._pages, 1)
        column.addWidget(self._footer)

        # Methods, not lambdas: Qt forgets them when the panel goes before the session.
        session.annotations_changed.connect(self._fill)
        session.slide_changed.connect(self._fill)
        session.pixel_size_changed.connect(self._fill)
        session.locked_changed.connect(self._fill)
        session.selection_changed.connect(self._show_selection)
        session.region_changed.connect(self._show_total)
        if state is not None:
            state.live_changed.connect(self._show_live)
        self._fill()

    # --- content -----------------------------------------------------------------------------------------------

    def _fill(self, _changed: object = None) -> None:
        self._filling = True
        every = self._session.annotations
        rest = len(every) - MOST_ROWS
        annotations = list(islice((a for role in _ORDER for a in every if a.role is role), MOST_ROWS))
        if [a.id for a in annotations] != list(self._items) or rest != self._rest:
            self.tree.clear()
            self._dressed = {}
            items = [QTreeWidgetItem() for _ in annotations]
            self._items = {a.id: item for a, item in zip(annotations, items, strict=True)}
            self._rest = rest
            if rest > 0:
                items.append(QTreeWidgetItem([f"and {rest:,} more"]))
                items[-1].setFlags(Qt.ItemFlag.NoItemFlags)
                items[-1].setToolTip(0, "All of them count and are drawn. Point at one on the slide to select it.")
            self.tree.addTopLevelItems(items)
        look = (self._session.locked, self._session.pixel_size, self.devicePixelRatioF(), tokens().name)
        for a in annotations:
            known = self._dressed.get(a.id)
            if known is None or known[0] is not a or known[1] != look:
                self._dress(self._items[a.id], a)
                self._dressed[a.id] = (a, look)
        self.tree.headerItem().setText(1, area_unit(self._session.pixel_size))
        self._filling = False
        self.empty.setText(NO_SLIDE if self._session.slide is None and not annotations else EMPTY)
        self._pages.setCurrentWidget(self.tree if annotations else self.empty)
        self._footer.setVisible(bool(annotations))
        self._show_selection()
        self._show_total()

    def _dress(self, item: QTreeWidgetItem, annotation: Annotation) -> None:
        title = title_of(annotation)
        item.setData(0, _ID, annotation.id)
        item.setText(0, _PREFIX.get(annotation.role, "") + title)
        item.setIcon(0, swatch(annotation, self.devicePixelRatioF()))
        item.setFont(1, tabular(self.font()))
        item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        item.setText(1, self._area(annotation))
        item.setFont(2, tabular(self.font()))
        item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._dress_reviewed(item, self._reviewed.get(annotation.id, ""))
        kind = {Role.EXCLUDE: "Excluded from the score", Role.CONTROL: "Not part of the score"}.get(annotation.role)
        lines = [title, f"Class: {annotation.class_name}" if annotation.class_name else "", kind or ""]
        lines.append("Locked" if annotation.locked else "")
        item.setToolTip(0, "\n".join(line for line in lines if line))
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        if not annotation.locked and not self._session.locked:
            flags |= Qt.ItemFlag.ItemIsEditable
        item.setFlags(flags)

    def set_reviewed(self, shares: Mapping[str, str]) -> None:
        """How much of each region was looked at closely, by id, in words; the column hides where nobody knows."""
        if shares == self._reviewed:
            return
        before, self._reviewed = self._reviewed, dict(shares)
        was, self._filling = self._filling, True
        for annotation_id in {*before, *shares}:
            if annotation_id in self._items and before.get(annotation_id) != shares.get(annotation_id):
                self._dress_reviewed(self._items[annotation_id], shares.get(annotation_id, ""))
        self._filling = was
        self.tree.setColumnHidden(2, not shares)

    def _dress_reviewed(self, item: QTreeWidgetItem, words: str) -> None:
        item.setText(2, words)
        item.setToolTip(2, f"{words} looked at closely. {REVIEWED_TIP}" if words else "")

    def _area(self, annotation: Annotation) -> str:
        if annotation.role is Role.NOTE:
            return ""
        return area_number(annotation.geometry.area, self._session.pixel_size)

    def _show_live(self) -> None:
        """Areas follow the pointer while a region is being changed."""
        if self._state is None:
            return
        self._filling = True
        for annotation in self._session.annotations:
            shown = self._state.live.get(annotation.id, annotation)
            text = self._area(shown)
            item = self._items.get(annotation.id)
            if item is not None and item.text(1) != text:
                item.setText(1, text)
        self._filling = False

    def _show_total(self, _region: object = None) -> None:
        self.total.setText(area_text(self._session.region.area_px, self._session.pixel_size))

    # --- selection ---------------------------------------------------------------------------------------------

    def _show_selection(self, _ids: object = None) -> None:
        self._filling = True
        chosen = self._session.selection
        wanted = set(chosen)
        selection, model = QItemSelection(), self.tree.selectionModel()
        for is_chosen, run in groupby(self._items.items(), lambda pair: pair[0] in wanted):
            if is_chosen:
                # Rows that follow one another at once: one by one takes half a second for two thousand.
                rows = [item for _, item in run]
                selection.select(self.tree.indexFromItem(rows[0]), self.tree.indexFromItem(rows[-1], 2))
        flag = QItemSelectionModel.SelectionFlag
        model.select(selection, flag.ClearAndSelect | flag.Rows)
        if chosen and chosen[-1] in self._items:
            last = self._items[chosen[-1]]
            self.tree.scrollToItem(last)
            self.tree.selectionModel().setCurrentIndex(
                self.tree.indexFromItem(last), QItemSelectionModel.SelectionFlag.NoUpdate
            )
        self._filling = False

    def _selected_here(self) -> None:
        if self._filling:
            return
        chosen = [i for i, item in self._items.items() if item.isSelected()]
        # The order of selection counts (subtract keeps the first): what was selected before stays in front.
        here = set(chosen)
        kept = [i for i in self._session.selection if i in here]
        before = set(kept)
        self._session.select((*kept, *(i for i in chosen if i not in before)))

    # --- commands ----------------------------------------------------------------------------------------------

    def _run(self, command: Callable[[Session], str | None]) -> None:
        reason = command(self._session)
        if reason:
            self.message.emit(reason)

    def _renamed(self, item: QTreeWidgetItem, column: int) -> None:
        if self._filling or column != 0:
            return
        annotation = self._session.annotations.get(item.data(0, _ID))
        if annotation is None:
            return
        typed = item.text(0).strip()
        typed = typed.removeprefix(_PREFIX.get(annotation.role, "").strip()).strip()
        # Leaving the shown title as it is does not make it a name.
        name = annotation.name if typed == title_of(annotation) else typed
        if annotation.role is Role.NOTE:
            name = typed or annotation.text
        reason = commands.rename(self._session, annotation.id, name)
        if reason:
            self.message.emit(reason)
        self._fill()

    def _double_clicked(self, item: QTreeWidgetItem, column: int) -> None:
        if column == 0 and item.flags() & Qt.ItemFlag.ItemIsEditable:
            self.tree.editItem(item, 0)
        else:
            self.zoom_to_selected()

    def zoom_to_selected(self) -> None:
        """Ask for a view of all that is selected."""
        chosen = [a for a in self._session.annotations if a.id in self._session.selection]
        boxes = [a.geometry.bounds for a in chosen if not a.geometry.is_empty]
        if not boxes:
            self.message.emit(commands.NOTHING_SELECTED)
            return
        x0, y0 = min(b[0] for b in boxes), min(b[1] for b in boxes)
        x1, y1 = max(b[2] for b in boxes), max(b[3] for b in boxes)
        # A note has no size: show half a millimetre or so around it.
        margin = max(0.05 * max(x1 - x0, y1 - y0), 500.0 if x1 == x0 else 0.0)
        self.zoom_requested.emit(x0 - margin, y0 - margin, x1 + margin, y1 + margin)

    def rename_current(self) -> None:
        """Edit the name of the current row in place."""
        item = self.tree.currentItem()
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEditable:
            self.tree.editItem(item, 0)

    def menu(self) -> QMenu:
        """The commands on what is selected; also good for a context menu of the canvas."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        chosen = [a for a in self._session.annotations if a.id in self._session.selection]
        areas = [a for a in chosen if a.role is not Role.NOTE]
        free = bool(chosen) and not self._session.locked
        why = LOCKED if self._session.locked else commands.NOTHING_SELECTED

        def add(to: QMenu, text: str, run: Callable[[], None], enabled: bool, reason: str = "") -> QAction:
            action = to.addAction(text)
            action.triggered.connect(lambda _checked=False: run())
            action.setEnabled(enabled)
            if not enabled:
                action.setToolTip(reason or why)
            return action

        add(menu, "Zoom to", self.zoom_to_selected, bool(chosen), commands.NOTHING_SELECTED)
        rename = add(
            menu, "Rename", self.rename_current, free and len(chosen) == 1, "Select one region to rename it."
        )
        rename.setShortcut(QKeySequence(Qt.Key.Key_F2))
        menu.addSeparator()
        kinds = menu.addMenu("Change to")
        kinds.setEnabled(free and bool(areas))
        for text, role, name in kinds_of_region():
            action = add(kinds, text, partial(self._set_class, role, name), True)
            action.setCheckable(True)
            action.setChecked(bool(areas) and all(_is_kind(a, role, name) for a in areas))
        two = free and len(areas) >= 2
        add(menu, "Smooth", partial(self._run, commands.smooth_selected), free and bool(areas))
        add(menu, "Fill holes", partial(self._run, commands.fill_holes_selected), free and bool(areas))
        add(menu, "Merge", partial(self._run, commands.merge_selected), two, "Select two or more regions to merge.")
        add(
            menu,
            "Subtract",
            partial(self._run, commands.subtract_selected),
            two,
            "Select the region to keep, then, with Shift, what to cut out of it.",
        )
        add(menu, "Duplicate", partial(self._run, commands.duplicate_selected), free)
        menu.addSeparator()
        locked = bool(chosen) and all(a.locked for a in chosen)
        add(
            menu,
            "Unlock" if locked else "Lock",
            partial(self._run, partial(commands.set_locked_selected, locked=not locked)),
            free,
        )
        delete = add(menu, "Delete", partial(self._run, commands.delete_selected), free)
        delete.setShortcut(QKeySequence(Qt.Key.Key_Delete))
        return menu

    def _set_class(self, role: Role, class_name: str | None) -> None:
        self._run(partial(commands.set_class_selected, role=role, class_name=class_name))

    def _open_menu(self, at: QPoint) -> None:
        if self.tree.itemAt(at) is not None:
            menu = self.menu()
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.tree.viewport().mapToGlobal(at))

    def sizeHint(self) -> QSize:
        return QSize(220, 180)


def kinds_of_region() -> list[tuple[str, Role, str | None]]:
    """What a region can be, as menu entries: text, role, class."""
    return [
        ("Invasive carcinoma", Role.ROI, None),
        *((f"Exclude: {name}", Role.EXCLUDE, name) for name in EXCLUSION_CLASSES),
        ("Control tissue", Role.CONTROL, None),
    ]


def _is_kind(annotation: Annotation, role: Role, class_name: str | None) -> bool:
    return annotation.role is role and (class_name is None or annotation.class_name == class_name)
