"""Calibrate a scorer on the laboratory's own slides: choose the set, wait, compare, use.

The work is that of ``her2viewer calibrate``, run as a process of its own: the window stays quick, a crash ends there,
and slides once scored are kept, so that a calibration that was cancelled goes on where it was.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QProcess, QProcessEnvironment, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from her2viewer.scoring.calibration_file import FIGURES, SETTING, figure_text
from her2viewer.scoring.manifest import Manifest
from her2viewer.userdirs import data_dir
from her2viewer.viewer.desk import file_dialog, save_dialog

_END_MS = 3000
_COLUMNS = (("before", "Before"), ("after", "Fitted"), ("cross_validated", "Cross-validated"))
_INTRO = (
    "From 10 to 50 of your own slides with known scores, each score among them, the limits of this scorer or the "
    "factors of its network are fitted to your stain and your scanner. Each slide is also scored by a fit that has "
    "not seen it or its patient: only that column tells what to expect."
)


class CalibrateDialog(QDialog):
    """One calibration. Never blocks: use ``open()``."""

    use = Signal(str)
    """Path of the calibration that is to be used from now on."""

    def __init__(self, manifest: Manifest, settings: Mapping[str, Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Calibrate the scorer")
        self.setModal(True)
        self._manifest, self._settings = manifest, dict(settings)
        self.native_dialogs = True
        """Tests use Qt's own file dialog."""
        self._folder = Path(tempfile.mkdtemp(prefix="her2viewer-calibration-"))
        self._process: QProcess | None = None
        self._answer: dict[str, Any] | None = None
        self._failure = ""
        self._cancelled = False
        self._buffer = b""
        self._clock = 0.0
        self._build()
        self.finished.connect(lambda _: self._tidy())

    # -- what is shown --------------------------------------------------------------------------------------------

    def _build(self) -> None:
        title = QLabel(f"Calibrate: {self._manifest.title}")
        title.setProperty("role", "title")
        intro = QLabel(_INTRO)
        intro.setWordWrap(True)
        self._path = QLineEdit()
        self._path.setObjectName("calibrationSet")
        self._path.setPlaceholderText("SET.toml, which names the slides, their outlines and their scores")
        self._path.textChanged.connect(lambda _: self._refresh())
        browse = QPushButton("Choose...")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._choose)
        self._browse = browse
        row = QHBoxLayout()
        row.addWidget(self._path, 1)
        row.addWidget(browse)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._say = QLabel()
        self._say.setObjectName("calibrationSays")
        self._say.setWordWrap(True)
        self._say.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._limits = _table("calibrationLimits")
        self._figures = _table("calibrationFigures")
        buttons = QDialogButtonBox()
        role = QDialogButtonBox.ButtonRole
        self._start = buttons.addButton("Calibrate", role.ActionRole)
        self._use = buttons.addButton("Use from now on", role.ActionRole)
        self._save = buttons.addButton("Save as...", role.ActionRole)
        self._close = buttons.addButton("Close", role.RejectRole)
        self._start.setObjectName("primaryButton")
        self._use.setObjectName("primaryButton")
        self._start.clicked.connect(self.start)
        self._use.clicked.connect(self._use_it)
        self._save.clicked.connect(self._ask_save)
        self._close.clicked.connect(self._close_or_cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(12)
        column.addWidget(title)
        column.addWidget(intro)
        column.addLayout(row)
        column.addWidget(self._bar)
        column.addWidget(self._say)
        column.addWidget(self._limits)
        column.addWidget(self._figures)
        column.addStretch(1)
        column.addWidget(buttons)
        self.setMinimumWidth(680)
        self._refresh()

    def _refresh(self) -> None:
        busy, done = self._process is not None, self._answer is not None
        given = bool(self._path.text().strip())
        self._bar.setVisible(busy)
        self._path.setEnabled(not busy)
        self._browse.setEnabled(not busy)
        self._start.setVisible(not done)
        self._start.setEnabled(given and not busy)
        self._start.setDefault(not done)
        self._start.setToolTip("" if given else "Choose a data set first")
        self._use.setVisible(done)
        self._use.setDefault(done)
        self._save.setVisible(done)
        self._close.setText("Cancel" if busy else "Close")
        for table in (self._limits, self._figures):
            table.setVisible(done)
        self._say.setVisible(bool(self._say.text()))
        self._fit_height()

    def _fit_height(self) -> None:
        # Wrapped sentences ask for their height only when they know their width.
        layout = self.layout()
        if layout is not None:
            self.setMinimumHeight(layout.totalHeightForWidth(max(self.width(), self.minimumWidth())))
            self.resize(self.width(), self.minimumHeight())

    # -- the work -------------------------------------------------------------------------------------------------

    def set_path(self, path: Path) -> None:
        """The data set."""
        self._path.setText(str(path))

    @property
    def answer(self) -> Mapping[str, Any] | None:
        """What came out, None before."""
        return self._answer

    @property
    def says(self) -> str:
        """The sentence that is shown."""
        return self._say.text()

    @property
    def busy(self) -> bool:
        """Whether slides are being scored."""
        return self._process is not None

    def start(self) -> None:
        """Begin."""
        if self._process is not None:
            return
        self._failure, self._buffer, self._cancelled, self._answer = "", b"", False, None
        self._clock = time.monotonic()
        arguments = [] if getattr(sys, "frozen", False) else ["-m", "her2viewer"]
        arguments += ["calibrate", self._manifest.id, self._path.text().strip()]
        arguments += ["--out", str(self._file), "--events"]
        for setting in self._manifest.settings:
            value = self._settings.get(setting.id, setting.default)
            if setting.id != SETTING and value != setting.default:
                arguments += ["--set", f"{setting.id}={str(value).lower() if isinstance(value, bool) else value}"]
        process = self._process = QProcess(self)
        process.setProcessEnvironment(QProcessEnvironment.systemEnvironment())
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._ended)
        process.errorOccurred.connect(self._broken)
        self._bar.setRange(0, 0)
        self._say.setText("Reading the data set")
        self._refresh()
        process.start(sys.executable, arguments)

    @property
    def _file(self) -> Path:
        return self._folder / "calibration.toml"

    def _read(self) -> None:
        if self._process is None:
            return
        self._buffer += bytes(self._process.readAllStandardOutput().data())
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "slide":
                self._progress(event["name"], event["done"], event["total"])
            elif event.get("event") == "done":
                self._answer = event
            elif event.get("event") == "failed":
                self._failure = event["sentence"]

    def _progress(self, name: str, done: int, total: int) -> None:
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        if done >= total:
            self._say.setText("Fitting")
        elif not self._cancelled:
            left = (time.monotonic() - self._clock) / done * (total - done) if done else 0
            wait = f", about {_span(left)} left" if done else ""
            self._say.setText(f"Slide {min(done + 1, total)} of {total}: {name}{wait}")
        self._say.setVisible(True)

    def _ended(self, code: int, _status: object = None) -> None:
        process = self._process
        if process is None:
            return
        self._read()
        errors = bytes(process.readAllStandardError().data()).decode("utf-8", "replace").strip()
        self._process = None
        process.deleteLater()
        if self._cancelled:
            self._say.setText("Cancelled. Slides that were scored are kept: Calibrate goes on from there.")
            self._answer = None
        elif self._answer is not None:
            self._show(self._answer)
        else:
            last = errors.splitlines()[-1] if errors else f"its process ended with code {code}"
            self._say.setText(self._failure or f"The calibration did not come to its end: {last}")
        self._refresh()

    def _broken(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._process.deleteLater()
            self._process = None
            self._say.setText("The calibration could not be started: the program did not find itself. Restart it.")
            self._refresh()

    def cancel(self) -> None:
        """Stop; what was scored is kept."""
        process = self._process
        if process is None:
            return
        self._cancelled = True
        self._say.setText("Cancelling")
        process.terminate()
        # Windows does not pass a polite request to a process without a window.
        QTimer.singleShot(_END_MS, process, process.kill)

    # -- what came out --------------------------------------------------------------------------------------------

    def _show(self, answer: Mapping[str, Any]) -> None:
        titles = {s.id: (s.title, s.unit) for s in self._manifest.settings}
        rows = [
            (
                f"{titles[key][0]}",
                f"{answer['settings_before'][key]:g} {titles[key][1]}",
                f"{value:g} {titles[key][1]}",
            )
            for key, value in answer["settings"].items()
        ]
        _fill(self._limits, ("Setting", "Before", "Fitted"), rows)
        figures = [
            (title, *(figure_text(key, answer[column].get(key)) for column, _ in _COLUMNS))
            for key, (title, _) in FIGURES.items()
            if key in answer["before"]
        ]
        _fill(self._figures, (f"{len(answer['slides'])} slides", *(title for _, title in _COLUMNS)), figures)
        verdict = (
            "On slides that it was not fitted on, the calibration does better than the settings before."
            if answer["better"]
            else ""
        )
        self._say.setText("\n".join(filter(None, (verdict, *answer["notes"]))))

    def _use_it(self) -> None:
        if self._answer is None:
            return
        folder = data_dir() / "calibrations"
        name = re.sub(r"[^\w.-]+", "_", f"{self._manifest.id} {self._answer['name']}").strip("_")
        target = folder / f"{name}.toml"
        number = 2
        while target.exists() and target.read_bytes() != self._file.read_bytes():
            target = folder / f"{name}_{number}.toml"
            number += 1
        if self._copy(target):
            self.use.emit(str(target))
            self.accept()

    def _ask_save(self) -> None:
        start, filters, native = str(Path.home() / "calibration.toml"), "Calibration (*.toml)", self.native_dialogs
        save_dialog(self, "Save the calibration", start, filters, self.save, suffix=".toml", native=native).open()

    def save(self, path: Path) -> None:
        """Keep the calibration under a name of the reader's."""
        if self._copy(path):
            self._say.setText(f"Saved as {path}.")

    def _copy(self, target: Path) -> bool:
        from her2viewer.cases.atomic import StorageError, atomic_text, make_folder

        try:
            make_folder(target.parent)
            atomic_text(target, self._file.read_text(encoding="utf-8"))
        except (StorageError, OSError) as error:
            self._say.setText(str(error))
            return False
        return True

    def _choose(self) -> None:
        start, native = self._path.text() or str(Path.home()), self.native_dialogs
        file_dialog(self, "Data set", start, "Data set (*.toml)", self.set_path, native=native).open()

    def _close_or_cancel(self) -> None:
        if self._process is not None:
            self.cancel()
        else:
            self.reject()

    def reject(self) -> None:
        """Esc and the window's cross stop the work first."""
        if self._process is not None:
            self.cancel()
            return
        super().reject()

    def _tidy(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(_END_MS)
        shutil.rmtree(self._folder, ignore_errors=True)


def _table(name: str) -> QTableWidget:
    table = QTableWidget()
    table.setObjectName(name)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(26)
    table.setShowGrid(False)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return table


def _fill(table: QTableWidget, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    table.setColumnCount(len(headings))
    table.setRowCount(len(rows))
    for c, title in enumerate(headings):
        head = QTableWidgetItem(title)
        head.setTextAlignment(right if c else Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        table.setHorizontalHeaderItem(c, head)
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            item = QTableWidgetItem(text.strip())
            if c:
                item.setTextAlignment(right)
            table.setItem(r, c, item)
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
    table.setColumnWidth(0, 230)
    table.ensurePolished()
    table.setFixedHeight(max(header.sizeHint().height(), 34) + 26 * len(rows) + 6)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
