"""What write_weights writes, read_weights and the libraries themselves read."""

import numpy as np
import pytest
from safetensors.numpy import load_file

import minidl
from minidl.errors import ArgumentError, CheckpointError, DtypeError
from minidl.io import read_weights, write_weights
from tests.io.weights.make import BIAS, CONV, STATE_ARRAYS, assert_same

ARRAYS = {**STATE_ARRAYS, "file": BIAS, "a/b": np.int64(3), "view": CONV.transpose(1, 0, 3, 2)}
EXPECTED = {**ARRAYS, "a/b": np.array(3), "view": np.ascontiguousarray(ARRAYS["view"])}


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_round_trip(ending, tmp_path):
    path = tmp_path / f"x{ending}"
    write_weights(path, {name: np.asarray(array) for name, array in ARRAYS.items()})
    assert_same(read_weights(path).tensors, EXPECTED)
    theirs = dict(np.load(path)) if ending == ".npz" else load_file(path)
    for name, array in EXPECTED.items():
        np.testing.assert_array_equal(theirs[name], array)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_state_dict_and_meta(tmp_path):
    model = minidl.nn.Conv2d(3, 4, (2, 5))
    write_weights(tmp_path / "x.safetensors", model.state_dict(), {"source": "a test"})
    weights = read_weights(tmp_path / "x.safetensors")
    assert weights.meta == {"source": "a test"}
    assert_same(weights.tensors, {"weight": model.weight.data, "bias": model.bias.data})


@pytest.mark.parametrize(
    "name, tensors, meta, error, text",
    [
        ("x.pth", STATE_ARRAYS, None, ArgumentError, "ends with .safetensors or .npz"),
        ("x.npz", STATE_ARRAYS, {"a": "b"}, ArgumentError, "no place for meta"),
        ("x.safetensors", STATE_ARRAYS, {"a": 3}, ArgumentError, "dict of texts"),
        ("x.npz", {3: BIAS}, None, ArgumentError, "is text"),
        ("x.npz", {"a": [1, 2]}, None, DtypeError, "a is no tensor"),
        ("x.npz", {"a": np.array(["b"])}, None, DtypeError, "a is no tensor"),
        ("no/x.npz", STATE_ARRAYS, None, CheckpointError, "no such file or folder"),
    ],
)
def test_mistakes(name, tensors, meta, error, text, tmp_path):
    with pytest.raises(error, match=text):
        write_weights(tmp_path / name, tensors, meta)
    assert list(tmp_path.iterdir()) == []
