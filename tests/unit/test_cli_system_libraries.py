"""What Qt needs of the system is found by looking, and named with the line that installs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from her2viewer import system_libraries as system

ROOT = Path(__file__).resolve().parents[2]


def test_a_library_that_does_not_exist_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    ghost = system.Library("libdoesnotexist.so.7", ("libdoesnotexist7",))
    real = system.Library("libc.so.6", ("libc6",))
    monkeypatch.setattr(system, "OFFSCREEN", (real, ghost))
    monkeypatch.setattr(system, "X11", (ghost,))
    if sys.platform.startswith("linux"):
        assert system.missing_libraries() == [ghost]
        assert system.missing_libraries("x11") == [ghost, ghost]


def test_packages_are_named_once_and_by_the_name_that_the_release_knows() -> None:
    glib = [lib for lib in system.OFFSCREEN if "libglib2.0-0" in lib.packages]
    assert len(glib) == 2
    assert system.packages_for(glib, False, known=lambda name: name == "libglib2.0-0") == ["libglib2.0-0"]
    assert system.packages_for(glib, False, known=lambda name: name.endswith("t64")) == ["libglib2.0-0t64"]
    assert system.packages_for([], True, known=lambda name: True) == ["fonts-dejavu-core"]


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, "libglib2.0-0"),
        ({"ID": "debian", "VERSION_ID": "13"}, "libglib2.0-0t64"),
        ({"ID": "ubuntu", "VERSION_ID": "22.04"}, "libglib2.0-0"),
        ({"ID": "ubuntu", "VERSION_ID": "24.04"}, "libglib2.0-0t64"),
        ({}, "libglib2.0-0"),
        ({"ID": "debian", "VERSION_ID": "sid"}, "libglib2.0-0"),
    ],
)
def test_without_package_lists_the_release_tells_the_name(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], name: str
) -> None:
    monkeypatch.setattr(system, "os_release", lambda: release)
    glib = [lib for lib in system.OFFSCREEN if "libglib2.0-0" in lib.packages]
    assert system.packages_for(glib, False, known=lambda name: False) == [name]


def test_the_line_is_the_one_that_a_person_types() -> None:
    assert system.install_line(["a", "b"], root=False) == "sudo apt-get install -y --no-install-recommends a b"
    assert system.install_line(["a"], root=True) == "apt-get install -y --no-install-recommends a"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays are looked for on Linux")
def test_a_display_counts_only_if_somebody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert not system.screen().there
    for display in (":977", "nonsense", "localhost:5.0", "unix/:977", ":99999999999999"):
        monkeypatch.setenv("DISPLAY", display)
        assert not system.screen().there
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        # X servers listen on an abstract address as well; this one needs no folder in /tmp.
        server.bind("\0/tmp/.X11-unix/X976")
        server.listen()
        monkeypatch.setenv("DISPLAY", ":976")
        assert system.screen().there
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
        assert not system.screen().there
    monkeypatch.delenv("QT_QPA_PLATFORM")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.delenv("DISPLAY")
    assert not system.screen().there
    (tmp_path / "wayland-0").touch()
    assert system.screen().there


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Qt brings everything along elsewhere")
def test_the_lists_name_all_that_the_libraries_of_qt_load() -> None:
    """ldd over the real files: a library that a later PySide6 needs and no list names would crash a bare system."""
    import PySide6

    folder = Path(PySide6.__file__).parent
    base = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libgcc_s.so.1", "librt.so.1", "libz.so.1"}

    def direct(*names: str) -> set[str]:
        wanted: set[str] = set()
        for name in names:
            out = subprocess.run(
                ["readelf", "-d", str(folder / name)], capture_output=True, text=True, check=True, timeout=60
            ).stdout
            wanted |= {line.split("[")[1].split("]")[0] for line in out.splitlines() if "(NEEDED)" in line}
        return {
            n for n in wanted - base if not n.startswith(("libQt6", "ld-linux", "libshiboken", "libpyside", "libicu"))
        }

    if not shutil.which("readelf"):
        pytest.skip("readelf is not installed")
    libraries = [f"Qt/lib/libQt6{n}.so.6" for n in ("Core", "Gui", "Widgets", "Svg", "DBus")]
    known = {lib.soname for lib in system.OFFSCREEN}
    assert direct(*libraries, "Qt/plugins/platforms/libqoffscreen.so") <= known
    screen = known | {lib.soname for lib in system.X11} | {"libxcb.so.1"}
    assert direct("Qt/plugins/platforms/libqxcb.so", "Qt/lib/libQt6XcbQpa.so.6") <= screen
    wayland = known | {lib.soname for lib in system.WAYLAND}
    assert direct("Qt/plugins/platforms/libqwayland.so", "Qt/lib/libQt6WaylandClient.so.6") <= wayland


def test_the_setup_reads_the_lists_without_the_package() -> None:
    """The set-up runs on a bare Python: the module must load by its path, with nothing installed."""
    code = (
        "import importlib.util as u, sys; sys.path = [p for p in sys.path if 'site-packages' not in p]; "
        "s = u.spec_from_file_location('lists', sys.argv[1]); m = u.module_from_spec(s); "
        "sys.modules['lists'] = m; s.loader.exec_module(m); print(len(m.missing_libraries()))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT / "her2viewer" / "system_libraries.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isdigit()
