"""Caffe's messages of all generations, made by hand."""

import numpy as np
import pytest

from minidl.errors import CheckpointError
from minidl.io import read_weights
from minidl.io.weights import caffe
from tests.io.weights.make import (
    BIAS,
    CONV,
    DENSE,
    DENSE_BIAS,
    assert_same,
    blob,
    field,
    layer,
    number_field,
    v1_layer,
    varint,
)


@pytest.fixture
def read(tmp_path):
    def read_bytes(data):
        (tmp_path / "x.caffemodel").write_bytes(data)
        return read_weights(tmp_path / "x.caffemodel")

    return read_bytes


def test_the_name_of_the_net(read):
    assert read(field(1, b"CaffeNet") + v1_layer("conv1", 4, CONV)).meta == {"net": "CaffeNet"}


def test_double_data(read):
    tensors = read(layer("c", "Convolution", CONV.astype(np.float64), BIAS)).tensors
    assert_same(tensors, {"c.weight": CONV.astype(np.float64), "c.bias": BIAS})


def test_unpacked_numbers(read):
    """Not packed into one piece: each number has a tag of its own on the wire."""
    shape = field(7, field(1, varint(4)))
    single = b"".join(varint(5 << 3 | 5) + number.tobytes() for number in BIAS)
    data = field(100, field(1, b"c") + field(2, b"Scale") + field(7, shape + single))
    assert_same(read(data).tensors, {"c.weight": BIAS})


def test_numbers_packed_in_several_pieces(read):
    shape = field(7, field(1, varint(4)))
    pieces = field(5, BIAS[:1].tobytes()) + field(5, BIAS[1:].tobytes())
    data = field(100, field(1, b"c") + field(2, b"Scale") + field(7, shape + pieces))
    assert_same(read(data).tensors, {"c.weight": BIAS})


def test_the_first_generation(read):
    blobs = field(50, blob(CONV, True)) + field(50, blob(BIAS, True))
    conv = field(1, b"conv1") + field(2, b"conv") + blobs
    fc = field(1, b"fc") + field(2, b"innerproduct") + field(50, blob(DENSE, True))
    data = field(2, field(1, conv)) + field(2, field(1, fc))
    assert_same(read(data).tensors, {"conv1.weight": CONV, "conv1.bias": BIAS, "fc.weight": DENSE})


def test_transposed_inner_product(read):
    extra = field(117, number_field(6, 1))
    tensors = read(layer("fc", "InnerProduct", DENSE.T.copy(), DENSE_BIAS, extra=extra)).tensors
    assert_same(tensors, {"fc.weight": DENSE, "fc.bias": DENSE_BIAS})


def test_batch_norm_is_divided_by_its_factor(read):
    mean, variance = 999.5 * BIAS, 999.5 * np.abs(BIAS)
    tensors = read(layer("bn", "BatchNorm", mean, variance, np.float32([999.5]))).tensors
    np.testing.assert_allclose(tensors["bn.running_mean"], BIAS, rtol=3e-7)
    np.testing.assert_allclose(tensors["bn.running_var"], np.abs(BIAS), rtol=3e-7)
    assert len(tensors) == 2
    zero = read(layer("bn", "BatchNorm", mean, variance, np.float32([0]))).tensors
    assert not zero["bn.running_mean"].any()  # Caffe's own meaning of a factor of 0


def test_other_layers_keep_numbers(read):
    """And kernels of 1x1 stay kernels."""
    ones = CONV[:, :1, :1, :1]
    tensors = read(layer("lstm", "LSTM", DENSE, BIAS) + layer("p", "PReLU", BIAS)
                   + layer("c", "Convolution", ones)).tensors  # fmt: skip
    expected = {"lstm.0": DENSE, "lstm.1": BIAS, "p.weight": BIAS, "c.weight": ones}
    assert_same(tensors, expected)


@pytest.mark.parametrize(
    "shape, text",
    [
        (varint(5), "has 16 bytes, its shape needs 20"), (varint(1 << 50), "impossible shape"),
        (varint((1 << 64) - 4), "impossible shape"),
        (varint(1 << 30) + varint(1 << 30), "impossible shape"),
        (varint(1 << 35), "has 16 bytes, its shape needs 137,438,953,472"),
        (varint(1) * 40, "impossible shape"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(shape, text, read):
    bad = field(7, field(1, shape)) + field(5, BIAS.tobytes())
    with pytest.raises(CheckpointError, match=text):
        read(field(100, field(1, b"c") + field(2, b"Scale") + field(7, bad)))


def test_layers_of_one_name_and_names_that_are_none(read):
    with pytest.raises(CheckpointError, match="two tensors have the same name"):
        read(2 * layer("c", "Scale", BIAS))
    with pytest.raises(CheckpointError, match="a name is no text"):
        read(field(100, field(1, b"\xff\xfe") + field(7, blob(BIAS))))
    with pytest.raises(CheckpointError, match="no matrix"):
        read(layer("fc", "InnerProduct", CONV))


@pytest.mark.parametrize(
    "many",
    [
        field(2, b""), field(100, b""), number_field(3, 0), field(100, 3000 * field(7, b"")),
        field(2, 3000 * field(6, b"")), field(2, field(1, 3000 * field(50, b""))),
    ],
    ids=["old layers", "layers", "others", "blobs", "old blobs", "oldest blobs"],
)  # fmt: skip
def test_small_messages_do_not_fill_the_memory(many, read, monkeypatch):
    """Each is 2 bytes in the file, and an object of 600 bytes when protobuf has parsed it."""
    monkeypatch.setattr(caffe, "MAX_FIELDS", 2000)
    assert_same(read(layer("c", "Scale", BIAS)).tensors, {"c.weight": BIAS})
    with pytest.raises(CheckpointError, match="more than 2,000 layers, blobs and other fields"):
        read(layer("c", "Scale", BIAS) + 3000 * many)


def test_a_blob_in_many_pieces(read, monkeypatch):
    monkeypatch.setattr(caffe, "MAX_FIELDS", 2000)
    for number in (5, 8):
        with pytest.raises(CheckpointError, match="a blob is cut into 3,000 pieces"):
            read(field(100, field(1, b"c") + field(7, 3000 * field(number, b""))))


@pytest.mark.parametrize("end", [b"\x13\x14", b"\x80", 11 * b"\xff" + b"\1", b"\x12\x80"])
def test_what_is_no_message_of_caffe(end, read):
    """A group, an integer cut short or too long, a length cut short."""
    with pytest.raises(CheckpointError, match="not a whole Caffe file"):
        read(layer("c", "Scale", BIAS) + end)


def test_a_net_of_realistic_size(read):
    """One piece of memory instead of five million floats one by one: well under a second."""
    large = np.arange(5_000_000, dtype=np.float32).reshape(1000, 5000)
    assert_same(read(layer("fc6", "InnerProduct", large)).tensors, {"fc6.weight": large})
