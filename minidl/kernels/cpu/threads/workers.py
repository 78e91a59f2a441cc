"""Python threads that share the parts of a kernel's work.

NumPy's matrix products and compiled loops let go of Python's lock (the GIL), so plain Python
threads compute side by side. Each takes the next part when it is done with one, and they meet once,
at the end. A BLAS that splits each product over its own threads makes them meet at every product,
several times in a thousandth of a second; where another program holds one of the cores, the others
wait for it each time, and a network becomes ten times slower. So inside here a product has one
thread.

Which part is computed by which thread is left to chance: parts write to places of their own.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numba import get_num_threads, set_num_threads

from minidl.kernels.cpu.threads.blas import one_thread

# Numbers to be moved, about 0.4 ms on one core. To wake a sleeping thread, and to meet it at the
# end, takes 0.1 to 0.2 ms, and more where the processor is a virtual one.
SMALL = 2**20

pool: Any = None  # a ThreadPoolExecutor, when first needed
pool_size = 0


def share(function: Callable, parts: Sequence, *arguments: Any) -> None:
    """Call function(part, *arguments) for each part, on as many threads as Numba may use.

    A single part runs here.

    Args:
        function: writes its result somewhere.
        parts: slices or numbers that say what there is to do.
        arguments: the same for all parts.
    """
    threads = get_num_threads()
    if len(parts) == 1:
        with one_thread():
            function(parts[0], *arguments)
        return
    todo = iter(parts)
    with one_thread():
        others = []
        try:
            for _ in range(min(threads, len(parts)) - 1):
                # A copy of the context: np.errstate holds there, too.
                context = contextvars.copy_context()
                others.append(workers(threads).submit(context.run, work, function, todo, arguments))
        except RuntimeError:  # the interpreter shuts down and starts no more threads: alone, then
            pass
        try:
            work(function, todo, arguments)
        finally:
            errors = [other.exception() for other in others]
    for error in errors:
        if error is not None:
            raise error


class threads_for:
    """`with threads_for(n):` a compiled parallel loop inside has one thread where n is small.

    Args:
        n: how many numbers the loop moves.
    """

    def __init__(self, n: int):
        self.n = n

    def __enter__(self):
        self.before = get_num_threads() if self.n < SMALL else 1
        if self.before > 1:
            set_num_threads(1)

    def __exit__(self, *exception):
        if self.before > 1:
            set_num_threads(self.before)


def work(function: Callable, todo: Iterator, arguments: tuple) -> None:
    """Do parts until there are none. Several threads may take from one list iterator."""
    for part in todo:
        function(part, *arguments)


def workers(threads: int) -> Any:
    """The threads, started when first needed.

    Raises:
        RuntimeError: the interpreter shuts down.
    """
    global pool, pool_size
    if pool is None or pool_size < threads:
        from concurrent.futures import ThreadPoolExecutor  # refuses while that happens

        pool, pool_size = ThreadPoolExecutor(threads, thread_name_prefix="minidl"), threads
    return pool


def forget_workers() -> None:
    """In a forked process: its copy of the pool has no threads."""
    global pool
    pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_workers)
