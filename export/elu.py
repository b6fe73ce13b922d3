"""ELU in TFLite files as the one operator it is: the converter writes x >= 0 ? x : exp(x) - 1 in four."""

from __future__ import annotations

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

FILE_IDENTIFIER = b"TFL3"
SELECT = (schema.BuiltinOperator.SELECT, schema.BuiltinOperator.SELECT_V2)


def restore_elu(content: bytes) -> bytes:
    """A TFLite file of one subgraph with each such group of operators as one ELU."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    elu = schema.OperatorCodeT()
    elu.builtinCode = elu.deprecatedBuiltinCode = schema.BuiltinOperator.ELU
    elu.version = 1
    model.operatorCodes.append(elu)
    (graph,) = model.subgraphs
    operators = _Operators(model, graph)
    for select in graph.operators:
        x = operators.elu_input(select)
        if x is not None:
            select.opcodeIndex = len(model.operatorCodes) - 1
            select.inputs, select.builtinOptions = [x], None
            select.builtinOptionsType = schema.BuiltinOptions.NONE
    _drop_unused(model, graph)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


class _Operators:
    """What gives which tensor in one graph."""

    def __init__(self, model: Any, graph: Any):
        self._codes = [code.builtinCode for code in model.operatorCodes]
        self._producers = {tensor: operator for operator in graph.operators for tensor in operator.outputs}

    def elu_input(self, select: Any) -> int | None:
        """The x of ``x >= 0 ? x : exp(x) - 1`` if ``select`` is the end of that, else None."""
        if self._codes[select.opcodeIndex] not in SELECT:
            return None
        condition, x, negative = select.inputs
        comparison = self._inputs(condition, schema.BuiltinOperator.GREATER_EQUAL)
        difference = self._inputs(negative, schema.BuiltinOperator.SUB)
        if comparison is None or difference is None or comparison[0] != x:
            return None
        exponential = self._inputs(difference[0], schema.BuiltinOperator.EXP)
        return x if exponential is not None and exponential[0] == x else None

    def _inputs(self, tensor: int, code: int) -> list[int] | None:
        """Inputs of the operator that gives ``tensor``, if it is of that kind."""
        operator = self._producers.get(tensor)
        if operator is None or self._codes[operator.opcodeIndex] != code:
            return None
        return list(operator.inputs)


def _drop_unused(model: Any, graph: Any) -> None:
    """Take out operators whose outputs nobody wants, then the tensors that nobody names any more."""
    wanted = set(graph.outputs)
    kept = []
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            kept.append(operator)
            wanted.update(operator.inputs)
    graph.operators = kept[::-1]

    named = sorted({*graph.inputs, *wanted} | {tensor for operator in kept for tensor in operator.outputs})
    position = {tensor: number for number, tensor in enumerate(tensor for tensor in named if tensor >= 0)}
    position[-1] = -1  # an optional input that is absent
    graph.tensors = [graph.tensors[tensor] for tensor in position if tensor >= 0]
    graph.inputs, graph.outputs = (
        [position[tensor] for tensor in ends] for ends in (graph.inputs, graph.outputs)
    )
    for operator in graph.operators:
        operator.inputs = [position[tensor] for tensor in operator.inputs]
        operator.outputs = [position[tensor] for tensor in operator.outputs]
    for signature in model.signatureDefs:
        for end in (*signature.inputs, *signature.outputs):
            end.tensorIndex = position[end.tensorIndex]
