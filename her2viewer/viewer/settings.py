"""What the window remembers between two starts: sizes, panels, theme. One readable file in the user's data folder."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QSettings

from her2viewer.userdirs import data_dir


class Settings:
    """Typed access to the stored settings; a damaged entry gives the default."""

    def __init__(self) -> None:
        self._store = QSettings(str(data_dir() / "settings.ini"), QSettings.Format.IniFormat)

    def text(self, key: str, default: str = "") -> str:
        value = self._store.value(key, default)
        return value if isinstance(value, str) else default

    def flag(self, key: str, default: bool = False) -> bool:
        # An ini file holds words; PySide gives a bool only for what was set in this run.
        return str(self._store.value(key, default)).lower() in ("true", "1")

    def numbers(self, key: str) -> list[int]:
        try:
            return [int(part) for part in self.text(key).split(" ") if part]
        except ValueError:
            return []

    def texts(self, key: str) -> list[str]:
        count = self._store.beginReadArray(key)
        found = []
        for index in range(count):
            self._store.setArrayIndex(index)
            value = self._store.value("value", "")
            if isinstance(value, str) and value:
                found.append(value)
        self._store.endArray()
        return found

    def data(self, key: str) -> QByteArray:
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) else QByteArray()

    def set(self, key: str, value: str | bool | QByteArray | list[int]) -> None:
        self._store.setValue(key, " ".join(map(str, value)) if isinstance(value, list) else value)

    def set_texts(self, key: str, values: list[str]) -> None:
        self._store.remove(key)
        self._store.beginWriteArray(key, len(values))
        for index, value in enumerate(values):
            self._store.setArrayIndex(index)
            self._store.setValue("value", value)
        self._store.endArray()

    def save(self) -> None:
        """Write at once; otherwise Qt writes when the event loop is idle."""
        self._store.sync()
