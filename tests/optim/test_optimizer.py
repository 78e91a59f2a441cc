"""Parameter groups, state and mistakes, the same for all optimizers."""

import json

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl.errors import ArgumentError, CheckpointError, DtypeError, ShapeError


def parameter(*shape, value=1.0):
    return Tensor(np.full(shape, value, np.float32), requires_grad=True)


def make(name, parameters):
    options = {
        "SGD": {"momentum": 0.9},
        "Adam": {"amsgrad": True},
        "AdamW": {},
        "RMSprop": {"momentum": 0.9, "centered": True},
        "Adagrad": {"lr_decay": 0.1},
        "LBFGS": {"max_iter": 3, "history_size": 4},
    }
    return getattr(optim, name)(parameters, lr=0.05, **options[name])


def train(optimizer, parameters, steps):
    """A few steps on a loss that needs more than one of them."""
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            loss = sum(
                ((p - i - 2) * (p - i - 2) * (p + 3)).sum() for i, p in enumerate(parameters)
            )
            loss.backward()
            return loss

        optimizer.step(closure)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS"])
def test_state_dict_continues_bitwise(name):
    ours = [parameter(3), parameter(2, 2, value=0.5)]
    optimizer = make(name, ours)
    train(optimizer, ours, 3)
    saved = optimizer.state_dict()
    copies = [Tensor(p.data.copy(), requires_grad=True) for p in ours]
    resumed = getattr(optim, name)(copies, lr=0.7)  # every option comes from the saved state
    resumed.load_state_dict(saved)
    train(optimizer, ours, 4)
    train(resumed, copies, 4)
    for p, q in zip(ours, copies):
        np.testing.assert_array_equal(p.data, q.data)
        assert (p.data != 1).all()


def test_state_dict_is_json_and_tensors():
    p = parameter(2)
    optimizer = optim.Adam([p], lr=0.1)
    train(optimizer, [p], 2)
    saved = optimizer.state_dict()
    state = saved["state"][0]
    assert saved["optimizer"] == "Adam"
    assert json.dumps(saved["param_groups"])
    assert saved["param_groups"][0]["params"] == [0]
    assert state["step"] == 2
    assert isinstance(state["exp_avg"], Tensor) and state["exp_avg"].shape == (2,)


def test_loaded_state_has_the_parameters_memory_layout():
    p = Tensor(np.ones((2, 3, 4), np.float32).transpose(2, 0, 1), requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    train(optimizer, [p], 1)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state[p]["momentum_buffer"].strides == p.data.strides


def test_groups():
    a, b = parameter(2), parameter(3)
    groups = [{"params": [a], "lr": 1.0}, {"params": [b], "momentum": 0.9}]
    optimizer = optim.SGD(groups, lr=0.5)
    first, second = optimizer.param_groups
    assert (first["lr"], first["momentum"], first["lr_mult"]) == (1.0, 0.0, 1.0)
    assert (second["lr"], second["momentum"]) == (0.5, 0.9)
    c = parameter(1)
    optimizer.add_param_group({"params": [c], "lr_mult": 10})
    assert optimizer.param_groups[2]["lr_mult"] == 10
    assert "lr_mult=10" in repr(optimizer)


def test_zero_grad():
    p = parameter(2)
    p.grad = parameter(2)
    optim.SGD([p], lr=0.1).zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("grad", [Tensor(np.ones(1, np.float32)), np.ones((2, 3), np.float32)])
def test_assigned_gradient_must_fit(grad):
    p = parameter(2, 3)
    p.grad = grad
    with pytest.raises(ShapeError, match="SGD: p.grad is a Tensor of p's shape"):
        optim.SGD([p], lr=0.1).step()
    np.testing.assert_array_equal(p.data, np.ones((2, 3)))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_assigned_gradient_must_have_the_element_type(dtype):
    p = parameter(2, 3)
    p.grad = Tensor(np.ones((2, 3), dtype))
    with pytest.raises(DtypeError, match="SGD: p.grad has p's element type"):
        optim.SGD([p], lr=0.1, momentum=0.9).step()
    np.testing.assert_array_equal(p.data, np.ones((2, 3)))


@pytest.mark.parametrize("before, after", [(True, False), (False, True)])
def test_amsgrad_may_change_between_steps(before, after):
    """As in an optimizer that had it from the start, where the gradient never falls."""
    changing, constant = parameter(2), parameter(2)
    optimizers = [
        optim.Adam([changing], lr=0.1, amsgrad=before),
        optim.Adam([constant], lr=0.1, amsgrad=False),
    ]
    for gradients in ([1.0, 2.0], [4.0, 5.0]):
        for optimizer, p in zip(optimizers, (changing, constant)):
            p.grad = Tensor(np.array(gradients, np.float32))
            optimizer.step()
        optimizers[0].param_groups[0]["amsgrad"] = after
    np.testing.assert_array_equal(changing.data, constant.data)
    for _ in range(2):  # from here on, the largest v counts, or does not
        for optimizer, p in zip(optimizers, (changing, constant)):
            p.grad = Tensor(np.full(2, 0.01, np.float32))
            optimizer.step()
    assert np.array_equal(changing.data, constant.data) == (not after)


def test_frozen_parameters_may_be_given():
    """A frozen layer of a model is skipped, and learns once it is unfrozen."""
    layer, frozen = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1).freeze()
    optimizer = optim.SGD([*layer.parameters(), *frozen.parameters()], lr=0.1)
    before = frozen.weight.data.copy()
    frozen.unfreeze()
    frozen.weight.grad = Tensor(np.ones((1, 1, 1, 1), np.float32))
    optimizer.step()
    np.testing.assert_allclose(frozen.weight.data, before - 0.1, rtol=1e-6)


p, q = parameter(2), parameter(2)
MISTAKES = {
    "no parameters": (lambda: optim.SGD([], lr=0.1), ["is empty", "model.parameters()"]),
    "used-up generator": (lambda: optim.SGD(iter([]), lr=0.1), ["is empty", "generator"]),
    "one tensor": (lambda: optim.SGD(p, lr=0.1), ["list of Tensors", "put it in a list"]),
    "a module": (lambda: optim.SGD(nn.Conv2d(1, 1, 1), lr=0.1), ["Conv2d", "model.parameters()"]),
    "named_parameters": (
        lambda: optim.SGD(nn.Conv2d(1, 1, 1).named_parameters(), lr=0.1),
        ["is a Tensor", "not named_parameters()"],
    ),
    "not a leaf": (lambda: optim.SGD([p * 2], lr=0.1), ["leaf", "detach()"]),
    "no gradient": (lambda: optim.SGD([p.detach()], lr=0.1), ["requires_grad=True"]),
    "all frozen": (
        lambda: optim.SGD(nn.Conv2d(1, 1, 1).freeze().parameters(), lr=0.1), ["unfreeze()"],
    ),
    "twice": (lambda: optim.SGD([p, p], lr=0.1), ["given twice", "index"]),
    "in two groups": (
        lambda: optim.SGD([{"params": [p]}, {"params": [q, p]}], lr=0.1), ["given twice"],
    ),
    "mixture": (lambda: optim.SGD([{"params": [p]}, q], lr=0.1), ["mixture"]),
    "no params": (lambda: optim.SGD([{"lr": 1.0}], lr=0.1), ["params"]),
    "empty group": (lambda: optim.SGD([{"params": []}], lr=0.1), ["is empty"]),
    "option": (
        lambda: optim.SGD([{"params": [p], "momentun": 1.0}], lr=0.1),
        ["no such option", "'momentun'", "did you mean momentum?"],
    ),
    "negative lr": (lambda: optim.Adam([p], lr=-1.0), ["Adam: lr is a number >= 0", "-1.0"]),
    "nan lr": (lambda: optim.Adam([p], lr=float("nan")), ["lr is a number"]),
    "infinite lr": (lambda: optim.Adam([p], lr=float("inf")), ["lr is a number"]),
    "lr text": (lambda: optim.Adam([p], lr="0.1"), ["lr is a number", "'0.1'"]),
    "lr of a group": (lambda: optim.Adam([{"params": [p], "lr": -1}]), ["lr is a number"]),
    "betas": (lambda: optim.Adam([p], betas=(0.9, 1.0)), ["betas", ">= 0 and < 1"]),
    "three betas": (lambda: optim.Adam([p], betas=(0.9, 0.9, 0.9)), ["betas are two numbers"]),
    "one beta": (lambda: optim.AdamW([p], betas=0.9), ["betas are two numbers", "0.9"]),
    "list of lr": (lambda: optim.SGD([p], lr=[0.1]), ["lr is a number", "[0.1]"]),
    "dampening": (lambda: optim.SGD([p], dampening="x"), ["dampening is a number"]),
    "no dict": (lambda: optim.SGD([p]).add_param_group(3), ["a group is a dict", "3"]),
    "closure": (lambda: optim.SGD([p]).step(1.0), ["closure is a function", "1.0"]),
    "eps": (lambda: optim.AdamW([p], eps=-1.0), ["eps"]),
    "weight decay": (lambda: optim.Adagrad([p], weight_decay=-1.0), ["weight_decay"]),
    "momentum": (lambda: optim.SGD([p], momentum=-1.0), ["momentum"]),
    "nesterov": (lambda: optim.SGD([p], nesterov=True), ["nesterov needs momentum > 0"]),
    "alpha": (lambda: optim.RMSprop([p], alpha=1.5), ["alpha"]),
    "lr_decay": (lambda: optim.Adagrad([p], lr_decay=-1), ["lr_decay"]),
    "LBFGS groups": (lambda: optim.LBFGS([{"params": [p]}, {"params": [q]}]), ["one group"]),
    "LBFGS max_iter": (lambda: optim.LBFGS([p], max_iter=0), ["max_iter is an int >= 1"]),
    "LBFGS line search": (lambda: optim.LBFGS([p], line_search_fn="wolfe"), ["strong_wolfe"]),
    "LBFGS no function": (lambda: optim.LBFGS([p]).step(1.0), ["closure is a function"]),
    "LBFGS no loss": (lambda: optim.LBFGS([p]).step(lambda: None), ["returns the loss", "None"]),
    "LBFGS closure": (lambda: optim.LBFGS([p]).step(), ["closure", "return loss"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, texts = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    for text in texts:
        assert text in str(caught.value)


def saved_state(**changes):
    p = parameter(2)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    train(optimizer, [p], 1)
    return optimizer.state_dict() | changes


BAD_STATES = {
    "another optimizer": (saved_state(optimizer="Adam"), "saved by Adam"),
    "other groups": (saved_state(param_groups=[]), "other numbers of parameters"),
    "no groups": ({"state": {}}, "param_groups"),
    "shape": (saved_state(state={0: {"momentum_buffer": np.ones(3)}}), "momentum_buffer"),
    "complex": (saved_state(state={0: {"momentum_buffer": np.ones(2, complex)}}), "real numbers"),
    "text": (saved_state(state={0: {"momentum_buffer": ["1", "2"]}}), "real numbers"),
    "unknown parameter": (saved_state(state={7: {}}), "cannot be used"),
    "no dict": (saved_state(state=[1, 2]), "cannot be used"),
    "no dict at all": ([1, 2], "a state is a dict"),
    "bad option": (saved_state(param_groups=[{"params": [0], "lr": -3.0}]), "lr is a number"),
}


def test_state_of_integers_takes_no_nan():
    p = nn.Parameter(np.array([1, 2]), requires_grad=False)  # a frozen table
    optimizer = optim.SGD([parameter(2), p], momentum=0.9)
    state = optimizer.state_dict() | {"state": {1: {"momentum_buffer": np.array([0, np.nan])}}}
    with pytest.raises(CheckpointError, match="nan does not fit into int64"):
        optimizer.load_state_dict(state)
    assert not optimizer.state


@pytest.mark.parametrize("name", BAD_STATES)
def test_bad_state_changes_nothing(name):
    state, text = BAD_STATES[name]
    p = parameter(2)
    optimizer = optim.SGD([p], lr=0.5, momentum=0.9)
    train(optimizer, [p], 1)
    before = optimizer.state[p]["momentum_buffer"].copy()
    with pytest.raises(CheckpointError) as caught:
        optimizer.load_state_dict(state)
    assert text in str(caught.value)
    assert optimizer.param_groups[0]["lr"] == 0.5
    np.testing.assert_array_equal(optimizer.state[p]["momentum_buffer"], before)
