"""NumPy arrays in a pickle: what is read, and that pickles which want more are refused."""

import os
import pickle
import struct
import sys
import time
import tracemalloc

import numpy as np
import pytest

from minidl.errors import CheckpointError
from minidl.io import read_weights
from tests.io.weights.make import BIAS, CONV, DENSE, HWIO, assert_same

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)  # before, arrays were written in another way


@pytest.fixture
def read(tmp_path):
    def read_bytes(data):
        (tmp_path / "x.pkl").write_bytes(data)
        return read_weights(tmp_path / "x.pkl")

    return read_bytes


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Reads a pickle, and gives what was said. No file may appear by that."""
    monkeypatch.chdir(tmp_path)

    def read_bytes(data):
        (tmp_path / "x.pkl").write_bytes(data)
        modules, before = set(sys.modules), dict(os.environ)
        with pytest.raises(CheckpointError) as error:
            read_weights(tmp_path / "x.pkl")
        assert not (tmp_path / "stamp").exists() and os.environ == before
        assert not {"antigravity", "numpy.testing"} & (set(sys.modules) - modules)
        assert len(str(error.value)) < 1500
        return str(error.value)

    return read_bytes


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_types_and_layouts(protocol, read):
    arrays = {
        "fortran": np.asfortranarray(CONV), "big": BIAS.astype(">f4"), "int": np.array(3),
        "half": CONV.astype(np.float16), "bool": BIAS > 0, "empty": CONV[:0], "a/b/c": DENSE,
        "strided": CONV[:, ::2, :, 1:], "read only": np.broadcast_to(BIAS, (2, 4)),
    }  # fmt: skip
    expected = {name: np.array(array, array.dtype.newbyteorder("="), order="C")
                for name, array in arrays.items()}  # fmt: skip
    expected["half"] = CONV.astype(np.float16).astype(np.float32)
    assert_same(read(pickle.dumps(arrays, protocol)).tensors, expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_layers_as_lists_with_outputs_last(protocol, read):
    """As in the file of SqueezeNet."""
    layers = {"conv1": [CONV.transpose(HWIO), BIAS], "fire2/squeeze1x1": [CONV.transpose(HWIO),
              BIAS]}  # fmt: skip
    weights = read(pickle.dumps(layers, protocol))
    assert (weights.kernel_layout, weights.flatten_order) == ("HWIO", "HWC")
    assert_same(weights.tensors, {
        f"{layer}.{i}": array for layer in layers for i, array in enumerate((CONV, BIAS))
    })  # fmt: skip


def test_a_state_beside_other_things(read):
    content = {"epoch": 3, "state_dict": {"fc.weight": DENSE}, "optimizer": {"m": BIAS}}
    weights = read(pickle.dumps(content))
    assert weights.meta["epoch"] == 3
    assert_same(weights.tensors, {"fc.weight": DENSE})


def test_the_name_of_numpy_before_version_2(read):
    data = pickle.dumps({"x": BIAS}, 2)
    old, new = b"numpy.core.multiarray", b"numpy._core.multiarray"
    assert (old in data) != (new in data)
    other = data.replace(new, old) if new in data else data.replace(old, new)
    assert_same(read(other).tensors, {"x": BIAS})


def test_pickles_of_python_2(read):
    """Bytes were text there."""
    data = pickle.dumps({"x": BIAS}, 3)
    raw = BIAS.tobytes()
    old = data.replace(b"C" + bytes([len(raw)]) + raw, b"U" + bytes([len(raw)]) + raw)
    assert old != data
    assert_same(read(old).tensors, {"x": BIAS})


class Evil:
    def __reduce__(self):
        return os.system, ("touch stamp",)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


ARRAY = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
F4 = b"cnumpy\ndtype\n" + text("f4") + b"\x89\x88\x87R(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xff"
F4 += b"J\xff\xff\xff\xffK\x00tb"


def array(shape=b"K\x02\x85", dtype=F4, content=b"C\x08" + b"\0" * 8):
    return (
        b"\x80\x02}" + text("x") + ARRAY + b"(K\x01" + shape + dtype + b"\x89" + content + b"tbs."
    )


def test_the_array_by_hand(read):
    assert_same(read(array()).tensors, {"x": np.zeros(2, np.float32)})


# Newer versions of NumPy write the order of the axes; 2.2 copies such an array.
TURNED, AXES = pickle.dumps({"x": CONV.transpose(HWIO)}, 5), b"(K\x02K\x03K\x01K\x00t"

HOSTILE = {
    "a call of the system": pickle.dumps({"x": BIAS, "y": Evil()}),
    "objects": pickle.dumps({"x": np.array([Evil()], dtype=object)}),
    "records": pickle.dumps({"x": np.zeros(2, dtype=[("a", "f4")])}),
    "texts": pickle.dumps({"x": np.array(["abc"])}),
    "another class of array": array().replace(b"cnumpy\nndarray", b"cnumpy\nmatrix\n"),
    "numpy.load": b"\x80\x02cnumpy\nload\n" + text("stamp") + b"\x85R.",
    "a function of numpy": b"\x80\x02cnumpy.testing\nrundocs\n" + text("stamp") + b"\x85R.",
    "memory map": b"\x80\x02cnumpy\nmemmap\n" + text("stamp") + b"\x85R.",
    "encode by another codec": b"\x80\x02c_codecs\nencode\n" + text("\u20ac") + text("utf-7") +
                               b"\x86R.",
    "a class of Python": b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
    "axes that are not there": TURNED.replace(AXES, b"(K\x02K\x07K\x01K\x00t"),
    "a word of PyTorch": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.",
    "more elements than bytes": array(shape=b"K\x03\x85"),
    "huge": array(shape=b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
    "a negative shape": array(shape=b"J\xff\xff\xff\xff\x85"),
    "a shape of text": array(shape=text("a") + b"\x85"),
    "a shape that is a list": array(shape=b"]K\x02a"),
    "no dtype": array(dtype=b"N"),
    "a dtype of a tuple": array(dtype=b"cnumpy\ndtype\n)\x85R"),
    "a dtype with fields": array(dtype=F4.replace(b"NNN", b"N}N")),
    "a byte order of its own": array(dtype=F4.replace(text("<"), text("S"))),
    "numbers of text": array(content=b"K\x01"),
    "no numbers": b"\x80\x02}" + text("x") + ARRAY + b"s.",
    "attributes of a dict": b"\x80\x02}(K\x01K\x02K\x03K\x04K\x05tb.",
    "two arrays of one name": b"\x80\x02}(" + text("1") + ARRAY + b"K\x01" + ARRAY + b"u.",
    "no arrays": pickle.dumps({"x": 3}),
    "something behind": array() + b"}.",
}  # fmt: skip
if AXES not in TURNED:
    del HOSTILE["axes that are not there"]


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_run(name, refused):
    said = refused(HOSTILE[name])
    assert "pickle" in said and "Traceback" not in said
    assert "hint" not in said or "numpy.savez(path, **arrays)" in said


BOMBS = {
    "bytes of one text, many times": b"\x80\x02c_codecs\nencode\nq\x00" + text("a" * 60_000) +
        b"q\x01" + text("latin1") + b"q\x020(" + b"h\x00h\x01h\x02\x86R" * 20_000 + b"l.",
    "one array, many times": b"\x80\x02" + b"B" + struct.pack("<I", 400_000) + b"\0" * 400_000 +
        b"q\x00" + F4 + b"q\x01" + b"J\xa0\x86\x01\x00\x85" + b"q\x02}(" + b"".join(
            b"K%c" % i + ARRAY + b"(K\x01h\x02h\x01\x89h\x00tb" for i in range(250)) + b"u.",
    "one array under many names": pickle.dumps([np.zeros(250_000, np.float32)] * 600),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_small_pickles_take_little(name, tmp_path):
    (tmp_path / "x.pkl").write_bytes(BOMBS[name])
    before = time.process_time()
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        read_weights(tmp_path / "x.pkl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 160 << 20
    assert time.process_time() - before < 10
