"""Pickles that want more than tensors: refused by name, and nothing happens."""

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
from minidl.io.weights import tensor_pickle
from tests.io.weights.make import (
    BIAS,
    MAGIC_NUMBER,
    Tensor,
    assert_same,
    torch_pickle,
    zip_of_pickle,
)

PROTO = b"\x80\x02"


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Reads a pickle in both containers, and gives what was said. No file may appear by that."""
    monkeypatch.chdir(tmp_path)
    stamp = tmp_path / "stamp"

    def read(data):
        said = []
        magic = pickle.dumps(MAGIC_NUMBER, 2) + pickle.dumps(1001, 2)
        machine = pickle.dumps({"little_endian": True}, 2)
        for content in (zip_of_pickle(data), magic + machine + data + pickle.dumps([], 2), data):
            (tmp_path / "x.pth").write_bytes(content)
            modules, before = set(sys.modules), dict(os.environ)
            with pytest.raises(CheckpointError) as error:
                read_weights(tmp_path / "x.pth")
            assert not stamp.exists() and os.environ == before
            assert not {"nt", "webbrowser", "antigravity"} & (set(sys.modules) - modules)
            assert len(str(error.value)) < 1500
            said.append(str(error.value))
        return said[0]

    return read


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


TOUCH = text("touch stamp")
ATTACKS = {
    "os.system": b"cposix\nsystem\n" + TOUCH + b"\x85R.",
    "nt": b"cnt\nsystem\n" + TOUCH + b"\x85R.",
    "eval": b"cbuiltins\neval\n" + text("open('stamp', 'w')") + b"\x85R.",
    "exec of Python 2": b"c__builtin__\neval\n" + text("open('stamp', 'w')") + b"\x85R.",
    "stack global": text("os") + text("system") + b"\x93" + TOUCH + b"\x85R.",
    "never called": b"cos\nsystem\n.",
    "imported only": b"cantigravity\nfly\n0}.",
    "inst": b"(" + TOUCH + b"ios\nsystem\n.",
    "obj": b"(cos\nsystem\n" + TOUCH + b"o.",
    "newobj": b"csubprocess\nPopen\n" + TOUCH + b"\x85\x81.",
    "newobj_ex": b"csubprocess\nPopen\n" + TOUCH + b"\x85}\x92.",
    "getattr": b"cbuiltins\ngetattr\ncos\nsystem\n" + text("__call__") + b"\x86R.",
    "extension 1": b"\x82\x01.",
    "extension 2": b"\x83\x01\x00.",
    "extension 4": b"\x84\x01\x00\x00\x00.",
    "persistent id of text": b"Pwhatever\n.",
    "persistent id of a call": b"(" + text("storage") + b"cos\nsystem\n" + TOUCH + b"tQ.",
    "persistent module": b"(" + text("module") + b"ctorch\nFloatStorage\n" + TOUCH + text("") +
                         b"NtQ.",
    "dotted name": b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
    "dotted module": b"ctorch.os\nsystem\n" + TOUCH + b"\x85R.",
    "torch.load": b"ctorch\nload\n" + TOUCH + b"\x85R.",
    "torch.hub": b"ctorch.hub\nload\n" + TOUCH + b"\x85R.",
    "call of a storage": b"ctorch\nFloatStorage\nK\x05\x85R.",
    "call of a text": TOUCH + TOUCH + b"\x85R.",
    "call of a result": b"ccollections\nOrderedDict\n)R" + TOUCH + b"\x85R.",
    "setstate of a function": b"ctorch._utils\n_rebuild_tensor_v2\n}" + text("__code__") +
                              b"Nsb.",
    "setstate with slots": b"ccollections\nOrderedDict\n)RN}" + text("__class__") + b"Ns\x86b.",
    "setstate of a tensor": torch_pickle(Tensor(BIAS))[0][2:-1] + b"}b.",
    "text instructions": b"S'abc'\n.",
    "text of an int": b"I1\n.",
    "dup": b"}2\x86.",
    "buffers": b"\x97\x98.",
    "bytearray": b"\x96" + struct.pack("<Q", 1 << 60) + b".",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("protocol", [b"", PROTO, b"\x80\x05"])
def test_nothing_is_run(name, protocol, refused):
    said = refused(protocol + ATTACKS[name])
    assert "pickle" in said


@pytest.mark.parametrize(
    "name, word",
    [
        ("os.system", "posix.system"), ("eval", "builtins.eval"), ("stack global", "os.system"),
        ("extension 1", "EXT1"), ("newobj", "subprocess.Popen"), ("inst", "INST"),
        ("text instructions", "STRING"), ("torch.load", "torch.load"),
    ],
)  # fmt: skip
def test_the_error_names_it(name, word, refused):
    said = refused(PROTO + ATTACKS[name])
    assert word in said and "state_dict" in said


class Evil:
    def __reduce__(self):
        return os.system, ("touch stamp",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_python(protocol, refused):
    refused(pickle.dumps({"a": Evil()}, protocol))
    refused(pickle.dumps(Evil(), protocol))


@pytest.mark.torch
def test_with_torch_the_reader_does_not_use_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.zeros(2), "evil": Evil()}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="system"):
        read_weights(tmp_path / "x.pth")
    assert not (tmp_path / "stamp").exists()


BROKEN = {
    "nothing": b"", "only proto": PROTO, "no stop": PROTO + b"}", "empty stack": b".",
    "mark missing": b"t.", "append to nothing": b"Na.", "append to a dict": b"}Na.",
    "item of a list": b"]NNs.", "odd items": b"}(" + text("a") + b"u.", "no such memo": b"h\x07.",
    "unknown instruction": b"\xf0.", "put of nothing": b"q\x00.", "setitem of a dict key": b"}}Ns.",
    "key of a tuple": b"})Ns.", "key of a large int": b"}\x8a\x09" + b"\xff" * 8 + b"\x00Ns.",
    "bad text": b"X\x01\x00\x00\x00\xff.", "short text": b"X\xff\xff\xff\x7fabc.",
    "short bytes": b"B\xff\xff\xff\xff.", "short global": b"ctorch\n", "no arguments":
    b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "storage of nothing": b")Q.",
    "sizes of a storage": b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("")
    + b"NtQ.",
    "type of a list": b"ctorch._tensor\n_rebuild_from_type_v2\n(]NNNtR.",
    "pairs": b"ccollections\nOrderedDict\n](K\x01K\x02e\x85R.",
    "dict of text": b"ccollections\nOrderedDict\n" + text("abc") + b"\x85R.",
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pickles(name, refused):
    refused(BROKEN[name])


BOMBS = {
    "large memo index": PROTO + b"}r\xff\xff\xff\x7f.",
    "large int": PROTO + b"\x8b" + struct.pack("<i", 1 << 30) + b"\x01.",
    "int as text": b"L" + b"9" * 300_000 + b"L\n.",
    "large text": PROTO + b"X\xff\xff\xff\xff" + b"a" * 1000,
    "large text 8": PROTO + b"\x8d" + struct.pack("<Q", 1 << 62) + b"a" * 1000,
    "large bytes": PROTO + b"\x8e" + struct.pack("<Q", 1 << 50) + b"a",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"}.",
    "many dicts": PROTO + b"}" * 300_000 + b".",
    "many marks": PROTO + b"(" * 300_000 + b".",
    "deep lists": PROTO + b"]" * 100_000 + b"a" * 99_999 + b".",
    "deep tuples": PROTO + b")" + b"\x85" * 300_000 + b".",
    "hash of a deep tuple": PROTO + b"ctorch._tensor\n_rebuild_from_type_v2\n()" +
                            b"\x85" * 90_000 + b"NNNtR.",
    "own list": PROTO + b"]q\x00h\x00a.",
    "laughs": PROTO + b"]q\x00" + b"".join(
        b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(200)
    ) + b".",
    "copies": PROTO + b"ccollections\nOrderedDict\nq\x00(" + b"NN\x86" * 100_000 + b"lq\x010" +
              b"h\x00h\x01\x85R" * 100_000 + b".",
    "colliding keys": PROTO + b"}(" + b"".join(
        b"\x8a\x0a" + ((2**61 - 1) * i).to_bytes(10, "little") + b"N" for i in range(1, 20_000)
    ) + b"u.",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_small_pickles_take_little(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_pickle, "MAX_STEPS", 100_000)  # measuring makes each step slow
    path = tmp_path / "x.pth"
    path.write_bytes(zip_of_pickle(BOMBS[name]))
    before = time.process_time()
    tracemalloc.start()
    with pytest.raises(CheckpointError) as error:
        read_weights(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
    assert time.process_time() - before < 10
    assert len(str(error.value)) < 1500


@pytest.mark.parametrize("depth", [20, 200])
def test_sharing_is_counted_once(depth, tmp_path):
    """A tree with 2^depth paths to one tensor is walked in no time."""
    array = np.float32([1, 2])
    data, storages = torch_pickle(Tensor(array))
    tree = data[:-1] + b"\x85q\xf0" + b"](h\xf0h\xf0eq\xf0" * depth + b"."
    (tmp_path / "x.pth").write_bytes(zip_of_pickle(tree, storages))
    if depth == 20:
        found = read_weights(tmp_path / "x.pth").tensors
        assert_same(found, {".".join("0" * 21): array})
    else:
        with pytest.raises(CheckpointError, match="nested more than 32 deep"):
            read_weights(tmp_path / "x.pth")
