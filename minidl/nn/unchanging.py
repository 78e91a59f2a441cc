"""A network whose weights stay as they are for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minidl.errors import DtypeError
from minidl.kernels.unchanging import unchanging as unchanging_arrays
from minidl.nn.module import Module


@contextmanager
def unchanging(model: Module) -> Iterator[Module]:
    """`with unchanging(model):` you promise that its weights do not change inside.

    Products of 2 to 30 rows with the same matrices then take half the time, or less: what a product
    makes of its matrices is kept, and what an LSTM makes of words (word_step). It takes as much
    memory again as the matrices, and up to 32 MB for words. It is for a decoder that says word
    after word; with hundreds of rows nothing becomes faster.

    Weights that change all the same give wrong numbers.

    Args:
        model: any Module.

    Returns:
        A context manager that gives the model.

    Raises:
        DtypeError: model is no Module.

    >>> layer, x = minidl.nn.Linear(3, 4), minidl.ones(1, 3)
    >>> with minidl.nn.unchanging(layer):
    ...     y = [layer(x) for _ in range(10)]
    """
    if not isinstance(model, Module):
        raise DtypeError("unchanging", "model is a Module", {"model": type(model).__name__})
    with unchanging_arrays([parameter.data for parameter in model.parameters()]):
        yield model
