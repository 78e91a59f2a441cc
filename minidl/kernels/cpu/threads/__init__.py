"""Threads: how the work of a kernel is divided among the cores, and how many may work.

    workers.py   Python threads that share the parts of a kernel's work
    blas.py      the threads of the library behind NumPy's matrix products

Numba divides compiled parallel loops by itself. Here is the number of threads for all three.
"""

import numba

from minidl.kernels.cpu.threads import blas


def most_threads() -> int:
    """How many there may be: the cores of this process, or NUMBA_NUM_THREADS."""
    return numba.config.NUMBA_NUM_THREADS


def set_num_threads(n: int) -> None:
    """Let compiled loops and workers of this Python thread use n cores, and all products of NumPy.

    Args:
        n: from 1 to most_threads().
    """
    numba.set_num_threads(n)
    blas.use_threads(n)


def get_num_threads() -> int:
    """How many compiled loops and workers of this Python thread use."""
    return numba.get_num_threads()
