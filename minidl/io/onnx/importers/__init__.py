"""ONNX's operators in terms of minidl's: a table for each family, name -> function.

A function takes the Node and then the tensors that go in, None for one that is left out, and
returns a Tensor or a tuple of them. The operators' definitions: github.com/onnx/onnx, Operators.md.
"""

from minidl.io.onnx.importers import (
    convolution,
    elementwise,
    generation,
    indexing,
    loss,
    matrix,
    normalization,
    pooling,
    recurrent,
    reduction,
    resize,
    scatter,
    shape,
)

FAMILIES = (
    convolution, elementwise, generation, indexing, loss, matrix, normalization, pooling, recurrent,
    reduction, resize, scatter, shape,
)  # fmt: skip
OPERATORS = {name: function for family in FAMILIES for name, function in family.OPERATORS.items()}

__all__ = ["FAMILIES", "OPERATORS"]
