"""How many cores the kernels use."""

from __future__ import annotations

from minidl import kernels
from minidl.errors import ArgumentError
from minidl.shapes import is_int


def set_num_threads(n: int) -> None:
    """Let minidl use n cores: its compiled loops, and NumPy's matrix products.

    At the start it uses all that the process may. Compiled loops and convolutions count for each
    Python thread on its own: call this in the thread that trains. Other matrix products count for
    the whole process. The results are the same bits for the same n; with another n, matrix products
    (so 1x1 convolutions and linear layers, too) may round differently.

    Args:
        n: 1 to the number of cores that Numba found (or NUMBA_NUM_THREADS in the environment).

    Raises:
        ArgumentError: n is out of that range.

    >>> minidl.set_num_threads(minidl.get_num_threads())
    """
    threads = kernels.file_of("cpu", "threads")
    most = threads.most_threads()
    if not is_int(n) or not 1 <= n <= most:
        raise ArgumentError(
            "set_num_threads", f"n is an int from 1 to {most}, the cores of this process",
            {"n": n}, "NUMBA_NUM_THREADS in the environment, before the start, allows more",
        )  # fmt: skip
    threads.set_num_threads(int(n))


def get_num_threads() -> int:
    """How many cores minidl's compiled loops use in this Python thread; see set_num_threads."""
    return kernels.file_of("cpu", "threads").get_num_threads()
