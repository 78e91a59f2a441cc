"""What a network consists of: shapes, parameters, multiply-accumulates and receptive fields.

One forward pass with made-up input is recorded; a hook on every module then finds the operations
that ran since the hook before, and counts them to its module. So operations called as functions
count, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl import random
from minidl.debug.receptive_field import UNKNOWN, Field, field_of
from minidl.errors import ArgumentError, DtypeError
from minidl.function import Function, enable_grad
from minidl.nn.module import Module
from minidl.ops.conv2d import Conv2d
from minidl.ops.conv_transpose2d import ConvTranspose2d
from minidl.ops.linear import Linear
from minidl.ops.lstm import LSTM
from minidl.ops.matmul import MatMul
from minidl.tensor import Tensor

HEADER = ("layer", "type", "output shape", "parameters", "MACs", "receptive field")
FOOTNOTE = """\
MACs: multiply-accumulates of convolutions (also transposed), linear layers, LSTMs and matrix
products; all other operations count 0. receptive field: input pixels, "all" for the whole picture\
"""
SHARED = "layers called several times: shape and field of the first call, MACs of all calls"


@dataclass
class Layer:
    """One module of a summary.

    Attributes:
        path: dotted name, "" for the model itself.
        type: name of its class.
        output_shape: of its first call; a list of them where it returned several tensors.
        parameters: elements of its own parameters, without those of modules inside it.
        macs: multiply-accumulates of its own operations in all calls, likewise.
        receptive_field: input pixels an output pixel of the first call can depend on, as text:
            "14", "5x7", "all" or "-" (not a picture, or not known).
        calls: how often the forward pass calls it; a shared activation more than once.
    """

    path: str
    type: str
    output_shape: Any = None
    parameters: int = 0
    macs: int = 0
    receptive_field: str = UNKNOWN
    calls: int = 0


@dataclass
class Summary:
    """What summary() returns. Prints as a table.

    Attributes:
        layers: in the order in which they were first called.
        parameters: elements of all parameters; shared ones count once.
        trainable: of those, the ones that are not frozen.
        macs: multiply-accumulates of the forward pass.
    """

    layers: list[Layer] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    macs: int = 0

    def __str__(self) -> str:
        rows = [HEADER]
        for layer in self.layers:
            kind = f"{layer.type}, {layer.calls} calls" if layer.calls > 1 else layer.type
            rows.append((
                layer.path or "(model)", kind, str(layer.output_shape or "not called"),
                f"{layer.parameters:,}", f"{layer.macs:,}", layer.receptive_field,
            ))  # fmt: skip
        rows.append(("total", "", "", f"{self.parameters:,}", f"{self.macs:,}", ""))
        rows.append(("trainable", "", "", f"{self.trainable:,}", "", ""))
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
        lines = []
        for row in rows:
            left = [text.ljust(width) for text, width in zip(row[:3], widths)]
            right = [text.rjust(width) for text, width in zip(row[3:], widths[3:])]
            lines.append("  ".join(left + right).rstrip())
        rule = "-" * max(len(line) for line in lines)
        notes = [FOOTNOTE, SHARED] if any(layer.calls > 1 for layer in self.layers) else [FOOTNOTE]
        return "\n".join([lines[0], rule, *lines[1:-2], rule, *lines[-2:], *notes])


def summary(model: Module, input_shape: Any) -> Summary:
    """Run a model once and describe each of its layers.

    Parameters are counted; multiply-accumulates are those of matrix products and convolutions,
    exact for the given input; receptive fields follow minidl/debug/receptive_field.py.

    The pass is in evaluation mode. Mode, frozen parameters, gradients and the state of the random
    numbers are left as they were.

    Args:
        model: any Module.
        input_shape: shape of its input, the batch included, say (1, 3, 224, 224). Or, for
            integers or several inputs, a Tensor or a tuple of Tensors.

    Returns:
        A Summary: str() is a table; .layers, .parameters, .trainable and .macs are the figures.

    Raises:
        ArgumentError: input_shape is none of these.
        MinidlError: the model refuses the input.

    >>> net = minidl.nn.Sequential(minidl.nn.Conv2d(1, 6, 5), minidl.nn.ReLU())
    >>> found = minidl.debug.summary(net, (1, 1, 32, 32))
    >>> found.parameters, found.macs, found.layers[0].receptive_field
    (156, 117600, '5')
    """
    if not isinstance(model, Module):
        raise DtypeError("summary", "model is a Module", {"model": type(model).__name__})
    inputs = make_inputs(model, input_shape)
    modes = [(module, module.training) for module in model.modules()]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    random_state = random.get_state()
    found = Summary(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    recorder = Recorder(model, inputs)
    try:
        model.eval()
        for parameter in frozen:
            parameter.requires_grad = True  # else what depends on it alone is not recorded
        # The values mean nothing, and may overflow: in evaluation a deep net that has not been
        # trained has batch norms that do not normalize yet.
        with enable_grad(), np.errstate(all="ignore"):
            model(*inputs)
    finally:
        recorder.remove()
        for parameter in frozen:
            parameter.requires_grad = False
        for module, training in modes:
            module.training = training
        random.set_state(random_state)
    found.layers = recorder.listed()
    found.macs = sum(layer.macs for layer in found.layers)
    return found


def make_inputs(model: Module, input_shape: Any) -> list[Tensor]:
    """The tensors to call the model with, as leaves of the graph to be recorded."""
    parts = [input_shape] if isinstance(input_shape, Tensor) else input_shape
    if not isinstance(parts, list | tuple) or not parts:
        parts = ()
    if all(isinstance(part, int | np.integer) and part > 0 for part in parts) and parts:
        dtype = next((p.dtype for p in model.parameters()), np.float32)
        values = np.random.default_rng(0).standard_normal(parts)
        return [Tensor(values.astype(dtype), requires_grad=True)]
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise ArgumentError(
            "summary",
            "input_shape is a shape with its batch, a Tensor or a tuple of Tensors",
            {"input_shape": input_shape},
            "for one grey picture of 32x32 pixels: (1, 1, 32, 32)",
        )
    return [Tensor(part.data, requires_grad=part.data.dtype.kind == "f") for part in parts]


class Recorder:
    """Hooks on all modules of a model that fill in a Layer for each."""

    def __init__(self, model: Module, inputs: list[Tensor]):
        self.layers = {}  # module -> Layer, in the order of the first call
        self.uncalled = dict.fromkeys(model.modules())
        self.paths = {module: path for path, module in model.named_modules()}
        self.seen = set()  # Functions already counted
        self.fields = {}  # Function or input -> receptive field
        for x in inputs:
            self.fields[x] = Field() if x.ndim == 4 else None
        self.handles = []
        for module in model.modules():
            self.handles.append(module.register_forward_pre_hook(self.before))
            self.handles.append(module.register_forward_hook(self.after))

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def before(self, module: Module, inputs: tuple) -> None:
        if module not in self.layers:
            self.layers[module] = self.make_layer(module)
            del self.uncalled[module]
        self.layers[module].calls += 1

    def after(self, module: Module, inputs: tuple, output: Any) -> None:
        layer = self.layers[module]
        outputs = list(tensors_in(output))
        for function, shape in new_functions(outputs, self.seen):
            layer.macs += multiply_accumulates(function, shape)
            below = [self.fields.get(x.grad_fn or x) for x in function.inputs]
            self.fields[function] = field_of(function, below)
        if layer.output_shape is not None:
            return  # it stands in the list where it was called first, with what it gave there
        shapes = [y.shape for y in outputs]
        layer.output_shape = shapes[0] if len(shapes) == 1 else shapes
        if outputs:
            first = outputs[0]
            layer.receptive_field = str(self.fields.get(first.grad_fn or first) or UNKNOWN)

    def make_layer(self, module: Module) -> Layer:
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        return Layer(self.paths[module], type(module).__name__, parameters=own)

    def listed(self) -> list[Layer]:
        """Layers, and those containers that hold parameters or compute something themselves."""
        layers = {**self.layers, **{module: self.make_layer(module) for module in self.uncalled}}
        return [
            layer
            for module, layer in layers.items()
            if layer.parameters or layer.macs or not module.modules_here
        ]


def tensors_in(output: Any) -> Iterator[Tensor]:
    """The Tensors of nested tuples, lists and dicts."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict):
        yield from tensors_in(list(output.values()))
    elif isinstance(output, list | tuple):
        for part in output:
            yield from tensors_in(part)


def new_functions(outputs: list[Tensor], seen: set) -> list[tuple[Function, tuple]]:
    """(Function, shape of its output) that lead to outputs and are not in `seen`, inputs first.

    They are added to `seen`.
    """
    order, stack = [], [(y, False) for y in outputs]
    while stack:
        y, inputs_done = stack.pop()
        if inputs_done:
            order.append((y.grad_fn, y.shape))
        elif y.grad_fn is not None and y.grad_fn not in seen:
            seen.add(y.grad_fn)
            stack.append((y, True))
            stack.extend((x, False) for x in y.grad_fn.inputs)
    return order


def multiply_accumulates(function: Function, shape: tuple) -> int:
    """How many products an operation sums up, from the shapes of its inputs and output."""
    shapes = [x.shape for x in function.inputs]
    if isinstance(function, Conv2d):
        return math.prod(shape) * math.prod(shapes[1][1:])  # (C/groups) R S per output element
    if isinstance(function, ConvTranspose2d):
        return math.prod(shapes[0]) * math.prod(shapes[1][1:])  # (K/groups) R S per input element
    if isinstance(function, Linear | MatMul):
        return math.prod(shape) * shapes[0][-1]
    if isinstance(function, LSTM):
        (steps, batch, _), w_ih, w_hh = shapes[0], shapes[3], shapes[4]
        return steps * batch * (math.prod(w_ih) + math.prod(w_hh))
    return 0
