"""The cross-entropy in chunks equals the formula: loss and every gradient."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model.network import cross_entropy
from model.network.cross_entropy import plain_cross_entropy, weighted_cross_entropy

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
UNUSED = 3  # rows of the word table beyond the vocabulary


def outcome(function, dtype: torch.dtype, weights: Tensor, rows: int = 37, classes: int = 64):
    """Loss and gradients of hidden vectors, word table and bias, on a GPU where there is one."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(DEVICE, dtype).requires_grad_()

    hidden, words, bias = random(rows, 16), random(classes, 16), random(classes - UNUSED)
    labels = torch.randint(classes - UNUSED, (rows,), generator=generator).to(DEVICE)
    logits = functional.linear(hidden, words, functional.pad(bias, (0, UNUSED), value=-torch.inf))
    loss = function(logits, labels, weights.to(DEVICE))
    (loss * 0.3).backward()
    return loss.detach().cpu(), *(tensor.grad.cpu() for tensor in (hidden, words, bias))


@pytest.mark.parametrize("chunk", [1, 64 * 5, 2**19])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_loss_and_gradients_are_those_of_the_formula(monkeypatch, dtype, tolerance, chunk):
    for size in ("CHUNK", "GPU_CHUNK"):
        monkeypatch.setattr(cross_entropy, size, chunk)
    weights = (torch.arange(37) % 3 != 0).float()  # slots 0, 3, ... are unused
    expected = outcome(plain_cross_entropy, dtype, weights)
    found = outcome(weighted_cross_entropy, dtype, weights)
    assert found[0].dtype == torch.float32
    assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-6)
    for ours, formula in zip(found[1:], expected[1:], strict=True):
        assert ours.dtype == dtype
        scale = formula.float().abs().max()
        assert (ours.float() - formula.float()).abs().max() <= tolerance * scale
    assert found[1][::3].abs().max() == 0  # of unused slots
    assert found[2][-UNUSED:].abs().max() == 0  # of unused words


@pytest.mark.parametrize("rows", [0, 5])
def test_without_used_slots_loss_and_gradients_are_zero(rows):
    loss, *gradients = outcome(weighted_cross_entropy, torch.float32, torch.zeros(rows), rows)
    assert loss.item() == 0
    assert all((gradient == 0).all() for gradient in gradients)


def test_a_hopeless_label_has_a_finite_loss():
    logits = torch.tensor([[0.0, 500.0]], requires_grad=True)
    loss = weighted_cross_entropy(logits, torch.tensor([0]), torch.ones(1))
    loss.backward()
    assert loss.item() == 500
    assert logits.grad.tolist() == [[-1, 1]]


def test_a_loss_that_is_not_finite_stays_so():
    logits = torch.tensor([[0.0, torch.nan]], requires_grad=True)
    assert weighted_cross_entropy(logits, torch.tensor([0]), torch.ones(1)).isnan()


def test_without_gradients_the_loss_is_the_formula():
    logits, labels, weights = torch.randn(7, 5), torch.arange(7) % 5, torch.rand(7)
    expected = plain_cross_entropy(logits, labels, weights)
    assert torch.equal(weighted_cross_entropy(logits, labels, weights), expected)
