"""What save writes, what it leaves alone, and what it refuses."""

import json

import numpy as np
import onnx
import pytest

import minidl
from minidl import Function, nn
from minidl.errors import ArgumentError, CheckpointError, DtypeError
from minidl.io.onnx.export import to_proto
from minidl.nn import functional as F
from tests.io.onnx.runtime import Call, assert_equal, evaluate, run_exported, run_file


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def small_net():
    minidl.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 4 * 4, 5),
    )  # fmt: skip
    net[1].running_mean.data[...] = [0.1, -0.2, 0.3, 0.5]
    net[1].running_var.data[...] = [0.5, 1.5, 2.0, 0.1]
    return net


# --- the file -----------------------------------------------------------------------------------


def test_file_runs_with_any_batch(tmp_path):
    net, path = small_net(), tmp_path / "net.onnx"
    minidl.io.onnx.save(net, path, (1, 3, 8, 8))
    for batch in (1, 4, 7):
        x = normal(batch, 3, 8, 8, seed=batch)
        assert_equal(run_file(path.read_bytes(), [x]), evaluate(net, [x]))
    onnx.checker.check_model(str(path), full_check=True)


def test_parameters_and_statistics_keep_their_names():
    proto = to_proto(small_net(), (1, 3, 8, 8))
    assert {tensor.name for tensor in proto.graph.initializer} == {
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "6.weight",
        "6.bias",
    }  # fmt: skip
    assert [node.op_type for node in proto.graph.node] == [
        "Conv", "BatchNormalization", "Relu", "MaxPool", "Constant", "Reshape", "Gemm",
    ]  # dropout is gone  # fmt: skip
    assert proto.graph.node[0].name == "0/Conv"


def test_the_model_is_left_as_it_was(tmp_path):
    net = small_net()
    net[0].freeze()
    net[3].eval()
    modes = [module.training for module in net.modules()]
    state = {name: tensor.numpy().copy() for name, tensor in detached(net).items()}
    minidl.manual_seed(7)
    expected = minidl.rand(3).numpy()
    minidl.manual_seed(7)
    minidl.io.onnx.save(net, tmp_path / "net.onnx", (1, 3, 8, 8))
    np.testing.assert_array_equal(minidl.rand(3).numpy(), expected)
    assert [module.training for module in net.modules()] == modes
    assert [p.requires_grad for p in net.parameters()] == [False] * 2 + [True] * 4
    assert all(p.grad is None for p in net.parameters())
    for name, tensor in detached(net).items():
        np.testing.assert_array_equal(tensor.numpy(), state[name])


class Counter(nn.Module):
    """Counts its calls, in place or by another tensor, and multiplies with a buffer."""

    def __init__(self, replaced, factor):
        super().__init__()
        self.replaced, self.factor = replaced, factor
        self.register_buffer("calls", minidl.zeros(1))
        self.register_buffer("two", minidl.tensor([2.0]))

    def forward(self, x):
        if self.replaced:
            self.calls = self.calls + 1
        else:
            self.calls += 1
        return x * getattr(self, self.factor)


@pytest.mark.parametrize("replaced", [False, True])
def test_buffers_that_forward_writes_are_left_as_they_were(replaced):
    net = Counter(replaced, "two")
    calls = net.calls
    assert_equal(run_exported(net, [normal(2, 3)]), [2 * normal(2, 3)])
    assert net.calls is calls and net.calls.item() == 0
    with pytest.raises(ArgumentError, match="a buffer that forward changes") as caught:
        to_proto(Counter(replaced, "calls"), (2, 3))
    assert "calls" in caught.value.received["buffers"]


def detached(net):
    return {name: tensor.detach() for name, tensor in net.state_dict().items()}


def test_metadata_is_text_or_json(tmp_path):
    path = tmp_path / "net.onnx"
    meta = {"model": "small", "classes": ["cat", "dog"], "mean": {"r": 0.5}}
    minidl.io.onnx.save(nn.Linear(2, 2), path, (1, 2), metadata=meta)
    found = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert found["model"] == "small"
    assert json.loads(found["classes"]) == ["cat", "dog"] and json.loads(found["mean"]) == {
        "r": 0.5
    }


def test_names_of_inputs_and_outputs():
    def call(a, b):
        return a + b, a * b

    arrays = [normal(2, 3), normal(2, 3, seed=1)]
    options = {"input_names": ["a", "b"], "output_names": ["sum", "product"]}
    proto = to_proto(Call(call), tuple(map(minidl.tensor, arrays)), **options)
    assert [value.name for value in proto.graph.input] == ["a", "b"]
    assert [value.name for value in proto.graph.output] == ["sum", "product"]
    assert_equal(run_file(proto.SerializeToString(), arrays), [arrays[0] + arrays[1],
                                                               arrays[0] * arrays[1]])  # fmt: skip
    batch = proto.graph.output[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param == "batch"


def test_outputs_that_are_inputs_or_weights_or_come_twice():
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(normal(2))

        def forward(self, x):
            y = 2 * x
            return x, y, y, y + 1, self.w

    x, model = normal(3, 2), Several()
    expected = [x, 2 * x, 2 * x, 2 * x + 1, model.w.detach().numpy()]
    assert_equal(run_exported(model, [x]), expected)


def test_shared_parameters_are_stored_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(5, 3)
            self.head = nn.Linear(3, 5, bias=False)
            self.head.weight = self.table.weight

        def forward(self, words):
            return self.head(self.table(words))

    words = np.array([[0, 4], [2, 2], [1, 3]])
    net = Tied()
    proto = to_proto(net, minidl.tensor(words))
    assert [tensor.name for tensor in proto.graph.initializer] == ["table.weight"]
    assert_equal(run_file(proto.SerializeToString(), [words]), evaluate(net, [words]))


def test_float64():
    net, x = nn.Linear(3, 2).to("float64"), normal(4, 3).astype(np.float64)
    assert_equal(run_exported(net, [x]), evaluate(net, [x]), 1e-12)


# --- sizes that depend on the batch -------------------------------------------------------------

DYNAMIC = {
    "reshape": lambda x: x.reshape(x.shape[0], -1),
    "rows-merged": lambda x: x.reshape(x.shape[0] * 3, 4),
    "reshaped-twice": lambda x: x.reshape(-1, 4).reshape(x.shape[0], 12),
    "expanded": lambda x: x[:1].expand(x.shape[0], 3, 4) + x,
    "zeros-beside": lambda x: minidl.cat([x, minidl.zeros(x.shape[0], 2, 4)], 1),
    "reversed": lambda x: x.flip(0),
    "slices": lambda x: x[1:, ::2] * x[:-1, ::2],
    "last": lambda x: x[-1],
    "indices": lambda x: x[:, minidl.tensor([2, 0])],
    "two-index-arrays": lambda x: x[:, minidl.tensor([2, 0]), minidl.tensor([1, 3])],
    "mean-over-batch": lambda x: x - x.mean(0),
    "transposed": lambda x: x.transpose(0, 1).reshape(3, -1),
    "broadcast-row": lambda x: x * minidl.ones(x.shape[0], 1, 1),
}


@pytest.mark.parametrize("name", DYNAMIC)
@pytest.mark.parametrize("batch", [2, 5])
def test_dynamic_batch(name, batch):
    model, x = Call(DYNAMIC[name]), normal(batch, 3, 4)
    exported = run_exported(model, [x], (minidl.tensor(normal(2, 3, 4, seed=9)),))
    assert_equal(exported, [y.detach().numpy() for y in model(leaf(x))])


def leaf(x):
    return minidl.tensor(x, requires_grad=True)


def test_a_fixed_batch_is_stored():
    proto = to_proto(Call(DYNAMIC["reshape"]), (4, 3, 4), dynamic_batch=False)
    assert [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim] == [4, 3, 4]


def test_lstm_with_any_batch():
    net = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)

    def call(x):
        y, (h, c) = net(x)
        return y, h, c

    model = Call(call)
    model.net = net
    x = normal(5, 6, 3)
    assert_equal(run_exported(model, [x], (minidl.tensor(normal(2, 6, 3)),)), evaluate(model, [x]))


# --- comparisons and integers -------------------------------------------------------------------

RECORDED = {
    "relu6": lambda x: minidl.where(x > 6, 6.0, minidl.where(x < 0, 0.0, x)),
    "pixels": lambda x: minidl.where(x > 100, x / 100, x),
    "scaled-if-large": lambda x: minidl.where((x > 10).any(), x / 255, x),
    "masked": lambda x: x.masked_fill((x >= 1) & ~(x == 2) | (x != x), -1.0),
    "counted": lambda x: (x <= 0).sum(1) * 2 + 1,
    "share": lambda x: (x > 0).to("float32").mean((1, 2)),
    "one-hot": lambda x: x.argmax(1, keepdim=True) == minidl.arange(3).reshape(1, 3, 1),
    "largest": lambda x: x.argmax() * minidl.ones(1, 4),
    "as-numbers": lambda x: x.to("int64") % 3,
    "without-nan": lambda x: minidl.where(minidl.isfinite(x), x, 0.0).sum(2),
}


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("scale", [0.001, 1, 255])
def test_what_is_compared_is_computed_in_the_file(name, scale):
    model, x = Call(RECORDED[name]), scale * normal(4, 3, 4, seed=3)
    x[1, :, 2] = [0, np.nan if name in ("masked", "without-nan") else 1, 2]
    exported = run_exported(model, [x], (minidl.tensor(normal(2, 3, 4)),))
    assert_equal(exported, evaluate(model, [x]))


OF_INTEGERS = {
    "tens": lambda x: x // 10 + x,
    "large-ones": lambda x: x * 0 + (x > 1000).to("int64").exp(),
    "bools": lambda x: (x > 100).sqrt() + x,
    "root": lambda x: x.sqrt(),
    "floor": lambda x: x.floor(),
    "ceil": lambda x: (x // 10).ceil() + x,
    "round": lambda x: (x // 10).round() + x,
}


@pytest.mark.parametrize("name", OF_INTEGERS)
def test_integers_unlike_the_example_are_computed_in_the_file(name):
    model, x = Call(OF_INTEGERS[name]), np.array([[0, 7, 9], [10, 123, 2000]])
    exported = run_exported(model, [x], minidl.tensor([[0, 7, 3], [5, 1, 2]]))
    assert_equal(exported, evaluate(model, [x]), 1e-6)


UNSIGNED = {
    "number": lambda x: x > 5,
    "tensor": lambda x: x > minidl.tensor(np.array([5], np.uint64)),
    "equal": lambda x: x == x.flip(0),
}


@pytest.mark.parametrize("name", UNSIGNED)
def test_integers_that_int64_does_not_hold_are_not_compared(name):
    x = minidl.tensor(np.array([1, 2**63 + 5], np.uint64))
    with pytest.raises(ArgumentError, match="integers are compared as int64") as caught:
        to_proto(Call(UNSIGNED[name]), x)
    assert "uint64" in str(caught.value) and caught.value.hint


def test_padding_of_integers_is_computed_in_the_file():
    table = nn.Embedding(9, 2)

    def mean_of_words(words):
        here = (words != 0).unsqueeze(2)
        return minidl.where(here, table(words), 0).sum(1) / here.sum(1)

    words = np.array([[3, 0, 0, 0], [8, 7, 2, 0], [1, 1, 5, 6]])
    exported = run_exported(Call(mean_of_words), [words], minidl.tensor([[3, 5, 8, 7]]))
    assert_equal(exported, evaluate(Call(mean_of_words), [words]))


def test_pictures_of_bytes_become_floats_in_the_file():
    call = Call(lambda pixels: pixels.to("float32") / 255 - 0.5)
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) * 10
    exported = run_exported(call, [pixels], minidl.tensor(pixels[:1] // 2))
    assert_equal(exported, evaluate(call, [pixels]))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_of_sequences_are_an_input(bidirectional):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTM(3, 4, num_layers=2, bidirectional=bidirectional)

        def forward(self, x, lengths):
            y, (h, _) = self.cell(x.transpose(0, 1), lengths=lengths)
            return y, h

    net, x = Net(), normal(3, 5, 3)
    examples = minidl.tensor(normal(2, 5, 3)), minidl.tensor([5, 5])
    for lengths in ([5, 5, 5], [2, 5, 1]):
        arrays = [x, np.array(lengths)]
        assert_equal(run_exported(net, arrays, examples), evaluate(net, arrays))


# --- refused ------------------------------------------------------------------------------------

UNSUITABLE = {
    "mask": (
        lambda x: minidl.where(minidl.tensor(x.data > 0), x, -x),
        "a constant of Where depends on the input",
    ),
    "mask-of-large": (
        lambda x: minidl.where(minidl.tensor(x.data > 60), x / 60, x),
        "a constant of Where depends on the input",
    ),
    "branch-of-large": (lambda x: x / 255 if x.data.max() > 60 else x, "operations that run"),
    "branch-of-small": (lambda x: x * 255 if x.data.max() < 0.1 else x, "operations that run"),
    "branch-of-sign": (lambda x: x / 255 if x.data.min() >= 0 else x, "operations that run"),
    "factor-of-large": (lambda x: x * float(x.data.max() > 60), "a constant of Mul depends"),
    "numpy": (lambda x: x * float(x.data.sum()), "a constant of Mul depends on the input"),
    "places": (lambda x: minidl.max(x, 1).indices, "output 1 of Select has no ONNX equivalent"),
    "not-recorded": (lambda x: minidl.tensor(x.data), "output 0 is not computed by recorded"),
    "branch": (lambda x: x.exp() if len(x) == 2 else x.abs(), "operations that run depend"),
    "drawn": (lambda x: x * minidl.rand(3, 4), "depends on the input or on random"),
    "channels-drawn": (lambda x: F.dropout2d(x.reshape(-1, 3, 2, 2)), "Dropout2d"),
    "pooled-batch": (lambda x: x.reshape(1, 1, -1, 4).mean() * x.shape[0], "depends on the input"),
    "size-of-its-own": (lambda x: x[: x.shape[0] // 2 + 1], "open size in a way of its own"),
}


@pytest.mark.parametrize("name", UNSUITABLE)
def test_what_would_be_wrong_for_other_inputs_is_refused(name):
    call, rule = UNSUITABLE[name]
    examples = (minidl.tensor(normal(2, 3, 4) + 1),)
    with pytest.raises(ArgumentError, match=rule) as caught:
        to_proto(Call(call), examples)
    assert caught.value.hint


def test_a_mask_of_integers_that_the_example_lacks_is_refused():
    table = nn.Embedding(9, 2)
    words = minidl.tensor([[3, 5], [8, 7]])  # 0 fills up sentences

    def masked(words):
        return minidl.where(minidl.tensor(words.data[:, :, None] == 0), 0, table(words))

    with pytest.raises(ArgumentError, match="a constant of Where depends on the input"):
        to_proto(Call(masked), words)


def test_a_model_may_refuse_values_unlike_the_example():
    def call(x):
        if not 0 <= x.data.min() <= x.data.max() <= 1:
            raise ValueError("expects pixels from 0 to 1")
        return x * 2

    x = np.random.default_rng(0).random((2, 3), np.float32)
    assert_equal(run_exported(Call(call), [x]), [2 * x])


def test_an_input_that_no_operation_reads_is_refused():
    examples = minidl.tensor(normal(2, 3)), minidl.tensor([1, 1])
    for call in (lambda x, n: 2 * x, lambda x, n: x * int(n.data.max() > 0)):
        with pytest.raises(ArgumentError) as caught:
            to_proto(Call(call), examples, input_names=["x", "count"])
    assert "does not depend on an input" in caught.value.rule
    assert "count" in str(caught.value)


def test_an_input_that_forward_changes_is_refused():
    def call(words):
        words[:, 0] = 0
        return words + 1

    words = minidl.tensor([[1, 2], [3, 4]])
    with pytest.raises(ArgumentError, match="forward changes its input in place"):
        to_proto(Call(call), words, dynamic_batch=False)
    assert words.tolist() == [[1, 2], [3, 4]]


def test_an_element_type_that_an_operator_does_not_take_is_refused():
    with pytest.raises(ArgumentError, match="ONNX does not know such a network"):
        to_proto(Call(lambda x: -x), minidl.tensor(np.ones((2, 3), np.uint8)))


class Cube(Function):
    def forward(self, x):
        return x**3

    def backward(self, gy):
        return gy


def test_an_operation_without_an_exporter_is_named():
    class Inner(nn.Module):
        def forward(self, x):
            return Cube().apply(x)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return self.inner(x + 1)

    with pytest.raises(ArgumentError) as caught:
        to_proto(Outer(), (2, 3))
    message = str(caught.value)
    assert "Cube has no ONNX equivalent" in message and "'inner'" in message and "(2, 3)" in message


@pytest.mark.parametrize(
    "options, says",
    [
        ({"inputs": 3}, "inputs is a shape"),
        ({"inputs": (1, 0)}, "inputs is a shape"),
        ({"inputs": (1, 3), "opset": 16}, "opset is from 17 to 23"),
        ({"inputs": (1, 3), "opset": True}, "opset is from 17 to 23"),
        ({"inputs": (1, 3), "input_names": ["a", "b"]}, "input_names are 1 different names"),
        ({"inputs": (1, 3), "output_names": [""]}, "output_names are 1 different names"),
        ({"inputs": (1, 3), "output_names": ["input"]}, "a name stands for two tensors"),
        ({"inputs": (1, 3), "output_names": ["weight"]}, "a name stands for two tensors"),
        ({"inputs": (1, 3), "metadata": {"x": {1, 2}}}, "metadata holds what JSON cannot"),
        ({"inputs": minidl.tensor(1.0)}, "dynamic batch has a first dimension"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments(options, says, tmp_path):
    with pytest.raises(ArgumentError, match=says):
        minidl.io.onnx.save(nn.Linear(3, 2), tmp_path / "net.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_a_function_is_no_model(tmp_path):
    with pytest.raises(DtypeError, match="model is a Module"):
        minidl.io.onnx.save(F.relu, tmp_path / "net.onnx", (1, 3))


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    with pytest.raises(CheckpointError, match="no such file or folder"):
        minidl.io.onnx.save(nn.Linear(3, 2), tmp_path / "missing" / "net.onnx", (1, 3))
    path = tmp_path / "net.onnx"
    minidl.io.onnx.save(nn.Linear(3, 2), path, (1, 3))
    before = path.read_bytes()
    with pytest.raises(ArgumentError):
        minidl.io.onnx.save(Call(lambda x: minidl.tensor(x.data)), path, (1, 3))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
