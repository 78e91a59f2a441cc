"""Files of others as Modules: computing, differentiating, training; and what is refused."""

import itertools
import os
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import minidl
from minidl import nn
from minidl.errors import ArgumentError, CheckpointError, DtypeError, MinidlError, ShapeError
from minidl.io.onnx.importers import IMPORTERS
from minidl.io.onnx.scope import REASONS
from tests.io.onnx.runtime import assert_equal, run_file


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def make_model(nodes, inputs, outputs, weights=(), opset=17, **options):
    graph = helper.make_graph(nodes, "net", inputs, outputs, list(weights))
    options.setdefault("ir_version", 8)  # for older ONNX Runtimes: onnx writes its newest
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **options)


def load(model, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return minidl.io.onnx.load(path)


def picture_net(batch="N"):
    """A small network as PyTorch writes it: its names, a shape computed from the input."""
    weights = [
        tensor("features.0.weight", 0.5 * normal(4, 3, 3, 3)),
        tensor("features.0.bias", normal(4, seed=1)),
        tensor("features.1.weight", 1 + 0.1 * normal(4, seed=2)),
        tensor("features.1.bias", normal(4, seed=3)),
        tensor("features.1.running_mean", normal(4, seed=4)),
        tensor("features.1.running_var", np.abs(normal(4, seed=5)) + 0.5),
        tensor("classifier.weight", normal(5, 16, seed=6)),
        tensor("classifier.bias", normal(5, seed=7)),
        tensor("onnx::Gather_9", np.array(0)),
        tensor("/axes", np.array([0])),
        tensor("/rest", np.array([-1])),
    ]
    make = helper.make_node
    nodes = [
        make("Conv", ["input", "features.0.weight", "features.0.bias"], ["/conv"], name="/conv",
             kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        make("BatchNormalization", ["/conv", "features.1.weight", "features.1.bias",
             "features.1.running_mean", "features.1.running_var"], ["/bn"], momentum=0.9),
        make("Relu", ["/bn"], ["/relu"]),
        make("MaxPool", ["/relu"], ["/pool"], kernel_shape=[2, 2], strides=[2, 2]),
        make("Shape", ["/pool"], ["/shape"]),
        make("Gather", ["/shape", "onnx::Gather_9"], ["/n"], axis=0),
        make("Unsqueeze", ["/n", "/axes"], ["/n1"]),
        make("Concat", ["/n1", "/rest"], ["/sizes"], axis=0),
        make("Reshape", ["/pool", "/sizes"], ["/flat"]),
        make("Gemm", ["/flat", "classifier.weight", "classifier.bias"], ["output"], transB=1),
    ]  # fmt: skip
    return make_model(nodes, [info("input", [batch, 3, 8, 8])], [info("output", [batch, 5])],
                      weights)  # fmt: skip


# --- computing ----------------------------------------------------------------------------------


def test_a_network_as_pytorch_writes_it(tmp_path):
    model, x = picture_net(), normal(6, 3, 8, 8, seed=9)
    net = load(model, tmp_path)
    y = net(minidl.tensor(x))
    assert_equal([y.detach().numpy()], run_file(model.SerializeToString(), [x]))
    assert [name for name, _ in net.named_parameters()] == [
        "features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias",
        "classifier.weight", "classifier.bias",
    ]  # fmt: skip
    assert [name for name, _ in net.named_buffers()] == [
        "features.1.running_mean", "features.1.running_var",
    ]  # fmt: skip
    assert not net.training and net.graph.inputs[0].shape == ("N", 3, 8, 8)
    assert "10 nodes" in repr(net)


def test_gradients_are_those_of_the_same_network_of_layers(tmp_path):
    x, net = normal(4, 3, 8, 8, seed=9), load(picture_net(), tmp_path)
    twin = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip
    twin.eval()
    values = [tensor for _, tensor in net.named_parameters()]
    for mine, theirs in zip(twin.parameters(), values):
        mine.data[...] = theirs.data
    for mine, theirs in zip(list(twin.buffers())[:2], net.buffers()):
        mine.data[...] = theirs.data
    labels = minidl.tensor([0, 4, 2, 2])
    for model in (net, twin):
        nn.functional.cross_entropy(model(minidl.tensor(x)), labels).backward()
    assert_equal([p.grad.numpy() for p in values], [p.grad.numpy() for p in twin.parameters()])


def test_uneven_pads_are_the_convolutions_own(tmp_path):
    """No copy of the picture with its padding."""
    make = helper.make_node
    for attribute in ({"pads": [0, 0, 1, 1]}, {"auto_pad": "SAME_UPPER"}):
        model = make_model(
            [make("Conv", ["x", "w"], ["y"], strides=[2, 2], **attribute)],
            [info("x", [1, 2, 6, 6])], [info("y", None)], [tensor("w", normal(3, 2, 3, 3))],
        )  # fmt: skip
        net, x = load(model, tmp_path), normal(1, 2, 6, 6)
        with nn.record.record() as recording:
            y = net(minidl.tensor(x))
        assert [type(call.function).__name__ for call in recording.calls] == ["Conv2d"]
        assert_equal([y.detach().numpy()], run_file(model.SerializeToString(), [x]))


def test_it_can_be_trained(tmp_path):
    net = load(picture_net(), tmp_path).train()
    x, labels = minidl.tensor(normal(8, 3, 8, 8)), minidl.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    mean = net.get_submodule("features.1").running_mean
    before = mean.numpy().copy()
    optimizer = minidl.optim.SGD(net.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
    assert not np.allclose(mean.numpy(), before)  # averages of batches were taken


def test_frozen_it_keeps_its_averages(tmp_path):
    net = load(picture_net(), tmp_path).train()
    norm, x = net.get_submodule("features.1"), minidl.tensor(normal(8, 3, 8, 8))
    before = norm.running_mean.numpy().copy()
    for freeze in (net.freeze, norm.freeze):
        freeze()
        net(x)
        np.testing.assert_array_equal(norm.running_mean.numpy(), before)
        net.unfreeze()
    net(x)
    assert not np.allclose(norm.running_mean.numpy(), before)


def test_frozen_without_scale_and_bias_of_its_own(tmp_path):
    names = ["scale", "bias", "mean", "var"]
    nodes = [
        helper.make_node("Mul", ["scale", "scale"], ["squared"]),
        helper.make_node("BatchNormalization", ["x", "squared", *names[1:]], ["y"]),
    ]
    weights = [tensor(name, np.abs(normal(3))) for name in names]
    proto = make_model(nodes, [info("x", [4, 3, 2, 2])], [info("y", [4, 3, 2, 2])], weights)
    net, x = load(proto, tmp_path).train(), minidl.tensor(normal(4, 3, 2, 2))
    before = net.mean.numpy().copy()
    net.freeze()(x)
    np.testing.assert_array_equal(net.mean.numpy(), before)
    net.unfreeze()(x)
    assert not np.allclose(net.mean.numpy(), before)


def test_dropout_drops_in_training_only(tmp_path):
    nodes = [helper.make_node("Dropout", ["x"], ["y", "mask"])]
    outputs = [info("y", [1000]), info("mask", [1000], TensorProto.BOOL)]
    net = load(make_model(nodes, [info("x", [1000])], outputs), tmp_path)
    x = minidl.ones(1000, requires_grad=True)
    y, mask = net(x)
    assert (y.detach().numpy() == 1).all() and mask.numpy().all()
    y, mask = net.train()(x)
    y.sum().backward()
    assert set(np.unique(y.detach().numpy())) == {0, 2} and 400 < mask.numpy().sum() < 600
    np.testing.assert_array_equal(x.grad.numpy(), 2 * mask.numpy())


def test_weights_behind_rearranging_operators_are_learned(tmp_path):
    """As PyTorch exports a linear layer of 3-d inputs: MatMul with a transposed weight."""
    nodes = [
        helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "wt"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["sum"]),
        helper.make_node("Div", ["sum", "spread"], ["y"]),
    ]
    weights = [tensor("w", normal(5, 3)), tensor("b", normal(5)), tensor("spread", normal(5) + 3)]
    net = load(make_model(nodes, [info("x", [2, 4, 3])], [info("y", [2, 4, 5])], weights), tmp_path)
    assert [name for name, _ in net.named_parameters()] == ["w", "b"]
    assert [name for name, _ in net.named_buffers()] == ["spread"]
    net(minidl.tensor(normal(2, 4, 3))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_names_become_attributes(tmp_path):
    names = ["gpu_0/conv w", "a", "a.b", "forward", "training", "last_uses", "1.2", "x/y", "x_y"]
    nodes, last = [], "x"
    for i, name in enumerate(names):
        nodes.append(helper.make_node("Add", [last, name], [f"s{i}"]))
        last = f"s{i}"
    weights = [tensor(name, np.full(2, i, np.float32)) for i, name in enumerate(names)]
    net = load(make_model(nodes, [info("x", [2])], [info(last, [2])], weights), tmp_path)
    assert [name for name, _ in net.named_parameters()] == [
        "gpu_0_conv_w", "a", "forward_", "training_", "last_uses_", "x_y", "x_y_", "a_.b", "1.2",
    ]  # fmt: skip
    assert net(minidl.zeros(2)).tolist() == [36, 36]


def test_functions_that_a_file_defines_are_written_out(tmp_path):
    body = [
        helper.make_node("Mul", ["a", "a"], ["aa"]),
        helper.make_node("Add", ["aa", "a"], ["b"]),
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    function = helper.make_function("mine", "Poly", ["a"], ["b"], body, opsets[:1])
    nodes = [helper.make_node("Poly", ["x"], ["y"], domain="mine")]
    graph = helper.make_graph(nodes, "net", [info("x", [3])], [info("y", [3])])
    model = helper.make_model(graph, functions=[function], opset_imports=opsets)
    assert load(model, tmp_path)(minidl.tensor([1.0, 2.0, 3.0])).tolist() == [2, 6, 12]


def calling(levels, last="f0"):
    """Functions each of which calls the one before ten times."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    relu = [helper.make_node("Relu", ["a"], ["b"])]
    functions = [helper.make_function("f", "f0", ["a"], ["b"], relu, opsets)]
    for level in range(1, levels + 1):
        names = ["a", *(f"t{i}" for i in range(9)), "b"]
        body = [
            helper.make_node(f"f{level - 1}", [x], [y], domain="f")
            for x, y in zip(names, names[1:])
        ]
        functions.append(helper.make_function("f", f"f{level}", ["a"], ["b"], body, opsets))
    if last != "f0":
        functions[0].node[0].op_type, functions[0].node[0].domain = last, "f"
    nodes = [helper.make_node(f"f{levels}", ["x"], ["y"], domain="f")]
    graph = helper.make_graph(nodes, "net", [info("x", [3])], [info("y", [3])])
    return helper.make_model(graph, functions=functions, opset_imports=opsets)


def test_functions_that_call_each_other_are_counted_before_they_are_written_out(tmp_path):
    assert len(load(calling(3), tmp_path).graph.nodes) == 1000
    for levels in (6, 200):
        with pytest.raises(CheckpointError, match="too many nodes, written out"):
            load(calling(levels), tmp_path)
    with pytest.raises(CheckpointError, match="a function that it defines calls itself"):
        load(calling(2, last="f2"), tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "net.onnx"
    path.touch()
    os.truncate(path, 40 << 30)  # takes no space: it has no content
    with pytest.raises(CheckpointError, match="too large for an ONNX file"):
        minidl.io.onnx.load(path)


def test_many_names_that_become_one(tmp_path):
    """Were each tried with one more _ behind it, this would take minutes."""
    marks = "!#$%&()*+,-/:;<=>?@[]^{|}~"
    names = ["".join(three) for three in itertools.product(marks, repeat=3)][:9000]
    weights = [tensor(name, np.float32(0)) for name in names]
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    start = time.process_time()
    net = load(make_model(nodes, [info("x", [2])], [info("y", [2])], weights), tmp_path)
    assert time.process_time() - start < 20
    assert [name for name, _ in net.named_buffers()][:4] == ["___", "____", "____2", "____3"]


def test_memory_is_freed_after_the_last_use(tmp_path):
    """A chain holds a step or two at a time, not all of its results."""
    import tracemalloc

    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(30)]
    net = load(make_model(nodes, [info("t0", [250_000])], [info("t30", [250_000])]), tmp_path)
    x = minidl.zeros(250_000)
    tracemalloc.start()
    with minidl.no_grad():
        net(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1_000_000


def test_state_goes_into_the_network_it_was_exported_from(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    path = tmp_path / "net.onnx"
    minidl.io.onnx.save(net, path, (1, 1, 5, 5))
    fresh = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    keys = fresh.load_state_dict(minidl.io.onnx.load(path).state_dict(), strict=False)
    assert not keys.unexpected_keys
    np.testing.assert_array_equal(fresh[0].weight.data, net[0].weight.data)


# --- refused ------------------------------------------------------------------------------------


def net_of(operator, inputs=("x",), outputs=("y",), domain=None, opset=17, **attributes):
    node = helper.make_node(operator, list(inputs), list(outputs), "the_node", domain=domain,
                            **attributes)  # fmt: skip
    return make_model([node], [info("x", [2, 3])], [info(outputs[0], None)], opset=opset)


def with_changes(change):
    model = picture_net()
    change(model)
    return model


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def broken_shape(model):
    model.graph.initializer[0].dims[0] = 1000


def huge_shape(model):
    model.graph.initializer[0].dims[:] = [2**40, 2**40]


REFUSED = {
    "unknown": (net_of("Relux"), ["Relux 'the_node'", "not supported", "did you mean Relu?"]),
    "domain": (net_of("Gelu", domain="com.microsoft"), ["'com.microsoft' are not supported"]),
    "loop": (net_of("Loop"), ["Loop 'the_node'", "not supported"]),
    "input": (net_of("Relu", ["z"]), ["Relu 'the_node'", "reads 'z', which nothing before"]),
    "cycle": (net_of("Relu", ["y"]), ["reads 'y', which nothing before"]),
    "newer": (net_of("Relu", opset=999), ["operator set 999 is not known"]),
    "external": (with_changes(external), ["in another file, which is not opened", "as one file"]),
    "shape": (with_changes(broken_shape), ["'features.0.weight'", "is damaged"]),
    "huge": (with_changes(huge_shape), ["'features.0.weight'", "is damaged"]),
    "no-output": (make_model([], [], []), ["no graph with an output"]),
    "bfloat16": (
        make_model([], [info("x", [1], TensorProto.BFLOAT16)], [info("x", [1])]),
        ["elements that arrays here do not have"],
    ),
    "graph-attribute": (
        net_of("Relu", body=helper.make_graph([], "body", [], [])), ["control flow"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_not_supported(name, tmp_path):
    model, says = REFUSED[name]
    with pytest.raises(CheckpointError) as caught:
        load(model, tmp_path)
    for text in [*says, "net.onnx"]:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    "model, says",
    [
        (net_of("Conv", ["x", "x"]), ["Conv 'the_node'", "1 to 3 dimensions", "(2, 3)"]),
        (net_of("Softmax", axis=5), ["dim is from -2 to 1", "Softmax 'the_node'"]),
        (net_of("Relu", ["x", "x"]), ["Relu 'the_node' cannot be run: TypeError"]),
        (net_of("Reshape"), ["6 elements do not fit a shape of 1", "Reshape 'the_node'"]),
        (net_of("Cast", to=16), ["Cast 'the_node'", "an element type that arrays here"]),
        (net_of("Cast"), ["the attribute to is missing"]),
        (net_of("LeakyRelu", alpha="steep"), ["attribute alpha is float", "'steep'"]),
        (net_of("Relu", outputs=("y", "z")), ["has 2 outputs, 1 are known"]),
        (net_of("Transpose", perm=[0, 0]), ["each dimension is named once", "'the_node'"]),
        (net_of("MaxPool", kernel_shape=[2]), ["the window has 1 dimensions"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else value.graph.node[0].op_type,
)
def test_nodes_that_cannot_run_are_named(model, says, tmp_path):
    net = load(model, tmp_path)
    with pytest.raises(MinidlError) as caught:
        net(minidl.tensor(normal(2, 3)))
    for text in says:
        assert text in str(caught.value)


def test_wrong_inputs(tmp_path):
    net = load(picture_net(), tmp_path)
    with pytest.raises(ArgumentError, match="has 1 inputs, 2 were given"):
        net(minidl.ones(1, 3, 8, 8), minidl.ones(1))
    with pytest.raises(ShapeError, match=r"input is \('N', 3, 8, 8\)"):
        net(minidl.ones(1, 1, 8, 8))
    with pytest.raises(DtypeError, match="input is float32"):
        net(minidl.ones(1, 3, 8, 8).long())
    with pytest.raises(DtypeError, match="inputs are Tensors"):
        net(normal(1, 3, 8, 8))


def test_files_that_are_missing(tmp_path):
    with pytest.raises(CheckpointError, match="no such file or folder"):
        minidl.io.onnx.load(tmp_path / "none.onnx")
    with pytest.raises(CheckpointError, match="a folder or a device"):
        minidl.io.onnx.load(tmp_path)
    with pytest.raises(ArgumentError, match="path is a path"):
        minidl.io.onnx.load(3)


def test_scope_and_operators_cover_onnx():
    """Every operator of ONNX's own domain is implemented, or its reason is in the table."""
    known = {s.name for s in onnx.defs.get_all_schemas() if s.domain == "" and not s.deprecated}
    neither = known - set(IMPORTERS) - set(REASONS)
    assert not neither
    assert not set(IMPORTERS) & set(REASONS)
