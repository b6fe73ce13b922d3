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

SHIPPED = "linear-dynamic-conv-weights"
"""Of those within the size bar the nearest to fp32, and the fastest on both runtimes: see the report."""
