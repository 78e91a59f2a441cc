"""NumPy's and safetensors' files."""

import io
import json
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from minidl.errors import CheckpointError
from minidl.io import read_weights
from tests.io.weights.make import BIAS, CONV, DENSE, DENSE_BIAS, HWIO, assert_same, npz


@pytest.fixture
def read(tmp_path):
    def read_bytes(data):
        (tmp_path / "x").write_bytes(data)
        return read_weights(tmp_path / "x")

    return read_bytes


def test_types_and_layouts(read):
    arrays = {
        "fortran": np.asfortranarray(CONV), "big": BIAS.astype(">f4"), "int": np.int64(3),
        "half": CONV.astype(np.float16), "bool": BIAS > 0, "empty": CONV[:0], "a/b/c": DENSE,
        "strided": CONV[:, ::2, :, 1:],
    }  # fmt: skip
    expected = {name: np.array(array, array.dtype.newbyteorder("="), order="C")
                for name, array in arrays.items()}  # fmt: skip
    expected["half"] = CONV.astype(np.float16).astype(np.float32)
    assert_same(read(npz(arrays)).tensors, expected)


def test_biases_tell_that_outputs_are_last(read):
    """vgg16_weights.npz and others that came from TensorFlow."""
    arrays = {
        "conv1_1_W": CONV.transpose(HWIO), "conv1_1_b": BIAS, "fc6_W": DENSE.T, "fc6_b": DENSE_BIAS,
    }  # fmt: skip
    weights = read(npz(arrays))
    assert (weights.kernel_layout, weights.flatten_order) == ("HWIO", "HWC")
    expected = {"conv1_1_W": CONV, "conv1_1_b": BIAS, "fc6_W": DENSE, "fc6_b": DENSE_BIAS}
    assert_same(weights.tensors, expected)


@pytest.mark.parametrize("kernel", [CONV, CONV[:, :, :, :4], CONV[:4, :3]])
def test_outputs_first_or_not_told_stays(kernel, read):
    for arrays in ({"c.weight": kernel, "c.bias": BIAS}, {"c.weight": kernel, "d.bias": DENSE_BIAS},
                   {"a.weight": CONV, "a.bias": BIAS, "b.weight": np.ones((4, 3, 4, 4)),
                    "b.bias": BIAS}):  # fmt: skip
        weights = read(npz(arrays))
        assert weights.kernel_layout == "OIHW"
        assert_same(weights.tensors, arrays)


class Evil:
    def __reduce__(self):
        return os.system, ("touch stamp",)


@pytest.mark.parametrize("compressed", [False, True])
def test_pickles_are_refused(compressed, read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = np.empty(1, dtype=object)
    evil[0] = Evil()
    with pytest.raises(CheckpointError, match="pickles and could run code"):
        read(npz({"fine": BIAS, "evil": evil}, compressed))
    assert not (tmp_path / "stamp").exists()


def npy(header, data=b""):
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "header, text",
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (5,)}", "its shape needs 20"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627775,)}", "its shape needs"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,)}", "impossible shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1e3,)}", "cut short or damaged"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}", "its shape needs 4|damaged"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999,)}", "impossible"),
        ("{'descr': '|S0', 'fortran_order': False, 'shape': (16,)}", "no number"),
        ("{'descr': '|V4', 'fortran_order': False, 'shape': (4,)}", "no number"),
        ("{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}", "no number"),
        ("{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", "no number"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "pickles"),
        ("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}", "pickles"),
        ("{'descr': '<f4'}", "cut short or damaged"),
        ("__import__('os').system('touch stamp')", "cut short or damaged"),
        ("(" * 100 + ")" * 100, "cut short or damaged"),
    ],
)  # fmt: skip
def test_headers_that_are_wrong(header, text, read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=text):
        read(archive(x=npy(header, BIAS.tobytes())))
    assert not (tmp_path / "stamp").exists()


def test_zip_bomb(read):
    zeros = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (83886080,)}", bytes(80 << 20))
    data = archive(x=zeros)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read(data)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_members_that_do_not_belong(read):
    for name, text in (("x.pkl", "no .npy"), ("a.npy", "two members")):
        stream = io.BytesIO(npz({"a": BIAS}))
        with zipfile.ZipFile(stream, "a") as file:
            with pytest.warns() if name == "a.npy" else pytest.MonkeyPatch.context():
                file.writestr(name, b"x")
        with pytest.raises(CheckpointError, match=text):
            read(stream.getvalue())


# --- safetensors ------------------------------------------------------------------------------


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_types_of_safetensors(read):
    upper = (BIAS.view(np.uint32) >> 16).astype(np.uint16)
    half = BIAS.astype(np.float16)
    header = {
        "__metadata__": {"format": "pt"}, "z": entry("BF16", [4], 0, 8),
        "h": entry("F16", [2, 2], 8, 16), "d": entry("F64", [], 16, 24),
        "b": entry("BOOL", [2], 24, 26),
    }  # fmt: skip
    data = upper.tobytes() + half.tobytes() + struct.pack("<d", 0.1) + b"\x01\x00"
    weights = read(safetensors(header, data))
    assert weights.meta == {"format": "pt"}
    assert list(weights.tensors) == ["z", "h", "d", "b"]  # as they are in the file
    assert_same(weights.tensors, {
        "z": (upper.astype(np.uint32) << 16).view(np.float32), "d": np.array(0.1),
        "h": half.astype(np.float32).reshape(2, 2), "b": np.array([True, False]),
    })  # fmt: skip


@pytest.mark.parametrize("low", [0x80, 0x89, 0x93])
def test_a_length_that_looks_like_another_format(low, read):
    """The file begins with the length of its header: 0x80 is how pickles begin, too."""
    header = {"a": entry("F32", [4], 0, 16), "__metadata__": {"pad": ""}}
    missing = (low - len(json.dumps(header))) % 256
    header["__metadata__"]["pad"] = " " * missing
    data = safetensors(header, BIAS.tobytes())
    assert data[0] == low
    assert_same(read(data).tensors, {"a": BIAS})


@pytest.mark.parametrize(
    "header, text",
    [
        ({"a": entry("F32", [5], 0, 16)}, "damaged"), ({"a": entry("F32", [4], 0, 20)}, "damaged"),
        ({"a": entry("F32", [1 << 60, 1 << 60], 0, 16)}, "damaged"),
        ({"a": entry("F8_E4M3", [16], 0, 16)}, "a type that is not known here"),
        ({"a": entry("F32", [4], 0, 16), "b": entry("F32", [4], 0, 16)}, "damaged"),
        ({"a": {"dtype": "F32"}}, "damaged"), ({}, "damaged|no tensors"),
        ({"a\nb": entry("F32", [4], 0, 16)}, "no text"),
    ],
)  # fmt: skip
def test_headers_of_safetensors_that_are_wrong(header, text, read):
    with pytest.raises(CheckpointError, match=text):
        read(safetensors(header, BIAS.tobytes()))
