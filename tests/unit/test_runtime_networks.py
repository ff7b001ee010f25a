"""Networks on OpenVINO: the answers of torch, at any number of images, with and without a cache."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.scoring.contract import Cancelled, ScorerError
from her2viewer.scoring.model_folder import ModelFolder, verify_model
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.scoring.runtime.devices import Device, devices, openvino_core, pick_device
from her2viewer.scoring.runtime.kept import Kept
from her2viewer.scoring.runtime.networks import Loaded, load_network, make_network
from her2viewer.scoring.runtime.trial import better, trial_images
from tests.helpers.made_models import made_model

for needed in ("torch", "safetensors", "onnx", "onnxscript", "openvino"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: networks are not tested")

CPU = Device("cpu", "CPU")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """CellNet with a graph; in full precision, so that its answers are those of torch."""
    return made_model(tmp_path_factory.mktemp("models") / "cellnet", bf16=False)


@pytest.fixture(scope="module")
def network(model: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return make_network(model, CPU, 2, Kept(tmp_path_factory.mktemp("kept")))


def go_on() -> None:
    pass


def by_torch(model: ModelFolder, images: np.ndarray) -> np.ndarray:
    """An independent way: torch on the processor, input scaled in NumPy."""
    import torch

    from her2viewer.scoring.runtime.torch_network import build_module

    x = images.astype(np.float64) / (255 if images.dtype == np.uint8 else 1)
    x = (x - model.normalisation["offset"]) * model.normalisation["scale"]
    with torch.inference_mode():
        return build_module(model)(torch.from_numpy(x.astype(np.float32).transpose(0, 3, 1, 2))).numpy()


def noise(count: int, seed: int = 0, dtype: type = np.uint8, side: int = 44, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == np.uint8:
        return rng.integers(0, 256, (count, side, side, channels), np.uint8)
    return rng.random((count, side, side, channels), np.float32)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 90), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from([np.uint8, np.float32]))
def test_any_number_of_images_gets_the_answers_of_torch(
    model: ModelFolder, network: Loaded, count: int, seed: int, dtype: type
) -> None:
    images = noise(count, seed, dtype)
    answer = network.run(images, go_on)
    assert answer.shape == (count, 8)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, by_torch(model, images), atol=1e-3)


def test_no_images_get_no_answers(network: Loaded) -> None:
    assert network.run(noise(0), go_on).shape == (0, 8)


def test_half_precision_weights_and_a_model_without_a_graph_run_as_well(tmp_path: Path) -> None:
    for half in (False, True):
        for graph in (False, True):
            made = made_model(tmp_path / f"{half}{graph}", half=half, graph=graph, bf16=False)
            verify_model(made)
            assert (made.graph is not None) == graph
            images = noise(5)
            answer = LocalRuntime(2).network(made)(images)
            np.testing.assert_allclose(answer, by_torch(made, images), atol=1e-3)


def test_a_network_with_answers_for_each_pixel_keeps_their_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mask_networks.py").write_text(
        "from torch import nn\n"
        "class Masks(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(3, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    made = made_model(
        tmp_path / "m", architecture="mask_networks:Masks", side=300, offset=(0.5,) * 3, scale=(2.0,) * 3, bf16=False
    )
    images = noise(3, side=300, channels=3)
    answer = LocalRuntime(2).network(made)(images)
    assert answer.shape == (3, 2, 300, 300)
    np.testing.assert_allclose(answer, by_torch(made, images), atol=1e-3)


def test_images_of_another_size_or_type_are_refused_in_words(network: Loaded) -> None:
    with pytest.raises(ValueError, match=r"\(n, 44, 44, 2\), not \(1, 40, 44, 2\)"):
        network.run(np.zeros((1, 40, 44, 2), np.uint8), go_on)
    with pytest.raises(ValueError, match="uint8 or float32, not float64"):
        network.run(np.zeros((1, 44, 44, 2)), go_on)


def test_a_cancel_ends_a_long_call_and_the_network_serves_the_next_run(model: ModelFolder) -> None:
    flag = threading.Event()
    runtime = LocalRuntime(2, flag)
    network = runtime.network(model)
    images = noise(64)
    endless = np.repeat(images, 400, axis=0)
    threading.Timer(0.2, flag.set).start()
    with pytest.raises(Cancelled):
        network(endless)
    again = LocalRuntime(2).network(model)
    np.testing.assert_allclose(again(images), by_torch(model, images), atol=1e-3)


def test_the_images_of_each_network_and_the_time_of_each_stage_are_counted(model: ModelFolder) -> None:
    runtime = LocalRuntime(2)
    network = runtime.network(model)
    network(noise(5))
    network(noise(7))
    with runtime.timed("Reading", 1000):
        pass
    assert runtime.spent["fresh"].items == 12
    assert runtime.spent["fresh"].seconds > 0
    assert runtime.spent["Reading"].items == 1000
    assert (network.device, network.precision) == ("CPU", "fp32")
    assert network.batch >= 1


def test_a_damaged_or_foreign_cache_is_made_anew_and_gives_the_same_answers(
    model: ModelFolder, tmp_path: Path
) -> None:
    images = noise(6)
    expected = make_network(model, CPU, 2, Kept(tmp_path)).run(images, go_on)
    files = [p for p in tmp_path.iterdir() if p.suffix == ".blob"]
    assert files
    for content in (b"", b"x" * 100, files[0].read_bytes()[:-1], b"\0" * 40 + files[0].read_bytes()[40:]):
        for path in files:
            path.write_bytes(content)
        np.testing.assert_array_equal(make_network(model, CPU, 2, Kept(tmp_path)).run(images, go_on), expected)
        assert all(Kept(tmp_path).data(p.name) for p in files)


def test_what_openvino_refuses_though_it_is_whole_is_made_anew(model: ModelFolder, tmp_path: Path) -> None:
    images = noise(6)
    expected = make_network(model, CPU, 2, Kept(tmp_path)).run(images, go_on)
    for path in tmp_path.glob("*.blob"):
        Kept(tmp_path).keep(path.name, b"written by another build")
    np.testing.assert_array_equal(make_network(model, CPU, 2, Kept(tmp_path)).run(images, go_on), expected)


def test_without_a_folder_to_write_to_networks_run_all_the_same(model: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made under this")
    images = noise(3)
    answer = make_network(model, CPU, 2, Kept(tmp_path / "file" / "networks")).run(images, go_on)
    np.testing.assert_allclose(answer, by_torch(model, images), atol=1e-3)


def test_the_cache_drops_its_oldest_files_before_it_grows_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setattr("her2viewer.scoring.runtime.kept.MOST_BYTES", 3000)
    kept = Kept(tmp_path)
    for number in range(4):
        kept.keep(f"f{number}", bytes([number]) * 900)
        if (tmp_path / f"f{number}").exists():
            os.utime(tmp_path / f"f{number}", (number, number))
    assert [kept.data(f"f{n}") is not None for n in range(4)] == [False, True, True, True]


def test_a_network_stays_loaded_from_run_to_run(model: ModelFolder) -> None:
    assert load_network(model, CPU, 2) is load_network(model, CPU, 2)
    assert load_network(model, CPU, 2) is not load_network(model, CPU, 1)


def test_less_precision_is_taken_only_where_the_model_allows_it(tmp_path: Path) -> None:
    core = openvino_core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor does not know bf16")
    allowed = made_model(tmp_path / "a", bf16=True)
    kept = Kept(tmp_path / "kept")
    chosen = make_network(allowed, CPU, 2, kept)
    (note,) = [kept.note(p.name) for p in kept.folder.glob("*-precision.json")]
    (found,) = note.values()
    assert found["precision"] == chosen.precision
    assert found["found"]["bf16"]["agreement"] > 0.9
    # The trial is made once: what was noted holds.
    name = next(kept.folder.glob("*-precision.json")).name
    for precision in ("bf16", "fp32"):
        kept.keep_note(name, {where: {**found, "precision": precision} for where in note})
        assert make_network(allowed, CPU, 2, kept).precision == precision
    forbidden = made_model(tmp_path / "b", bf16=False)
    assert make_network(forbidden, CPU, 2, Kept(tmp_path / "other")).precision == "fp32"


def test_another_opinion_is_never_taken_for_the_sake_of_speed(model: ModelFolder, tmp_path: Path) -> None:
    other = make_network(made_model(tmp_path / "other", seed=2, bf16=False), CPU, 2, Kept(tmp_path / "k"))
    own = make_network(model, CPU, 2, Kept(tmp_path / "k"))
    taken, found = better(own, other, trial_images(model))
    assert not taken
    assert found["agreement"] < 0.9
    assert better(own, own, trial_images(model))[1]["agreement"] == 1.0


def test_trial_images_are_tissue_of_the_sample_for_rgb_and_the_same_each_time(tmp_path: Path) -> None:
    model = ModelFolder(
        tmp_path, "p", "n", "m:C", 1.0, (), "0" * 64, 1,
        normalisation={"offset": [0, 0, 0], "scale": [1, 1, 1]}, more={"input_px": 64},
    )  # fmt: skip
    images = trial_images(model)
    assert images.shape == (256, 64, 64, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, trial_images(model))
    # Brown on white, as DAB is: red above blue on average.
    assert images[..., 0].mean() > images[..., 2].mean()


def test_a_device_that_is_not_there_is_a_sentence_that_says_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {d.kind for d in devices()}
    missing = next(kind for kind in ("mps", "npu", "cuda", "gpu") if kind not in there)
    with pytest.raises(ScorerError, match=r"was asked for and is not there; networks can run on .*CPU"):
        pick_device(missing)
    with pytest.raises(ScorerError, match="There is no device 'tpu'; choose one of auto"):
        pick_device("tpu")
    assert pick_device("cpu") == CPU
    monkeypatch.setenv("HER2VIEWER_DEVICE", " CPU")
    runtime = LocalRuntime()
    assert runtime.wish == "cpu"
    runtime.prefer("gpu")
    assert runtime.wish == "gpu"


def test_a_model_that_does_not_say_its_input_is_a_sentence(model: ModelFolder) -> None:
    from dataclasses import replace

    with pytest.raises(ScorerError, match="does not say how its input is scaled"):
        make_network(replace(model, normalisation={}), CPU, 1, Kept(Path("/nowhere")))
    with pytest.raises(ScorerError, match="does not say the size of its input"):
        make_network(replace(model, more={}), CPU, 1, Kept(Path("/nowhere")))


def test_what_does_not_fit_into_the_memory_of_a_gpu_is_halved_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from her2viewer.scoring.runtime.torch_network import TorchNetwork

    (tmp_path / "greedy_networks.py").write_text(
        "import torch\n"
        "class Greedy(torch.nn.Module):\n"
        "    most = 3\n"
        "    def forward(self, x):\n"
        "        if len(x) > self.most:\n"
        "            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')\n"
        "        return x.mean(dim=(2, 3))\n"
        "class Hopeless(Greedy):\n"
        "    most = 0\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    greedy = made_model(tmp_path / "g", architecture="greedy_networks:Greedy", graph=False, scale=(1.0, 1.0))
    network = TorchNetwork(greedy, "cpu")
    images = noise(50, dtype=np.float32)
    np.testing.assert_allclose(
        network.run(images, go_on), images.mean(axis=(1, 2)) - greedy.normalisation["offset"], atol=1e-5
    )
    assert 1 < network.batch <= 3
    hopeless = made_model(tmp_path / "h", architecture="greedy_networks:Hopeless", graph=False)
    with pytest.raises(ScorerError, match="memory of the GPU is too small for the network"):
        TorchNetwork(hopeless, "cpu").run(images, go_on)


def test_weights_of_another_network_or_a_missing_plugin_are_sentences(tmp_path: Path) -> None:
    from dataclasses import replace

    bare = made_model(tmp_path / "m", graph=False)
    missing = replace(bare, architecture="a_plugin_nobody_has.network:Net")
    with pytest.raises(ScorerError, match="Install the plugin that the model belongs to"):
        make_network(missing, CPU, 1, Kept(tmp_path / "k"))
    other = replace(bare, architecture="torch.nn:Identity")
    with pytest.raises(ScorerError, match="do not fit the network"):
        make_network(other, CPU, 1, Kept(tmp_path / "k"))


BLOCKED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "safetensors"}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
import importlib.util
real = importlib.util.find_spec
def find_spec(name, package=None):
    return None if name in {"torch", "onnx", "safetensors"} else real(name, package)
importlib.util.find_spec = find_spec
"""


def run_without_torch(model: ModelFolder) -> subprocess.CompletedProcess[str]:
    code = BLOCKED + (
        "from pathlib import Path\nimport numpy as np\n"
        "from her2viewer.scoring.model_folder import read_model, verify_model\n"
        "from her2viewer.scoring.runtime import LocalRuntime\n"
        f"model = read_model(Path({str(model.folder)!r}))\nverify_model(model)\n"
        "images = np.random.default_rng(0).integers(0, 256, (4, 44, 44, 2), np.uint8)\n"
        "answer = LocalRuntime(1).network(model)(images)\n"
        "print(' '.join(f'{v:.6f}' for v in answer.ravel()))\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


def test_a_model_with_a_graph_runs_where_torch_is_not_installed(model: ModelFolder, tmp_path: Path) -> None:
    done = run_without_torch(model)
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.split(), np.float32).reshape(4, 8)
    np.testing.assert_allclose(found, by_torch(model, noise(4)), atol=1e-3)
    lacking = run_without_torch(made_model(tmp_path / "bare", graph=False))
    assert lacking.returncode != 0
    assert "has to be converted once, which needs torch and safetensors: pip install" in lacking.stderr


def test_the_window_imports_neither_openvino_nor_torch() -> None:
    code = (
        "import sys, her2viewer.viewer.main_window, her2viewer.viewer.scoring_watcher\n"
        "from her2viewer.scoring.registry import available_scorers\navailable_scorers()\n"
        "print(sorted({'openvino', 'torch', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_graph_that_answers_otherwise_than_torch_is_not_left_with_the_model(tmp_path: Path) -> None:
    import torch

    from her2viewer.scoring.runtime.torch_network import network_of
    from her2viewer.training.graph import write_graph

    model = made_model(tmp_path / "m", graph=False)
    torch.manual_seed(99)
    # The graph is of these weights, the file beside it holds others.
    assert not write_graph(network_of(model.architecture), model.folder, 2, 44)
    assert model.graph is None
