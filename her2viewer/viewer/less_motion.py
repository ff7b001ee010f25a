"""Whether the system asks its programs to move less on the screen."""

from __future__ import annotations

import configparser
import contextlib
import os
import subprocess
import sys
from pathlib import Path

_PATIENCE_S = 2.0


def less_motion_wanted() -> bool:
    """True where the reader has told the system so; False where it cannot be found out. For worker threads.

    Qt says it from 6.12 on only (``QAccessibilityHints.motionPreference``), which cannot be used yet.
    """
    if sys.platform == "win32":
        return _windows()
    if sys.platform == "darwin":
        return _said("defaults", "read", "com.apple.universalaccess", "reduceMotion") == "1"
    if _said("gsettings", "get", "org.gnome.desktop.interface", "enable-animations") == "false":
        return True
    return _plasma()


def _windows() -> bool:
    import ctypes

    get_client_area_animation = 0x1042
    shown = ctypes.c_int(1)
    parameters = getattr(ctypes, "windll").user32.SystemParametersInfoW  # noqa: B009
    return bool(parameters(get_client_area_animation, 0, ctypes.byref(shown), 0)) and not shown.value


def _plasma() -> bool:
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    with contextlib.suppress(OSError, ValueError, configparser.Error):
        settings.read(folder / "kdeglobals", encoding="utf-8")
        return settings.getfloat("KDE", "AnimationDurationFactor", fallback=1.0) == 0
    return False


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
