"""What a network consists of: shapes, parameters, multiply-accumulates and receptive fields.

One forward pass with made-up input is recorded. Each operation in it counts to the innermost module
that was running, so operations called as functions count, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl import random
from minidl.debug.receptive_field import Field, field_of
from minidl.errors import ArgumentError, DtypeError
from minidl.function import no_grad
from minidl.graph import tensors_in
from minidl.nn.evaluating import evaluating
from minidl.nn.module import Module
from minidl.nn.record import ModuleCall, Recording, record
from minidl.ops.receptive_field import UNKNOWN
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
    random_state = random.get_state()
    try:
        # The values mean nothing, and may overflow: in evaluation a deep net that has not been
        # trained has batch norms that do not normalize yet.
        with evaluating(model), no_grad(), np.errstate(all="ignore"), record() as recording:
            model(*inputs)
    finally:
        random.set_state(random_state)
    layers = layers_of(model, recording, inputs)
    return Summary(
        layers,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        macs=sum(layer.macs for layer in layers),
    )


def make_inputs(model: Module, input_shape: Any) -> list[Tensor]:
    """The tensors to call the model with."""
    parts = [input_shape] if isinstance(input_shape, Tensor) else input_shape
    if not isinstance(parts, list | tuple) or not parts:
        parts = ()
    if all(isinstance(part, int | np.integer) and part > 0 for part in parts) and parts:
        dtype = next((p.dtype for p in model.parameters()), np.float32)
        values = np.random.default_rng(0).standard_normal(parts)
        return [Tensor(values.astype(dtype))]
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise ArgumentError(
            "summary",
            "input_shape is a shape with its batch, a Tensor or a tuple of Tensors",
            {"input_shape": input_shape},
            "for one grey picture of 32x32 pixels: (1, 1, 32, 32)",
        )
    return [Tensor(part.data) for part in parts]


def layers_of(model: Module, recording: Recording, inputs: list[Tensor]) -> list[Layer]:
    """A Layer for each module: what it holds, what it returned, and what its own operations cost.

    Left out are containers that neither hold parameters nor multiply anything themselves.
    """
    fields = fields_of(recording, inputs)
    layers: dict[Module, Layer] = {}  # in the order of the first call
    for run in recording.module_calls:
        if run.module not in layers:
            layers[run.module] = make_layer(run.module, run.path)
            describe_output(layers[run.module], run, fields)
        layers[run.module].calls += 1
    for path, module in model.named_modules():
        layers.setdefault(module, make_layer(module, path))
    for call in recording.calls:
        layers[call.within.module].macs += call.multiply_accumulates
    return [
        layer
        for module, layer in layers.items()
        if layer.parameters or layer.macs or not module.modules_here
    ]


def fields_of(recording: Recording, inputs: list[Tensor]) -> dict[Tensor, Any]:
    """The receptive field of each Tensor, as far as it depends on a picture."""
    fields: dict[Tensor, Any] = {x: Field() for x in inputs if x.ndim == 4}
    for call in recording.calls:
        field = field_of(call.function, [fields.get(x) for x in call.inputs])
        fields.update((y, field) for y in call.outputs)
    return fields


def make_layer(module: Module, path: str) -> Layer:
    own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return Layer(path, type(module).__name__, parameters=own)


def describe_output(layer: Layer, call: ModuleCall, fields: dict[Tensor, Any]) -> None:
    """The shapes of what a call returned, and the field of the first Tensor in it."""
    outputs = list(tensors_in(call.output))
    shapes = [y.shape for y in outputs]
    layer.output_shape = shapes[0] if len(shapes) == 1 else shapes
    layer.receptive_field = str(outputs and fields.get(outputs[0]) or UNKNOWN)
