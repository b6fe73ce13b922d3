"""What turns gradients into steps: Muon for the matrices, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_WEIGHT_DECAY = 1e-3


class Optimizer:
    """Muon (Jordan et al., 2024) makes the update of a matrix orthogonal, so that no few directions lead: with a step's
    few clips it learns voices faster than AdamW does (docs/history.md). Nine tenths of the network's weights
    are matrices; convolutions, biases and norms are AdamW's. Updates have the same size in both, for one learning rate.

    Muon computes in bf16. Where that is emulated, a third to nine tenths of a step would go there, and matrices are
    AdamW's, too.
    """

    def __init__(self, network: nn.Module, bfloat16: bool):
        self._parameters = list(network.parameters())
        matrices = _by_part(network, lambda p: bfloat16 and p.ndim == 2)
        others = _by_part(network, lambda p: not bfloat16 or p.ndim != 2)
        self._kinds: dict[str, torch.optim.Optimizer] = {
            "others": torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY)
        }
        if matrices:
            self._kinds["matrices"] = torch.optim.Muon(
                matrices, weight_decay=_WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
            )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer in self._kinds.values():
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

    def step(self, learning_rate: float, rates: Mapping[str, float]) -> None:
        """One step by the gradients that are there; ``rates``: parts of the network that learn faster or slower, by so
        much.
        """
        for optimizer in self._kinds.values():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * rates.get(group["part"], 1)
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {name: optimizer.state_dict() for name, optimizer in self._kinds.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict``'s. Moments from the other kind of machine, or in other groups, are left: they form
        anew in a while.
        """
        groups = {name: len(optimizer.param_groups) for name, optimizer in self._kinds.items()}
        if {name: len(kind["param_groups"]) for name, kind in state.items()} != groups:
            return
        for name, optimizer in self._kinds.items():
            optimizer.load_state_dict(state[name])


def _by_part(network: nn.Module, wanted: Callable[[nn.Parameter], bool]) -> list[dict[str, Any]]:
    """A parameter group for each part of the network that has any of the wanted ones."""
    chosen = {
        part: [p for p in module.parameters() if wanted(p)] for part, module in network.named_children()
    }
    return [{"params": parameters, "part": part} for part, parameters in chosen.items() if parameters]
