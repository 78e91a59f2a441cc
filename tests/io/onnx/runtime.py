"""ONNX Runtime, which judges what is exported."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl.io.onnx.export import serialized, to_proto


class Call(nn.Module):
    """A function of tensors as a module; returns those results that have gradients."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, *xs):
        y = self.call(*xs)
        results = tuple(y) if isinstance(y, tuple | list) else (y,)
        return tuple(r for r in results if r.requires_grad) or results


def run_file(data, arrays):
    """The outputs of a file's bytes for input arrays, in ONNX Runtime."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays)))


def run_exported(model, arrays, examples=None, **options):
    """The outputs of the exported model for input arrays, in ONNX Runtime."""
    tensors = tuple(Tensor(a) for a in arrays) if examples is None else examples
    return run_file(serialized(to_proto(model, tensors, **options)), arrays)


def evaluate(model, arrays):
    """The outputs of the model itself, in evaluation mode."""
    training = model.training
    with minidl.no_grad():
        y = model.eval()(*(Tensor(a) for a in arrays))
    model.train(training)
    return [r.numpy() for r in (y if isinstance(y, tuple | list) else (y,))]


def assert_equal(actual, expected, rtol=1e-5):
    """Every element, within rtol of the expected array's largest magnitude."""
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected):
        assert a.shape == e.shape and a.dtype == e.dtype
        finite = np.abs(e[np.isfinite(e)])
        scale = max(1.0, finite.max()) if finite.size else 1.0
        np.testing.assert_allclose(a, e, rtol=0, atol=rtol * scale)
