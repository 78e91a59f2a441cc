"""Damaged files of every format: an error of ours, or arrays; nothing else, and not for long."""

import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy

from minidl.errors import CheckpointError
from minidl.io import read_weights
from minidl.io.weights.file import Budget
from minidl.io.weights.hdf5 import Hdf5
from minidl.io.weights.matlab73 import read_mat73
from tests.io.weights.make import SAMPLES

# Each HDF5 file is read in a process of its own, so there are fewer of them.
HDF5 = [name for name in SAMPLES if name.startswith("keras") or name == "dagnn 7.3"]
QUICK = [name for name in SAMPLES if name not in HDF5]


def check(data, path):
    """Read damaged data; whether it was refused. Warnings of NumPy count as failures."""
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            weights = read_weights(path)
        except CheckpointError as error:
            assert str(path) in str(error) and len(str(error)) < 2500
            assert all(line.isprintable() for line in str(error).split("\n"))
            return True
    assert weights.tensors
    assert all(type(array) is np.ndarray for array in weights.tensors.values())
    return False


@pytest.fixture(scope="module")
def contents():
    return {name: make() for name, (_, make, _) in SAMPLES.items()}


def place(name, folder):
    return folder / f"weights{SAMPLES[name][0]}"


@pytest.mark.parametrize("name", QUICK)
def test_cut_short_anywhere(name, contents, tmp_path):
    data = contents[name]
    refused = [check(data[:end], place(name, tmp_path)) for end in range(0, len(data), 9)]
    # Messages of a .caffemodel, .onnx or .pb end anywhere between two layers. All others notice.
    if name.split()[0] not in ("caffe", "onnx", "tensorflow", "simplenn", "dagnn"):
        assert all(refused)
    assert sum(refused) > len(refused) // 2


@pytest.mark.parametrize("name", QUICK)
def test_every_bit_counts(name, contents, tmp_path):
    """Each byte changed, one after the other, in one of several ways."""
    data, rng = contents[name], random.Random(0)
    for index in range(0, len(data), 2):
        changed = bytearray(data)
        changed[index] = rng.choice([0, 0xFF, 0x7F, changed[index] ^ 1 << rng.randrange(8)])
        check(bytes(changed), place(name, tmp_path))


def cut(data, begin, length, filling):
    """Bytes replaced by others, as many or not."""
    begin %= len(data)
    return data[:begin] + filling + data[begin + length :]


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, 1 << 20), st.integers(0, 40), st.binary(max_size=16)),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_pieces_replaced(name, cuts, tmp_path_factory):
    data = SAMPLES[name][1]()
    for begin, length, filling in cuts:
        data = cut(data, begin, length, filling)
    check(data, place(name, tmp_path_factory.mktemp("fuzz")))


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(data=st.binary(max_size=200), head=st.sampled_from([
    b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x89HDF\r\n\x1a\n"[:4], b"\x0a", b"\x08\x08",
    b"\x12", b"\xa2\x06", b"MATLAB 5.0".ljust(124) + b"\x00\x01IM", b"\x10\0\0\0\0\0\0\0{",
]))  # fmt: skip
@pytest.mark.parametrize("ending", [".onnx", ".pb", ".caffemodel", ".pth", ".mat"])
def test_noise(data, head, ending, tmp_path_factory):
    check(head + data, tmp_path_factory.mktemp("noise") / f"x{ending}")


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.sampled_from("?bBhHiIqQefd").flatmap(
    lambda code: numpy.arrays(code, numpy.array_shapes(max_dims=3, max_side=5))))  # fmt: skip
def test_characters_of_level_73(codes):
    attributes = {"": {}, "x": {"MATLAB_class": "char"}}
    text = read_mat73(Hdf5({"x": codes}, {}, attributes), Budget(1000))["x"]
    assert text == "".join(chr(int(code)) for code in codes.ravel() if 1 <= code < 0xD800)


def damaged_hdf5(data, rng):
    """Changes of the kinds that crash the HDF5 library, keep it busy, or fill the memory."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        index = rng.randrange(len(changed))
        changed[index] = rng.choice([changed[index] ^ 1 << rng.randrange(8), 0, 0xFF])
    return bytes(changed if rng.random() < 0.8 else changed[: rng.randrange(len(changed))])


@pytest.mark.parametrize("name", HDF5)
def test_some_damage_to_hdf5(name, contents, tmp_path):
    rng = random.Random(1)
    for _ in range(6):
        check(damaged_hdf5(contents[name], rng), place(name, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", HDF5)
def test_much_damage_to_hdf5(name, contents, tmp_path):
    rng = random.Random(2)
    for _ in range(50):
        check(damaged_hdf5(contents[name], rng), place(name, tmp_path))


@pytest.mark.slow
def test_a_file_that_keeps_the_hdf5_library_busy(contents, tmp_path):
    """One byte in the heap with the names of the layers, and HDF5 1.14 does not come to an end."""
    data = bytearray(contents["keras 2"])
    data[data.index(b"GCOL") + 136] = 0x65
    assert check(bytes(data), tmp_path / "weights.h5")
