"""fit(accumulate=k): a step from the gradients of k batches is that of one batch k times as large.

Also what the loop makes of a model that returns a tuple, as one with auxiliary heads does.
"""

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn
from minidl.data import DataLoader
from minidl.errors import ArgumentError
from tests.training.small import Digits, Net, assert_same_weights, make, weights


def train(batch_size, accumulate, epochs=2, n=24, look_on=(), resume=None):
    """24 pictures; batches of 5 leave one of 4, and 2 of 5 batches a step of one batch."""
    model, _, loss, optimizer = make(dropout=0.0)
    loader = DataLoader(Digits(n), batch_size, shuffle=True, seed=3)
    history = minidl.fit(model, loader, loss, optimizer, epochs, callbacks=look_on,
                         accumulate=accumulate, resume=resume)  # fmt: skip
    return weights(model), history


@pytest.mark.parametrize("n", [24, 23, 21])
@pytest.mark.parametrize("small, accumulate", [(5, 2), (5, 3), (2, 5)])
def test_a_step_is_that_of_the_large_batch(small, accumulate, n):
    parts, history = train(small, accumulate, n=n)
    whole, expected = train(small * accumulate, 1, n=n)
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-5, atol=1e-6, err_msg=name)
    for mine, other in zip(history, expected, strict=True):
        assert mine["step"] == other["step"] and mine["accuracy"] == other["accuracy"]
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_accumulating_is_not_stepping_more_often():
    assert not np.allclose(train(5, 2)[0]["classifier.weight"], train(5, 1)[0]["classifier.weight"])


class Log(callbacks.Callback):
    def __init__(self):
        self.moments, self.gradients, self.values = [], [], []

    def on_step_start(self, run):
        self.moments.append("batch")

    def on_gradients(self, run):
        self.gradients.append(np.abs(run.model.classifier.weight.grad.numpy()).max())

    def on_step_end(self, run):
        self.moments.append(run.step)
        self.values.append(run.values["loss"])


def test_callbacks_see_steps_and_their_mean_gradient_and_loss():
    parts, whole = Log(), Log()
    train(5, 2, epochs=1, look_on=[parts])
    train(10, 1, epochs=1, look_on=[whole])
    assert parts.moments == ["batch", "batch", 1, "batch", "batch", 2, "batch", 3]
    np.testing.assert_allclose(parts.gradients, whole.gradients, rtol=1e-5)
    np.testing.assert_allclose(parts.values, whole.values, rtol=1e-5)


class StopAfter(callbacks.Callback):
    """Ends the process, as far as the run can tell, after so many steps."""

    order = callbacks.Checkpoint.order + 1

    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, run):
        if run.step == self.steps:
            raise InterruptedError


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_resumed_run_is_the_same(tmp_path, steps):
    expected, _ = train(5, 2)
    look_on = [callbacks.Checkpoint(tmp_path, every_steps=1), StopAfter(steps)]
    with pytest.raises(InterruptedError):
        train(5, 2, look_on=look_on)
    look_on = [callbacks.Checkpoint(tmp_path, every_steps=1)]
    resumed, history = train(5, 2, look_on=look_on, resume=look_on[0].path)
    assert_same_weights(resumed, expected)
    assert [entry["step"] for entry in history] == [3, 6]


def test_progress_counts_all_images_of_a_step(monkeypatch):
    from rich.console import Console

    from minidl.training.callbacks.progress import Pace

    counted = []
    monkeypatch.setattr(Pace, "step", lambda pace, images: counted.append(images))
    train(5, 2, epochs=1, look_on=[callbacks.Progress(Console(quiet=True))])
    assert counted == [10, 10, 4]


@pytest.mark.parametrize("accumulate", [0, -1, 1.0, True, "2"])
def test_bad_numbers_are_refused(accumulate):
    with pytest.raises(ArgumentError, match="accumulate is an int >= 1"):
        train(5, accumulate)


def test_a_loader_without_length_is_refused():
    class Endless:
        def __iter__(self):
            return iter(DataLoader(Digits(), 5))

    model, _, loss, optimizer = make()
    with pytest.raises(ArgumentError, match="how many batches"):
        minidl.fit(model, Endless(), loss, optimizer, accumulate=2)


def test_a_loader_shorter_than_it_says_is_noticed():
    model, _, loss, optimizer = make()

    class Lying(list):
        def __len__(self):
            return 4

    batches = list(DataLoader(Digits(), 8))  # 3
    with pytest.raises(ArgumentError, match="fewer batches than its length"):
        minidl.fit(model, Lying(batches), loss, optimizer, accumulate=2)


# --- tuples -------------------------------------------------------------------------------------


class WithHead(nn.Module):
    """In training it gives (scores, scores of an auxiliary head, which are all wrong)."""

    def __init__(self):
        super().__init__()
        self.net = Net(0.0)

    def forward(self, x):
        y = self.net(x)
        return (y, -y) if self.training else y


def test_accuracy_of_a_tuple_is_that_of_its_first_element():
    def loss(y, labels):
        return nn.CrossEntropyLoss()(y[0] if isinstance(y, tuple) else y, labels)

    minidl.manual_seed(0)
    plain, headed = Net(0.0), WithHead()
    headed.net.load_state_dict(plain.state_dict())
    found = []
    for model in (plain, headed):
        optimizer = minidl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        loader = DataLoader(Digits(), 5, shuffle=True, seed=3)
        history = minidl.fit(model, loader, loss, optimizer, 6, validation=DataLoader(Digits(), 8))
        found.append([(e["accuracy"], e["val_accuracy"], e["loss"]) for e in history])
    assert found[0] == found[1] and found[0][-1][0] > 0.8
