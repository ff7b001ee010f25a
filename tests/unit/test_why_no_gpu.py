"""Why networks run on the processor, in words for each computer that there may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from her2viewer.scoring.runtime.devices import devices
from her2viewer.scoring.runtime.gpu import Signs, _cards, explained, signs, why_no_gpu
from her2viewer.scoring.runtime.local import LocalRuntime
from her2viewer.scoring.working_on import WorkingOn
from her2viewer.viewer.this_computer import Held, computer_rows, kept_words, megabytes, memory_of

NVIDIA = frozenset({"nvidia"})


@pytest.mark.parametrize(
    ("found", "short", "words", "fix"),
    [
        (Signs(), "no GPU found", "none was found on this computer", ""),
        (Signs(cards=NVIDIA), "no NVIDIA driver", "its driver is not installed", "Install NVIDIA's driver"),
        (Signs(drivers=NVIDIA), "PyTorch not installed", "an NVIDIA card, but PyTorch is not", "PyTorch for CUDA"),
        (
            Signs(drivers=NVIDIA, torch="without GPU"),
            "PyTorch without CUDA",
            "the one for processors",
            "PyTorch for CUDA",
        ),
        (Signs(drivers=NVIDIA, torch="driver too old"), "GPU driver too old", "too old for the PyTorch", "Update"),
        (
            Signs(drivers=NVIDIA, torch="fails", said="out of memory"),
            "PyTorch finds no GPU",
            "cannot use it (out of memory)",
            "nvidia-smi",
        ),
        (Signs(drivers=frozenset({"amd"})), "PyTorch not installed", "an AMD card", "PyTorch for ROCm"),
        (Signs(cards=frozenset({"amd"})), "no GPU driver", "no driver for computing", ""),
        (Signs(cards=frozenset({"intel"})), "no Intel driver", "OpenVINO finds no driver", "compute runtime"),
        (Signs(apple=True), "PyTorch not installed", "a GPU of Apple's", "PyTorch for macOS"),
        # The stronger card is the one to mend.
        (Signs(cards=frozenset({"intel", "nvidia"})), "no NVIDIA driver", "NVIDIA", "NVIDIA"),
    ],
)
def test_each_reason_has_words_for_the_chip_a_sentence_and_what_to_do(
    found: Signs, short: str, words: str, fix: str
) -> None:
    told = explained(found)
    assert told.short == short
    assert told.sentence.startswith("No GPU is used: ")
    assert words in told.sentence
    assert told.sentence.endswith(".")
    assert fix in told.fix
    assert bool(told.fix) == bool(fix)


def test_who_asked_for_the_processor_is_told_so_and_nothing_is_to_be_mended() -> None:
    told = why_no_gpu("cpu", "the environment variable HER2VIEWER_DEVICE")
    assert told.short == "as chosen"
    assert told.sentence == "No GPU is used: the environment variable HER2VIEWER_DEVICE asks for CPU."
    assert told.fix == ""


def test_cards_are_known_by_the_list_of_the_system(tmp_path: Path) -> None:
    for name, kind, vendor in (("a", "0x030200", "0x10de"), ("b", "0x020000", "0x8086"), ("c", "0x030000", "0x1234")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "class").write_text(f"{kind}\n", encoding="ascii")
        (tmp_path / name / "vendor").write_text(f"{vendor}\n", encoding="ascii")
    (tmp_path / "broken").mkdir()
    # Neither the network card of Intel's nor a display that nobody computes with.
    assert _cards(tmp_path) == ["nvidia"]
    assert _cards(tmp_path / "missing") == []


def test_the_reason_on_this_computer_fits_its_devices() -> None:
    best = devices()[0]
    told = LocalRuntime().explain(best)
    assert (told is None) == (best.kind not in ("cpu", "npu"))
    if told is not None:
        assert told == explained(signs())


def test_chip_and_rows_say_device_reason_and_what_to_do() -> None:
    reason = explained(Signs(drivers=NVIDIA))
    works = WorkingOn("CPU, bf16", reason)
    assert works.chip == "CPU, bf16 (PyTorch not installed)"
    rows = dict(computer_rows(works, Held(300 << 20, None, 40 << 20)))
    assert rows["The scorer works on"] == f"CPU, bf16. {reason.sentence}"
    assert rows["To use the GPU"] == reason.fix
    assert rows["Memory of the window"] == "300 MB"
    assert "Memory of the scoring process" not in rows
    assert rows["Tiles of slides"] == f"40 MB now, {kept_words()}"
    assert WorkingOn("CUDA: RTX 4070").chip == WorkingOn("CUDA: RTX 4070").sentence == "CUDA: RTX 4070"
    assert dict(computer_rows(None, Held(None, 5 << 30, 0)))["Memory of the scoring process"] == "5.0 GB"


def test_memory_is_that_of_the_process_that_is_asked_for() -> None:
    here = memory_of()
    if here is None:
        pytest.skip("this system does not say")
    assert here > 10 << 20
    assert memory_of(2**22 + 1) is None
    assert megabytes(999 << 20) == "999 MB"
    assert megabytes(1 << 30) == "1.0 GB"
