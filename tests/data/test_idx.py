import gzip
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.data import open_dataset, read_idx
from minidl.data.idx import parse_idx
from minidl.errors import DataError
from tests.data.make import idx, mnist_files, pixels, write, write_tree

CODES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("code", CODES)
def test_every_type(code, compress, tmp_path):
    array = np.arange(-30, 30).reshape(3, 4, 5).astype(CODES[code])
    content = idx(array, code)
    path = write(tmp_path / "x", gzip.compress(content) if compress else content)
    result = read_idx(path)
    assert result.dtype == np.dtype(CODES[code])
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "starts with nothing"),
        (b"\x89PNG\r\n", "starts with 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\x01x", "not an idx file"),
        (b"\0\0\x08\0", "not an idx file"),
        (b"\0\0\x08\x02\0\0\0\x01", "within the header"),
        (idx(pixels(3, 4))[:-1], "promises 12 bytes of data, 11 are there"),
        (idx(pixels(3, 4)) + b"x", "more bytes than the 12"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "the header is damaged"),
        (b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"x", "promises 255 dimensions"),
        (b"\0\0\x08\x05" + bytes(4) + b"\xff" * 16, "the header is damaged"),
        (gzip.compress(idx(pixels(3, 4)), mtime=0)[:-9], "cut short"),
        (gzip.compress(idx(pixels(3, 4)), mtime=0)[:-5] + b"12345", "damaged"),
    ],
)
def test_damage_is_named(content, says, tmp_path):
    path = write(tmp_path / "broken-idx", content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert says in str(caught.value) and str(path) in str(caught.value)


def test_bomb_is_not_unpacked():
    bomb = gzip.compress(idx(np.zeros((2, 2), np.uint8)) + b"\0" * 50_000_000)
    with pytest.raises(DataError, match="more bytes"):
        parse_idx(bomb, "bomb")


def test_a_small_compressed_file_does_not_fill_the_memory():
    content = b"\0\0\x08\x03\0\0\0\x50\0\0\x04\0\0\0\x04\0" + bytes(1000)  # 80 MiB, it says
    with pytest.raises(DataError, match=r"(?s)the limit for a compressed file.*hint: .*gunzip"):
        parse_idx(gzip.compress(content), "bomb")
    with pytest.raises(DataError, match="cut short"):
        parse_idx(content, "plain")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_only_raise_data_errors(data):
    content = idx(pixels(3, 4, 5))
    if data.draw(st.booleans()):
        content = gzip.compress(content, mtime=0)
    content = bytearray(content)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        parse_idx(content, "fuzzed")
    except DataError as error:
        assert "fuzzed" in str(error)


def test_mnist_layout(tmp_path):
    write_tree(tmp_path, mnist_files())
    train, test = open_dataset(tmp_path, "train"), open_dataset(tmp_path, "test")
    assert (len(train), len(test), train.image_shape) == (20, 8, (6, 6, 1))
    np.testing.assert_array_equal(train.images[..., 0], pixels(20, 6, 6, seed=20))
    assert test.labels.tolist() == list(range(8))
    assert test.classes == [str(i) for i in range(10)]


def test_other_names_and_more_classes(tmp_path):
    write(tmp_path / "train-images.idx3-ubyte", idx(pixels(13, 4, 4)))
    write(tmp_path / "train-labels.idx1-ubyte", idx(np.arange(13, dtype=np.uint8)))
    write(tmp_path / "t10k-images.idx3-ubyte", idx(pixels(2, 4, 4)))
    write(tmp_path / "t10k-labels.idx1-ubyte", idx(np.arange(2, dtype=np.uint8)))
    assert len(open_dataset(tmp_path, "test").classes) == 13


@pytest.mark.parametrize(
    "change, says",
    [
        ({"train-labels-idx1-ubyte.gz": None}, "train labels is missing"),
        ({"train-images-idx3-ubyte.gz": b""}, "not an idx file"),
        ({"train-labels-idx1-ubyte.gz": idx(np.zeros(19, np.uint8))}, "one label per image"),
        ({"train-labels-idx1-ubyte.gz": idx(np.zeros((20, 1), np.uint8))}, "1 dimension"),
        ({"train-images-idx3-ubyte.gz": idx(pixels(20, 36))}, "3 dimensions"),
        ({"train-images-idx3-ubyte.gz": idx(np.zeros((20, 6, 6), "i4"), 0x0C)}, "uint8"),
        ({"train-images-idx3-ubyte.gz": idx(pixels(0, 6, 6))}, "not empty"),
    ],
)
def test_bad_mnist_names_the_file(change, says, tmp_path):
    files = mnist_files() | change
    write_tree(tmp_path, {name: content for name, content in files.items() if content is not None})
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path, "train")
    assert says in str(caught.value) and next(iter(change)).split("-idx")[0] in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    write_tree(tmp_path, mnist_files())
    (tmp_path / "train-images-idx3-ubyte.gz").chmod(0)
    with pytest.raises(DataError, match="no permission"):
        open_dataset(tmp_path, "train")
