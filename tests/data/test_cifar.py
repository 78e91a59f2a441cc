import io
import os
import pickle
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.data import cifar, open_dataset
from minidl.data.cifar import read_python, safe_unpickle
from minidl.errors import DataError
from tests.data.make import cifar_arrays, cifar_binary, cifar_python, write_tree

FORMATS = {"binary": cifar_binary} | {
    f"python{p}": (lambda p=p: cifar_python(p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)
}


@pytest.mark.parametrize("kind", FORMATS)
def test_both_formats(kind, tmp_path):
    write_tree(tmp_path, FORMATS[kind]())
    train, test = open_dataset(tmp_path, "train"), open_dataset(tmp_path, "test")
    assert (len(train), len(test), train.classes[9]) == (30, 6, "truck")
    data, labels = cifar_arrays(3)
    for i in range(6):
        image, label = train[12 + i]
        assert label == labels[i]
        for c in range(3):  # planes, row by row
            np.testing.assert_array_equal(
                image[:, :, c].ravel(), data[i, 1024 * c : 1024 * (c + 1)]
            )


def test_archive_as_distributed(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in cifar_binary().items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    for name, data_dir in ((path, None), ("cifar10", tmp_path)):
        dataset = open_dataset(name, "test", data_dir)
        assert dataset.labels.tolist() == cifar_arrays(6)[1].tolist()


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("data_batch_2.bin", None, "missing"),
        ("data_batch_2.bin", b"x" * 3074, "3,074 bytes are no multiple of 3073"),
        ("data_batch_2.bin", b"", "no multiple"),
        ("data_batch_2.bin", b"\x0a" + bytes(3072), "label out of range 0 to 9"),
    ],
)
def test_damaged_binary_is_named(name, content, says, tmp_path):
    files = cifar_binary() | {name: content}
    write_tree(tmp_path, {n: c for n, c in files.items() if c is not None})
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path, "train")
    assert says in str(caught.value) and name in str(caught.value)


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("function", [os.system, eval, exec, open, __import__, getattr])
def test_hostile_pickle_does_not_execute(function, protocol, tmp_path):
    proof = tmp_path / "executed"
    argument = {
        os.system: f"touch {proof}", open: str(proof), eval: f"open({str(proof)!r}, 'w')",
        exec: f"open({str(proof)!r}, 'w')", __import__: "antigravity", getattr: "x",
    }[function]  # fmt: skip
    arguments = (argument, "w") if function is open else (argument,)
    content = pickle.dumps({b"data": Hostile(function, *arguments)}, protocol)
    with pytest.raises(DataError) as caught:
        safe_unpickle(content, "data_batch_1")
    assert "refused" in str(caught.value) and "data_batch_1" in str(caught.value)
    assert not proof.exists()


def test_stand_ins_do_not_run_numpy():
    # Real NumPy would allocate what the pickle asks for, or crash on a broken dtype state.
    array = np.zeros((2, 3072), np.uint8)
    content = pickle.dumps({b"data": array, b"labels": [1, 2]}, 2)
    huge = content.replace(b"K\x02M\x00\x0c", b"J\xff\xff\xff\x7fM\x00\x0c")
    assert huge != content
    with pytest.raises(DataError, match="damaged"):
        read_python(huge, "f")
    with pytest.raises(DataError, match="not uint8"):
        read_python(pickle.dumps({b"data": array.astype(np.int64)}, 2), "f")


TUPLES = b")" + b"2\x86" * 20  # a tuple of twice the same tuple of twice the same tuple ...
LARGE = b"\x8a\x08" + (2**61 - 1).to_bytes(8, "little")  # hashes as 0


@pytest.mark.parametrize(
    "content, says",
    [
        (b"}" + TUPLES + b"K\x01s.", "neither text nor a small int"),
        (b"}(" + TUPLES + b"K\x01u.", "neither text nor a small int"),
        (b"(" + TUPLES + b"K\x01d.", "neither text nor a small int"),
        (b"}(" + LARGE + b"K\x01u.", "neither text nor a small int"),
        (b"\x8f(" + TUPLES + b"\x90.", "it has a set"),
        (b"(" + TUPLES + b"\x91.", "it has a set"),
        (b"c_codecs\nencode\n}U\x01xK\x01sb.", "sets the attributes"),
        (b"c_codecs\nencode\nN}U\x0c__defaults__Ns\x86b.", "sets the attributes"),
        (b"cnumpy\nndarray\n}U\x01xK\x01sb.", "sets the attributes"),
        (b"cnumpy\ndtype\nN}U\x04codeNs\x86b.", "sets the attributes"),
        (b"}K\x01b.", "sets the attributes"),
    ],
)
def test_pickles_that_take_for_ever_or_change_the_process(content, says):
    with pytest.raises(DataError, match=says):
        safe_unpickle(b"\x80\x02" + content, "f")
    assert not hasattr(cifar.encode, "x") and not hasattr(cifar.PickledArray, "x")


def test_sharing_is_not_copied():
    """A dict of twice the same dict of twice the same dict ...: 2^18 paths, 19 dicts."""
    nested = b"}q\x00" + b"".join(
        b"0}q" + bytes([i]) + b"(K\x00h" + bytes([i - 1]) + b"K\x01h" + bytes([i - 1]) + b"u"
        for i in range(1, 19)
    )
    found, depth = safe_unpickle(b"\x80\x02" + nested + b".", "f"), 0
    while found:
        assert found[0] is found[1]
        found, depth = found[0], depth + 1
    assert depth == 18


@pytest.mark.parametrize(
    "content",
    [
        [1, 2], {b"data": [1], b"labels": [1]}, {b"labels": [1]},
        {b"data": np.zeros((1, 9), np.uint8), b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": ["cat"]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": (1,)},
    ],
)  # fmt: skip
def test_other_pickles_are_refused(content):
    with pytest.raises(DataError, match="data_batch_1"):
        read_python(pickle.dumps(content, 2), "data_batch_1")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_pickles_only_raise_data_errors(data):
    content = bytearray(cifar_python(data.draw(st.sampled_from([0, 2, 5])), n=1)["test_batch"])
    head = min(400, len(content))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(-head, head - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_python(content, "fuzzed")
    except DataError as error:
        assert "fuzzed" in str(error)
