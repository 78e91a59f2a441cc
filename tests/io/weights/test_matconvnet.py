"""MAT-files of levels 5 and 7.3, with networks of both kinds."""

import io
import struct
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from minidl.errors import CheckpointError
from minidl.io import read_weights
from minidl.io.weights.file import Budget
from minidl.io.weights.hdf5 import Hdf5
from minidl.io.weights.matlab import read_mat
from minidl.io.weights.matlab73 import read_mat73
from tests.io.weights.make import (
    BIAS,
    CONV,
    DAGNN_ARRAYS,
    DENSE,
    HWIO,
    MEAN,
    META,
    SIMPLENN_ARRAYS,
    assert_same,
    cell,
    dagnn,
    mat,
    numbers,
    simplenn,
    structs,
)


@pytest.fixture
def read(tmp_path):
    def read_bytes(data):
        (tmp_path / "x.mat").write_bytes(data)
        return read_weights(tmp_path / "x.mat")

    return read_bytes


@pytest.mark.parametrize("make", [simplenn, dagnn])
def test_meta(make, read):
    assert read(mat(make())).meta == {
        "classes": ["tench", "gold fish"], "mean": [123.0, 116.0, 103.0],
        "image_size": [224, 224, 3],
    }  # fmt: skip


def test_older_files_have_the_meta_beside_the_layers(read):
    picture = np.broadcast_to(MEAN, (4, 5, 3)) + np.arange(-2, 3)[None, :, None]
    variables = {
        "layers": simplenn()["layers"],
        "normalization": {"averageImage": picture.astype(np.float32)}, "classes": META["classes"],
    }  # fmt: skip
    weights = read(mat(variables))
    assert weights.meta["mean"] == [123.0, 116.0, 103.0] and len(weights.meta["classes"]) == 2
    assert_same(weights.tensors, SIMPLENN_ARRAYS)


def test_filters_are_height_by_width(read):
    """The importer's rule: Caffe's (K, C, H, W) is (H, W, C, K) here, here with H = 2 and W = 5."""
    filters = np.zeros((2, 5, 3, 4), np.float32)
    filters[1, 4, 2, 3] = 7
    layers = cell({"name": "c", "type": "conv", "weights": cell(filters, BIAS[None])})
    tensors = read(mat({"layers": layers})).tensors
    assert tensors["cf"].shape == (4, 3, 2, 5) and tensors["cf"][3, 2, 1, 4] == 7


def test_a_matrix_of_one_row_is_a_vector_but_not_as_a_filter(read):
    layers = cell(
        {"name": "c", "type": "conv", "weights": cell(np.float32([[1, 2, 3]]), np.zeros((0, 0)))}
    )
    assert_same(read(mat({"layers": layers})).tensors,
                {"cf": np.float32([1, 2, 3]).reshape(1, 1, 1, 3)})  # fmt: skip


VARIABLES = {
    "double": numbers(2, 3, 4, dtype=np.float64), "single": CONV, "empty": np.zeros((0, 3)),
    "int8": np.int8([[1, -2]]), "uint16": np.uint16([[1], [65535]]), "int64": np.int64([[1 << 60]]),
    "complex": numbers(2, 3) + 1j * numbers(2, 3, seed=1), "small": np.float64([[1, 2, 3]]),
    "logical": np.array([[True, False]]), "scalar": np.float32([[2.5]]),
}  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_those_of_scipy(compressed):
    data = mat(VARIABLES, compressed)
    ours, theirs = read_mat(data), loadmat(io.BytesIO(data))
    for name in VARIABLES:
        assert ours[name].dtype.newbyteorder("=") == theirs[name].dtype, name
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def test_text_cells_and_structs():
    variables = {
        "text": "Größe", "rows": np.array(["abc", "de"]), "nothing": "",
        "cell": cell("a", np.float64([[1]]), cell("b")), "one": {"x": "y", "z": {"w": BIAS}},
        "several": structs({"n": "a", "v": BIAS}, {"n": "b", "v": DENSE}),
    }  # fmt: skip
    found = read_mat(mat(variables))
    assert found["text"] == "Größe" and found["rows"] == ["abc", "de"] and found["nothing"] == ""
    assert found["cell"][0] == "a" and found["cell"][1] == 1 and found["cell"][2] == ["b"]
    assert found["one"][0]["x"] == "y"
    np.testing.assert_array_equal(found["one"][0]["z"][0]["w"].reshape(-1), BIAS)
    assert [row["n"] for row in found["several"]] == ["a", "b"]


def test_other_variables_are_no_network(read):
    with pytest.raises(CheckpointError, match="neither layers nor net"):
        read(mat({"x": BIAS}))


# --- files that want too much -----------------------------------------------------------------


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(cls, dims, *content):
    head = element(6, struct.pack("<II", cls, 0)) + element(5, struct.pack(f"<{len(dims)}i", *dims))
    return element(14, head + element(1, b"layers") + b"".join(content))


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
NUMBER = element(9, struct.pack("<d", 1))


@pytest.mark.parametrize(
    "content, text",
    [
        (matrix(1, (200_000_000, 1)), "fewer elements than it says"),
        (matrix(1, (1 << 30, 1 << 30)), "impossible shape"),
        (matrix(1, (-1, -1)), "impossible shape"),
        (matrix(2, (1 << 30, 1), element(5, struct.pack("<i", 2)), element(1, b"a\0b\0")),
         "fewer elements than it says"),
        (matrix(2, (1, 1), element(5, struct.pack("<i", 0)), element(1, b"")), "field names"),
        (matrix(6, (1 << 30, 8), NUMBER), "unpacks to more than"),
        (matrix(6, (7, 1), NUMBER), "1 numbers for a matrix of another size"),
        (struct.pack("<II", 14, 1 << 31), "ends behind the end"),
        (struct.pack("<II", 15, 1 << 31), "ends behind the end"),
        (element(15, b"abc"), "damaged"), (element(3, b"abcdefgh"), "no matrix"),
        (matrix(4, (1 << 30, 0), element(4, b"")), "neither layers nor net"),
        (element(14, element(7, struct.pack("<f", float("nan")))), "no short row of integers"),
        (element(14, element(6, bytes(8)) + element(5, bytes(400))), "no short row of integers"),
        (element(14, element(6, struct.pack("<II", 0x0806, 0)) + element(5, b"\1\0\0\0" * 2)
                 + element(1, b"x") + NUMBER + element(9, bytes(16))), "2 numbers for a matrix"),
        (element(14, element(99, b"")), "unknown type"), (b"\0" * 4, "cut short"),
        (element(15, zlib.compress(NUMBER * 9)[:20]), "ends early"),
    ],
)  # fmt: skip
def test_sizes_are_not_believed(content, text, read):
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=text):
        read(HEADER + content)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_zlib_bomb(read):
    packed = zlib.compress(bytes(100 << 20), 9)
    content = struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read(HEADER + content)


EMPTY = struct.pack("<II", 14, 0)


@pytest.mark.parametrize(
    "content",
    [
        matrix(1, (200_000, 1), 200_000 * EMPTY),
        matrix(2, (100_000, 1), element(5, struct.pack("<i", 2)), element(1, b"a\0b\0"),
               200_000 * EMPTY),
        matrix(2, (0, 1), element(5, struct.pack("<i", 2)), element(1, 1_000_000 * b"a\0")),
        matrix(4, (1_000_000, 1), element(4, 1_000_000 * b"\x03\x26")),
    ],
    ids=["cell", "struct array", "fields", "rows of text"],
)  # fmt: skip
def test_small_elements_are_counted_as_what_they_take(content, read):
    """Each is 8 bytes in the file, or 2, and less when it is compressed; an object takes 400."""
    packed = zlib.compress(content)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read(HEADER + struct.pack("<II", 15, len(packed)) + packed)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_cells_in_cells(read):
    content = matrix(6, (1, 1), NUMBER)
    for _ in range(100):
        content = matrix(1, (1, 1), content)
    with pytest.raises(CheckpointError, match="more than 64 deep"):
        read(HEADER + content)


# --- level 7.3 --------------------------------------------------------------------------------


class Mat73:
    """Writes variables into an HDF5 file as MATLAB does."""

    def __init__(self, path):
        self.file = h5py.File(path, "w", userblock_size=512)
        self.refs = self.file.create_group("#refs#")

    def put(self, group, name, value):
        if isinstance(value, dict):
            made = group.create_group(name)
            for field_name, entry in value.items():
                self.put(made, field_name, entry)
            made.attrs["MATLAB_class"] = np.bytes_("struct")
        elif isinstance(value, list):  # of dicts: a struct array; else a cell array
            if value and isinstance(value[0], dict) and name != "layers":
                made = group.create_group(name)
                for field_name in value[0]:
                    self.references(made, field_name, [row[field_name] for row in value])
                made.attrs["MATLAB_class"] = np.bytes_("struct")
            else:
                self.references(group, name, value).attrs["MATLAB_class"] = np.bytes_("cell")
        elif isinstance(value, str):
            codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)
            made = group.create_dataset(name, data=codes[:, None])
            made.attrs["MATLAB_class"] = np.bytes_("char")
        else:
            group.create_dataset(name, data=np.asarray(value).T).attrs["MATLAB_class"] = (
                np.bytes_("single"))  # fmt: skip

    def references(self, group, name, values):
        targets = []
        for value in values:
            target = f"r{len(self.refs)}"
            self.put(self.refs, target, value)
            targets.append(self.refs[target].ref)
        made = group.create_dataset(name, (len(targets), 1), h5py.ref_dtype)
        for index, target in enumerate(targets):
            made[index, 0] = target
        return made

    def close(self, path):
        self.file.close()
        with open(path, "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<HH", 0x0200, 0x4D49))


def test_simplenn_of_level_73(tmp_path):
    writer = Mat73(tmp_path / "x.mat")
    layers = [
        {"name": "conv1", "type": "conv", "weights": [CONV.transpose(HWIO), BIAS[None]]},
        {"name": "relu1", "type": "relu"},
    ]
    writer.put(writer.file, "layers", layers)
    writer.put(writer.file, "meta", {"classes": {"description": ["tench", "gold fish"]},
                                     "normalization": {"averageImage": MEAN}})  # fmt: skip
    writer.close(tmp_path / "x.mat")
    weights = read_weights(tmp_path / "x.mat")
    assert weights.format == "matconvnet"
    assert_same(weights.tensors, {"conv1f": CONV, "conv1b": BIAS})
    assert weights.meta == {"classes": ["tench", "gold fish"], "mean": [123.0, 116.0, 103.0]}


def test_dagnn_of_level_73(tmp_path):
    writer = Mat73(tmp_path / "x.mat")
    net = {
        "params": [{"name": "conv1_filter", "value": CONV.transpose(HWIO)},
                   {"name": "conv1_bias", "value": BIAS[:, None]}, {"name": "w", "value": DENSE}],
        "layers": {"name": "conv1", "type": "dagnn.Conv", "params": ["conv1_filter", "conv1_bias"]},
    }  # fmt: skip
    writer.put(writer.file, "net", net)
    writer.close(tmp_path / "x.mat")
    weights = read_weights(tmp_path / "x.mat")
    assert_same(weights.tensors, {"conv1_filter": CONV, "conv1_bias": BIAS, "w": DENSE})


@pytest.mark.parametrize(
    "codes, text",
    [
        (np.float64([[99, 49, np.nan, np.inf, -np.inf]]), "c1"),
        (np.float32([[99.0], [np.nan]]), "c"), (np.uint32([[99, 0x200000, 0xD800, 0]]), "c"),
        (np.uint64([[1 << 60, 99]]), "c"), (np.int8([[-1, 99]]), "c"),
        (np.array([[99, 100], [49, 50]], np.uint16), "cd12"), (np.array([[True]]), "\1"),
    ],
)  # fmt: skip
def test_characters_of_level_73_are_numbers_of_any_kind(codes, text):
    attributes = {"": {}, "x": {"MATLAB_class": "char"}}
    assert read_mat73(Hdf5({"x": codes}, {}, attributes), Budget(1000)) == {"x": text}


def test_the_same_network_in_all_levels(read):
    assert_same(read(mat(dagnn(), compressed=True)).tensors, DAGNN_ARRAYS)


def test_references_in_circles_and_many_to_one(tmp_path):
    for case, text in (("circle", "circles, or too many"), ("many", "unpacks to more than")):
        writer = Mat73(tmp_path / "x.mat")
        large = np.ones((1 << 14, 16), np.float32)
        layer = {"type": "conv", "weights": [large]}
        made = writer.references(
            writer.file, "layers", [layer] * 2 if case == "circle" else [layer]
        )
        if case == "circle":
            made[1, 0] = made.ref
        else:
            del writer.file["layers"]
            target = writer.refs["r0"].ref
            many = writer.file.create_dataset("layers", (2000, 1), h5py.ref_dtype)
            many[:, 0] = np.array([target] * 2000, dtype=h5py.ref_dtype)
        writer.file["layers"].attrs["MATLAB_class"] = np.bytes_("cell")
        writer.close(tmp_path / "x.mat")
        with pytest.raises(CheckpointError, match=text):
            read_weights(tmp_path / "x.mat")
