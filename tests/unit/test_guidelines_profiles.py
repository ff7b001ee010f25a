"""Profiles on disk: all ship, and a damaged one says so and leaves the others working."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from her2viewer.guidelines.profiles import (
    DEFAULT_PROFILE,
    ProfileError,
    load_folder,
    load_profiles,
    loaded_profiles,
    read_profile,
)
from her2viewer.resources import resource_path

FOLDER = resource_path("guidelines")


def test_all_profiles_that_ship_are_sound_and_the_default_comes_first() -> None:
    assert loaded_profiles().problems == {}
    assert list(load_profiles()) == [
        DEFAULT_PROFILE,
        "pham_2022",
        "pham_2022_61",
        "vandenberghe_2017",
        "gefpics_2021",
        "gastric_2016_resection",
        "gastric_2016_biopsy",
    ]


def test_the_bars_get_the_cut_off_lines_of_the_profile() -> None:
    profiles = load_profiles()
    assert profiles[DEFAULT_PROFILE].limits == (10.0,)
    assert profiles["gastric_2016_biopsy"].limits == ()
    assert profiles["gastric_2016_biopsy"].marks == (
        "cluster_strong",
        "cluster_moderate",
        "cluster_faint",
        "no_stain",
    )


def damaged(tmp_path: Path, old: str, new: str) -> Path:
    text = (FOLDER / "vandenberghe_2017.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("format = 1", "format = 7", "has format 7"),
        ("format = 1", "format = = 1", "cannot be read"),
        ('title = "Vandenberghe 2017"', "", "lacks the entry title"),
        ('operator = ">"', 'operator = "~"', "unknown operator '~'"),
        ("limit = 10.0", "limit = 1000.0", "between 0 and 100"),
        ("classes = [3]", "classes = [4]", "classes are 0 to 3"),
        ("classes = [3]", "", "needs classes and a limit"),
        ('status = "positive"', 'status = "maybe"', "unknown status 'maybe'"),
        ('operator = "otherwise"', 'operator = "marked"\nmark = "x"', "last row must be"),
        ('id = "equivocal"', 'id = "positive"', "share an id"),
        ('next_steps = ["', 'next_steps = "', "cannot be read"),
        ("rows", "lines", "lacks the entry rows|share an id|last row"),
    ],
)
def test_a_damaged_profile_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    path = damaged(tmp_path, old, new)
    if old == "rows":
        path.write_text(path.read_text(encoding="utf-8").replace("[[rows]]", "[[lines]]"), encoding="utf-8")
    with pytest.raises(ProfileError, match=sentence) as error:
        read_profile(path)
    assert "mine.toml" in str(error.value)


def test_a_damaged_profile_leaves_the_others_working(tmp_path: Path) -> None:
    folder = tmp_path / "guidelines"
    shutil.copytree(FOLDER, folder)
    (folder / "pham_2022.toml").write_text("this is not TOML", encoding="utf-8")
    shutil.copy(folder / "gefpics_2021.toml", folder / "zz_copy.toml")
    loaded = load_folder(folder)
    assert set(loaded.problems) == {"pham_2022.toml", "zz_copy.toml"}
    assert "repeats the id" in loaded.problems["zz_copy.toml"]
    assert len(loaded.profiles) == 6
