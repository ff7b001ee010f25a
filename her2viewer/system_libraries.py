"""System libraries and fonts that Qt needs, found by looking, and the line that installs them.

Standard library only, and no import of this package: the set-up reads this file by its path before anything is
installed, and ``her2viewer doctor`` uses it afterwards. The window looks here at each start, so imports are late.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Library:
    """A shared library, and the Debian packages that hold it under their names of various releases."""

    soname: str
    packages: tuple[str, ...]


# What Qt's own libraries and its offscreen platform load.
OFFSCREEN = (
    Library("libstdc++.so.6", ("libstdc++6",)),
    Library("libzstd.so.1", ("libzstd1",)),
    Library("libglib-2.0.so.0", ("libglib2.0-0t64", "libglib2.0-0")),
    Library("libgthread-2.0.so.0", ("libglib2.0-0t64", "libglib2.0-0")),
    Library("libGL.so.1", ("libgl1",)),
    Library("libEGL.so.1", ("libegl1",)),
    Library("libX11.so.6", ("libx11-6",)),
    Library("libdbus-1.so.3", ("libdbus-1-3",)),
    Library("libfontconfig.so.1", ("libfontconfig1",)),
    Library("libfreetype.so.6", ("libfreetype6",)),
    Library("libxkbcommon.so.0", ("libxkbcommon0",)),
)
# What its xcb platform loads besides, for a window on an X display.
X11 = (
    Library("libX11-xcb.so.1", ("libx11-xcb1",)),
    Library("libxcb-cursor.so.0", ("libxcb-cursor0",)),
    Library("libxcb-icccm.so.4", ("libxcb-icccm4",)),
    Library("libxcb-image.so.0", ("libxcb-image0",)),
    Library("libxcb-keysyms.so.1", ("libxcb-keysyms1",)),
    Library("libxcb-randr.so.0", ("libxcb-randr0",)),
    Library("libxcb-render.so.0", ("libxcb-render0",)),
    Library("libxcb-render-util.so.0", ("libxcb-render-util0",)),
    Library("libxcb-shape.so.0", ("libxcb-shape0",)),
    Library("libxcb-shm.so.0", ("libxcb-shm0",)),
    Library("libxcb-sync.so.1", ("libxcb-sync1",)),
    Library("libxcb-util.so.1", ("libxcb-util1",)),
    Library("libxcb-xfixes.so.0", ("libxcb-xfixes0",)),
    Library("libxcb-xkb.so.1", ("libxcb-xkb1",)),
    Library("libxkbcommon-x11.so.0", ("libxkbcommon-x11-0",)),
)
# What its wayland platform loads besides.
WAYLAND = (
    Library("libwayland-client.so.0", ("libwayland-client0",)),
    Library("libwayland-cursor.so.0", ("libwayland-cursor0",)),
    Library("libwayland-egl.so.1", ("libwayland-egl1",)),
)
FONT_PACKAGE = ("fonts-dejavu-core",)

_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
_FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".pfb")


@dataclass(frozen=True)
class Screen:
    """Whether a window can be shown."""

    there: bool
    sentence: str
    """What was found: "the X display :0", "no screen: DISPLAY and WAYLAND_DISPLAY are not set"."""
    kind: str = ""
    """"x11", "wayland", "desktop" (macOS, Windows), or "" where there is none."""


def screen() -> Screen:
    """Look for a display that answers; on macOS and Windows there always is one."""
    if sys.platform in ("darwin", "win32"):
        return Screen(True, "the desktop", "desktop")
    platform = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform in ("offscreen", "minimal"):
        return Screen(False, f"no screen: QT_QPA_PLATFORM is {platform}")
    wayland, display = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY")
    if wayland:
        path = Path(os.environ.get("XDG_RUNTIME_DIR", "/"), wayland)
        if path.exists():
            return Screen(True, f"the Wayland display {wayland}", "wayland")
    if not display:
        return Screen(False, "no screen: DISPLAY and WAYLAND_DISPLAY are not set")
    if _answers(display):
        return Screen(True, f"the X display {display}", "x11")
    return Screen(False, f"no screen: the display {display} does not answer")


def missing_libraries(kind: str = "") -> list[Library]:
    """What Qt would not find. Empty where the system is not Linux: there Qt brings everything along.

    Args:
        kind: kind of screen that the window is to be shown on, see ``Screen``; "" for offscreen work.
    """
    if not sys.platform.startswith("linux"):
        return []
    wanted = OFFSCREEN + {"x11": X11, "wayland": WAYLAND}.get(kind, ())
    return [library for library in wanted if not _loads(library.soname)]


def fonts_there() -> bool:
    """Whether the system has a font of its own that Qt can draw with."""
    if not sys.platform.startswith("linux"):
        return True
    import shutil
    import subprocess

    if shutil.which("fc-list"):
        listed = subprocess.run(["fc-list", "-q"], capture_output=True, timeout=60, check=False)
        if listed.returncode == 0:
            return True
    for folder in _FONT_FOLDERS:
        for _, _, names in os.walk(Path(folder).expanduser()):
            if any(name.lower().endswith(_FONT_SUFFIXES) for name in names):
                return True
    return False


def packages_for(libraries: Iterable[Library], fonts: bool, known: Callable[[str], bool] | None = None) -> list[str]:
    """Names of the Debian packages that hold ``libraries``, in their order, each once.

    Args:
        libraries: what is missing.
        fonts: whether a font is missing too.
        known: whether this system's package lists have a package; apt-cache is asked by default.
    """
    known = known or apt_knows
    wanted = [library.packages for library in libraries] + ([FONT_PACKAGE] if fonts else [])
    return list(dict.fromkeys(_choice(names, known) for names in wanted))


def install_line(packages: Iterable[str], root: bool) -> str:
    """The exact command that installs packages, for a person to type."""
    return f"{'' if root else 'sudo '}apt-get install -y --no-install-recommends {' '.join(packages)}"


def apt_knows(package: str) -> bool:
    """Whether the package lists of this system hold a package that can really be installed."""
    import shutil
    import subprocess

    if not shutil.which("apt-cache"):
        return False
    policy = subprocess.run(
        ["apt-cache", "policy", package],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    return any(line.strip().startswith("Candidate:") and "(none)" not in line for line in policy.stdout.splitlines())


def os_release() -> dict[str, str]:
    """``/etc/os-release`` as a dictionary, for example ID, VERSION_ID and PRETTY_NAME."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def _choice(names: tuple[str, ...], known: Callable[[str], bool]) -> str:
    if len(names) == 1:
        return names[0]
    for name in names:
        if known(name):
            return name
    # The lists are empty, as on a fresh image: then the release tells.
    release = os_release()
    try:
        version = float(release.get("VERSION_ID", "0"))
    except ValueError:
        version = 0.0
    newer = version >= (24.04 if release.get("ID") == "ubuntu" else 13)
    return names[0] if newer else names[-1]


def _loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def _answers(display: str) -> bool:
    """Whether somebody listens at an X display such as ``:0``, ``host:10.0`` or ``unix/:1``."""
    import socket

    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdigit():
        return False
    try:
        if host in ("", "unix", "unix/"):
            path = f"/tmp/.X11-unix/X{number}"
            for address in (path, f"\0{path}"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
                    unix.settimeout(2)
                    if unix.connect_ex(address) == 0:
                        return True
            host = "127.0.0.1"
        with socket.create_connection((host, 6000 + int(number)), timeout=2):
            return True
    except (OSError, OverflowError):
        return False
