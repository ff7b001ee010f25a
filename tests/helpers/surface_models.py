"""Two small networks in the place of those of ``surface``: model folders like any other, whose answers are known."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from her2viewer.scoring.model_folder import MODEL_FILE, WEIGHTS_FILE, ModelFolder, weights_digest
from her2viewer.scoring.model_store import user_models
from her2viewer.scoring.toml_text import toml_text

REACH = 33
"""Side of what the small segmenter averages over, px."""
DARK = 0.03
"""Mean darkness (1 - grey) from which it says tumour."""
BROWN = (0.002, 0.04, 0.09)
"""Mean red less blue of a patch from which the small classifier says 1+, 2+, 3+."""
STEEP = 200.0


def install(alphas: tuple[float, ...] | None = None) -> Path:
    """Put both among the user's models; returns the folder that holds them."""
    root = user_models() / "surface"
    shutil.copytree(_made(alphas), root, dirs_exist_ok=True)
    return root


@cache
def _made(alphas: tuple[float, ...] | None) -> Path:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    nn = torch.nn

    class Segmenter(nn.Module):
        """Tumour where the surroundings are dark."""

        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Conv2d(3, 1, 1)
            self.blur = nn.Conv2d(1, 1, REACH, padding=REACH // 2, padding_mode="replicate", bias=False)
            with torch.no_grad():
                self.mix.weight.fill_(-1 / 3)
                self.mix.bias.fill_(1.0)
                self.blur.weight.fill_(1 / REACH**2)

        def forward(self, x):
            found = STEEP * (self.blur(self.mix(x)) - DARK)
            return torch.cat([torch.zeros_like(found), found], dim=1)

    class Classifier(nn.Module):
        """Class by how brown a patch is on the mean: each class is likeliest between its limits."""

        def __init__(self) -> None:
            super().__init__()
            self.steps = nn.Linear(1, 4)
            with torch.no_grad():
                slopes = torch.arange(4, dtype=torch.float32)
                self.steps.weight.copy_(STEEP * slopes[:, None])
                self.steps.bias.copy_(-STEEP * torch.tensor([0.0, *torch.cumsum(torch.tensor(BROWN), 0)]))

        def forward(self, x):
            mean = x.mean(dim=(2, 3))
            return 1.0 + self.steps(mean[:, :1] - mean[:, 2:])

    root = Path(tempfile.mkdtemp(prefix="her2viewer-test-models-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    _write(root / "segmenter", Segmenter(), 256, ("other", "invasive tumour"), {})
    finished = {} if alphas is None else {"finished": {"alphas": list(alphas)}}
    _write(root / "classifier", Classifier(), 64, ("0", "1+", "2+", "3+"), finished)
    return root


def _write(folder: Path, network, pixels: int, classes: tuple[str, ...], more: dict[str, object]) -> None:
    from safetensors.torch import save_file

    from her2viewer.training.graph import write_graph

    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, str(folder / WEIGHTS_FILE))
    assert write_graph(network, folder, 3, pixels)
    digest, size = weights_digest(folder / WEIGHTS_FILE)
    model = ModelFolder(
        folder,
        "surface",
        folder.name,
        f"her2viewer_surface.network:{folder.name.capitalize()}",
        1.0,
        classes,
        digest,
        size,
        normalisation={"input": "rgb_on_glass", "offset": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0]},
        more={"recipe": folder.name, "input_px": pixels, "bf16": False, **more},
    )
    (folder / MODEL_FILE).write_text(toml_text(model.as_toml()), encoding="utf-8")
