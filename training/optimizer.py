"""What turns gradients into steps: Muon for the matrices, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

_WEIGHT_DECAY = 1e-3


class Optimizer:
    """Muon (Jordan et al., 2024) makes the update of a matrix orthogonal, so that no few directions lead: with a step's
    few clips it learns voices faster than AdamW does (training/EXPERIMENTS.md). Nine tenths of the network's weights
    are matrices; convolutions, biases and norms are AdamW's. Updates have the same size in both, for one learning rate.

    Muon computes in bf16. Where that is emulated, a third to nine tenths of a step would go there, and matrices are
    AdamW's, too.
    """

    def __init__(self, network: nn.Module, bfloat16: bool):
        self._parameters = list(network.parameters())
        matrices = [p for p in self._parameters if bfloat16 and p.ndim == 2]
        others = [p for p in self._parameters if not bfloat16 or p.ndim != 2]
        self._parts: dict[str, torch.optim.Optimizer] = {
            "others": torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY)
        }
        if matrices:
            self._parts["matrices"] = torch.optim.Muon(
                matrices, weight_decay=_WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
            )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer in self._parts.values():
            optimizer.zero_grad(set_to_none=True)

    def clip(self, limit: float) -> Tensor:
        """Scale the gradients down to a common norm of at most ``limit``; the norm before, a scalar.

        Where it is no finite number, all gradients become zero: a rare scene of all but silence must not end a run.
        """
        norm = nn.utils.clip_grad_norm_(self._parameters, limit)
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0, 0, 0)
        return norm.detach()

    def step(self, learning_rate: float) -> None:
        """One step by the gradients that are there."""
        for optimizer in self._parts.values():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {name: optimizer.state_dict() for name, optimizer in self._parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict``'s. Moments from the other kind of machine are left: they form anew in a while."""
        if state.keys() != self._parts.keys():
            return
        for name, optimizer in self._parts.items():
            optimizer.load_state_dict(state[name])
