"""What an ONNX graph does with its constants, and so what they are.

Conv, ConvTranspose            as PyTorch's; behind a Transpose what that makes of them
MatMul, Gemm without transB    (in, out), transposed here
Gemm with alpha, beta          the matrix times alpha, the bias times beta
BatchNormalization             its epsilon, which is added to the variance
Flatten or Reshape behind a Transpose to (N, H, W, C): maps are flattened with channels last
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.weights.file import ends_of_chains

LINEAR = ("MatMul", "Gemm")
TAKERS = ("Conv", "ConvTranspose", *LINEAR)
CHANNELS_LAST = [0, 2, 3, 1]


class Uses:
    """How the constants of a graph are used.

    Attributes:
        eps: name of a batch norm's variance -> its epsilon.
        flatten_order: "CHW" or "HWC".
    """

    def __init__(self, graph: Any):
        self.source = ends_of_chains(
            {
                n.output[0]: n.input[0]
                for n in graph.node
                if n.op_type == "Identity" and n.input and n.output
            }
        )
        self.axes: dict[str, list[int]] = {}  # constant -> the Transpose on its way
        self.in_out: set[str] = set()
        self.factors: dict[str, float] = {}
        self.eps: dict[str, float] = {}
        self.flatten_order = "CHW"
        self.look(graph)

    def look(self, graph: Any) -> None:
        turned = {n.output[0]: (self.end(n.input[0]), ints(n, "perm")) for n in graph.node
                  if n.op_type == "Transpose" and n.input and n.output}  # fmt: skip
        for node in graph.node:
            if node.op_type in TAKERS and len(node.input) > 1:
                name = self.end(node.input[1])
                flags = {a.name: a for a in node.attribute}
                behind = name in turned
                if behind:
                    name, axes = turned[name]
                    self.axes[name] = axes
                transposed = "transB" in flags and flags["transB"].i
                if node.op_type in LINEAR and not transposed:
                    self.in_out.add(name)
                if node.op_type == "Gemm":
                    self.take_factors(node, name, flags)
            elif node.op_type == "BatchNormalization" and len(node.input) > 4:
                eps = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
                if np.isfinite(eps):
                    self.eps[self.end(node.input[4])] = float(eps)
            elif node.op_type in ("Flatten", "Reshape") and node.input:
                if turned.get(self.end(node.input[0]), ("", []))[1] == CHANNELS_LAST:
                    self.flatten_order = "HWC"

    def take_factors(self, node: Any, name: str, flags: dict[str, Any]) -> None:
        if "alpha" in flags:
            self.factors[name] = flags["alpha"].f
        if "beta" in flags and len(node.input) > 2:
            self.factors[self.end(node.input[2])] = flags["beta"].f

    def end(self, name: str) -> str:
        """The constant behind Identity nodes."""
        return self.source.get(name, name)

    def to_pytorch(self, array: np.ndarray, name: str) -> np.ndarray:
        """A constant as PyTorch has it for the operation that takes it."""
        axes = self.axes.get(name)
        if axes is not None:
            axes = axes or list(range(array.ndim))[::-1]
            if sorted(axes) == list(range(array.ndim)):
                array = array.transpose(axes)
        if name in self.in_out and array.ndim == 2:
            array = array.T
        factor = self.factors.get(name, 1.0)
        return array if factor == 1 or array.dtype.kind != "f" else array * array.dtype.type(factor)


def ints(node: Any, name: str) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), [])
