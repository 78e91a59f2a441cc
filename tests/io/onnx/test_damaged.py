"""Damaged and hostile files: an error, whatever byte is wrong; no other error, no hanging."""

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl.errors import CheckpointError, MinidlError
from minidl.io.onnx.export import serialized, to_proto
from tests.io.onnx.test_load import picture_net


def lstm_net():
    class Net(minidl.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.cell = minidl.nn.Embedding(7, 3), minidl.nn.LSTM(3, 2)

        def forward(self, words):
            y, _ = self.cell(self.table(words))
            return y[-1]

    words = Tensor(np.arange(6).reshape(3, 2))
    return serialized(to_proto(Net(), words, dynamic_batch=False)), [words]


def files():
    pictures = Tensor(np.ones((2, 3, 8, 8), np.float32))
    return {"pictures": (picture_net().SerializeToString(), [pictures]), "words": lstm_net()}


FILES = files()


def use(data, inputs, tmp_path):
    """Load and run; only MinidlError may come of it. Returns whether it ran."""
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    try:
        with np.errstate(all="ignore"):
            minidl.io.onnx.load(path)(*inputs)
    except MinidlError as error:
        assert str(error)
        return False
    return True


@pytest.mark.parametrize("name", FILES)
def test_truncated(name, tmp_path):
    data, inputs = FILES[name]
    assert use(data, inputs, tmp_path)
    for length in range(0, len(data), max(1, len(data) // 150)):
        use(data[:length], inputs, tmp_path)
    with pytest.raises(CheckpointError, match="the file is empty"):
        path = tmp_path / "net.onnx"
        path.write_bytes(b"")
        minidl.io.onnx.load(path)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", FILES)
def test_bytes_changed(name, seed, tmp_path):
    """A changed weight is not noticed; a changed structure is, by nothing but a MinidlError."""
    data, inputs = FILES[name]
    rng, ran = np.random.default_rng(seed), 0
    for _ in range(100):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        ran += use(bytes(changed), inputs, tmp_path)
    assert ran < 100


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", FILES)
def test_structure_changed(name, seed, tmp_path):
    """Valid files whose attributes, names and operators are others."""
    from onnx import ModelProto

    from minidl.io.onnx.importers import IMPORTERS

    data, inputs = FILES[name]
    rng = np.random.default_rng(seed)
    numbers = [-1, 0, 1, 2, 5, -(2**40), 2**40, 2**63 - 1]
    for _ in range(60):
        model = ModelProto.FromString(data)
        node = model.graph.node[rng.integers(len(model.graph.node))]
        kind = rng.integers(4)
        if kind == 0:
            node.op_type = sorted(IMPORTERS)[rng.integers(len(IMPORTERS))]
        elif kind == 1 and node.input:
            names = [name for other in model.graph.node for name in other.input]
            node.input[rng.integers(len(node.input))] = names[rng.integers(len(names))]
        elif kind == 2 and node.attribute:
            attribute = node.attribute[rng.integers(len(node.attribute))]
            number = numbers[rng.integers(len(numbers))]
            attribute.i = number
            if attribute.ints:
                attribute.ints[rng.integers(len(attribute.ints))] = number
        else:
            del node.attribute[:]
        use(model.SerializeToString(), inputs, tmp_path)
