"""One forward pass in evaluation mode, recorded: the operations that an ONNX file consists of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from minidl import random
from minidl.errors import ArgumentError
from minidl.function import enable_grad
from minidl.graph import tensors_in
from minidl.nn.evaluating import evaluating
from minidl.nn.module import Module
from minidl.nn.record import Call, record
from minidl.tensor import Tensor


@dataclass
class Pass:
    """What a forward pass left behind.

    Attributes:
        inputs: the tensors it started from.
        outputs: the tensors it returned, of nested tuples and dicts too, in order.
        calls: the operations that lead from inputs and parameters to the outputs, in order.
        written: buffer that the pass changed or replaced -> its dotted name.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    calls: list[Call]
    written: dict[Tensor, str]


def record_pass(model: Module, inputs: list[Tensor], seed: int = 0) -> Pass:
    """Run the model and record all that depends on the inputs, integers and bools, too.

    Its modes, buffers and the random numbers stay as they were.

    Args:
        model: any Module.
        inputs: what to call it with.
        seed: of the random numbers during the pass. Two passes with different seeds show what is
            random in them.

    Raises:
        ArgumentError: the model writes into its input.
    """
    leaves = [Tensor(x.data.copy(), requires_grad=x.data.dtype.kind == "f") for x in inputs]
    with evaluating(model), buffers_and_random_numbers_kept(model):
        random.manual_seed(seed)
        before = {buffer: buffer.data.tobytes() for buffer in model.buffers()}
        with enable_grad(), np.errstate(all="ignore"), record() as recording:  # values overflow
            outputs = list(tensors_in(model(*leaves)))
        written = {
            buffer: name
            for name, buffer in model.named_buffers()
            if before.get(buffer) != buffer.data.tobytes()
        }
    for x, leaf in zip(inputs, leaves):
        if x.data.tobytes() != leaf.data.tobytes():
            raise ArgumentError("onnx.save", "forward changes its input in place, which is not"
                                " recorded", {"input": x}, "make a new tensor")  # fmt: skip
    calls = calls_between([*leaves, *model.parameters()], outputs, recording.calls)
    for call in calls:
        call.function.inputs = call.inputs  # of integers, too: exporters look at types and shapes
    return Pass(leaves, outputs, calls, written)


def calls_between(starts: list[Tensor], ends: list[Tensor], calls: list[Call]) -> list[Call]:
    """The operations that depend on the starts and that the ends depend on.

    All others compute constants, or nothing that is returned. What was computed under no_grad is a
    constant by the model's own word, as what it detached is.
    """
    depending, found = set(starts), []
    for call in calls:
        if call.grad_enabled and any(x in depending or x.requires_grad for x in call.inputs):
            depending.update(call.outputs)
            found.append(call)
    wanted, kept = set(ends), []
    for call in reversed(found):
        if not wanted.isdisjoint(call.outputs):
            wanted.update(call.inputs)
            kept.append(call)
    return kept[::-1]


@contextmanager
def buffers_and_random_numbers_kept(model: Module) -> Iterator[None]:
    """Afterwards buffers and the state of the random numbers are what they were."""
    buffers = [(module, dict(module.buffers_here)) for module in model.modules()]
    contents = [(buffer, buffer.data, buffer.data.copy()) for buffer in model.buffers()]
    random_state = random.get_state()
    try:
        yield
    finally:
        for module, here in buffers:
            for name in [name for name in module.buffers_here if name not in here]:
                module.forget(name)
            module.__dict__.update(here, buffers_here=here)
        for buffer, array, values in contents:
            buffer.data = array
            buffer.data[...] = values
        random.set_state(random_state)
