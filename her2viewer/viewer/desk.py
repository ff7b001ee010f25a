"""What everything that works on the open case needs, handed over as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QWidget

from her2viewer.viewer.case_keeper import CaseKeeper
from her2viewer.viewer.cell_selection import CellSelection
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.session import Session
from her2viewer.viewer.storage import Storage

if TYPE_CHECKING:
    from her2viewer.viewer.scoring_controller import ScoringController


@dataclass(frozen=True)
class Desk:
    """The slide, the scorer, the case, the disk, the reader and the chosen cells of one window."""

    session: Session
    controller: ScoringController
    keeper: CaseKeeper
    storage: Storage
    messages: Messages
    chosen: CellSelection


def file_dialog(
    parent: QWidget, title: str, start: str, filters: str, chosen: Callable[[Path], object], *, native: bool
) -> QFileDialog:
    """A dialog that asks for one file that there is; ``open()`` shows it, and it goes away by itself.

    Args:
        parent: window that it belongs to.
        title: of the dialog.
        start: folder or file that it begins with.
        filters: as Qt writes them.
        chosen: called with the file.
        native: the desktop's own dialog; tests use Qt's.
    """
    dialog = QFileDialog(parent, title, start, filters)
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog, not native)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.fileSelected.connect(lambda name: chosen(Path(name)))
    dialog.finished.connect(dialog.deleteLater)
    # Where no window manager does it, keys would go nowhere.
    dialog.finished.connect(lambda _: parent.activateWindow())
    return dialog


def folder_dialog(
    parent: QWidget, title: str, start: str, chosen: Callable[[Path], object], *, native: bool
) -> QFileDialog:
    """As ``file_dialog``, for a folder that there is or that is made in the dialog."""
    dialog = file_dialog(parent, title, start, "", chosen, native=native)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
    return dialog


def save_dialog(
    parent: QWidget,
    title: str,
    start: str,
    filters: str,
    chosen: Callable[[Path], object],
    *,
    suffix: str,
    native: bool,
) -> QFileDialog:
    """As ``file_dialog``, for a file that is to be written; ``suffix`` is added to a name without one."""
    dialog = file_dialog(parent, title, start, filters, chosen, native=native)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.setDefaultSuffix(suffix.removeprefix("."))
    dialog.selectFile(start)
    return dialog
