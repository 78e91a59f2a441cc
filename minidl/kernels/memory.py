"""Memory that is used again instead of given back to the system.

A fresh page costs: the system clears it, and in a virtual machine its host may have to find it
first. A network fills the same gigabyte in every step, and with fresh pages in every step it spends
more time on them than on computing (measured: three quarters of the time of a ReLU). So

- the C library keeps what was freed (keep_freed_memory), for all arrays of the process, and
- a kernel that needs working memory for the time of a call takes it from here (scratch).

The first is bounded by what the largest step so far had in use at once, the second by KEPT_BYTES.

`minidl.empty_cache()` gives back to the system what nobody uses.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading

import numpy as np

CACHE_LINE = 64  # bytes
FLOAT32 = np.dtype(np.float32)
KEPT_BYTES = 2**28  # of working memory that nobody uses
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # parameters of mallopt, from malloc.h
LARGEST_INT = 2**31 - 1

lock = threading.Lock()
unused: list[np.ndarray] = []


class scratch:
    """`with scratch(m, n) as (a, b):` flat float32 arrays with at least m and n numbers in them.

    Several threads may be inside; each has its own arrays.

    Args:
        sizes: how many numbers each array must hold.
    """

    def __init__(self, *sizes: int):
        self.sizes = sizes

    def __enter__(self) -> list[np.ndarray]:
        with lock:
            found = [find(size) for size in self.sizes]
        self.buffers = [new(size) if x is None else x for x, size in zip(found, self.sizes)]
        return self.buffers

    def __exit__(self, *exception):
        with lock:
            unused.extend(self.buffers)
            while FLOAT32.itemsize * sum(map(len, unused)) > KEPT_BYTES:
                unused.pop(max(range(len(unused)), key=lambda i: len(unused[i])))


def find(size: int) -> np.ndarray | None:
    """An unused array with room for that many numbers but not for many more."""
    most = 4 * max(size, 1024)
    for i in range(len(unused) - 1, -1, -1):  # the last one used is in the cache
        if size <= len(unused[i]) <= most:
            return unused.pop(i)
    return None


def new(size: int) -> np.ndarray:
    """An array with room for that many numbers."""
    array = aligned((max(size, 1024),), FLOAT32)
    array[...] = 0
    return array


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """What np.empty gives, but so that it begins with a cache line.

    Else vectors of a whole line lie across two, and to write one takes twice as long.
    """
    memory = np.empty(math.prod(shape) + CACHE_LINE // dtype.itemsize, dtype)
    # memory.ctypes.data says the same, and takes three times as long.
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return np.ndarray(shape, dtype, memory, -address % CACHE_LINE)


def keep_freed_memory() -> None:
    """Let the C library keep freed memory in its heap, however large the pieces.

    Left to itself, glibc gets each large array from the system and gives it back when it is freed.
    Other C libraries are left as they are.
    """
    set_malloc(MMAP_MAX, 0)
    set_malloc(TRIM_THRESHOLD, LARGEST_INT)


def use_one_heap() -> None:
    """Let what one thread freed serve another.

    glibc gives each thread a heap of its own, and each grows to what its thread needed at most.
    """
    set_malloc(ARENA_MAX, 1)


def set_malloc(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(parameter, value)


def empty_cache() -> None:
    """Give memory back to the system that minidl keeps for its next step.

    Freed arrays stay with the process, so that the next ones need no fresh pages. Call this after a
    large network is gone, to leave room for other programs.

    >>> minidl.empty_cache()
    """
    with lock:
        unused.clear()
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if malloc_trim is not None:
        malloc_trim(0)


def new_lock() -> None:
    """In a forked process: another thread may have held the lock, and is not here to let go."""
    global lock
    lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=new_lock)
