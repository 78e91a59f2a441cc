"""What a batch may be, and what it counts in means."""

import numpy as np
import pytest

import minidl
from minidl import nn, optim
from minidl.errors import ArgumentError
from tests.training.small import assert_same_weights, weights

rng = np.random.default_rng(0)
A, B = (minidl.tensor(rng.standard_normal((6, 2)).astype(np.float32)) for _ in "ab")
TARGET = minidl.tensor(rng.standard_normal((6, 1)).astype(np.float32))


class Two(nn.Module):
    """Takes two inputs, by position or by name."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, a, b):
        return self.a(a) + self.b(b)


class Structured(Two):
    """Takes a structure as its only argument, and gives one."""

    def forward(self, pair):
        y = super().forward(pair["inner"]["a"], pair["inner"]["b"][0])
        return {"y": y, "twice": (2 * y,)}


def error(y, target):
    return ((y - target) * (y - target)).mean()


def error_in_structure(outputs, targets):
    return error(outputs["y"], targets["t"][0]) + 0 * outputs["twice"][0].sum()


CASES = {
    "tuple": (Two, ((A, B), TARGET), error),
    "list": (Two, [[A, B], TARGET], error),
    "dict": (Two, ({"b": B, "a": A}, TARGET), error),
    "structures": (
        Structured,
        (({"inner": {"a": A, "b": [B, "text"]}},), {"t": (TARGET, None)}),
        error_in_structure,
    ),
    "no targets": (Two, ((A, B), None), lambda y, nothing: error(y, TARGET)),
}


@pytest.mark.parametrize("case", CASES)
def test_each_structure_trains_as_by_hand(case):
    kind, batch, loss = CASES[case]
    minidl.manual_seed(0)
    fitted = kind()
    minidl.manual_seed(0)
    model = Two()
    history = minidl.fit(
        fitted, [batch], loss, optim.SGD(fitted.parameters(), 0.1), 3, validation=[batch]
    )
    optimizer, values = optim.SGD(model.parameters(), 0.1), []
    for _ in range(3):
        optimizer.zero_grad()
        value = error(model(A, B), TARGET)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert [entry["loss"] for entry in history] == values
    assert_same_weights(weights(fitted), weights(model))
    assert history[-1]["val_loss"] == error(model(A, B), TARGET).item()
    assert minidl.evaluate(fitted, [batch], loss) == {"loss": history[-1]["val_loss"]}


def test_examples_are_the_rows_of_the_first_tensor_of_targets():
    """Five sentences about three pictures: the mean over both batches weighs by sentences."""

    class Pick(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(np.ones(1, np.float32))

        def forward(self, pictures, index):
            return (pictures * self.scale).mean(1).index_select(0, index)

    def batch(n, value):
        pictures = minidl.full((3, 4), value)
        return (pictures, minidl.zeros(n, dtype="int64")), (minidl.zeros(n), ["text"] * n)

    model = Pick()
    found = minidl.evaluate(
        model, [batch(5, 1.0), batch(1, 7.0)], lambda y, targets: (y - targets[0]).mean()
    )
    assert found["loss"] == pytest.approx((5 * 1 + 1 * 7) / 6)


def test_weight_decides_what_a_batch_counts():
    model = nn.Linear(1, 1)
    batches = [(minidl.full((2, 1), x), minidl.full((2, 1), x)) for x in (1.0, 4.0)]

    def loss(y, t):
        return t.mean() + 0 * y.sum()

    def weight(inputs, targets):
        return targets.sum()  # 2 and 8, as a Tensor

    expected = (2 * 1 + 8 * 4) / 10
    metrics = {"level": lambda y, t: t.mean()}
    assert minidl.evaluate(model, batches, loss, metrics, weight) == {
        "loss": pytest.approx(expected), "level": pytest.approx(expected),
    }  # fmt: skip
    optimizer = optim.SGD(model.parameters(), 0.0)
    entry = minidl.fit(model, batches, loss, optimizer, validation=batches, weight=weight)[0]
    assert entry["loss"] == entry["val_loss"] == pytest.approx(expected)


def test_gradients_that_add_up_are_weighted():
    """Two batches with 2 and 8 words make the step of their mean over 10 words."""
    x = minidl.tensor(rng.standard_normal((10, 1)).astype(np.float32))
    t = minidl.tensor(rng.standard_normal((10, 1)).astype(np.float32))

    def batch(rows):
        return (x[rows].reshape(1, -1, 1), t[rows].reshape(1, -1, 1))  # one example of many words

    found = []
    for batches, k in (([batch(slice(0, 2)), batch(slice(2, 10))], 2), ([batch(slice(0, 10))], 1)):
        minidl.manual_seed(0)
        model = nn.Linear(1, 1)
        minidl.fit(
            model, batches, error, optim.SGD(model.parameters(), 0.5), accumulate=k,
            weight=lambda inputs, targets: targets.shape[1],
        )  # fmt: skip
        found.append(weights(model))
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-5)


def run(batch, weight=None):
    model = nn.Linear(2, 1)
    return minidl.fit(model, [batch], error, optim.SGD(model.parameters()), weight=weight)


MISTAKES = {
    "a Tensor": (lambda: run(A), "without targets: (inputs, None)"),
    "three": (lambda: run((A, B, TARGET)), "group what belongs together"),
    "no pair": (lambda: run(3), "pairs (inputs, targets)"),
    "array in targets": (
        lambda: run((A, {"t": [np.ones(6)]})), "wrap it: minidl.tensor(targets['t'][0])",
    ),
    "array in inputs": (lambda: run((np.ones((6, 2)), TARGET)), "the arrays of inputs are Tensors"),
    "no Tensor": (lambda: run(([1, 2], [3])), "a batch holds Tensors"),
    "weight of no number": (lambda: run((A, TARGET), lambda x, t: "6"), "weight returns a number"),
    "weight of zero": (lambda: run((A, TARGET), lambda x, t: 0), "a number > 0"),
    "weight of NaN": (lambda: run((A, TARGET), lambda x, t: float("nan")), "a number > 0"),
    "weight is a number": (lambda: run((A, TARGET), 3), "weight is called with (inputs, targets)"),
    "evaluate's weight": (
        lambda: minidl.evaluate(nn.Linear(2, 1), [(A, TARGET)], weight=3), "evaluate: weight is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, text = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)
