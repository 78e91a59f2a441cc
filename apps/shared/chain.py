"""Find the plain chain of layers that a network ends with, so that it can be run from its middle.

A network is a Module whose forward may do anything. Run once under a recorder, it shows for each
module which Tensor went in and which came out. From the network's output backwards, the module that
made this Tensor, then the one that made what that one took, and so on, are links of a chain:

    VGG     x -> conv1_1 -> relu1_1 -> ... -> pool5 -> fit -> flatten -> fc6 -> ... -> fc8
    ResNet  x -> conv1 -> bn1 -> relu -> maxpool -> layer1.0 -> ... -> layer4.2 -> avgpool -> fc

Where two paths meet inside a module (a residual block), the module as a whole is the link. Walking
back from the output, the chain ends at a Tensor that something other than a module made.
"""

from __future__ import annotations

from dataclasses import dataclass

import minidl
from minidl.debug import ModuleCall, Recorder
from minidl.nn import Module, evaluating
from minidl.tensor import Tensor


@dataclass
class Call:
    """One call of a module with one Tensor. In the chain that ends with it, `before` comes first.

    Args:
        name, module: of the module.
        x, y: what went in and what came out.
        start: the position, in order of appearance, of the Tensor that the chain begins with.
        before: the call whose output is x, in that chain; None at its beginning.
    """

    name: str
    module: Module
    x: Tensor
    y: Tensor
    start: int = 0
    before: Call | None = None


class Links(Recorder):
    """Keeps the calls of modules that take one Tensor and return one, in the order they return.

    The network itself is not among them: it is the chain.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def module_done(self, call: ModuleCall) -> None:
        one = len(call.inputs) == 1 and not call.options and isinstance(call.inputs[0], Tensor)
        if call.path and one and isinstance(call.output, Tensor):
            self.calls.append(Call(call.path, call.module, call.inputs[0], call.output))


def trace(model: Module, x: Tensor) -> tuple[list[Call], Tensor]:
    """The calls of all modules in the order in which they end, and the model's output.

    The model runs in evaluation mode, where dropout returns its input.
    """
    with evaluating(model), minidl.no_grad(), Links() as links:
        y = model(x)
    return links.calls, y


def tail(model: Module, x: Tensor) -> list[Call]:
    """The longest chain of modules that ends with the model's output.

    Args:
        model: the network.
        x: a batch that it takes, one picture is enough.

    Returns:
        the calls in order: running their modules one after the other from the first one's x
        gives the model's output in evaluation. [] if the output is not that of a module.
    """
    calls, y = trace(model, x)
    appeared: dict[int, int] = {id(x): 0}  # the Tensors are in `calls`, so ids stay theirs
    chains: dict[int, Call] = {}  # id of a Tensor -> the best chain that ends with it
    for call in calls:
        call.before = chains.get(id(call.x))
        own = appeared.setdefault(id(call.x), len(appeared))
        call.start = own if call.before is None else call.before.start
        known = chains.get(id(call.y))
        # The chain that begins earlier is better; of two equal ones the finer, which is seen first.
        # A module that returns its input (dropout in evaluation) is a link of its own.
        if known is None or call.start < known.start or call.x is call.y:
            chains[id(call.y)] = call
        appeared.setdefault(id(call.y), len(appeared))
    chain: list[Call] = []
    last = chains.get(id(y))
    while last is not None:
        # A layer that returns its input, inside a module that is a link as a whole, does not come
        # before that module.
        if not any(last.name.startswith(f"{after.name}.") for after in chain):
            chain.append(last)
        last = last.before
    return chain[::-1]
