"""Matrix products."""

from __future__ import annotations

from typing import Any

from minidl.io.onnx.writer import Writer
from minidl.ops.linear import Linear
from minidl.ops.matmul import MatMul


def linear(g: Writer, f: Any, x: str, w: str, b: str = "") -> str:
    if f.inputs[0].ndim == 2:
        return g.add("Gemm", x, w, b, transB=1)
    y = g.add("MatMul", x, g.add("Transpose", w, perm=[1, 0]))
    return g.add("Add", y, b) if b else y


def matmul(g: Writer, f: Any, a: str, b: str) -> str:
    return g.add("MatMul", a, b)


EXPORTERS = {Linear: linear, MatMul: matmul}
