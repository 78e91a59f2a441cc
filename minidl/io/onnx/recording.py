"""One forward pass in evaluation mode, recorded: the operations in order and where they ran."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl import random
from minidl.debug.summary import new_functions, tensors_in
from minidl.errors import ArgumentError
from minidl.function import Function, enable_grad, record_all
from minidl.nn.module import Module
from minidl.tensor import Tensor


@dataclass
class Recording:
    """What a pass left behind.

    Attributes:
        inputs: the tensors it started from.
        outputs: the tensors it returned, of nested tuples and dicts too, in order.
        functions: the recorded operations, each after those that made its inputs.
        paths: operation -> dotted name of the module that ran it.
        written: buffer that the pass changed or replaced -> its dotted name.
    """

    inputs: list[Tensor]
    outputs: list[Tensor] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    paths: dict[Function, str] = field(default_factory=dict)
    written: dict[Tensor, str] = field(default_factory=dict)


def record(model: Module, inputs: list[Tensor], seed: int = 0) -> Recording:
    """Run the model and record all that depends on the inputs, integers and bools, too.

    Its mode, frozen parameters, buffers and the random numbers stay as they were.

    Args:
        model: any Module.
        inputs: what to call it with.
        seed: of the random numbers during the pass. Two recordings with different seeds show what
            is random in them.

    Raises:
        ArgumentError: the model writes into its input.
    """
    leaves = [Tensor(x.data.copy(), requires_grad=x.data.dtype.kind == "f") for x in inputs]
    recording, seen = Recording(leaves), set()
    handles = []
    for path, module in model.named_modules():

        def after(_: Module, __: tuple, output: Any, path: str = path) -> None:
            found = new_functions(list(tensors_in(output)), seen)
            recording.paths.update((function, path) for function, _ in found)

        handles.append(module.register_forward_hook(after))
    with left_as_it_is(model):
        random.manual_seed(seed)
        model.eval()
        for parameter in model.parameters():
            parameter.requires_grad = True  # else what depends on a frozen one is not recorded
        before = {buffer: buffer.data.tobytes() for buffer in model.buffers()}
        try:
            with enable_grad(), record_all(leaves), np.errstate(all="ignore"):  # values overflow
                recording.outputs = list(tensors_in(model(*leaves)))
        finally:
            for handle in handles:
                handle.remove()
        for name, buffer in model.named_buffers():
            if before.get(buffer) != buffer.data.tobytes():
                recording.written[buffer] = name
    for x, leaf in zip(inputs, leaves):
        if x.data.tobytes() != leaf.data.tobytes():
            raise ArgumentError("onnx.save", "forward changes its input in place, which is not"
                                " recorded", {"input": x}, "make a new tensor")  # fmt: skip
    recording.functions = [f for f, _ in new_functions(recording.outputs, set())]
    return recording


@contextmanager
def left_as_it_is(model: Module) -> Iterator[None]:
    """Afterwards modes, frozen parameters, buffers and random numbers are what they were."""
    modes = [(module, module.training) for module in model.modules()]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    buffers = [(module, dict(module.buffers_here)) for module in model.modules()]
    contents = [(buffer, buffer.data, buffer.data.copy()) for buffer in model.buffers()]
    random_state = random.get_state()
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad = False
        for module, training in modes:
            module.training = training
        for module, here in buffers:
            module.__dict__["buffers_here"] = here
        for buffer, array, values in contents:
            buffer.data = array
            buffer.data[...] = values
        random.set_state(random_state)
