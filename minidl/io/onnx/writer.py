"""The ONNX graph that an export writes: nodes in order, constants, and names for tensors."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from minidl.device import to_device
from minidl.errors import ArgumentError
from minidl.function import Function
from minidl.tensor import Tensor


class Writer:
    """Collects nodes. Converters (converters/) call `add` and `constant`.

    Args:
        opset: version of the operator set to write for.
        names: Tensor -> name of the graph's inputs.
        stored: Tensor -> name of parameters and buffers; those that are used become initializers.
    """

    def __init__(self, opset: int, names: dict[Tensor, str], stored: dict[Tensor, str]):
        self.opset = opset
        self.names = dict(names)
        self.stored = stored
        self.nodes: list[Any] = []
        self.initializers: dict[str, np.ndarray] = {}
        self.parameters: set[str] = set()  # names of those that are learned
        self.results: dict[tuple[Function, int], str] = {}
        self.taken = {*names.values(), *stored.values()}
        self.scope = ""  # dotted path of the module whose operation is being converted

    def name_of(self, x: Tensor) -> str:
        """The name of a tensor: made by a node, an input, a weight, or else a constant."""
        if x.grad_fn is not None:
            if (x.grad_fn, x.output_index) not in self.results:
                self.refuse(f"output {x.output_index} of {type(x.grad_fn).__name__}", x.grad_fn)
            return self.results[x.grad_fn, x.output_index]
        if x in self.names:
            return self.names[x]
        if x in self.stored:
            self.initializers[self.stored[x]] = to_device(x.data, "cpu")
            return self.stored[x]
        return self.constant(x.data)

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of its output, or a list of them."""
        from onnx import helper

        label = f"{self.scope}.{operator}" if self.scope else operator
        base = self.free_name(label.replace(".", "/"))
        made = [base if outputs == 1 else f"{base}:{i}" for i in range(outputs)]
        while inputs and inputs[-1] == "":  # left out at the end
            inputs = inputs[:-1]
        given = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(operator, inputs, made, name=base, **given))
        return made[0] if outputs == 1 else made

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A Constant node with an array; floats need the dtype of what they meet."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(to_device(value, "cpu") if dtype is None else value, dtype)
        array = array.reshape(np.shape(value))  # ascontiguousarray makes 0-d arrays 1-d
        return self.add("Constant", value=numpy_helper.from_array(array))

    def ints(self, *values: int) -> str:
        """A constant 1-d int64 array: a shape, axes, ..."""
        return self.constant(np.array([int(v) for v in values], np.int64))

    def reduce(self, operator: str, x: str, axes: Any, keepdims: bool = True) -> str:
        """A reduction. Its axes are an input from operator set 18 on, for the sum from 13 on."""
        axes = [int(axis) for axis in axes]
        if not axes:  # of a 0-d tensor: one element
            x, axes, keepdims = self.add("Unsqueeze", x, self.ints(0)), [0], False
        if self.opset >= 18 or operator == "ReduceSum":
            return self.add(operator, x, self.ints(*axes), keepdims=int(keepdims))
        return self.add(operator, x, axes=axes, keepdims=int(keepdims))

    def free_name(self, name: str) -> str:
        """The name, with a number behind it if it is taken."""
        found, number = name, 1
        while found in self.taken:
            number += 1
            found = f"{name}_{number}"
        self.taken.add(found)
        return found

    def convert(self, function: Function, converters: dict) -> None:
        """Add the nodes of one recorded operation.

        Raises:
            ArgumentError: no converter exists for its class.
        """
        kind = type(function)
        if kind not in converters:
            self.refuse(kind.__name__, function)
        names = [self.name_of(x) for x in function.inputs]
        outputs = converters[kind](self, function, *names)
        for index, name in enumerate([outputs] if isinstance(outputs, str) else outputs):
            self.results[function, index] = name

    def refuse(self, what: str, function: Function) -> NoReturn:
        """Raise the error for something that has no converter."""
        raise ArgumentError(
            "onnx.save", f"{what} has no ONNX equivalent here",
            {"in module": self.scope or "(model)",
             "inputs": [tuple(x.shape) for x in function.inputs]},
            reason_without(type(function)),
        )  # fmt: skip


def reason_without(kind: type) -> str:
    """Why a class has no converter."""
    from minidl.io.onnx.exporters import NOT_EXPORTED

    return NOT_EXPORTED.get(kind, "write it with operations that have one, or add a converter")
