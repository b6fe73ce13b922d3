"""Moving what NumPy decides to where PyTorch computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_device(values: Any, device: torch.device) -> Tensor:
    """An array on a device, without waiting for it: floats in single precision, integers and truth values as they are.

    A GPU is given work ahead of time; copying to it from ordinary memory would first wait for all of that work.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
