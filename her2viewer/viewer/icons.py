"""Icons drawn for this program (``resources/icons``), in the colour of the theme and sharp on every screen."""

from __future__ import annotations

import math

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt
from PySide6.QtGui import QAction, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QWidget

from her2viewer.resources import resource_path
from her2viewer.viewer.theme import tokens

_PROPERTY = "iconName"
_sources: dict[str, bytes] = {}
_cache: dict[tuple[str, str, int], QIcon] = {}


def icon(name: str, token: str = "text", size: int = 20) -> QIcon:
    """The icon ``name`` in a colour token of the current theme, ``size`` logical px.

    Raises:
        FileNotFoundError: there is no such icon.
    """
    color = getattr(tokens(), token)
    key = (name, color, size)
    if key not in _cache:
        made = QIcon(pixmap(name, color, size))
        made.addPixmap(pixmap(name, tokens().faint, size), QIcon.Mode.Disabled)
        _cache[key] = made
    return _cache[key]


def pixmap(name: str, color: str, size: int) -> QPixmap:
    """The drawing ``name`` in ``color`` (``#rrggbb``), sharp on the sharpest screen."""
    if name not in _sources:
        _sources[name] = resource_path("icons", f"{name}.svg").read_bytes()
    source = _sources[name].replace(b"currentColor", color.encode())
    ratio = max((math.ceil(s.devicePixelRatio()) for s in QGuiApplication.screens()), default=1)
    image = QPixmap(size * ratio, size * ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(QByteArray(source)).render(painter, QRectF(0, 0, size * ratio, size * ratio))
    painter.end()
    image.setDevicePixelRatio(ratio)
    return image


def application_icon() -> QIcon:
    """The icon of the program, in the sizes that desktops ask for."""
    made = QIcon()
    for size in (32, 64, 256):
        made.addPixmap(pixmap("her2viewer", "#000000", size))
    return made


def set_icon(target: QAction | QAbstractButton, name: str, token: str = "text") -> None:
    """Give an action or button an icon that ``refresh_icons`` can redraw for another theme."""
    target.setProperty(_PROPERTY, f"{name}:{token}")
    target.setIcon(icon(name, token))


def refresh_icons(root: QWidget) -> None:
    """Redraw all icons set by ``set_icon`` below ``root`` in the colours of the current theme."""
    targets: list[QObject] = [*root.findChildren(QAction), *root.findChildren(QAbstractButton)]
    for target in targets:
        name = target.property(_PROPERTY)
        if name and isinstance(target, QAction | QAbstractButton):
            target.setIcon(icon(*name.split(":")))
