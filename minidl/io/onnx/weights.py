"""Which of a file's tensors are learned, and the names they get in a Module.

ONNX does not say what is a weight; files of minidl do, in the tensors' doc_string. In others an
initializer counts as one if it is floating point and an operator takes it at a place where networks
have weights, be it through operators that only rearrange (Transpose, Reshape, Split, ...). The
running averages of batch normalization, and other floating-point tensors, are buffers; integers
(shapes, axes) are constants.
"""

from __future__ import annotations

import re

import numpy as np

from minidl.io.onnx.node import Node
from minidl.nn.module import Module

PARAMETER = "parameter"
"""The doc_string of tensors that minidl's own export knows to be learned."""

WEIGHTS = {
    "Add": (0, 1), "BatchNormalization": (1, 2), "Conv": (1, 2), "ConvTranspose": (1, 2),
    "Gather": (0,), "Gemm": (0, 1, 2), "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2), "LSTM": (1, 2, 3), "LayerNormalization": (1, 2),
    "MatMul": (0, 1), "Mul": (0, 1), "PRelu": (1,), "RMSNormalization": (1,),
}  # fmt: skip
"""Operator -> places of its inputs that may be weights."""

REARRANGING = {
    "Concat", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip


def learned(nodes: list[Node], initializers: dict[str, np.ndarray]) -> set[str]:
    """Names of the initializers that are weights."""
    wanted: set[str] = set()
    for node in reversed(nodes):
        places = WEIGHTS.get(node.operator, ())
        wanted.update(name for i, name in enumerate(node.inputs) if i in places)
        if node.operator in REARRANGING and wanted.intersection(node.outputs):
            wanted.update(node.inputs if node.operator == "Concat" else node.inputs[:1])
    return {
        name
        for name, array in initializers.items()
        if name in wanted and array.dtype.kind == "f" and array.ndim and array.size > 1
    }


class Level(Module):
    """One level of dotted names: holds the tensors and levels below it."""


def place(module: Module, name: str, tried: dict | None = None) -> tuple[Module, str]:
    """The module and attribute for a tensor, so that its dotted name in `module` is the file's.

    Characters other than letters, digits and _ become _; where a name is taken, _ is added, and
    then a number.

    Args:
        module: holds the tensors and the levels of names.
        name: the file's.
        tried: (module, name) -> how many were taken behind it, kept from one call to the next, so
            that thousands of names that become one are not all tried for each.

    >>> from minidl.io.onnx.weights import Level, place
    >>> place(Level(), "gpu_0/conv1_w")[1], place(Level(), "forward")[1]
    ('gpu_0_conv1_w', 'forward_')
    """
    parts = [re.sub(r"\W", "_", part, flags=re.ASCII) for part in name.split(".") if part]
    *levels, last = parts or ["_"]
    for part in levels:
        while is_taken(module, part) and not isinstance(module.modules_here.get(part), Level):
            part += "_"
        if part not in module.modules_here:
            module.add_module(part, Level())
        module = module.modules_here[part]
    tried = {} if tried is None else tried
    base, number = last, tried.get((module, last), 0)
    while is_taken(module, last):
        number += 1
        last = f"{base}_" if number == 1 else f"{base}_{number}"
    tried[module, base] = number
    return module, last


def is_taken(module: Module, name: str) -> bool:
    """Whether an attribute of this name would hide another one."""
    here = (module.__dict__, module.parameters_here, module.buffers_here, module.modules_here)
    return hasattr(type(module), name) or any(name in registry for registry in here)
