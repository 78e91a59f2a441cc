"""A network in evaluation mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minidl.errors import DtypeError
from minidl.nn.module import Module


@contextmanager
def evaluating(model: Module) -> Iterator[Module]:
    """`with evaluating(model):` switches to evaluation mode, and back at the end of the block.

    Each module gets its own mode back: a batch norm that was frozen by its eval(), in a network
    that otherwise trains, stays frozen.

    Args:
        model: any Module.

    Returns:
        A context manager that gives the model.

    Raises:
        DtypeError: model is no Module.

    >>> net = minidl.nn.Sequential(minidl.nn.Dropout(0.5))
    >>> with minidl.nn.evaluating(net):
    ...     net(minidl.ones(3))
    tensor([1., 1., 1.])
    >>> net.training
    True
    """
    if not isinstance(model, Module):
        raise DtypeError("evaluating", "model is a Module", {"model": type(model).__name__})
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield model
    finally:
        for module, training in modes:
            module.training = training
