"""The networks by name: how the command line and a checkpoint say which network they mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from minidl.errors import ArgumentError, nearest
from minidl.nn import Module
from models.lenet import LeNet5


@dataclass(frozen=True)
class Entry:
    """What one has to know of a network to train it.

    Args:
        make: the class or function that makes it; its arguments are what a checkpoint stores.
        size: height and width in pixels of the pictures that it is usually given.
        summary: one line for lists of networks.
    """

    make: Callable[..., Module]
    size: int
    summary: str


MODELS = {
    "lenet": Entry(LeNet5, 32, "LeNet-5, LeCun et al. 1998: 61,706 parameters, 32x32 pixels"),
}


def names() -> list[str]:
    """The names that build and the command line know.

    >>> import models
    >>> "lenet" in models.names()
    True
    """
    return sorted(MODELS)


def entry(name: str) -> Entry:
    """What is known of a network.

    Args:
        name: one of names().

    Raises:
        ArgumentError: there is no such network; the hint names the nearest.

    >>> import models
    >>> models.entry("lenet").size
    32
    """
    if name not in MODELS:
        raise ArgumentError("models", "no such model", {"name": name}, nearest(name, MODELS))
    return MODELS[name]


def build(name: str, **arguments) -> Module:
    """A network with fresh weights, drawn from minidl's generator.

    Args:
        name: one of names().
        arguments: those of the network's class, such as num_classes and in_channels.

    Raises:
        ArgumentError: no such network, or it has no such argument.

    >>> import models
    >>> models.build("lenet", num_classes=3)(minidl.ones(1, 1, 32, 32)).shape
    (1, 3)
    """
    make = entry(name).make
    known = inspect.signature(make).parameters
    for argument in arguments:
        if argument not in known:
            raise ArgumentError(
                "models.build", f"{name} has no such argument", {"argument": argument},
                nearest(argument, known),
            )  # fmt: skip
    return make(**arguments)
