"""fuse_batch_norms: the same results with fewer layers, and nothing folded that must not be."""

import numpy as np
import pytest

import minidl
import models
from minidl import nn
from minidl.errors import DtypeError, GraphError
from models import gan_cls


def with_history(model):
    """Random averages and weights, as if it had learned something."""
    rng = np.random.default_rng(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -1, 1), (module.running_var, 0.5, 2),
                (module.weight, 0.5, 1.5), (module.bias, -1, 1),
            ):  # fmt: skip
                tensor.data[...] = rng.uniform(low, high, tensor.shape)
    return model


def n_norms(model):
    return sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in model.modules())


@pytest.mark.parametrize(
    "make, inputs, left",
    [
        (lambda: models.vgg11_bn(size=32, width=0.1), [(2, 3, 32, 32)], 0),
        (lambda: models.resnet20_cifar(shortcut="B"), [(2, 3, 32, 32)], 0),
        (lambda: models.resnet50(width=0.1), [(1, 3, 64, 64)], 0),
        (lambda: models.preact_resnet20_cifar(), [(2, 3, 32, 32)], 10),
        (lambda: gan_cls.Generator(2), [(2, 100), (2, 1024)], 0),
        (lambda: gan_cls.Discriminator(2), [(2, 3, 64, 64), (2, 1024)], 0),
    ],
    ids=["vgg", "cifar", "resnet", "preact", "generator", "discriminator"],
)
def test_the_same_results(make, inputs, left):
    """Of preact's norms, those at the beginning of a block and the last one follow a sum."""
    model = with_history(make()).to("float64").eval()
    rng = np.random.default_rng(1)
    x = [minidl.tensor(rng.standard_normal(shape)) for shape in inputs]
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    fused = nn.fuse_batch_norms(model, *x)
    with minidl.no_grad():
        before, after = model(*x).numpy(), fused(*x).numpy()
    np.testing.assert_allclose(after, before, rtol=1e-8, atol=1e-10)
    assert n_norms(fused) == left < n_norms(model)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name])


class Twice(nn.Module):
    """What stands between a convolution and its batch norm."""

    def __init__(self, how):
        super().__init__()
        self.how, self.conv = how, nn.Conv2d(2, 2, 1)
        self.norm = nn.BatchNorm2d(2, track_running_stats=how != "no averages")

    def forward(self, x):
        y = self.conv(x)
        if self.how == "the output is looked at":
            return self.norm(y) + y
        if self.how == "the convolution is called twice":
            return self.norm(y) + self.conv(2 * x)
        if self.how == "the norm is called twice":
            return self.norm(self.norm(y))
        if self.how == "the output is returned":
            return self.norm(y), y
        if self.how == "relu between":
            return self.norm(y.relu())
        return self.norm(y)


class Beside(nn.Module):
    """Looks at the output of the convolution in a way that leaves no graph."""

    def __init__(self, how):
        super().__init__()
        self.how, self.conv, self.norm = how, nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        self.both = (self.conv, self.norm) if how == "in a tuple" else None

    def forward(self, x):
        if self.both:
            return self.both[1](self.both[0](x))
        y = self.conv(x)
        if self.how == "detached":
            return self.norm(y) * y.detach()
        if self.how == "in NumPy":
            return self.norm(y) * float(y.data.mean())
        if self.how == "compared":
            return self.norm(y) * (y > 0).to("float32")
        with minidl.no_grad():
            factor = y.mean()
        return self.norm(y) * factor


@pytest.mark.parametrize("how", ["detached", "in NumPy", "in a tuple"])
def test_what_a_recording_does_not_show_is_an_error(how):
    with pytest.raises(GraphError, match="not recorded"):
        nn.fuse_batch_norms(Beside(how), minidl.randn(3, 2, 4, 4))


@pytest.mark.parametrize("how", ["compared", "without gradients"])
def test_operations_without_gradients_look_at_the_output_too(how):
    model, x = with_history(Beside(how)).eval(), minidl.randn(3, 2, 4, 4)
    fused = nn.fuse_batch_norms(model, x)
    assert n_norms(fused) == 1
    np.testing.assert_array_equal(fused(x).data, model(x).data)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.norm(self.a(x)) + self.b(x)


class Doubling(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


def test_weights_of_two_layers_and_layers_of_other_kinds_stay():
    x = minidl.randn(3, 2, 4, 4)
    assert n_norms(nn.fuse_batch_norms(Shared(), x)) == 1
    assert n_norms(nn.fuse_batch_norms(nn.Sequential(Doubling(2, 2, 1), nn.BatchNorm2d(2)), x)) == 1


@pytest.mark.parametrize(
    "how",
    ["the output is looked at", "the convolution is called twice", "the norm is called twice",
     "the output is returned", "relu between", "no averages"],
)  # fmt: skip
def test_what_must_stay(how):
    model = with_history(Twice(how)) if how != "no averages" else Twice(how)
    x = minidl.randn(3, 2, 4, 4)
    assert n_norms(nn.fuse_batch_norms(model, x)) == 1


def test_axes_that_do_not_fit_stay():
    sequences = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(3))  # (N, 3, 5): norms of positions
    assert n_norms(nn.fuse_batch_norms(sequences, minidl.randn(2, 3, 4))) == 1
    grouped = nn.Sequential(nn.ConvTranspose2d(4, 4, 3, groups=2), nn.BatchNorm2d(4))
    assert n_norms(nn.fuse_batch_norms(grouped, minidl.randn(2, 4, 3, 3))) == 1


def test_frozen_and_plain_layers():
    """Without weights of its own, without a bias before it, or frozen: folded all the same."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3, affine=False))
    model[1].running_mean.data[...], model[1].running_var.data[...] = 0.5, 3.0
    for parameter in model.parameters():
        parameter.requires_grad = False
    x = minidl.randn(2, 2, 5, 5)
    fused = nn.fuse_batch_norms(model, x)
    assert n_norms(fused) == 0
    np.testing.assert_allclose(fused(x).numpy(), model.eval()(x).numpy(), rtol=1e-5, atol=1e-6)


def test_a_norm_that_is_called_by_keyword():
    class ByKeyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)

        def forward(self, x):
            return self.norm(x=self.conv(x))

    fused = nn.fuse_batch_norms(ByKeyword(), minidl.ones(1, 1, 3, 3))
    assert n_norms(fused) == 0


def test_what_is_no_module():
    with pytest.raises(DtypeError, match="model is a Module"):
        nn.fuse_batch_norms(minidl.ones(2))
