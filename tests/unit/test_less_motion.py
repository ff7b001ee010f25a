"""Whether the system asks for less motion, as far as it can be asked here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from her2viewer.viewer.less_motion import less_motion_wanted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the desktops of Linux")


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the path, and the folder of settings."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def gsettings(folder: Path, script: str) -> None:
    tool = folder / "gsettings"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def test_a_desktop_that_says_nothing_is_no_wish(desktop: Path) -> None:
    assert not less_motion_wanted()


@pytest.mark.parametrize(
    ("script", "less"),
    [
        ('[ "$*" = "get org.gnome.desktop.interface enable-animations" ] && echo false', True),
        ("echo true", False),
        ("echo false; exit 1", False),
        ("echo nonsense", False),
    ],
)
def test_gnome_says_it_with_enable_animations(desktop: Path, script: str, less: bool) -> None:
    gsettings(desktop, script)
    assert less_motion_wanted() is less


@pytest.mark.parametrize(
    ("text", "less"),
    [
        ("[KDE]\nAnimationDurationFactor=0\n", True),
        ("[KDE]\nAnimationDurationFactor=0.5\n", False),
        ("[KDE]\nAnimationDurationFactor=much\n", False),
        ("[General][x]\nnothing\n", False),
        ("", False),
    ],
)
def test_plasma_says_it_with_the_speed_of_animations(desktop: Path, text: str, less: bool) -> None:
    (desktop / "kdeglobals").write_text(text)
    assert less_motion_wanted() is less
