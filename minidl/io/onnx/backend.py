"""minidl as a backend of ONNX: what onnx.backend.test, ONNX's own test suite, runs.

    import onnx.backend.test
    from minidl.io.onnx.backend import MinidlBackend
    test_cases = onnx.backend.test.BackendTest(MinidlBackend, __name__).test_cases

What is outside of minidl's scope is refused with BackendIsNotSupposedToImplementIt, which the
suite counts as skipped; the reasons are in scope.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.backend.base import Backend, BackendRep

from minidl.function import no_grad
from minidl.io.onnx.graph import OnnxModule
from minidl.io.onnx.load import read_graph
from minidl.io.onnx.node import array_of
from minidl.io.onnx.scope import out_of_scope
from minidl.tensor import Tensor


class MinidlRep(BackendRep):
    """A model that is ready to run.

    Args:
        module: the model.
    """

    def __init__(self, module: OnnxModule):
        self.module = module

    def run(self, inputs: Sequence[np.ndarray], **options: Any) -> tuple[np.ndarray, ...]:
        """The outputs for input arrays; those that the graph has tensors for may be left out."""
        given = [Tensor(as_array(x)) for x in inputs[: len(self.module.graph.inputs)]]
        with no_grad():
            outputs = self.module(*given)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(y.detach().numpy() for y in outputs)


def as_array(x: Any) -> np.ndarray:
    """An array of its own memory; the suite also hands out TensorProtos."""
    return np.array(x) if hasattr(x, "dtype") else array_of("the input", x)


class MinidlBackend(Backend):
    """The functions that ONNX expects of a backend."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **options: Any) -> bool:
        return out_of_scope(model) is None

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **options: Any) -> MinidlRep:
        """The model as a module.

        Raises:
            BackendIsNotSupposedToImplementIt: it needs something out of scope.
            MinidlError: it is damaged.
        """
        from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

        reason = out_of_scope(model)
        if reason is not None:
            raise BackendIsNotSupposedToImplementIt(reason)
        return MinidlRep(OnnxModule(read_graph(model)))
