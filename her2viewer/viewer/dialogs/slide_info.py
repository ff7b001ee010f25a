"""All that a slide file says about itself, and its label and macro images at full size."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import Slide


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> QTableWidget:
    table = QTableWidget(len(rows), len(headings))
    table.setHorizontalHeaderLabels(list(headings))
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setWordWrap(False)
    table.setTabKeyNavigation(False)
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            item = QTableWidgetItem(text)
            item.setToolTip(text[:2000])
            if c in numeric:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            table.setItem(r, c, item)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    table.horizontalHeader().setVisible(any(headings))
    for c in numeric:
        heading = table.horizontalHeaderItem(c)
        if heading is not None:
            heading.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    table.verticalHeader().setDefaultSectionSize(26)
    table.resizeColumnsToContents()
    table.setColumnWidth(0, min(360, table.columnWidth(0) + 12))
    table.horizontalHeader().setSectionResizeMode(len(headings) - 1, QHeaderView.ResizeMode.Stretch)
    return table


def summary_rows(slide: Slide, pixel_size: PixelSize | None) -> list[tuple[str, str]]:
    """What a person asks first about a slide, as rows of name and value."""
    rows = [
        ("File", str(slide.path)),
        ("Format", slide.format),
        ("Size", f"{slide.width:,} x {slide.height:,} px"),
    ]
    if pixel_size is None:
        rows.append(("Pixel size", "unknown: areas are given in pixels, the slide cannot be scored"))
    else:
        detail = f", {pixel_size.detail}" if pixel_size.detail else ""
        rows.append(("Pixel size", f"{pixel_size.x_um:.4g} x {pixel_size.y_um:.4g} µm ({pixel_size.source}{detail})"))
        width, height = slide.width * pixel_size.x_um / 1000, slide.height * pixel_size.y_um / 1000
        rows.append(("Measures", f"{width:.2f} x {height:.2f} mm"))
    rows += [
        ("Objective", f"{slide.objective_power:g}x" if slide.objective_power else "not stated"),
        ("Levels", str(len(slide.levels))),
        ("Colour profile", f"ICC, {len(slide.icc_profile):,} bytes" if slide.icc_profile else "none"),
        ("Background", "#{:02x}{:02x}{:02x}".format(*slide.background)),
        ("Origin in the file", "{}, {} px".format(*slide.bounds_offset)),
        ("Identity", slide.identity),
    ]
    return rows


class SlideInfoDialog(QDialog):
    """Summary, levels, and all properties with a filter."""

    def __init__(self, slide: Slide, pixel_size: PixelSize | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Slide information - {slide.path.name}")
        tabs = QTabWidget()
        tabs.addTab(_table(("", ""), summary_rows(slide, pixel_size)), "Summary")
        levels = [
            (
                str(i),
                f"{v.width:,}",
                f"{v.height:,}",
                f"{v.downsample:.4f}",
                f"{v.tile_width} x {v.tile_height}",
                f"{pixel_size.mpp * v.downsample:.3f} µm/px" if pixel_size else "unknown",
            )
            for i, v in enumerate(slide.levels)
        ]
        headings = ("Level", "Width, px", "Height, px", "Downsample", "Tile, px", "Pixel size")
        tabs.addTab(_table(headings, levels, numeric=range(5)), f"Levels ({len(levels)})")
        page = QWidget()
        column = QVBoxLayout(page)
        self._filter = QLineEdit()
        self._filter.setPlaceholderText("Find a property")
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._narrow)
        self._properties = _table(("Property", "Value"), sorted(slide.properties.items()))
        column.addWidget(self._filter)
        column.addWidget(self._properties)
        tabs.addTab(page, f"Properties ({len(slide.properties)})")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        outer = QVBoxLayout(self)
        outer.addWidget(tabs)
        outer.addWidget(buttons)
        self.resize(760, 520)

    def _narrow(self, words: str) -> None:
        wanted = words.lower().split()
        for row in range(self._properties.rowCount()):
            cells = (self._properties.item(row, c) for c in range(2))
            text = " ".join(c.text().lower() for c in cells if c is not None)
            self._properties.setRowHidden(row, not all(w in text for w in wanted))


class ImageDialog(QDialog):
    """One image that came with a slide (label, macro), as large as the screen allows."""

    def __init__(self, title: str, image: QImage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        screen = self.screen() or QGuiApplication.primaryScreen()
        room = screen.availableSize() * 0.8
        shown = QPixmap.fromImage(image)
        if shown.width() > room.width() or shown.height() > room.height():
            shown = shown.scaled(room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
        label = QLabel()
        label.setPixmap(shown)
        label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        label.setAccessibleName(title)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(label)
        size = QLabel(f"{image.width():,} x {image.height():,} px")
        size.setProperty("role", "muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(area, 1)
        column.addWidget(size)
        column.addWidget(buttons)
        self.resize(min(room.width(), shown.width() + 48), min(room.height(), shown.height() + 110))
