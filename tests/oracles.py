"""Software that is not ours, as a judge of forward values: ONNX Runtime runs single operators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

OPSET = 17


def onnx(
    operator: str, outputs: int = 1, opset: int = OPSET, constants: tuple = (), **attributes
) -> Callable:
    """An oracle for Case: float32 (or integer) arrays -> outputs of one ONNX operator.

    Args:
        operator: ONNX operator name, "Conv".
        outputs: how many outputs it has.
        constants: inputs that follow the arrays (a shape, axes): None, or what np.array takes.
        attributes: its attributes, as in the operator's documentation.
    """

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        from onnx import TensorProto, helper

        arrays = (*arrays, *(None if c is None else np.array(c) for c in constants))
        node = helper.make_node(
            operator,
            [f"x{i}" if array is not None else "" for i, array in enumerate(arrays)],
            [f"y{i}" for i in range(outputs)],
            **attributes,
        )
        return run_nodes([node], arrays, outputs, opset, TensorProto)

    return run


def run_nodes(nodes, arrays, outputs, opset, TensorProto) -> list[np.ndarray]:
    """Run a list of ONNX nodes with inputs x0, x1, ... and outputs y0, y1, ... in ONNX Runtime."""
    import onnxruntime
    from onnx import helper

    named = {f"x{i}": array for i, array in enumerate(arrays) if array is not None}
    types = {
        "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "bool": TensorProto.BOOL,
        "int32": TensorProto.INT32, "int64": TensorProto.INT64,
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "oracle",
        [
            helper.make_tensor_value_info(name, types[str(array.dtype)], array.shape)
            for name, array in named.items()
        ],
        [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, named)
