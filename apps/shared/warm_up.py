"""Compile the kernels that a network needs, and say so if it takes long.

Numba compiles a kernel when it is first called, and keeps the machine code in a cache folder. So
the first run on a machine waits 10 to 30 seconds before its first step; later runs load the code.
What only large batches call, and the optimizer's kernel, is still compiled in the first step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import random
from minidl.tensor import Tensor

PATIENCE = 1.0  # seconds after which the user wants to know what is going on


def warm_up(run_once: Callable[[], Any], log: Callable[[str], None]) -> float:
    """Run something once, so that every kernel it calls is compiled.

    The state of the random generator is restored: the run draws the same numbers as without.

    Args:
        run_once: a step of training and one of evaluation, on copies of the network.
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


def black_pictures(picture_shape: tuple[int, int, int], n: int = 1) -> Tensor:
    """A batch (n, C, H, W) of zeros, with the memory layout of a DataLoader: channels last."""
    C, H, W = picture_shape
    return Tensor(np.zeros((n, H, W, C), np.float32).transpose(0, 3, 1, 2))
