"""How many threads the BLAS uses, the library that computes NumPy's matrix products.

A BLAS splits every product over all cores, and its threads spin while they wait for each other and
for the next one. For a product of a fraction of a millisecond that gains nothing on an idle
machine; where another program uses one of the cores, or the next kernel's threads, the spinning
made LeNet train ten times slower. So while minidl computes small products, or parts of large ones,
the BLAS has one thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

libraries: list | None = None  # threadpoolctl's handles on the BLAS libraries in this process
setters: list[Callable] = []  # for each of them what sets how many threads it uses
all_threads = 1


class one_thread:
    """`with one_thread():` each product runs in the thread that asks for it.

    Several Python threads may be inside; the last one out gives the BLAS its threads back.
    """

    inside = 0
    lock = threading.Lock()

    def __enter__(self):
        with self.lock:
            if one_thread.inside == 0:
                set_threads(1)
            one_thread.inside += 1

    def __exit__(self, *exception):
        with self.lock:
            one_thread.inside = max(0, one_thread.inside - 1)  # 0 already after a fork in here
            if one_thread.inside == 0:
                set_threads(all_threads)


def set_threads(n: int) -> None:
    """Let the BLAS of NumPy use n threads, whichever thread asks for it."""
    if libraries is None:
        find_libraries()
    for setter in setters:
        setter(n)


def use_threads(n: int) -> None:
    """From here on, large products have n threads."""
    global all_threads
    if libraries is None:
        find_libraries()
    with one_thread.lock:
        all_threads = n
        if one_thread.inside == 0:
            set_threads(n)


def find_libraries() -> None:
    """Look for the BLAS libraries that are loaded, and how many threads they are set to use."""
    global libraries, setters, all_threads
    from threadpoolctl import ThreadpoolController

    controllers = ThreadpoolController().lib_controllers
    found = [library for library in controllers if library.user_api == "blas"]
    all_threads = max((library.num_threads for library in found), default=1)
    setters = [setter_of(library) for library in found]
    libraries = found  # last: where these are known (start_afresh), so is how many threads they had


def setter_of(library: Any) -> Callable:
    """What sets the threads of a library, for any Python thread that calls it.

    It is called twice for each small product. threadpoolctl's own method for OpenBLAS takes as long
    as some of these, and newer versions of it do nothing, and say nothing, for any thread but the
    first; so here is the C function that it calls.
    """
    if library.internal_api == "openblas" and library.threading_layer != "openmp":
        find = getattr(library, "_get_symbol", None)  # older versions have no such limit
        return (find and find("openblas_set_num_threads")) or library.set_num_threads
    return library.set_num_threads


def start_afresh() -> None:
    """In a forked process: the threads that were inside are not here, and will not leave."""
    changed = one_thread.inside > 0 or one_thread.lock.locked()
    one_thread.lock, one_thread.inside = threading.Lock(), 0
    if changed and libraries is not None:
        set_threads(all_threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_afresh)
