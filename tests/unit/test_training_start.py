"""Training that begins with weights of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from her2viewer_surface.network import Classifier, Segmenter  # noqa: E402

from her2viewer.training.recipe import TrainingError  # noqa: E402
from her2viewer.training.start import read_start, start_from  # noqa: E402


def _torchvision_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of the same tensors in torchvision's densenet121."""
    return {name.replace(".layers.", "."): value for name, value in state.items()}


def test_the_segmenter_takes_the_encoder_of_torchvisions_densenet121() -> None:
    giver, taker = Segmenter(), Segmenter()
    state = _torchvision_names(giver.encoder.state_dict())
    assert "features.denseblock1.denselayer1.norm1.weight" in state
    assert start_from(taker, state, "densenet121.pth") == len(state)
    for name, value in taker.encoder.state_dict().items():
        assert torch.equal(value, giver.encoder.state_dict()[name]), name


def test_the_classifier_takes_all_of_torchvisions_resnet18_but_its_thousand_classes() -> None:
    giver, taker = Classifier(), Classifier()
    state = dict(giver.body.state_dict())
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, 512), torch.zeros(1000)
    before = taker.body.fc.weight.detach().clone()
    assert start_from(taker, state, "resnet18.pth") == len(state) - 2
    assert torch.equal(taker.body.fc.weight, before)
    assert torch.equal(taker.body.conv1.weight, giver.body.conv1.weight)


def test_both_networks_go_on_from_weights_of_their_own_kind() -> None:
    for kind in (Segmenter, Classifier):
        giver, taker = kind(), kind()
        state = giver.state_dict()
        assert start_from(taker, state, "weights.safetensors") == len(state)
        for name, value in taker.state_dict().items():
            assert torch.equal(value, state[name]), name


def test_a_segmenter_with_a_wider_decoder_gives_what_fits_and_the_rest_begins_afresh() -> None:
    giver, taker = Segmenter(), Segmenter()
    state = dict(giver.state_dict())
    wide = "decoder.blocks.0.convs.conv_0.conv.weight"
    state[wide] = torch.cat([state[wide], state[wide]])
    before = taker.state_dict()[wide].clone()
    assert start_from(taker, state, "weights.safetensors") == len(state) - 1
    after = taker.state_dict()
    assert torch.equal(after[wide], before)
    assert torch.equal(after["encoder.features.conv0.weight"], state["encoder.features.conv0.weight"])


def test_weights_of_another_network_are_refused_with_how_many_fit() -> None:
    with pytest.raises(TrainingError, match=r"cannot begin with resnet18\.pth: Only \d+ of \d+ tensors fit"):
        start_from(Segmenter(), Classifier().body.state_dict(), "resnet18.pth")


def test_a_file_with_code_in_it_is_refused_and_the_code_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save(_Evil(tmp_path / "ran"), path)
    with pytest.raises(TrainingError, match=r"evil\.pth cannot be read as weights"):
        read_start(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_state_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(TrainingError, match="no state dictionary"):
        read_start(tmp_path / "list.pth")
    with pytest.raises(TrainingError, match="There is no"):
        read_start(tmp_path / "missing.pth")


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_touch, (str(self.mark),))


def _touch(path: str) -> None:
    Path(path).touch()
