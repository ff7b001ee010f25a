"""Help: about the program, its keys, its guide."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence

from PySide6.QtCore import QSize, Qt, QTimer, qVersion
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from her2viewer import RESEARCH_USE, __version__
from her2viewer.resources import resource_path
from her2viewer.viewer.icons import pixmap

_SHOWN_VERSIONS = (
    "PySide6-Essentials",
    "numpy",
    "openslide-python",
    "openslide-bin",
    "tifffile",
    "opencv-python-headless",
    "shapely",
    "h5py",
    "numba",
    "reportlab",
)
_EVERY_MS = 1000
_KEYS_PX, _WORDS_PX = 150, 240
"""Widest a key and what it does stand in one line."""
_AROUND_KEYS = 60


def _closing_buttons(dialog: QDialog) -> QDialogButtonBox:
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    return buttons


def versions() -> list[tuple[str, str]]:
    """Names and versions of what the program runs on."""
    from importlib.metadata import PackageNotFoundError, version

    rows = [("her2viewer", __version__), ("Python", platform.python_version()), ("Qt", qVersion() or "")]
    for name in _SHOWN_VERSIONS:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    return rows


class ThisComputer(QWidget):
    """Where scorers work and what memory is held, as it is while somebody looks."""

    def __init__(self, rows: Callable[[], Sequence[tuple[str, str]]], parent: QWidget | None = None) -> None:
        """``rows``: title and words of each, asked once a second."""
        super().__init__(parent)
        self._rows = rows
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(24)
        self._grid.setColumnStretch(1, 1)
        self._labels: list[tuple[QLabel, QLabel]] = []
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self._tell)
        self._tell()
        self._timer.start()

    def _tell(self) -> None:
        rows = self._rows()
        while len(self._labels) < len(rows):
            title, words = QLabel(), QLabel()
            title.setProperty("role", "muted")
            words.setWordWrap(True)
            words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            for column, label in enumerate((title, words)):
                self._grid.addWidget(label, len(self._labels), column, Qt.AlignmentFlag.AlignTop)
            self._labels.append((title, words))
        for number, (title, words) in enumerate(self._labels):
            told = rows[number] if number < len(rows) else ("", "")
            for label, text in zip((title, words), told, strict=True):
                # Not touched where nothing changed, so that marked words stay marked.
                if label.text() != text:
                    label.setText(text)


class AboutDialog(QDialog):
    """What this is, what it must not be used for, licence, versions, and how it works on this computer."""

    def __init__(
        self, computer: Callable[[], Sequence[tuple[str, str]]] | None = None, parent: QWidget | None = None
    ) -> None:
        """``computer``: what ``ThisComputer`` shows."""
        super().__init__(parent)
        self.setWindowTitle("About her2viewer")
        picture = QLabel()
        picture.setPixmap(pixmap("her2viewer", "#000000", 64))
        title = QLabel(f"her2viewer {__version__}")
        title.setProperty("role", "headline")
        what = QLabel("A viewer for reading one HER2 slide, with scorers that show their evidence on the tissue.")
        what.setWordWrap(True)
        limits = QLabel(RESEARCH_USE)
        limits.setProperty("role", "amber")
        limits.setWordWrap(True)
        licence = QLabel(
            "Licence: Apache-2.0. Built on Qt and PySide6 (LGPL-3.0), OpenSlide (LGPL-2.1), NumPy, SciPy, OpenCV, "
            "Numba, Shapely, h5py, tifffile and ReportLab under their own licences. Font: DejaVu."
        )
        licence.setWordWrap(True)
        licence.setProperty("role", "muted")
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        for row, (name, number) in enumerate(versions()):
            for column, text in enumerate((name, number)):
                label = QLabel(text)
                label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                if column == 0:
                    label.setProperty("role", "muted")
                grid.addWidget(label, row // 2, (row % 2) * 2 + column)
        head = QHBoxLayout()
        head.setSpacing(16)
        head.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        for widget in (title, what, limits):
            words.addWidget(widget)
        head.addLayout(words, 1)
        column_ = QVBoxLayout(self)
        column_.setContentsMargins(24, 20, 24, 16)
        column_.setSpacing(16)
        column_.addLayout(head)
        if computer is not None:
            heading = QLabel("This computer")
            heading.setProperty("role", "title")
            column_.addWidget(heading)
            column_.addWidget(ThisComputer(computer))
        column_.addLayout(grid)
        column_.addWidget(licence)
        column_.addWidget(_closing_buttons(self))
        self.setMinimumWidth(600)


class ShortcutsDialog(QDialog):
    """All keys, by menu; drawn from the actions themselves, so that it cannot be out of date."""

    def __init__(
        self, groups: Iterable[tuple[str, Iterable[tuple[str, str]]]], parent: QWidget | None = None
    ) -> None:
        """``groups``: title of each group with its rows of (keys, what they do)."""
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        body = QWidget()
        columns = QHBoxLayout(body)
        columns.setSpacing(28)
        columns.setContentsMargins(16, 12, 16, 12)
        stacks = [QVBoxLayout(), QVBoxLayout(), QVBoxLayout()]
        heights = [0] * len(stacks)
        for stack in stacks:
            stack.setSpacing(16)
            columns.addLayout(stack)
        for title, rows_ in groups:
            rows = list(rows_)
            target = heights.index(min(heights))
            heights[target] += len(rows) + 2
            stacks[target].addLayout(self._group(title, rows))
        for stack in stacks:
            stack.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(body)
        outer = QVBoxLayout(self)
        outer.addWidget(area)
        outer.addWidget(_closing_buttons(self))
        room = self.screen().availableSize()
        wanted = body.sizeHint() + QSize(_AROUND_KEYS, 2 * _AROUND_KEYS)
        self.resize(wanted.boundedTo(QSize(room.width() - _AROUND_KEYS, room.height() - 2 * _AROUND_KEYS)))

    @staticmethod
    def _group(title: str, rows: list[tuple[str, str]]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(3)
        heading = QLabel(title)
        heading.setProperty("role", "title")
        grid.addWidget(heading, 0, 0, 1, 2)
        for row, (keys, what) in enumerate(rows, start=1):
            key = QLabel(keys)
            key.setProperty("role", "muted")
            key.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(key, row, 0)
            told = QLabel(what)
            grid.addWidget(told, row, 1)
            for label, most in ((key, _KEYS_PX), (told, _WORDS_PX)):
                if label.sizeHint().width() > most:
                    label.setWordWrap(True)
                    label.setFixedWidth(most)
        grid.setColumnStretch(1, 1)
        return grid


class GuideDialog(QDialog):
    """The guide that ships with the program; needs no network."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("her2viewer guide")
        browser = QTextBrowser()
        browser.setOpenExternalLinks(True)
        browser.setMarkdown(resource_path("help", "guide.md").read_text(encoding="utf-8"))
        self._space(browser.document())
        column = QVBoxLayout(self)
        column.addWidget(browser)
        column.addWidget(_closing_buttons(self))
        self.resize(760, 640)

    @staticmethod
    def _space(document: QTextDocument) -> None:
        """Markdown comes without room between its paragraphs."""
        cursor = QTextCursor(document)
        block = document.begin()
        while block.isValid():
            form = block.blockFormat()
            form.setTopMargin(14 if form.headingLevel() > 1 else 3)
            form.setBottomMargin(5)
            cursor.setPosition(block.position())
            cursor.setBlockFormat(form)
            block = block.next()
