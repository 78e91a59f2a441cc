"""The graph of an ONNX file as a Module: runs it node by node, with minidl's operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, CheckpointError, DtypeError, MinidlError, ShapeError
from minidl.io.onnx.importers import IMPORTERS
from minidl.io.onnx.node import Node
from minidl.io.onnx.weights import learned, place
from minidl.nn.module import Module, Parameter
from minidl.tensor import Tensor


@dataclass(frozen=True)
class Value:
    """An input or output of a graph: its name, element type and shape.

    A size that the file leaves open is a str, its name there ("N"), or None; a shape that it does
    not tell is None.
    """

    name: str
    dtype: str
    shape: tuple | None

    def accepts(self, shape: tuple) -> bool:
        if self.shape is None:
            return True
        fits = (not isinstance(want, int) or want == size for want, size in zip(self.shape, shape))
        return len(self.shape) == len(shape) and all(fits)


@dataclass
class Graph:
    """What a file says: the nodes in an order in which they can run.

    Args:
        nodes: each after those that make its inputs.
        inputs: what forward takes.
        outputs: what it returns.
        initializers: name -> array of the tensors in the file.
        parameters: names of those that the file itself says are learned.
        metadata: name -> text that the writer of the file added.
        opset: version of the operator set.
        producer: the program that wrote it.
    """

    nodes: list[Node]
    inputs: list[Value]
    outputs: list[Value]
    initializers: dict[str, np.ndarray] = field(default_factory=dict)
    parameters: set[str] = field(default_factory=set)
    metadata: dict[str, str] = field(default_factory=dict)
    opset: int = 0
    producer: str = ""


class OnnxModule(Module):
    """A network from an ONNX file. Its weights are Parameters under the file's names, trainable.

    It starts in evaluation mode. In training mode batch normalization uses and averages the
    statistics of the batch, unless it is frozen, and dropout drops, as minidl's own layers do.

    Args:
        graph: what load read.

    Attributes:
        graph: the same, without the initializers, which are parameters and buffers now.
    """

    def __init__(self, graph: Graph):
        super().__init__()
        self.graph, self.last_uses, self.is_frozen = graph, last_uses(graph), False
        self.constants: dict[str, Tensor] = {}  # integers: shapes, axes, indices
        self.places: dict[str, tuple[Module, str]] = {}  # name in the file -> where it is here
        weights = graph.parameters or learned(graph.nodes, graph.initializers)
        tried: dict = {}
        for name, array in graph.initializers.items():
            if array.dtype.kind != "f":
                self.constants[name] = Tensor(array)
                continue
            owner, attribute = place(self, name, tried)
            if name in weights:
                owner.register_parameter(attribute, Parameter(array))
            else:
                owner.register_buffer(attribute, Tensor(array))
            self.places[name] = owner, attribute
        graph.initializers = {}
        self.eval()

    def forward(self, *inputs: Tensor) -> Any:
        """Run the graph.

        Args:
            inputs: a Tensor for each of graph.inputs.

        Returns:
            The output, or a tuple of them.

        Raises:
            ShapeError, DtypeError: an input is not what the file says.
            MinidlError: a node cannot be run; the message names it.
        """
        self.check_inputs(inputs)
        values: dict[str, Tensor | None] = {"": None, **self.constants}
        values |= {name: getattr(owner, key) for name, (owner, key) in self.places.items()}
        values |= {value.name: x for value, x in zip(self.graph.inputs, inputs)}
        for number, node in enumerate(self.graph.nodes):
            node.training, node.frozen = self.training, self.is_frozen
            values.update(zip(node.outputs, run(node, [values[name] for name in node.inputs])))
            for name in self.last_uses.get(number, ()):
                del values[name]
        outputs = tuple(values[value.name] for value in self.graph.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def learn_here(self, learns: bool) -> None:
        super().learn_here(learns)
        self.is_frozen = not learns

    def check_inputs(self, inputs: tuple) -> None:
        wanted = self.graph.inputs
        if len(inputs) != len(wanted):
            raise ArgumentError(
                "onnx", f"the network has {len(wanted)} inputs, {len(inputs)} were given",
                {"inputs": [value.name for value in wanted]},
            )  # fmt: skip
        for value, x in zip(wanted, inputs):
            if not isinstance(x, Tensor):
                raise DtypeError("onnx", "inputs are Tensors", {value.name: type(x).__name__})
            floats = x.dtype.kind == "f" and np.dtype(value.dtype).kind == "f"
            if x.dtype != value.dtype and not floats:
                raise DtypeError("onnx", f"{value.name} is {value.dtype}", {value.name: x})
            if not value.accepts(x.shape):
                shape = tuple("?" if size is None else size for size in value.shape)
                raise ShapeError("onnx", f"{value.name} is {shape}", {value.name: x})

    def extra_repr(self) -> str:
        inputs = ", ".join(f"{value.name} {value.shape}" for value in self.graph.inputs)
        return f"{inputs}: {len(self.graph.nodes)} nodes, operator set {self.graph.opset}"


def run(node: Node, inputs: list[Tensor | None]) -> tuple:
    """The outputs of one node.

    Raises:
        MinidlError: with the node's name. A damaged file can make an operation fail in any way.
    """
    try:
        y = IMPORTERS[node.operator](node, *inputs)
        outputs = y if isinstance(y, tuple) else (y,)
        if len(outputs) < len(node.outputs):
            node.refuse(f"has {len(node.outputs)} outputs, {len(outputs)} are known")
        return outputs
    except MinidlError as error:
        error.received.setdefault("node", node.label)
        raise
    except Exception as error:
        received = {f"input {i}": x for i, x in enumerate(inputs) if x is not None}
        raise CheckpointError(
            "onnx", f"{node.label} cannot be run: {type(error).__name__}: {error}", received
        ) from error


def last_uses(graph: Graph) -> dict[int, list[str]]:
    """Number of a node -> names of the tensors that nothing needs after it."""
    made = {name for node in graph.nodes for name in node.outputs if name}
    kept = {value.name for value in graph.outputs}
    last = {}
    for number, node in enumerate(graph.nodes):
        for name in (*node.outputs, *node.inputs):
            if name in made and name not in kept:
                last[name] = number
    uses: dict[int, list[str]] = {}
    for name, number in last.items():
        uses.setdefault(number, []).append(name)
    return uses
