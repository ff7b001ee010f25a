"""Asks for the pixel size of a slide that does not say it, or says something that cannot be."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from her2viewer.domain.pixelsize import (
    PLAUSIBLE_MAX_UM,
    PLAUSIBLE_MIN_UM,
    PixelSize,
    PixelSizeSource,
    mpp_from_objective,
)

_USUAL = (40, 20, 10)


class PixelSizeDialog(QDialog):
    """One number, with what hangs on it and what the slide would then measure. Never blocks: use ``open()``.

    ``found`` is an implausible value that the file states, ``present`` what is in use and is to be corrected.

    After it was accepted, ``chosen`` is the pixel size; after "Not now" it is None.
    """

    def __init__(
        self,
        name: str,
        width: int,
        height: int,
        *,
        found: PixelSize | None,
        objective_power: float | None,
        present: PixelSize | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Pixel size")
        self.setModal(True)
        self.chosen: PixelSize | None = None
        self._found = found
        self._size = (width, height)

        title = QLabel(self._title(found, present))
        title.setProperty("role", "title")
        why = QLabel(self._why(name, found, present))
        why.setWordWrap(True)
        self._value = QDoubleSpinBox()
        self._value.setDecimals(4)
        self._value.setRange(0, PLAUSIBLE_MAX_UM)
        # Nothing is proposed that nobody knows: Enter pressed in haste must not make up a pixel size.
        self._value.setSpecialValueText("not known yet")
        self._value.setSingleStep(0.01)
        self._value.setSuffix(" µm per pixel")
        self._value.setAccessibleName("Micrometres per pixel")
        estimate = mpp_from_objective(objective_power) if objective_power else 0.0
        self._value.setValue(present.mpp if present is not None else estimate)
        self._value.valueChanged.connect(self._show_consequence)
        usual = QHBoxLayout()
        usual.setSpacing(4)
        for power in _USUAL:
            button = QPushButton(f"{power}x: {10 / power:g}")
            button.setToolTip(f"A {power}x scan has about {10 / power:g} µm per pixel")
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, value=10 / power: self._value.setValue(value))
            usual.addWidget(button)
        usual.addStretch(1)
        hint = QLabel(self._hint(objective_power))
        hint.setProperty("role", "muted")
        hint.setWordWrap(True)
        self._consequence = QLabel()
        self._consequence.setProperty("role", "muted")
        form = QFormLayout()
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        form.setHorizontalSpacing(12)
        form.addRow("Pixel size", self._value)
        form.addRow("Usual", usual)
        form.addRow("", self._consequence)

        buttons = QDialogButtonBox()
        use = buttons.addButton("Use this pixel size", QDialogButtonBox.ButtonRole.AcceptRole)
        use.setObjectName("primaryButton")
        use.setDefault(True)
        self._use_button = use
        skip = buttons.addButton("Not now", QDialogButtonBox.ButtonRole.RejectRole)
        if present is None:
            skip.setToolTip("Areas are then given in pixels, and the slide cannot be scored")
        else:
            skip.setText("Cancel")
        if found is not None:
            keep = buttons.addButton(f"Keep {found.mpp:.4g} from the file", QDialogButtonBox.ButtonRole.ResetRole)
            keep.setToolTip("Only if you know that this is right")
            keep.clicked.connect(self._keep)
        buttons.accepted.connect(self._use)
        buttons.rejected.connect(self.reject)

        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(12)
        for widget in (title, why, hint):
            column.addWidget(widget)
        column.addLayout(form)
        column.addSpacing(8)
        column.addWidget(buttons)
        self.setMinimumWidth(540)
        self._show_consequence(self._value.value())
        self._value.selectAll()

    @staticmethod
    def _title(found: PixelSize | None, present: PixelSize | None) -> str:
        if found is not None:
            return f"Is a pixel really {found.mpp:.4g} µm wide?"
        return "How large is a pixel?" if present is None else "Correct the pixel size"

    @staticmethod
    def _why(name: str, found: PixelSize | None, present: PixelSize | None) -> str:
        needed = (
            "Areas, magnifications and every scorer depend on this number: with a wrong one they are wrong too. "
            "It is kept with the slide and printed in the report as entered by you."
        )
        if found is not None:
            return (
                f"{name} says {found.mpp:.4g} µm per pixel ({found.source}). That is not a slide scanner's pixel "
                f"size: scanners work between {PLAUSIBLE_MIN_UM:g} and {PLAUSIBLE_MAX_UM:g}. {needed}"
            )
        if present is not None:
            return (
                f"{name} is shown with {present.mpp:.4g} µm per pixel ({present.source}). {needed} "
                "What was scored with another pixel size must be scored again."
            )
        return f"{name} does not say its pixel size. {needed}"

    @staticmethod
    def _hint(power: float | None) -> str:
        if power:
            usual = mpp_from_objective(power)
            return f"The file names a {power:g}x objective: that usually means {usual:g} µm per pixel."
        return "The laboratory or the scanner's manual knows it. If you know only the magnification, take one below."

    def _show_consequence(self, value: float) -> None:
        plausible = value >= PLAUSIBLE_MIN_UM
        self._use_button.setEnabled(plausible)
        self._use_button.setToolTip("" if plausible else f"Enter at least {PLAUSIBLE_MIN_UM:g} µm per pixel first")
        if not plausible:
            self._consequence.setText("Type the number, or choose a magnification above.")
            return
        width, height = (side * value / 1000 for side in self._size)
        power = 10 / value
        self._consequence.setText(
            f"The slide would measure {width:.1f} x {height:.1f} mm, scanned at about {power:.3g}x."
        )

    def _use(self) -> None:
        value = self._value.value()
        self.chosen = PixelSize(value, value, PixelSizeSource.USER, "entered in the window")
        self.accept()

    def _keep(self) -> None:
        self.chosen = self._found
        self.accept()
