"""Every format read back, and what is told apart by content."""

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, CheckpointError
from minidl.io import read_weights
from tests.io.weights.make import SAMPLES, assert_same

FORMATS = {"keras 2": "keras", "keras 3": "keras", "simplenn": "matconvnet", "dagnn": "matconvnet"}


def format_of(sample):
    return FORMATS.get(sample) or FORMATS.get(sample.split()[0]) or sample.split()[0]


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("named", ["right", "wrong", "bare"])
def test_every_format_is_read_whatever_its_name(sample, named, tmp_path):
    ending, make, expected = SAMPLES[sample]
    other = ".npz" if ending != ".npz" else ".onnx"
    path = tmp_path / f"weights{ {'right': ending, 'wrong': other, 'bare': ''}[named] }"
    path.write_bytes(make())
    weights = read_weights(path)
    assert weights.format == format_of(sample)
    assert_same(weights.tensors, expected)
    expects_hwio = weights.format in ("keras", "matconvnet", "tensorflow")
    assert weights.kernel_layout == ("HWIO" if expects_hwio else "OIHW")
    assert weights.flatten_order == ("HWC" if weights.format in ("keras", "tensorflow") else "CHW")


@pytest.mark.parametrize(
    "content, text",
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>404", "this is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a Git LFS pointer"),
        (b"\x93NUMPY\x01\x00v\x00{}", "a single NumPy array"),
        (b"hello, world, what a fine day", "none of the known formats"),
        (b"PK\x03\x04", "cut short or damaged"),
        (b"\x89HDF\r\n\x1a\n", "damaged"),
        (bytes(1000), "none of the known formats"),
    ],
)
def test_other_files_are_named(content, text, tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=text) as error:
        read_weights(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("ending, name", [(".onnx", "ONNX"), (".pb", "TensorFlow"),
                                          (".caffemodel", "Caffe")])  # fmt: skip
def test_the_ending_says_what_was_expected(ending, name, tmp_path):
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match=f"not a whole {name} file"):
        read_weights(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_weights(tmp_path / "nothing.npz")
    with pytest.raises(CheckpointError, match="it is a folder or a device"):
        read_weights(tmp_path)
    with pytest.raises(CheckpointError, match="it is a folder or a device"):
        read_weights("/dev/zero")
    with pytest.raises(ArgumentError, match="path is a path"):
        read_weights(3)


def test_a_file_larger_than_memory_is_not_read(tmp_path):
    path = tmp_path / "large.npz"
    with open(path, "wb") as file:
        file.truncate(5 << 30)  # sparse: takes no place on the disk
    with pytest.raises(CheckpointError, match="5,368,709,120 bytes, more than"):
        read_weights(path)


def test_a_file_without_tensors_is_an_error(tmp_path):
    np.savez(tmp_path / "empty.npz")
    with pytest.raises(CheckpointError):
        read_weights(tmp_path / "empty.npz")


def test_our_own_checkpoint(tmp_path):
    model = minidl.nn.Conv2d(3, 4, (2, 5))
    optimizer = minidl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    minidl.io.save_checkpoint(tmp_path / "a", model, optimizer, meta={"classes": ["x", "y"]})
    weights = read_weights(tmp_path / "a")
    assert weights.format == "safetensors" and weights.meta == {"classes": ["x", "y"]}
    assert_same(weights.tensors, {"weight": model.weight.data, "bias": model.bias.data})


@pytest.mark.parametrize("part", ["weight", "momentum", "meta"])
def test_a_changed_bit_of_our_own_checkpoint_is_noticed(part, tmp_path):
    model = minidl.nn.Linear(2, 3)
    optimizer = minidl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(minidl.ones(1, 2)).sum().backward()
    optimizer.step()
    minidl.io.save_checkpoint(tmp_path / "a", model, optimizer, meta={"classes": ["cat"]})
    data = bytearray((tmp_path / "a").read_bytes())
    momentum = optimizer.state[model.weight]["momentum_buffer"]
    places = {"weight": model.weight.data.tobytes(), "momentum": np.asarray(momentum).tobytes(),
              "meta": b"cat"}  # fmt: skip
    data[data.index(places[part])] ^= 4
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(CheckpointError, match="the checksum is wrong"):
        read_weights(tmp_path / "a")
