"""The ONNX graph that an export writes: nodes in order, constants, and names for tensors."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from minidl.device import to_device
from minidl.errors import ArgumentError
from minidl.nn.record import Call
from minidl.tensor import Tensor

WITHOUT_EXPORTER = "write it with operations that have one, or add an exporter"


class Writer:
    """Collects nodes. Exporters (exporters/) call `add` and `constant`.

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
        self.made: dict[Tensor, str] = {}  # outputs of the operations so far
        self.unnamed: dict[Tensor, tuple[str, Call]] = {}  # those that no node makes
        self.taken = {*names.values(), *stored.values()}
        self.scope = ""  # dotted path of the module whose operation is being exported

    def name_of(self, x: Tensor) -> str:
        """The name of a tensor: made by a node, an input, a weight, or else a constant."""
        if x in self.made:
            return self.made[x]
        if x in self.unnamed:
            self.refuse(*self.unnamed[x])
        if x in self.names:
            return self.names[x]
        if x in self.stored:
            self.initializers[self.stored[x]] = to_device(x.data, "cpu")
            return self.stored[x]
        return self.constant(x.data)

    def is_constant(self, x: Tensor) -> bool:
        """Whether x is neither made by an operation, nor an input, nor a weight."""
        known = self.made, self.unnamed, self.names, self.stored
        return not any(x in tensors for tensors in known)

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

    def name_outputs(self, call: Call, names: str | list[str]) -> None:
        """Give the outputs of an operation the names that its nodes made for them.

        Fewer names than outputs: using one of the others is an error.
        """
        names = [names] if isinstance(names, str) else names
        self.made.update(zip(call.outputs, names))
        for index, y in enumerate(call.outputs[len(names) :], len(names)):
            self.unnamed[y] = f"output {index} of {type(call.function).__name__}", call

    def refuse(self, what: str, call: Call, hint: str = WITHOUT_EXPORTER) -> NoReturn:
        """Raise the error for something that ONNX, or its exporter, cannot say."""
        raise ArgumentError(
            "onnx.save", f"{what} has no ONNX equivalent here",
            {"in module": call.path or "(model)", "inputs": [tuple(x.shape) for x in call.inputs]},
            hint,
        )  # fmt: skip
