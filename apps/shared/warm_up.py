"""Compile the kernels that a network needs, and say so if it takes long.

Numba compiles a kernel when it is first called, and keeps the machine code in a cache folder. So
the first run on a machine waits 10 to 30 seconds before its first step; the next ones load it.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable

import numpy as np

import minidl
from minidl import random
from minidl.nn import CrossEntropyLoss, Module
from minidl.tensor import Tensor

PATIENCE = 1.0  # seconds after which the user wants to know what is going on


def warm_up(
    model: Module, picture_shape: tuple, say: Callable[[str], None], heads: bool = True
) -> float:
    """Take one step of a copy of the model, so that every kernel is compiled.

    Weights, buffers and random numbers are as before afterwards.

    Args:
        model: the network.
        picture_shape: (C, H, W) of the pictures.
        say: called with a line of text when this takes long, and when it is done.
        heads: whether auxiliary heads, if it has any, answer in training; where they do not
            learn they are left out, and smaller pictures will do.

    Returns:
        seconds that it took.
    """
    notice = "making the kernels ready (compiling them, the first time, takes 10 to 30 s) ..."
    timer = threading.Timer(PATIENCE, say, [notice])
    timer.daemon = True
    saved = random.get_state()
    started = time.perf_counter()
    timer.start()
    try:
        copied = copy.deepcopy(model).train()
        copied.training = heads  # of the network itself: it leaves out the heads
        one_step(copied, picture_shape)
        with minidl.no_grad():
            copy.deepcopy(model).eval()(batch(picture_shape))
    finally:
        timer.cancel()
        random.set_state(saved)
    seconds = time.perf_counter() - started
    if seconds > PATIENCE:
        say(f"ready after {seconds:.0f} s")
    return seconds


def one_step(model: Module, picture_shape: tuple) -> None:
    """Forward and backward, on pictures laid out in memory as a DataLoader does."""
    y = model(batch(picture_shape))
    scores = y if isinstance(y, tuple) else (y,)  # of auxiliary heads, too
    losses = [CrossEntropyLoss()(s, minidl.zeros(len(s), dtype="int64")) for s in scores]
    sum(losses[1:], losses[0]).backward()


def batch(picture_shape: tuple, n: int = 2) -> Tensor:
    C, H, W = picture_shape
    return Tensor(np.zeros((n, H, W, C), np.float32).transpose(0, 3, 1, 2))
