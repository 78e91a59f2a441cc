"""Gradients that pass through the discriminator, to the generator, and stop there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minidl.nn.module import Module
from minidl.nn.norm import Normalization


@contextmanager
def passing_gradients(network: Module) -> Iterator[Module]:
    """`with passing_gradients(network):` gradients pass to its input, and none is made of a weight.

    A third of the time of a step through the discriminator goes into gradients of its weights,
    which the generator's step does not need. network.freeze() would do the same but for batch
    norms, which then normalize with their running averages: the generator would be judged by
    another network than the one that learned. Here they go on with the batch.

    Args:
        network: any Module.

    >>> import minidl
    >>> net, x = minidl.nn.Linear(2, 1), minidl.ones(3, 2, requires_grad=True)
    >>> with passing_gradients(net):
    ...     y = net(x).sum()
    >>> y.backward()
    >>> net.weight.grad is None, x.grad.shape
    (True, (3, 2))
    """
    parameters = [
        parameter
        for module in network.modules() if not isinstance(module, Normalization)
        for parameter in module.parameters(recurse=False) if parameter.requires_grad
    ]  # fmt: skip
    try:
        for parameter in parameters:
            parameter.requires_grad = False
        yield network
    finally:
        for parameter in parameters:
            parameter.requires_grad = True
