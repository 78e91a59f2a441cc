"""What normalization layers remember from batch to batch, and how exact they are."""

import os
import subprocess
import sys

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn import functional
from tests.op_cases.case import normal

KERNELS = pytest.mark.parametrize("kernels", ["reference", "numba"])


def pictures(step, shape=(4, 3, 5, 2)):
    return (1 + step + (2 + step) * normal(*shape, seed=step)).astype(np.float32)


def torch_twin(torch, layer, **options):
    """PyTorch's layer of the same class and settings, with the same weights."""
    twin = getattr(torch.nn, type(layer).__name__)(layer.num_features, **options)
    state = layer.state_dict()
    assert list(twin.state_dict()) == list(state)
    twin.load_state_dict({name: torch.from_numpy(state[name].numpy().copy()) for name in state})
    return twin


def assert_same_state(layer, twin):
    for name, expected in twin.state_dict().items():
        actual = layer.state_dict()[name]
        assert actual.shape == tuple(expected.shape)
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=2e-6, atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("name, shape", [("BatchNorm2d", (4, 3, 5, 2)), ("BatchNorm1d", (4, 3)),
                                         ("BatchNorm1d", (4, 3, 5))])  # fmt: skip
def test_batch_norm_follows_pytorch_over_steps(name, shape, momentum):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer = getattr(nn, name)(3, momentum=momentum)
    layer.weight.data[...], layer.bias.data[...] = normal(3), normal(3, seed=1)
    twin = torch_twin(torch, layer, momentum=momentum)
    for step in range(4):
        x = pictures(step, shape)
        y = layer(minidl.tensor(x)).detach().numpy()
        np.testing.assert_allclose(y, twin(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
        assert_same_state(layer, twin)
    assert int(layer.num_batches_tracked) == 4
    layer.eval(), twin.eval()
    x = pictures(9, shape)
    y = layer(minidl.tensor(x)).detach().numpy()
    np.testing.assert_allclose(y, twin(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
    assert_same_state(layer, twin)  # evaluation changes nothing
    layer.train(), twin.train()
    layer(minidl.tensor(x)), twin(torch.from_numpy(x))
    assert_same_state(layer, twin)


@pytest.mark.torch
def test_instance_norm_follows_pytorch_over_steps():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer = nn.InstanceNorm2d(3, momentum=0.3, affine=True, track_running_stats=True)
    options = {"momentum": 0.3, "affine": True, "track_running_stats": True}
    twin = torch_twin(torch, layer, **options)
    for step in range(3):
        layer(minidl.tensor(pictures(step))), twin(torch.from_numpy(pictures(step)))
        assert_same_state(layer, twin)
    layer.eval(), twin.eval()
    expected = twin(torch.from_numpy(pictures(5))).detach().numpy()
    actual = layer(minidl.tensor(pictures(5))).detach().numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_running_averages_by_hand():
    layer = nn.BatchNorm1d(1, momentum=0.25)
    layer(minidl.tensor([[1.0], [5.0]]))  # mean 3, unbiased variance 8
    assert layer.running_mean.item() == pytest.approx(0.75 * 0 + 0.25 * 3)
    assert layer.running_var.item() == pytest.approx(0.75 * 1 + 0.25 * 8)
    layer.reset_running_stats()
    assert layer.running_mean.item() == 0 and layer.running_var.item() == 1
    assert int(layer.num_batches_tracked) == 0


def test_momentum_none_averages_all_batches_alike():
    layer = nn.BatchNorm1d(1, momentum=None)
    for value in (1.0, 2.0, 6.0):
        layer(minidl.tensor([[value - 1], [value + 1]]))
    assert layer.running_mean.item() == pytest.approx(3.0)


def test_without_tracking_evaluation_uses_the_batch():
    layer = nn.BatchNorm2d(3, affine=False, track_running_stats=False)
    assert not layer.state_dict()
    x = minidl.tensor(pictures(0))
    trained = layer(x).numpy()
    np.testing.assert_array_equal(layer.eval()(x).numpy(), trained)
    np.testing.assert_allclose(trained.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(trained.var(axis=(0, 2, 3)), 1, atol=1e-4)


def test_frozen_layer_keeps_its_averages_while_the_network_trains():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))
    norm = model[0]
    norm(minidl.tensor(pictures(0)))  # averages worth keeping
    x = minidl.tensor(pictures(1), requires_grad=True)
    expected = norm.eval()(x).detach().numpy()
    before = {name: value.numpy().copy() for name, value in norm.state_dict().items()}

    model.train()
    norm.freeze()
    np.testing.assert_array_equal(norm(x).detach().numpy(), expected)
    model(x).sum().backward()
    assert x.grad is not None and model[1].weight.grad is not None
    assert norm.weight.grad is None
    for name, value in norm.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])

    norm.unfreeze()
    norm(x)
    assert (norm.running_mean.numpy() != before["running_mean"]).all()


@KERNELS
def test_mean_that_is_large_against_the_spread(kernels):
    """float32 keeps 1e-3 of a value near 1e4; the variance must not lose more than that."""
    x = (1e4 + normal(8, 3, 16, 16)).astype(np.float32)
    exact = x.astype(np.float64)
    mean = exact.mean(axis=(0, 2, 3), keepdims=True)
    expected = (exact - mean) / np.sqrt(exact.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
    with minidl.use_cpu_kernels(kernels):
        y = functional.batch_norm(minidl.tensor(x), None, None, training=True).numpy()
    np.testing.assert_allclose(y, expected, atol=2e-6)


@KERNELS
@pytest.mark.parametrize(
    "shape", [(1, 1, 181, 181), (2, 3, 75, 75), (1, 16, 55, 55), (8, 3, 64, 64)], ids=str
)
def test_first_pixel_far_from_the_mean(kernels, shape):
    """A dark corner, in pictures with many pixels to a channel, costs no digits of the variance."""
    x = (200 + normal(*shape)).astype(np.float32)
    x[..., 0, 0] = 0
    exact = x.astype(np.float64)
    mean = exact.mean(axis=(0, 2, 3), keepdims=True)
    variance = exact.var(axis=(0, 2, 3), keepdims=True)
    running_mean, running_var = minidl.zeros(shape[1]), minidl.zeros(shape[1])
    with minidl.use_cpu_kernels(kernels):
        y = functional.batch_norm(
            minidl.tensor(x), running_mean, running_var, training=True, momentum=1.0, eps=0.0
        )
    n = x.size // shape[1]
    np.testing.assert_allclose(running_var.numpy(), variance.ravel() * n / (n - 1), rtol=1e-6)
    np.testing.assert_allclose(y.numpy(), (exact - mean) / np.sqrt(variance), rtol=0, atol=2e-5)


@KERNELS
def test_more_rows_than_one_block(kernels):
    """The blocks' statistics combine to those of all rows, also where the blocks differ."""
    x = normal(3, 2, 120, 101) + np.linspace(-5, 5, 120)[:, None]
    x = minidl.tensor(x, requires_grad=True)
    gy = normal(3, 2, 120, 101, seed=1)
    with minidl.use_cpu_kernels(kernels):
        y = functional.batch_norm(x, None, None, training=True, eps=0.0)
        y.backward(gy)
    data = x.data
    std = data.std(axis=(0, 2, 3), keepdims=True)
    xhat = (data - data.mean(axis=(0, 2, 3), keepdims=True)) / std
    np.testing.assert_allclose(y.detach().numpy(), xhat, atol=1e-12)
    gx = gy - gy.mean(axis=(0, 2, 3), keepdims=True)
    gx -= xhat * (gy * xhat).mean(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), gx / std, atol=1e-12)


THREADS = """
import hashlib, numpy as np, minidl
data, gy = np.random.default_rng(0).standard_normal((2, 4, 5, 64, 63)).astype("float32")
for threads in (1, 2, 3):
    minidl.set_num_threads(threads)
    minidl.manual_seed(0)
    x, w = minidl.tensor(data, requires_grad=True), minidl.ones(5, requires_grad=True)
    y = minidl.nn.functional.batch_norm(x, None, None, w, training=True)
    y.backward(gy)
    dropped = minidl.nn.functional.dropout(x, 0.3)
    parts = [np.ascontiguousarray(a.data) for a in (y, x.grad, w.grad, dropped)]
    print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def test_same_bits_for_any_number_of_threads():
    """In a process that may have three, whatever the machine has."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS], env={**os.environ, "NUMBA_NUM_THREADS": "3"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    hashes = done.stdout.splitlines()
    assert len(hashes) == 3 and len(set(hashes)) == 1


def test_instance_norm_of_one_picture_is_batch_norm():
    x = minidl.tensor(pictures(0, (1, 3, 4, 5)))
    one = functional.instance_norm(x).numpy()
    np.testing.assert_array_equal(one, functional.batch_norm(x, None, None, training=True).numpy())


def test_instance_norm_does_not_look_at_other_pictures():
    x = minidl.tensor(pictures(0))
    together = nn.InstanceNorm2d(3)(x).numpy()
    alone = [nn.InstanceNorm2d(3)(x[n : n + 1]).numpy() for n in range(len(x))]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_local_response_norm_layer():
    layer = nn.LocalResponseNorm(5, alpha=1.0, k=2.0)
    x = minidl.tensor(pictures(0))
    expected = functional.local_response_norm(x, 5, 1.0, 0.75, 2.0)
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())
    assert repr(layer) == "LocalResponseNorm(5, alpha=1.0, beta=0.75, k=2.0)"


@pytest.mark.parametrize("call, error, text", [
    (lambda: nn.BatchNorm2d(0), ArgumentError, "num_features is an int >= 1"),
    (lambda: nn.BatchNorm2d(3, momentum=-1), ArgumentError, "momentum is None or a number"),
    (lambda: nn.BatchNorm1d(3, eps="tiny"), ArgumentError, "eps"),
    (lambda: nn.LocalResponseNorm(0), ArgumentError, "size is an int >= 1"),
    (lambda: nn.BatchNorm2d(3)(minidl.ones(2, 3)), ShapeError, "(N, C, H, W)"),
    (lambda: nn.BatchNorm1d(3)(minidl.ones(2, 3, 1, 1)), ShapeError, "(N, C) or (N, C, L)"),
    (lambda: nn.BatchNorm2d(3)(minidl.ones(2, 4, 1, 1)), ShapeError, "did you mean num_features=4"),
    (lambda: nn.BatchNorm1d(3)(minidl.ones(1, 3)), ShapeError, "more than one value per channel"),
    (lambda: nn.BatchNorm1d(3)([[1.0]]), DtypeError, "must be a Tensor"),
    (lambda: nn.InstanceNorm2d(3)(minidl.ones(2, 3, 1, 1)), ShapeError, "more than one value"),
])  # fmt: skip
def test_mistakes(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_a_refused_batch_is_not_counted():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ShapeError):
        layer(minidl.ones(1, 3))
    assert int(layer.num_batches_tracked) == 0


def test_a_weight_and_bias_of_each_picture():
    """Conditional batch norm: the layer keeps the same, and has none of its own."""
    x, w, b = minidl.randn(4, 3, 2, 2), minidl.randn(4, 3), minidl.randn(4, 3)
    given, plain = nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, affine=False)
    expected = plain(x).numpy() * w.numpy()[..., None, None] + b.numpy()[..., None, None]
    np.testing.assert_allclose(given(x, w, b).numpy(), expected, rtol=1e-5, atol=1e-6)
    for name, value in plain.state_dict().items():
        np.testing.assert_array_equal(given.state_dict()[name].numpy(), value.numpy())
    with pytest.raises(ArgumentError, match="affine=False"):
        nn.BatchNorm2d(3)(x, w, b)
    with pytest.raises(ArgumentError, match="affine=False"):
        nn.BatchNorm2d(3)(x, bias=b)
    with pytest.raises(ShapeError, match="bias"):
        given(x, bias=b)
