"""The recurrent layer whose way back is written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from training.recurrence import run_gru


@pytest.fixture
def gru() -> nn.GRU:
    torch.manual_seed(0)
    return nn.GRU(5, 4, batch_first=True).double()


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, requires_grad=True)


@pytest.mark.parametrize("frames", [1, 9])
@pytest.mark.parametrize("from_silence", [False, True])
def test_it_gives_what_pytorchs_gives_and_the_same_gradients(
    gru: nn.GRU, frames: int, from_silence: bool
) -> None:
    x, initial = _drawn(3, frames, 5), None if from_silence else _drawn(1, 3, 4)
    learning = [x, *gru.parameters(), *([] if initial is None else [initial])]
    weights = torch.randn(3, frames, 4, dtype=torch.double)

    def run(states: Tensor, last: Tensor) -> list[Tensor]:
        loss = (weights * states).sum() + last.square().sum()
        return [states, last, *torch.autograd.grad(loss, learning)]

    for own, known in zip(run(*run_gru(gru, x, initial)), run(*gru(x, initial)), strict=True):
        assert own.shape == known.shape
        torch.testing.assert_close(own, known)


def test_its_gradients_are_the_differences_of_what_it_gives(gru: nn.GRU) -> None:
    arguments = _drawn(2, 3, 5), _drawn(1, 2, 4), *gru.parameters()
    assert torch.autograd.gradcheck(lambda x, initial, *_: run_gru(gru, x, initial), arguments)


def test_what_does_not_learn_has_no_gradient(gru: nn.GRU) -> None:
    gru.requires_grad_(False)
    x = _drawn(2, 3, 5)
    run_gru(gru, x)[0].sum().backward()
    assert x.grad is not None and gru.weight_hh_l0.grad is None
    assert not run_gru(gru, x.detach())[0].requires_grad
