"""How a model is brought to int8, as data: which layers, and what becomes of their weights and inputs.

A recipe says the same for both formats. The four ways to treat a kind of layer:

- ``float``: as it was.
- ``weights``: int8 weights, one scale per output channel; arithmetic in float.
- ``dynamic``: int8 weights and arithmetic; the range of the input is measured in every frame.
- ``static``: int8 weights and arithmetic; the range of the input is fixed beforehand, by calibration.

Whatever is not a fully connected layer or a convolution with trained weights stays in float. That holds for
the mask, whose two fixed convolutions carry the signal itself, and for the compression of the spectrum, whose
roots and powers the int8 kernels of TFLite refuse or spoil.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Treatment = Literal["float", "weights", "dynamic", "static"]


@dataclass(frozen=True)
class Recipe:
    """What happens to each kind of layer. ``keep`` names layers that stay in float all the same."""

    name: str
    linear: Treatment
    convolution: Treatment
    keep: tuple[str, ...] = ()
    """Beginnings of layer names, as in the network: ``decoder4.expand``."""

    def keeps(self, layer: str) -> bool:
        """Whether this layer stays in float whatever its kind."""
        return layer.startswith(("mask", *self.keep))

    @property
    def precision(self) -> str:
        """What files of this recipe are named after: ``int8-weights`` if nothing is calculated in int8."""
        return "int8" if {"dynamic", "static"} & {self.linear, self.convolution} else "int8-weights"


FIRST_AND_LAST = ("mic1", "decoder4.expand")

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("linear-dynamic", "dynamic", "float"),
        Recipe("weights-only", "weights", "weights"),
        Recipe("linear-dynamic-conv-weights", "dynamic", "weights"),
        Recipe("linear-dynamic-conv-dynamic", "dynamic", "dynamic"),
        Recipe("linear-dynamic-conv-dynamic-but-ends", "dynamic", "dynamic", FIRST_AND_LAST),
        Recipe("linear-dynamic-conv-static", "dynamic", "static"),
        Recipe("linear-dynamic-conv-static-but-ends", "dynamic", "static", FIRST_AND_LAST),
        Recipe("static", "static", "static"),
    )
}

SHIPPED = {
    ".onnx": ("linear-dynamic-conv-weights",),
    ".tflite": ("linear-dynamic-conv-weights", "weights-only"),
}
"""What ships, by format; why is in the report of ``python -m studies int8-recipes``.

Convolutions are calculated in float. LiteRT would be a fifth faster with int8 arithmetic in all but the first and the
last (ONNX Runtime and tflite-runtime would not), but its int8 convolutions round differently on different processors:
on an emulated Cortex-A53 samples were up to 2e-3 of the largest away from those of x86, 2e-4 without (``python -m
studies.emulated_arm``).
tflite-runtime 2.14 leaves every int8 layer, dynamic or static, to kernels that are slower than its float ones, so that
nothing that is calculated in int8 can be as fast there as fp32: it is given weights to restore when it loads.
"""
