"""StopOnNaN: the first module with a result that is not finite is named."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, callbacks, nn, optim
from minidl.errors import NonFiniteError
from tests.training.small import (
    Net,
    make_loader,
    regression_batches,
)


class Log(nn.Module):
    def forward(self, x):
        return x.log()


class Broken(nn.Module):
    """Takes a logarithm of what may be negative, deep inside; dropout comes before it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3))
        self.block = nn.Sequential(nn.ReLU(), Log(), nn.Linear(3, 3))

    def forward(self, x):
        return self.block(self.stem(x))


def nan_error(model, loss=None, loader=None, before=None):
    minidl.manual_seed(0)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    if before:
        before(model)
    with pytest.raises(NonFiniteError) as caught:
        minidl.fit(model, loader or make_loader(), loss or nn.CrossEntropyLoss(), optimizer, 3,
                   callbacks=[callbacks.StopOnNaN()])  # fmt: skip
    return str(caught.value)


ignore_numpy = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@ignore_numpy
def test_nan_names_the_first_module():
    model = Broken()
    message = nan_error(model)
    assert "that of Broken.block.1 (Log)" in message
    for text in ("epoch  1", "step   1", "lr     0.5", "lower the learning rate"):
        assert text in message
    assert all(np.isfinite(p.data).all() for p in model.parameters())  # the step was not taken
    assert not any(module.hooks_after for module in model.modules())


@ignore_numpy
def test_nan_in_a_container_itself():
    class Overflow(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))

        def forward(self, x):
            return (self.inner(x) * 1e4).exp()

    message = nan_error(nn.Sequential(Overflow(), nn.Linear(3, 3)))
    assert "that of Sequential.0 (Overflow)" in message


@ignore_numpy
def test_nan_in_the_loss_function():
    def log_loss(y, labels):
        return (y.sum() * 0 - 1).log()

    message = nan_error(Net(), log_loss)
    assert "the model's output is finite, log_loss makes it so" in message


def test_nan_in_the_data():
    x = minidl.ones(2, 1, 3, 4)
    x.data[1, 0, 2, 3] = np.nan
    assert "input batch holds NaN" in nan_error(Net(), loader=[(x, minidl.tensor([0, 1]))])


def test_nan_in_the_labels():
    x, target = regression_batches(1)[0]
    target.data[3] = np.inf
    assert "targets hold NaN" in nan_error(nn.Linear(2, 1), nn.MSELoss(), [(x, target)])


@ignore_numpy
def test_nan_in_parameters():
    def spoil(model):
        model.features[0].weight.data[0] = np.inf
        model.classifier.bias.data[1] = np.nan

    message = nan_error(Net(), before=spoil)
    assert "a step left NaN or inf in features.0.weight, classifier.bias" in message


def test_nan_in_a_buffer():
    class KeepStatistics(callbacks.Callback):
        """Fine-tuning with frozen statistics: a callback may change modes after train()."""

        def on_epoch_start(self, run):
            run.model[1].eval()

    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 3))
    model[1].running_mean.data[2] = np.nan
    with pytest.raises(NonFiniteError, match="in the buffer 1.running_mean"):
        minidl.fit(model, make_loader(), nn.CrossEntropyLoss(), optim.SGD(model.parameters()), 1,
                   callbacks=[callbacks.StopOnNaN(), KeepStatistics()])  # fmt: skip


@ignore_numpy
def test_nan_in_a_gradient_alone():
    """The square root of 0 is 0, its slope is infinite."""

    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(np.zeros(3, np.float32))
            self.other = nn.Linear(12, 3)

        def forward(self, x):
            return self.other(x.reshape(x.shape[0], 12)) + (self.scale * self.scale).sum().sqrt()

    model = Root()
    message = nan_error(model)
    assert "the loss is finite, but not its gradient by scale" in message
    assert (model.scale.data == 0).all()


@ignore_numpy
def test_diverging_run_stops_with_the_weights_named():
    """With a learning rate far too large, whatever breaks first is named."""
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=1e12)
    with pytest.raises(NonFiniteError, match="lower the learning rate"):
        minidl.fit(model, regression_batches(), nn.MSELoss(), optimizer, 20,
                   callbacks=[callbacks.StopOnNaN()])  # fmt: skip


def fit_one_step(model, *chosen, validation=None):
    """What the error says when the only step, after which no loss is computed, did the damage."""
    x, labels = next(iter(make_loader()))
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    with pytest.raises(NonFiniteError) as caught:
        minidl.fit(model, [(x, labels)], nn.CrossEntropyLoss(), optimizer, 1, validation,
                   callbacks=[*chosen, callbacks.StopOnNaN()])  # fmt: skip
    return str(caught.value)


def test_nan_from_the_last_step(tmp_path):
    class Spoil(callbacks.Callback):
        def on_step_end(self, run):
            run.model.classifier.bias.data[1] = np.nan

    message = fit_one_step(Net(), Spoil(), callbacks.Checkpoint(tmp_path))
    assert "a step left NaN or inf in classifier.bias" in message
    assert "step   1" in message and "lr     0.5" in message
    assert not list(tmp_path.iterdir())  # such weights are not saved


def test_nan_in_a_buffer_from_the_last_step():
    class Spoil(callbacks.Callback):
        def on_step_end(self, run):
            run.model[1].running_var.data[0] = np.inf

    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 3))
    assert "in the buffer 1.running_var" in fit_one_step(model, Spoil())


def test_nan_in_the_validation_loss():
    x = minidl.ones(2, 1, 3, 4)
    x.data[1, 0, 2, 3] = np.nan
    message = fit_one_step(Net(), validation=[(x, minidl.tensor([0, 1]))])
    assert "the validation loss is nan" in message and "look at the validation data" in message


def test_tensor_inputs_in_containers():
    from minidl.training.callbacks.nan import is_finite

    bad = Tensor(np.array([1.0, np.nan]))
    assert is_finite(({"a": [Tensor(np.ones(2))]}, 3, None))
    assert not is_finite(({"a": [bad]},))
    assert is_finite(Tensor(np.array([1, 2])))
