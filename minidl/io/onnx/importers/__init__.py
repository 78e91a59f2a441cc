"""ONNX's operators in terms of minidl's operations: a table for each subject, name -> importer.

An importer takes the Node and then the tensors that go in, None for one that is left out, and
returns a Tensor or a tuple of them. The operators' definitions: github.com/onnx/onnx, Operators.md.
The exporters (../exporters) are the other direction, in files of the same names.
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

SUBJECTS = (
    convolution, elementwise, generation, indexing, loss, matrix, normalization, pooling, recurrent,
    reduction, resize, scatter, shape,
)  # fmt: skip
IMPORTERS = {name: importer for subject in SUBJECTS for name, importer in subject.IMPORTERS.items()}

__all__ = ["IMPORTERS"]
