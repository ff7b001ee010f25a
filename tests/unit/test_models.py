"""Model folders: read, verified, installed and removed without torch."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from her2viewer import cli
from her2viewer.scoring.model_folder import (
    MODEL_FILE,
    WEIGHTS_FILE,
    ModelError,
    ModelFolder,
    read_model,
    weights_digest,
)
from her2viewer.scoring.model_store import find_model, install_model, installed_models, remove_model, user_models
from her2viewer.scoring.registry import ScorerEntry, available_scorers
from her2viewer.scoring.toml_text import toml_text

Maker = Callable[..., Path]


def safetensors(numbers: int) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack(f"<{numbers}f", *range(numbers))


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    def made(name: str = "trial-1", plugin: str = "cells", weights: bytes = safetensors(5)) -> Path:
        folder = tmp_path / "made" / name
        folder.mkdir(parents=True)
        (folder / WEIGHTS_FILE).write_bytes(weights)
        digest, size = weights_digest(folder / WEIGHTS_FILE)
        model = ModelFolder(
            folder,
            plugin,
            name,
            "her2viewer_cells.network:CellNet",
            0.49,
            ("a", 'b "x"'),
            digest,
            size,
            normalisation={"input": "stains"},
            metrics={"split": "test", "accuracy": 0.5},
            more={"input_px": 44},
        )
        (folder / MODEL_FILE).write_text(toml_text(model.as_toml()), encoding="utf-8")
        (folder / "card.md").write_text("# Card\n", encoding="utf-8")
        return folder

    return made


def change(folder: Path, old: str, new: str) -> None:
    path = folder / MODEL_FILE
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_what_is_written_is_read_again(make: Maker) -> None:
    model = read_model(make())
    assert (model.plugin, model.mpp, model.classes, model.more["input_px"]) == ("cells", 0.49, ("a", 'b "x"'), 44)
    assert model.metrics == {"split": "test", "accuracy": 0.5}


def test_a_folder_and_a_zip_of_it_can_be_installed_listed_and_removed(make: Maker, tmp_path: Path) -> None:
    folder = make()
    installed = install_model(folder, ["cells"])
    assert installed.folder == user_models() / "cells" / "trial-1"
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder.parent, folder.name))
    install_model(packed, ["cells"])
    mine = [m for m in installed_models() if not m.bundled]
    assert [(m.plugin, m.name, m.problem) for m in mine] == [("cells", "trial-1", None)]
    assert find_model("cells", "trial-1").sha256 == installed.sha256
    assert (installed.folder / "card.md").is_file()
    remove_model(None, "trial-1")
    assert all(m.bundled for m in installed_models())
    with pytest.raises(ModelError, match="There is no model 'trial-1'"):
        remove_model(None, "trial-1")


def test_files_that_no_model_needs_are_left_behind(make: Maker) -> None:
    folder = make()
    (folder / "setup.py").write_text("1/0")
    assert not (install_model(folder, ["cells"]).folder / "setup.py").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("version = 1", "version = 2", "format version 2"),
        ('format = "her2viewer-model"', 'format = "other"', "is no model of her2viewer"),
        ('plugin = "cells"', 'plugin = "other"', "which is not installed"),
        ("mpp = 0.49\n", "", "lacks the entry mpp"),
        ("mpp = 0.49", 'mpp = "x"', "is wrong"),
        ('name = "trial-1"', 'name = "../up"', "cannot be a model's name"),
        ('file = "weights.safetensors"', 'file = "../../x"', "weights.file must be"),
        ("size = ", "size = 1", "are damaged"),
    ],
)
def test_a_wrong_model_toml_is_refused_in_one_sentence(make: Maker, old: str, new: str, sentence: str) -> None:
    folder = make()
    change(folder, old, new)
    with pytest.raises(ModelError, match=sentence) as caught:
        install_model(folder, ["cells"])
    assert "\n" not in str(caught.value)
    assert not list(user_models().rglob("*.toml"))


def test_damaged_weights_are_refused_and_found_by_verify(make: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    installed = install_model(make(), ["cells"])
    assert cli.main(["models", "verify"]) == 0
    capsys.readouterr()
    data = bytearray(installed.weights.read_bytes())
    data[-1] ^= 1
    installed.weights.write_bytes(bytes(data))
    assert cli.main(["models", "verify", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert "sha256 differs" in answer["models"][0]["problem"]
    with pytest.raises(ModelError, match="sha256 differs"):
        find_model("cells", "trial-1")
    with pytest.raises(ModelError, match="sha256 differs"):
        install_model(installed.folder, ["cells"])


def test_weights_that_are_a_pickle_under_another_name_are_refused(make: Maker) -> None:
    import pickle

    with pytest.raises(ModelError, match="no safetensors file"):
        install_model(make(weights=pickle.dumps({"w": [1.0] * 50})), ["cells"])


def test_a_pickled_network_is_refused_by_its_kind(make: Maker, tmp_path: Path) -> None:
    folder = make()
    (folder / "weights.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"holds weights\.pt"):
        install_model(folder, ["cells"])
    bare = zipped(tmp_path / "bare.zip", {"net.ckpt": b"x"})
    with pytest.raises(ModelError, match=r"holds net\.ckpt"):
        install_model(bare, ["cells"])


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a/../../evil", "C:evil", "..\\evil"])
def test_a_zip_that_reaches_outside_is_not_unpacked(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="would write outside its folder"):
        install_model(zipped(tmp_path / "evil.zip", {name: b"x"}), ["cells"])
    assert not list(tmp_path.rglob("evil*t"))


def test_a_zip_with_a_link_or_a_broken_one_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("weights.safetensors")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="holds a link"):
        install_model(tmp_path / "link.zip", ["cells"])
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04rest")
    with pytest.raises(ModelError, match="no zip or a damaged one"):
        install_model(tmp_path / "broken.zip", ["cells"])


def test_a_broken_model_is_listed_with_its_reason(make: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    (user_models() / "cells" / "half").mkdir(parents=True)
    assert cli.main(["models"]) == 0
    said = capsys.readouterr().out
    assert "cells/half" in said
    assert "not usable" in said


def test_a_scorer_with_models_offers_those_that_fit_and_says_when_there_is_none(
    make: Maker, trial_scorers: Path
) -> None:
    usable = next(e for e in available_scorers() if e.usable and "trial" in e.package)
    scorer_id = usable.id
    manifest = usable.manifest.folder / "scorer.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text("models = true\n" + text, encoding="utf-8")

    def entry() -> ScorerEntry:
        return next(e for e in available_scorers() if e.id == scorer_id)

    lacking = entry()
    assert not lacking.usable
    assert "no trained model" in lacking.problem
    install_model(make("one", plugin=scorer_id), [scorer_id])
    install_model(make("two", plugin=scorer_id), [scorer_id])
    install_model(make("other", plugin="cells"), ["cells"])
    found = entry()
    assert found.usable
    choice = found.manifest.settings[0]
    assert (choice.id, choice.type, choice.choices) == ("model", "choice", ("one", "two"))
    assert found.manifest.complete({"model": "two"})["model"] == "two"
    with pytest.raises(ValueError, match="must be one of one, two"):
        found.manifest.complete({"model": "other"})


def test_a_scorer_of_several_networks_offers_to_each_role_the_models_of_its_architecture(
    make: Maker, trial_scorers: Path
) -> None:
    usable = next(e for e in available_scorers() if e.usable and "trial" in e.package)
    manifest = usable.manifest.folder / "scorer.toml"
    roles = [("finder", "x:Finder"), ("classer", "her2viewer_cells.network:CellNet")]
    tables = [f'[[models]]\nsetting = "{s}"\ntitle = "The {s}"\narchitecture = "{a}"\n' for s, a in roles]
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n".join(tables), encoding="utf-8")

    def entry() -> ScorerEntry:
        return next(e for e in available_scorers() if e.id == usable.id)

    install_model(make("one", plugin=usable.id), [usable.id])
    assert not entry().usable
    assert "The finder" in entry().problem
    assert "The classer" not in entry().problem
    finder = make("two", plugin=usable.id)
    change(finder, "her2viewer_cells.network:CellNet", "x:Finder")
    install_model(finder, [usable.id])
    found = entry()
    assert found.usable
    assert [(s.id, s.choices) for s in found.manifest.settings[:2]] == [("finder", ("two",)), ("classer", ("one",))]


def test_models_are_handled_without_torch() -> None:
    code = "import sys; from her2viewer import cli; cli.main(['models']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
