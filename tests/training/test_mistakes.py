"""What fit and evaluate say to arguments that they cannot use."""

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn
from minidl.errors import ArgumentError
from tests.training.small import Net, make


class GivesNothing:
    """A loader without a length and without a batch."""

    def __iter__(self):
        return iter([])


def returns(value):
    """A loss function that returns the value for any batch."""
    return lambda y, labels: value


model, loader, loss, optimizer = make()
MISTAKES = {
    "model": (lambda: minidl.fit(loader, loader, loss, optimizer), "minidl.nn.Module"),
    "model class": (lambda: minidl.fit(Net, loader, loss, optimizer), "make an instance"),
    "loader": (lambda: minidl.fit(model, 3, loss, optimizer), "loader is something"),
    "generator": (
        lambda: minidl.fit(model, (b for b in []), loss, optimizer), "once per epoch",
    ),
    "no loader": (lambda: minidl.fit(model, None, loss, optimizer), "loader is something"),
    "empty": (lambda: minidl.fit(model, [], loss, optimizer), "loader is empty"),
    "no batch": (
        lambda: minidl.fit(model, GivesNothing(), loss, optimizer), "loader gave no batch",
    ),
    "no pairs": (lambda: minidl.fit(model, [3], loss, optimizer), "pairs (inputs, targets)"),
    "three in a batch": (
        lambda: minidl.fit(model, [(1, 2, 3)], loss, optimizer), "tuple of 3",
    ),
    "labels": (
        lambda: minidl.fit(model, [(minidl.ones(1), np.ones(1))], loss, optimizer),
        "wrap it: minidl.tensor(targets)",
    ),
    "0-d labels": (
        lambda: minidl.fit(model, [(minidl.ones(1), minidl.tensor(1))], loss, optimizer),
        "a row for each",
    ),
    "batch without examples": (
        lambda: minidl.fit(model, [(minidl.ones(0, 1), minidl.ones(0))], loss, optimizer),
        "one or more examples",
    ),
    "validation empty": (
        lambda: minidl.fit(model, loader, loss, optimizer, validation=[]), "validation is empty",
    ),
    "validation without batch": (
        lambda: minidl.fit(*make(), validation=GivesNothing()), "validation gave no batch",
    ),
    "validation pairs": (lambda: minidl.fit(*make(), validation=[3]), "pairs (inputs, targets)"),
    "loss is a float": (
        lambda: minidl.fit(model, loader, returns(1.5), optimizer), "returns a Tensor",
    ),
    "loss is an array": (
        lambda: minidl.fit(model, loader, returns(np.ones(())), optimizer), "returns a Tensor",
    ),
    "loss is a pair": (
        lambda: minidl.fit(model, loader, returns((1, 2)), optimizer), "(1, 2)",
    ),
    "loss per example": (
        lambda: minidl.fit(model, loader, returns(minidl.ones(5)), optimizer), "take its .mean()",
    ),
    "optimizer of another model": (
        lambda: minidl.fit(Net(), loader, loss, optimizer), "no parameter of the model",
    ),
    "validation": (
        lambda: minidl.fit(model, loader, loss, optimizer, validation=1), "validation is something",
    ),
    "loss": (lambda: minidl.fit(model, loader, "mse", optimizer), "loss is called"),
    "loss class": (lambda: minidl.fit(model, loader, nn.MSELoss, optimizer), "make an instance"),
    "optimizer": (lambda: minidl.fit(model, loader, loss, 0.1), "minidl.optim.SGD"),
    "epochs": (lambda: minidl.fit(model, loader, loss, optimizer, -1), "epochs is an int >= 0"),
    "epochs float": (lambda: minidl.fit(model, loader, loss, optimizer, 1.5), "epochs"),
    "callback class": (
        lambda: minidl.fit(model, loader, loss, optimizer, callbacks=[callbacks.Progress]),
        "make an instance",
    ),
    "callback": (
        lambda: minidl.fit(model, loader, loss, optimizer, callbacks=[print]), "Callback instances",
    ),
    "no callbacks": (
        lambda: minidl.fit(model, loader, loss, optimizer, callbacks=None), "Callback instances",
    ),
    "evaluate nothing": (lambda: minidl.evaluate(model, []), "gave no batch"),
    "evaluate pairs": (lambda: minidl.evaluate(model, [(1, 2, 3)]), "evaluate: the loader gives"),
    "evaluate no loader": (lambda: minidl.evaluate(model, 3), "loader can be iterated"),
    "validation loss": (
        lambda: minidl.fit(model, loader, loss, optimizer, validation_loss=nn.MSELoss),
        "validation_loss is called with",
    ),
    "evaluate no loss": (lambda: minidl.evaluate(model, loader, 3), "loss is called with"),
    "evaluate a float": (
        lambda: minidl.evaluate(model, loader, returns(1.5)), "evaluate: loss returns a Tensor",
    ),
    "evaluate no model": (lambda: minidl.evaluate(3, []), "minidl.nn.Module"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, text = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)
