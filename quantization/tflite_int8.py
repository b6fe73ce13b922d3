"""A recipe applied to a TFLite file, in the environment of ``export/requirements-tflite.txt``."""

from __future__ import annotations

import re
from pathlib import Path

from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils import qsv_utils, tfl_flatbuffer_utils

from edge_pse.model import Model
from quantization.calibration import calibration_inputs
from quantization.recipes import Recipe, Treatment

SIGNATURE = "serving_default"
LINEAR, CONVOLUTION = qtyping.TFLOperationName.FULLY_CONNECTED, qtyping.TFLOperationName.CONV_2D
# A component of an operator's scope is the class of a module and the attribute that holds it:
# pkg.Linear_of_input.
MODULE = re.compile(r"[\w.]+\.[A-Z][A-Za-z0-9]*_(\w+)")


def quantize_tflite(source: Path, recipe: Recipe, target: Path) -> None:
    """Write the fp32 file ``source`` as int8 to ``target``, without a contract."""
    work = quantizer.Quantizer(str(source))
    treatments = {LINEAR: recipe.linear, CONVOLUTION: recipe.convolution}
    for operation, scope, layer in _layers(source):
        if not recipe.keeps(layer):
            _add_rule(work, f"^{re.escape(scope)}$", operation, treatments[operation])
    ranges = _calibrate(source, work) if "static" in treatments.values() else None
    target.unlink(missing_ok=True)
    work.quantize(
        ranges, serialize_to_path=str(target), enable_progress_report=False, enable_progress_bar=False
    )
    _tidy(target, source)


def _tidy(path: Path, source: Path) -> None:
    """Take out the names of inner tensors, a twentieth of the file (the signature has its own), and put the float
    outputs back: the quantizer replaces one that goes on into an int8 layer with the input of that.
    """
    model = tfl_flatbuffer_utils.read_model(str(path))
    for graph, original in zip(
        model.subgraphs, tfl_flatbuffer_utils.read_model(str(source)).subgraphs, strict=True
    ):
        graph.outputs = original.outputs
        for tensor in graph.tensors:
            tensor.name = b""
    tfl_flatbuffer_utils.write_model(model, str(path))
    path.chmod(0o644)  # the quantizer writes programs


def _layers(source: Path) -> list[tuple[qtyping.TFLOperationName, str, str]]:
    """Kind, scope and name in the network of every fully connected layer and convolution."""
    model = tfl_flatbuffer_utils.read_model(str(source))
    found = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            operation = tfl_flatbuffer_utils.TFL_OP_CODE_TO_NAME.get(code)
            if operation in (LINEAR, CONVOLUTION):
                scope = tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors)
                path = scope.split(";")[0].split("StepGraph_step/")[-1]
                found.append((operation, scope, ".".join(MODULE.findall(path))))
    return found


def _add_rule(
    work: quantizer.Quantizer, scope: str, operation: qtyping.TFLOperationName, treatment: Treatment
) -> None:
    # tflite-runtime 2.14 ignores the scales of dynamic fully connected layers but the first, and says nothing: they get
    # one scale for the whole tensor, which also saves a twentieth of the file. The same runtime and LiteRT need one per
    # channel in convolutions.
    kinds = qtyping.QuantGranularity
    granularity = kinds.TENSORWISE if operation == LINEAR else kinds.CHANNELWISE
    if treatment == "dynamic":
        work.add_dynamic_config(scope, operation, num_bits=8, granularity=granularity)
    elif treatment == "weights":
        work.add_weight_only_config(scope, operation, num_bits=8, granularity=granularity)
    elif treatment == "static":
        work.add_static_config(
            scope, operation, activation_num_bits=8, weight_num_bits=8, weight_granularity=granularity
        )


def _calibrate(source: Path, work: quantizer.Quantizer) -> dict[str, qtyping.QSV]:
    """The range of every tensor over the calibration frames.

    ``Quantizer.calibrate`` would take a moving average over the frames, which forgets the loud ones; here the
    extremes count.
    """
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(work.get_quantization_recipe())
    listener = calibrator.Calibrator(str(source), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    listener.calibrate({SIGNATURE: list(calibration_inputs(Model.load(source)))}, manager)
    return listener.get_model_qsvs()
