"""Losses and stages of weak supervision (paper 001, Eq. 1, 2, 15), values by hand and gradients by autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

torch = pytest.importorskip("torch")

from her2viewer_surface.weak import OVER, UNDER, choose, neighbours, partial_label_loss, weak_loss  # noqa: E402


def test_the_partial_label_loss_of_a_case_done_by_hand() -> None:
    # Of (.2, .4, .3, .1) 1 and 3 are admissible: outside lies .5, half of it each, so the label is (0, .65, 0, .35).
    p = torch.tensor([[0.2, 0.4, 0.3, 0.1]])
    got = partial_label_loss(p.log(), torch.tensor([[False, True, False, True]]))
    assert got.item() == pytest.approx(-(0.65 * math.log(0.4) + 0.35 * math.log(0.1)), abs=1e-6)


def test_the_loss_is_the_entropy_where_every_class_is_admissible() -> None:
    p = torch.tensor([[0.2, 0.4, 0.3, 0.1]])
    entropy = -(p * p.log()).sum().item()
    assert partial_label_loss(p.log(), torch.ones(1, 4, dtype=torch.bool)).item() == pytest.approx(entropy, abs=1e-6)


@given(
    arrays(np.float32, (5, 4), elements=st.floats(-6, 6, width=32)),
    st.lists(st.integers(1, 14), min_size=5, max_size=5),
)
def test_the_gradient_pushes_all_admissible_classes_alike(raw: np.ndarray, bits: list[int]) -> None:
    logits = torch.tensor(raw, requires_grad=True)
    admissible = torch.tensor([[bool(b >> k & 1) for k in range(4)] for b in bits])
    partial_label_loss(logits, admissible).sum().backward()
    assert logits.grad is not None
    for gradient, allowed, scores in zip(logits.grad, admissible, logits.detach(), strict=True):
        p = torch.softmax(scores, 0)
        outside = float(p[~allowed].sum())
        # Each admissible class gets the same push, together as much as the others are pushed down.
        np.testing.assert_allclose(gradient[allowed].numpy(), -outside / int(allowed.sum()), atol=2e-6)
        np.testing.assert_allclose(gradient[~allowed].numpy(), p[~allowed].numpy(), atol=2e-6)


def _equations(logits: np.ndarray, admissible: set[int]) -> float:
    """Eq. 1 and 2 as they are printed, in double precision and loops."""
    e = [math.exp(float(v)) for v in logits]
    y_hat = [v / sum(e) for v in e]
    y_bar = [0.0] * 4
    for j in admissible:
        y_bar[j] = y_hat[j] + sum(y_hat[k] for k in range(4) if k not in admissible) / len(admissible)
    return sum(-y_bar[j] * math.log(y_hat[j]) for j in range(4))


@given(
    arrays(np.float32, (6, 4), elements=st.floats(-5, 5, width=32)),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([UNDER, OVER])), min_size=6, max_size=6),
)
def test_the_loss_of_a_batch_is_what_the_equations_say(raw: np.ndarray, what: list[tuple[int, int]]) -> None:
    target = torch.tensor([t for t, _ in what])
    group = torch.tensor([g for _, g in what])
    got = weak_loss(torch.tensor(raw), target, group).item()
    expected = []
    for logits, (grade, kind) in zip(raw, what, strict=True):
        if kind == OVER:
            expected.append(_equations(logits, {k for k in (grade - 1, grade + 1) if 0 <= k <= 3}))
        else:
            expected.append(math.log(sum(math.exp(float(v)) for v in logits)) - float(logits[grade]))
    assert got == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_neighbours_stay_within_the_four_classes() -> None:
    got = neighbours(torch.tensor([0, 1, 2, 3])).int().tolist()
    assert got == [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


class _Asked:
    """A chooser with two slides, 1+ and unknown."""

    epoch = 0
    label = np.array([1] * 4 + [-1] * 2)
    slide = np.array([0] * 4 + [1] * 2)
    weight = np.array([0.25, 0.25, 0.25, 0.25, 0.5, 0.5], np.float32)

    def probabilities(self) -> np.ndarray:
        p = np.full((6, 4), 0.1, np.float32)
        p[:, 0] = 0.7
        p[3] = [0.1, 0.2, 0.6, 0.1]
        return p


def test_a_stage_chooses_from_slides_with_a_known_score_alone() -> None:
    choice = choose(_Asked())
    found = sorted(zip(choice.indices.tolist(), choice.targets.tolist(), choice.groups.tolist(), strict=True))
    # Patch 3 is a quarter too much of 2+, and the neighbour most probable for the missing 1+.
    assert found == [(3, 1, UNDER), (3, 2, OVER)]


@pytest.mark.parametrize("keep", [True, False])
def test_normalisation_keeps_its_statistics_where_the_stage_says_so(keep: bool) -> None:
    from dataclasses import replace

    from her2viewer_surface.recipes_classifier import CLASSIFIER

    from her2viewer.training.fit import to_train

    weak = CLASSIFIER.stages[1]
    assert weak.keep_statistics
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5))
    network.eval()
    to_train(network, replace(weak, keep_statistics=keep))
    before = network[1].running_mean.clone()
    network(torch.ones(2, 3, 8, 8)).sum().backward()
    assert torch.equal(network[1].running_mean, before) == keep
    assert network[2].training
    assert network[1].weight.grad is not None, "its weights are trained all the same"
