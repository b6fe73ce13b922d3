"""A recurrent layer whose way back is written out, for processors: much faster there than PyTorch's own.

PyTorch records each operation of each frame and goes back through them one by one, with a product for each frame's part
in the gradient of the matrix. Here what does not depend on the frame after it is computed for all frames at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def run_gru(gru: nn.GRU, x: Tensor, initial: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What ``gru(x, initial)`` gives, and the same gradients; for one layer in one direction, the batch first.

    ``x``: (batch, frame, input). ``initial``: (1, batch, size); None for zeros. Returns the state after each frame,
    (batch, frame, size), and after the last, (1, batch, size).
    """
    layer: Any = gru
    state = x.new_zeros(len(x), gru.hidden_size) if initial is None else initial[0]
    driving = F.linear(x.transpose(0, 1), layer.weight_ih_l0, layer.bias_ih_l0)
    states = _Recurrence.apply(driving, state, layer.weight_hh_l0, layer.bias_hh_l0)
    return states.transpose(0, 1), states[-1:]


class _Recurrence(torch.autograd.Function):
    """All states of a gated recurrent unit (Cho et al., arXiv 1406.1078), as PyTorch defines it.

    ``i`` comes from the input of a frame and ``a = W h + b`` from the state ``h`` before it, each for the reset ``r =
    sigmoid(i_r + a_r)``, the update ``z = sigmoid(i_z + a_z)`` and the candidate ``n = tanh(i_n + r a_n)``. The state
    becomes ``n + z (h - n)``.
    """

    @staticmethod
    def forward(ctx: Any, driving: Tensor, initial: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """``driving``: ``i`` of all three, (frame, batch, 3 size). ``initial``: (batch, size). ``weight``: (3 size,
        size). ``bias``: (3 size,). Returns (frame, batch, size).
        """
        frames, batch, _ = driving.shape
        size = len(bias) // 3
        known = driving + bias
        known[..., 2 * size :] = bias[2 * size :]  # of the candidate, ``i`` comes after the reset
        gates = torch.empty_like(known)  # r, z, a_n
        candidates, states = (
            driving.new_empty(frames, batch, size),
            driving.new_empty(frames + 1, batch, size),
        )
        states[0] = initial
        transposed = weight.t().contiguous()  # with so few rows a product is much faster so
        for add, gate, outer, candidate, state, following in zip(
            known, gates, driving[..., 2 * size :], candidates, states, states[1:], strict=False
        ):
            torch.addmm(add, state, transposed, out=gate)
            gate[:, : 2 * size].sigmoid_()
            reset, update, inner = gate.split(size, dim=1)
            torch.addcmul(outer, reset, inner, out=candidate).tanh_()
            torch.lerp(candidate, state, update, out=following)
        ctx.save_for_backward(gates, candidates, states, weight)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of what ``forward`` takes, from the loss's ``gradient`` with regard to what it returns."""
        gates, candidates, states, weight = ctx.saved_tensors
        size = weight.shape[1]
        reset, update, inner = gates.split(size, dim=2)
        # Of a state with regard to what r, z and n are made of.
        by_n = (1 - update) * (1 - candidates.square())
        by_r, by_z = by_n * inner * reset * (1 - reset), (states[:-1] - candidates) * update * (1 - update)
        by_a = torch.stack([by_r, by_z, by_n * reset], dim=2)  # (frame, batch, 3, size)
        of_states = torch.cat([torch.zeros_like(states[:1]), gradient])
        of_a = torch.empty_like(gates)
        for frame in reversed(range(len(gradient))):
            of_state = of_states[frame + 1]
            torch.mul(by_a[frame], of_state[:, None], out=of_a[frame].unflatten(1, (3, size)))
            of_states[frame].addcmul_(of_state, update[frame]).addmm_(of_a[frame], weight)
        of_weight = of_a.flatten(0, 1).t() @ states[:-1].flatten(0, 1)
        of_driving = of_a.clone()
        of_driving[..., 2 * size :] = of_states[1:] * by_n
        return of_driving, of_states[0], of_weight, of_a.sum((0, 1))
