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


def warm_up(run_once: Callable[[], None], log: Callable[[str], None]) -> float:
    """Run something once, so that every kernel it calls is compiled. Random numbers are kept.

    Args:
        run_once: what is to come, on a copy of the network: see steps_of_classifier.
        log: called with a line of text when this takes long, and when it is done.

    Returns:
        seconds that it took.
    """
    notice = "making the kernels ready (compiling them, the first time, takes 10 to 30 s) ..."
    timer = threading.Timer(PATIENCE, log, [notice])
    timer.daemon = True
    saved = random.get_state()
    started = time.perf_counter()
    timer.start()
    try:
        run_once()
    finally:
        timer.cancel()
        random.set_state(saved)
    seconds = time.perf_counter() - started
    if seconds > PATIENCE:
        log(f"ready after {seconds:.0f} s")
    return seconds


def steps_of_classifier(model: Module, picture_shape: tuple[int, int, int]) -> Callable[[], None]:
    """A step of training and one of evaluation of copies of a network, for warm_up.

    Args:
        model: gives scores; in training perhaps a tuple of them, those of auxiliary heads last.
        picture_shape: (C, H, W) of the pictures.
    """

    def run_once() -> None:
        y = copy.deepcopy(model).train()(black_pictures(picture_shape, 2))
        scores = y if isinstance(y, tuple) else (y,)
        losses = [CrossEntropyLoss()(s, minidl.zeros(len(s), dtype="int64")) for s in scores]
        sum(losses[1:], losses[0]).backward()
        with minidl.no_grad():
            copy.deepcopy(model).eval()(black_pictures(picture_shape, 2))

    return run_once


def black_pictures(picture_shape: tuple[int, int, int], n: int = 1) -> Tensor:
    """A batch (n, C, H, W), laid out in memory as a DataLoader does: channels last."""
    C, H, W = picture_shape
    return Tensor(np.zeros((n, H, W, C), np.float32).transpose(0, 3, 1, 2))
