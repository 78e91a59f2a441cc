"""Checkpoints: what goes in comes out, and no damaged or foreign file does any harm."""

import errno
import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl.errors import ArgumentError, CheckpointError
from minidl.io import checkpoint, load_checkpoint, save_checkpoint
from minidl.io.checkpoint import FORMAT, checksum


class Net(nn.Module):
    """Parameters of several layouts and a buffer that is not float32."""

    def __init__(self, seed=0):
        super().__init__()
        minidl.manual_seed(seed)
        self.conv = nn.Conv2d(3, 4, 2)
        self.scale = nn.Parameter(minidl.randn(3, dtype=np.float64))
        self.register_buffer("count", Tensor(np.array(7 + seed, np.int64)))


def trained(seed=0):
    """A model and an optimizer with state."""
    model = Net(seed)
    optimizer = optim.Adam(model.parameters(), lr=0.1, betas=(0.5, 0.7))
    for step in range(3):
        for p in model.parameters():
            p.grad = Tensor(np.full_like(p.data, step + 1))
        optimizer.step()
    return model, optimizer


RUN = {
    "step": 12,
    "history": [{"loss": 0.1, "accuracy": 1.0}, {"loss": float("nan"), "worst": float("-inf")}],
    "random": {"state": 2**127 + 3},
    "nothing": None,
    "flag": True,
    "numpy": np.float32(0.5),
    "best": {"weights": Tensor(np.arange(6.0).reshape(2, 3).T)},
}
META = {
    "classes": ["Katze", "犬", 'quote "'],
    "model": {"name": "lenet5", "arguments": {"a": [1, 2]}},
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *trained(), run=RUN, meta=META)
    return path


def assert_same_state(model, state):
    own = model.state_dict()
    assert own.keys() == state.keys()
    for name, tensor in own.items():
        assert tensor.dtype == state[name].dtype
        np.testing.assert_array_equal(tensor.data, state[name].data)


def test_round_trip(path):
    model, optimizer = trained()
    loaded = load_checkpoint(path)
    assert loaded.meta == META
    assert_same_state(model, loaded.model)

    other = Net(seed=1)
    arrays = [p.data for p in other.parameters()]
    strides = [array.strides for array in arrays]
    other.load_state_dict(loaded.model)
    assert_same_state(other, model.state_dict())
    for p, array, stride in zip(other.parameters(), arrays, strides):
        assert p.data is array and array.strides == stride  # values came, the memory stayed

    resumed = optim.Adam(other.parameters())
    resumed.load_state_dict(loaded.optimizer)
    assert resumed.param_groups[0]["betas"] == (0.5, 0.7)
    for p, q in zip(model.parameters(), other.parameters()):
        assert resumed.state[q]["step"] == 3
        for name in ("exp_avg", "exp_avg_sq"):
            np.testing.assert_array_equal(resumed.state[q][name], optimizer.state[p][name])


def test_several_optimizers(tmp_path):
    model, adam = trained()
    sgd = optim.SGD([model.conv.bias], lr=0.25)
    save_checkpoint(tmp_path / "a", model, {"all": adam, "bias": sgd})
    loaded = load_checkpoint(tmp_path / "a").optimizer
    assert list(loaded) == ["all", "bias"] and loaded["bias"]["param_groups"][0]["lr"] == 0.25
    for number, p in enumerate(model.parameters()):
        np.testing.assert_array_equal(
            loaded["all"]["state"][str(number)]["exp_avg"].data, adam.state[p]["exp_avg"]
        )


def test_run_state_round_trip(path):
    run = load_checkpoint(path).run
    assert run["step"] == 12 and run["flag"] is True and run["nothing"] is None
    assert run["random"] == RUN["random"]
    assert run["numpy"] == 0.5
    assert run["history"][0] == {"loss": 0.1, "accuracy": 1.0}
    assert np.isnan(run["history"][1]["loss"]) and run["history"][1]["worst"] == -np.inf
    np.testing.assert_array_equal(run["best"]["weights"].data, np.arange(6.0).reshape(2, 3).T)


def test_dots_in_keys_do_not_collide(tmp_path):
    run = {"a": {"b": np.zeros(2)}, "a.b": np.ones(3)}
    save_checkpoint(tmp_path / "a", nn.Module(), run=run)
    loaded = load_checkpoint(tmp_path / "a").run
    assert loaded["a"]["b"].tolist() == [0, 0] and loaded["a.b"].tolist() == [1, 1, 1]


def test_other_software_reads_the_weights(path):
    safetensors = pytest.importorskip("safetensors.numpy")
    weights = safetensors.load_file(path)
    model, _ = trained()
    np.testing.assert_array_equal(weights["model.conv.weight"], model.conv.weight.data)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_dtypes_and_shapes(tmp_path, dtype, shape):
    array = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    save_checkpoint(tmp_path / "a", nn.Module(), run={"a": array})
    loaded = load_checkpoint(tmp_path / "a").run["a"]
    assert loaded.dtype == dtype and loaded.shape == shape
    np.testing.assert_array_equal(loaded.data, array)


def test_model_only(tmp_path):
    save_checkpoint(tmp_path / "a", Net())
    loaded = load_checkpoint(str(tmp_path / "a"))
    assert loaded.optimizer is None and loaded.run == {} and loaded.meta == {}


def nested(depth):
    tree = []
    for _ in range(depth):
        tree = [tree]
    return tree


@pytest.mark.parametrize(
    "meta, text",
    [
        ({"a": {1, 2}}, "meta.a is of a type"),
        ({"a": [b"bytes"]}, "meta.a.0 is of a type"),
        ({"a": {(1, 2): 3}}, "keys are text"),
        ({"$tensor": "x"}, "$tensor"),
        ({True: 1}, "keys are text"),
        ({1: "a", "1": "b"}, "two keys have the same text"),
        ({"a": 10**5000}, "JSON cannot hold a value"),
        ({"a": nested(10**5)}, "nested too deeply"),
        ([1], "meta is a dict"),
        ({"a": np.ones(2, complex)}, "dtype"),
        ({"a": np.ones(2, ">f4")}, "dtype"),
    ],
)
def test_values_that_cannot_be_saved(path, meta, text):
    before = path.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(path, Net(), meta=meta)
    assert text in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: load_checkpoint(None), "load_checkpoint: path is a path"),
        (lambda: load_checkpoint(""), "path is a path"),
        (lambda: load_checkpoint("a\0b"), "path is a path"),
        (lambda: save_checkpoint(3, Net()), "save_checkpoint: path is a path"),
        (lambda: save_checkpoint("x", Net), "model is a minidl Module"),
        (lambda: save_checkpoint("x", Net(), {"lr": 1}), "optimizer is a minidl Optimizer"),
        (lambda: save_checkpoint("x", Net(), 3), "optimizer is a minidl Optimizer"),
    ],
)
def test_wrong_arguments(call, text):
    with pytest.raises(ArgumentError, match=text):
        call()


# --- damaged and foreign files ------------------------------------------------------------------


def assert_refused(path, *texts):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    for text in texts:
        assert text in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    assert_refused(tmp_path / "none.safetensors", "no such file")
    assert_refused(tmp_path, "folder")
    assert_refused("/dev/zero", "device")


def test_a_large_file_of_something_else_is_not_read(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(40 << 30)  # sparse: takes no place on the disk
    with pytest.raises(CheckpointError, match="42,949,672,960 bytes, and does not begin as"):
        load_checkpoint(tmp_path / "large")


def test_a_checkpoint_larger_than_the_memory(path, monkeypatch):
    class Large(io.FileIO):
        def read(self, size=-1):
            if size < 0:
                raise MemoryError
            return super().read(size)

    monkeypatch.setattr(checkpoint, "open", Large, raising=False)
    with pytest.raises(CheckpointError, match=r"no memory for its [\d,]+ bytes"):
        load_checkpoint(path)


def test_truncated_anywhere(path):
    data = path.read_bytes()
    for length in [*range(0, len(data), 23), len(data) - 1]:
        path.write_bytes(data[:length])
        assert_refused(path)
    path.write_bytes(data + b"\0")
    assert_refused(path)


def test_a_changed_byte_is_noticed(path):
    """Bytes get another value, one at a time: the file is refused, or gives exactly the same."""
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    model, _ = trained()
    refused = 0
    positions = range(0, len(data), 5)
    for position in positions:
        damaged = bytearray(data)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            loaded = load_checkpoint(path)
        except CheckpointError:
            refused += 1
            continue
        assert_same_state(model, loaded.model)
        assert loaded.meta == META and loaded.run["step"] == 12
    assert refused > 0.95 * len(positions)


@pytest.mark.parametrize("seed", range(5))
def test_fuzz(path, seed):
    """Cut, repeat, move and overwrite pieces: only ever a CheckpointError, or the same content."""
    rng = np.random.default_rng(seed)
    data = path.read_bytes()
    model, _ = trained()
    for _ in range(60):
        a, b, c = sorted(rng.integers(0, len(data), 3))
        noise = rng.bytes(int(b - a))
        choices = [data[:a] + data[b:], data[:b] + data[a:], data[:a] + noise + data[b:],
                   data[b:c] + data[a:b] + data[c:], data[:8] + noise, noise + data]  # fmt: skip
        path.write_bytes(choices[rng.integers(len(choices))])
        try:
            loaded = load_checkpoint(path)
        except CheckpointError:
            continue
        assert_same_state(model, loaded.model)


class Harmful:
    """Unpickling this would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickle_is_not_executed(tmp_path):
    path, trap = tmp_path / "model.safetensors", tmp_path / "executed"
    path.write_bytes(pickle.dumps(Harmful(trap)))
    assert_refused(path, "pickle")
    assert not trap.exists()


FOREIGN = {
    "empty": b"",
    "one byte": b"x",
    "zeros": bytes(1000),
    "text": b"epoch,loss\n1,0.5\n" * 20,
    "zip": b"PK\x03\x04" + bytes(100),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "random": np.random.default_rng(0).bytes(5000),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_file(tmp_path, name):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(FOREIGN[name])
    assert_refused(path, "not a whole safetensors file")


def build(tensors=None, metadata=None, data=bytes(8), length=None):
    """A safetensors file by hand, with whatever lies in its header."""
    header = dict(tensors if tensors is not None else {"a": entry()})
    if metadata is not None:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    length = len(text) if length is None else length
    return length.to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), begin=0, end=8):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


LIES = {
    "length beyond the file": build(length=10**6),
    "length of 2^63": build(length=2**63),
    "offsets beyond the file": build({"a": entry(shape=(1000,), end=4000)}),
    "huge tensor": build({"a": entry(shape=(2**40,), end=2**42)}),
    "overflowing shape": build({"a": entry(shape=(2**62, 2**62))}),
    "negative offset": build({"a": entry(begin=-8)}),
    "backward offsets": build({"a": entry(begin=8, end=0)}),
    "overlap": build({"a": entry(), "b": entry()}),
    "hole": build({"a": entry(shape=(1,), end=4)}),
    "shape and size differ": build({"a": entry(shape=(3,))}),
    "unknown dtype": build({"a": entry(dtype="X9")}),
    "dtype without NumPy type": build({"a": entry(dtype="BF16", shape=(4,))}),
    "no offsets": build({"a": {"dtype": "F32", "shape": [2]}}),
    "header is a list": (2).to_bytes(8, "little") + b"[]" + bytes(8),
    "no metadata": build(),
    "another program's metadata": build(metadata={"format": "pt"}),
    "metadata is not text": build(metadata={"format": 3}),
}


@pytest.mark.parametrize("name", LIES)
def test_header_lies(tmp_path, name):
    path = tmp_path / "lies.safetensors"
    path.write_bytes(LIES[name])
    tracemalloc.start()
    assert_refused(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6  # no lie makes it reserve memory
    tracemalloc.stop()


def content(text):
    """A file whose checksum is right and whose JSON is `text`."""
    tensors = {"a": np.zeros(2, np.float32)}
    metadata = {"format": FORMAT, "content": text, "checksum": checksum(text, tensors)}
    return build(metadata=metadata)


BAD_CONTENT = {
    "no JSON": ("{", "not JSON"),
    "NaN": ('{"run": {}, "meta": {"x": NaN}}', "NaN"),
    "Infinity": ('{"run": {}, "meta": {"x": -Infinity}}', "Infinity"),
    "list": ("[]", "not a JSON object"),
    "run is a list": ('{"run": [], "meta": {}}', "run"),
    "no meta": ('{"run": {}}', "meta"),
    "optimizer is text": ('{"run": {}, "meta": {}, "optimizer": "SGD"}', "optimizer"),
    "missing tensor": ('{"run": {"x": {"$tensor": "b"}}, "meta": {}}', "'b' is missing"),
    "tensor by number": ('{"run": {"x": {"$tensor": [1]}}, "meta": {}}', "missing"),
    "no float": ('{"run": {"x": {"$float": "__import__"}}, "meta": {}}', "no number"),
    "deep": ('{"run": {}, "meta": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}", ""),
    "nested": ('{"run": {}, "meta": ' + '{"x":' * 900 + "1" + "}" * 900 + "}", ""),
    "long number": ('{"run": {}, "meta": {"x": ' + "9" * 10_000 + "}}", "not JSON"),
}


@pytest.mark.parametrize("name", BAD_CONTENT)
def test_bad_content(tmp_path, name):
    text, says = BAD_CONTENT[name]
    path = tmp_path / "content.safetensors"
    path.write_bytes(content(text))
    if name == "nested":  # deep, but a recursion can follow it on some versions of Python
        try:
            load_checkpoint(path)
        except CheckpointError:
            pass
        return
    assert_refused(path, says)


def test_a_file_of_another_version_says_so(tmp_path):
    path = tmp_path / "old"
    text = '{"run": {}, "meta": {}}'
    path.write_bytes(content(text).replace(FORMAT.encode(), b"minidl checkpoint 1"))
    says = "another version of minidl wrote it: 'minidl checkpoint 1'"
    assert_refused(path, says, repr(FORMAT), "minidl.io.read_weights(path)")


def test_content_helper_makes_good_files(tmp_path):
    (tmp_path / "good").write_bytes(content('{"run": {}, "meta": {"x": 1}}'))
    assert load_checkpoint(tmp_path / "good").meta == {"x": 1}


# --- saving in bad conditions -------------------------------------------------------------------


def test_disk_full(path, monkeypatch):
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("minidl.io.atomic.os.fsync", full)
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(path, *trained(seed=1))
    for text in ("save_checkpoint", "the disk is full", str(path), "before is intact"):
        assert text in str(caught.value)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # nothing half-written


@pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")
def test_write_that_stops_halfway(path):
    """The system takes the first 500 bytes and refuses the rest."""
    before = path.read_bytes()
    code = f"""
import resource, signal
from tests.io.test_checkpoint import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
try:
    save_checkpoint({str(path)!r}, *trained(seed=1))
except CheckpointError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cannot write the file" in result.stdout, result.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_ctrl_c_during_a_save(path, monkeypatch):
    before = path.read_bytes()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("minidl.io.atomic.os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, *trained(seed=1))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_leftover_of_a_killed_save_is_cleaned(path):
    leftover = path.with_name(path.name + ".tmp")
    leftover.write_bytes(b"half a checkpoi")
    save_checkpoint(path, *trained(seed=1))
    assert not leftover.exists()
    assert_same_state(trained(seed=1)[0], load_checkpoint(path).model)


def test_missing_folder(tmp_path):
    with pytest.raises(CheckpointError, match="no such file or folder"):
        save_checkpoint(tmp_path / "none" / "a.safetensors", Net())


def test_path_is_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="cannot write the file"):
        save_checkpoint(tmp_path, Net())
