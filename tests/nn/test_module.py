"""Module: what is registered, found, saved, switched, hooked and shown."""

import copy
import pickle

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, CheckpointError, DtypeError, ModuleError, ShapeError


class Net(nn.Module):
    """Two layers, a parameter and a buffer of its own, defined in a mixed order."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(minidl.ones(3))
        self.features = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
        self.register_buffer("mean", minidl.zeros(2))
        self.head = nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3))) * self.scale


def names(pairs):
    return [name for name, _ in pairs]


# --- registration -------------------------------------------------------------------------------


def test_names_are_dotted_and_in_order_of_definition():
    net = Net()
    assert names(net.named_parameters()) == [
        "scale", "features.0.weight", "features.0.bias", "head.weight",
    ]  # fmt: skip
    assert names(net.named_buffers()) == ["mean"]
    assert names(net.named_modules()) == ["", "features", "features.0", "features.1", "head"]
    assert names(net.named_children()) == ["features", "head"]
    assert list(net.children()) == [net.features, net.head]
    assert names(net.named_parameters(recurse=False)) == ["scale"]
    assert names(net.named_parameters(prefix="net"))[1] == "net.features.0.weight"


def test_a_replaced_module_keeps_its_place():
    net = Net()
    net.scale = nn.Parameter(minidl.zeros(3))
    net.features = nn.Conv2d(1, 4, 5)
    assert names(net.named_parameters()) == [
        "scale", "features.weight", "features.bias", "head.weight",
    ]  # fmt: skip
    assert net.scale.tolist() == [0, 0, 0]


def test_a_name_belongs_to_one_registry():
    net = Net()
    net.mean = nn.Parameter(minidl.zeros(2))
    assert "mean" in names(net.named_parameters())
    assert "mean" not in names(net.named_buffers())
    net.features = None
    assert net.features is None
    assert names(net.named_children()) == ["head"]


def test_deleted_attributes_are_gone():
    net = Net()
    del net.scale
    del net.head
    assert names(net.named_parameters()) == ["features.0.weight", "features.0.bias"]
    with pytest.raises(ModuleError, match="no attribute 'scale' to delete"):
        del net.scale


def test_none_stands_for_a_parameter_that_is_left_out():
    net = Net()
    net.scale = None
    assert net.scale is None
    assert "scale" not in names(net.named_parameters())
    net.scale = nn.Parameter(minidl.ones(3))
    assert names(net.named_parameters())[0] == "scale"


def test_a_plain_tensor_is_an_ordinary_attribute():
    net = Net()
    net.extra = minidl.ones(2, requires_grad=True)
    assert "extra" not in names(net.named_parameters())
    assert "extra" not in net.state_dict()


def test_shared_parameters_and_modules_are_listed_once_and_saved_under_each_name():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.b = nn.Linear(3, 3)
            self.b.weight = self.a.weight
            self.again = self.a

    net = Tied()
    assert names(net.named_parameters()) == ["a.weight", "a.bias", "b.bias"]
    assert names(net.named_modules()) == ["", "a", "b"]
    assert list(net.state_dict()) == [
        "a.weight", "a.bias", "b.weight", "b.bias", "again.weight", "again.bias",
    ]  # fmt: skip
    x = minidl.ones(1, 3)
    net.b(net.a(x)).sum().backward()
    expected = copy.deepcopy(net)
    expected.b.weight = nn.Parameter(expected.a.weight.detach().clone())
    expected.b(expected.a(x)).sum().backward()
    np.testing.assert_allclose(
        net.a.weight.grad, expected.a.weight.grad.data + expected.b.weight.grad.data, rtol=1e-6
    )


# --- mistakes -----------------------------------------------------------------------------------


def test_forgotten_super_init_says_so():
    class Forgot(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

    class ForgotSilently(nn.Module):
        def __init__(self):
            pass

    with pytest.raises(ModuleError, match=r"Forgot: super\(\).__init__\(\)"):
        Forgot()
    with pytest.raises(ModuleError, match=r"super\(\).__init__\(\)"):
        ForgotSilently()(minidl.ones(2))


def test_missing_attribute_names_the_nearest():
    with pytest.raises(AttributeError, match="did you mean features?") as caught:
        Net().feature  # noqa: B018
    assert isinstance(caught.value, ModuleError)
    assert not hasattr(Net(), "nothing_like_it")


@pytest.mark.parametrize(
    "name, value, error, says",
    [
        ("scale", minidl.ones(3), DtypeError, "nn.Parameter"),
        ("mean", 3.0, DtypeError, "Tensor or None"),
        ("head", lambda x: x, ModuleError, "another module or None"),
        ("layers", [nn.ReLU()], ModuleError, "nn.ModuleList"),
        ("weights", [nn.Parameter(minidl.ones(1))], ModuleError, "nn.ModuleList"),
        ("train", nn.ReLU(), ModuleError, "taken by a method"),
    ],
)
def test_assignments_that_would_go_wrong_silently(name, value, error, says):
    net = Net()
    before = names(net.state_dict().items())
    with pytest.raises(error, match=says):
        setattr(net, name, value)
    assert names(net.state_dict().items()) == before


def test_a_name_has_no_dots():
    with pytest.raises(ArgumentError, match="without dots"):
        Net().register_buffer("a.b", minidl.ones(1))
    with pytest.raises(DtypeError, match="expects modules"):
        Net().add_module("layer", nn.ReLU)


def test_integers_cannot_be_a_parameter():
    with pytest.raises(DtypeError, match="floating-point"):
        nn.Parameter(minidl.arange(3))


def test_missing_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(minidl.ones(1))


def test_calling_with_an_array_names_the_layer():
    with pytest.raises(DtypeError) as caught:
        Net()(np.ones((1, 2, 5, 5), np.float32))
    assert "in model: Net.features.0 (Conv2d)" in str(caught.value)
    assert "minidl.tensor" in str(caught.value)


def test_errors_name_the_path_of_the_failing_layer():
    inner = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
    net = nn.Sequential(nn.Linear(3, 5), nn.Sequential(inner))
    with pytest.raises(ShapeError) as caught:
        net(minidl.ones(1, 3))
    assert "in model: Sequential.1.0.1 (Linear)" in str(caught.value)


def test_other_exceptions_in_forward_pass_untouched():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        nn.Sequential(Broken())(minidl.ones(1))
    assert caught.value.args == ("mine",)


# --- finding and walking ------------------------------------------------------------------------


def test_get_submodule():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("features.0") is net.features[0]
    with pytest.raises(ArgumentError, match=r"did you mean features.0\?"):
        net.get_submodule("feature.0")
    with pytest.raises(ArgumentError):
        net.get_submodule("scale")  # a parameter, no module


def test_apply_visits_children_before_parents():
    seen = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Conv2d", "ReLU", "Sequential", "Linear", "Net"]


# --- mode ---------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module_and_can_be_set_for_one():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.features.train()
    assert [m.training for m in net.modules()] == [False, True, True, True, False]


def test_frozen_parameters_learn_nothing_but_pass_the_gradient_on():
    net = Net()
    x = minidl.ones(1, 2, 4, 4, requires_grad=True)
    net(x).sum().backward()
    expected = x.grad.numpy().copy()
    x.grad = None
    net.features.freeze()
    assert net.features[0].weight.grad is None  # so that no optimizer moves it once more
    net.head.zero_grad()
    net(x).sum().backward()
    assert net.features[0].weight.grad is None
    assert net.head.weight.grad is not None
    np.testing.assert_array_equal(x.grad, expected)
    net.unfreeze()
    net(x).sum().backward()
    assert net.features[0].weight.grad is not None


def test_zero_grad_forgets_all_gradients():
    net = Net()
    net(minidl.ones(1, 2, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_to_dtype_keeps_identity_layout_and_integers():
    net = Net()
    net.register_buffer("count", minidl.tensor(3))
    weight, strides = net.features[0].weight, net.features[0].weight.data.strides
    assert net.to("float64") is net
    assert net.to(dtype="float32").to("cpu", "float64").to(device="cpu") is net
    assert net.features[0].weight is weight
    assert weight.dtype == np.float64
    assert weight.data.strides == tuple(2 * s for s in strides)
    assert net.mean.dtype == np.float64
    assert net.count.dtype == np.int64
    assert net(minidl.ones(1, 2, 4, 4, dtype="float64")).dtype == np.float64
    with pytest.raises(DtypeError, match="floating point"):
        net.to("int64")
    with pytest.raises(DtypeError, match="float64"):
        net.to("flaot64")


# --- state --------------------------------------------------------------------------------------


def test_state_dict_shares_memory_and_keeps_order():
    net = Net()
    state = net.state_dict()
    assert list(state) == [
        "scale", "mean", "features.0.weight", "features.0.bias", "head.weight",
    ]  # fmt: skip
    assert not state["scale"].requires_grad
    net.scale.data[0] = 7
    assert state["scale"].tolist()[0] == 7


def test_load_copies_values_and_keeps_the_memory_layout():
    source, target = Net(), Net()
    strides = target.features[0].weight.data.strides
    assert strides != np.empty((4, 2, 3, 3), np.float32).strides  # channels last in memory
    weight = target.features[0].weight
    plain = {
        name: np.ascontiguousarray(t.data).astype(np.float64)
        for name, t in source.state_dict().items()
    }
    missing, unexpected = target.load_state_dict(plain)
    assert (missing, unexpected) == ([], [])
    assert target.features[0].weight is weight
    assert weight.data.strides == strides
    assert weight.dtype == np.float32
    for name, tensor in target.state_dict().items():
        np.testing.assert_array_equal(tensor, source.state_dict()[name])
    plain["scale"][0] = 99
    assert target.scale.tolist()[0] == 1  # a copy, not a view of what was given


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda s: s.pop("head.weight"), "1 name is missing"),
        (lambda s: s.update(other=minidl.ones(1)), "'other'"),
        (lambda s: s.update({"head.weight": minidl.ones(3, 5)}), r"expects \(3, 4\), received"),
        (lambda s: s.update({"head.weight": "text"}), "no array of numbers"),
        (lambda s: s.update({"head.weight": [[1], [1, 2]]}), "no array of numbers"),
    ],
)
def test_load_that_fails_changes_nothing(change, says):
    net = Net()
    before = {name: t.data.copy() for name, t in net.state_dict().items()}
    state = {name: minidl.full(t.shape, 5.0) for name, t in net.state_dict().items()}
    change(state)
    with pytest.raises(CheckpointError, match=says):
        net.load_state_dict(state)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor, before[name])


@pytest.mark.parametrize("count", [np.nan, np.inf, -1e30, np.uint64(2**63)])
@pytest.mark.parametrize("strict", [True, False])
def test_a_counter_that_is_no_integer_is_refused(count, strict):
    norm = nn.BatchNorm2d(2)
    state = {"weight": minidl.zeros(2), "num_batches_tracked": np.asarray(count)}
    if strict:
        state = norm.state_dict() | state
    with pytest.raises(CheckpointError, match=r"num_batches_tracked: \S+ does not fit into int64"):
        norm.load_state_dict(state, strict)
    assert norm.num_batches_tracked.item() == 0 and norm.weight.tolist() == [1, 1]
    norm.load_state_dict({"num_batches_tracked": np.asarray(7.0)}, strict=False)
    assert norm.num_batches_tracked.item() == 7


def test_load_not_strict_takes_what_matches():
    net = Net()
    result = net.load_state_dict({"scale": minidl.zeros(3), "other": minidl.ones(1)}, strict=False)
    assert result.missing_keys == ["mean", "features.0.weight", "features.0.bias", "head.weight"]
    assert result.unexpected_keys == ["other"]
    assert net.scale.tolist() == [0, 0, 0]
    with pytest.raises(CheckpointError, match="shapes"):
        net.load_state_dict({"scale": minidl.zeros(4)}, strict=False)


def test_load_of_something_else():
    with pytest.raises(DtypeError, match="dict"):
        Net().load_state_dict([minidl.ones(3)])


def test_long_lists_of_names_are_shortened():
    deep = nn.Sequential(*[nn.Linear(2, 2) for _ in range(20)])
    with pytest.raises(CheckpointError, match="and 35 more") as caught:
        deep.load_state_dict({})
    assert len(str(caught.value)) < 400


# --- hooks --------------------------------------------------------------------------------------


def test_forward_hook_sees_and_replaces_the_output():
    layer, calls = nn.ReLU(), []
    seeing = layer.register_forward_hook(lambda m, inputs, y: calls.append((m, inputs, y)))
    x = minidl.tensor([-1.0, 2.0])
    y = layer(x)
    assert calls == [(layer, (x,), y)]
    replacing = layer.register_forward_hook(lambda m, inputs, y: y * 10)
    assert layer(x).tolist() == [0, 20]
    seeing.remove()
    replacing.remove()
    assert layer(x).tolist() == [0, 2]
    assert len(calls) == 2


def test_forward_pre_hook_sees_and_replaces_the_inputs():
    layer = nn.ReLU()
    handle = layer.register_forward_pre_hook(lambda m, inputs: -inputs[0])
    assert layer(minidl.tensor([-1.0, 2.0])).tolist() == [1, 0]
    handle.remove()
    handle = layer.register_forward_pre_hook(lambda m, inputs: (inputs[0] + 1,))
    assert layer(minidl.tensor([-1.0, 2.0])).tolist() == [0, 3]
    handle.remove()
    assert layer(minidl.tensor([-1.0, 2.0])).tolist() == [0, 2]


# --- copies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_independent_and_complete(duplicate):
    net = Net()
    net.again = net.head  # shared, and still shared in the copy
    net.features.freeze()
    net.eval()
    net.head.register_forward_hook(lambda module, inputs, y: None)
    twin = duplicate(net)
    assert twin.again is twin.head
    assert not twin.training
    assert not twin.features[0].weight.requires_grad
    assert twin.head.weight.requires_grad
    assert isinstance(twin.head.weight, nn.Parameter)
    assert not twin.head.hooks_after  # hooks belong to whoever registered them
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor, twin.state_dict()[name])
    twin.scale.data[0] = 9
    assert net.scale.tolist()[0] == 1


def test_deepcopy_keeps_the_memory_layout():
    layer = nn.Conv2d(3, 4, 3)
    assert copy.deepcopy(layer).weight.data.strides == layer.weight.data.strides


# --- display ------------------------------------------------------------------------------------


def test_repr_has_the_form_of_pytorch():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.ReLU())

        def extra_repr(self):
            return "scale=2"

    assert repr(nn.Linear(2, 3)) == "Linear(in_features=2, out_features=3, bias=True)"
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(Scaled()) == (
        "Scaled(\n"
        "  scale=2\n"
        "  (body): Sequential(\n"
        "    (0): ReLU()\n"
        "  )\n"
        ")"
    )  # fmt: skip


@pytest.mark.torch
def test_repr_equals_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def build(nn):
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(4, 3, bias=False),
            nn.LeakyReLU(0.2),
            nn.Sequential(nn.Sigmoid(), nn.Tanh(), nn.Softmax(dim=1), nn.Identity()),
            nn.Softplus(2.0, 5.0),
            nn.ModuleDict({"a": nn.LogSoftmax(dim=-1)}),
        )

    assert repr(build(nn)) == repr(build(torch.nn))


def test_parameter_of_a_list_says_to_wrap_it():
    with pytest.raises(DtypeError, match="data is an array or a Tensor(.|\n)*minidl.tensor"):
        nn.Parameter([1.0, 2.0])
