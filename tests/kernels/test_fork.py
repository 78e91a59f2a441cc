"""A forked process multiplies matrices, whatever other threads of its parent were in the middle of.

Parallel loops it cannot run if its parent did, with GNU's OpenMP: it ends, and says why.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minidl.kernels import memory
from minidl.kernels.cpu import matmul
from minidl.kernels.cpu.threads import blas

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def passes_in_a_child(check):
    """Whether check() is true in a forked process. One that hangs is ended by its alarm."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        fine = False
        try:
            fine = check()
        finally:
            os._exit(0 if fine else 1)
    return os.waitpid(child, 0)[1] == 0


@contextmanager
def another_thread_inside(context):
    """Meanwhile another thread is inside a context manager."""
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with context:
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=stay)
    thread.start()
    try:
        assert entered.wait(20)
        yield
    finally:
        leave.set()
        thread.join()


@pytest.fixture
def two_threads(monkeypatch):
    """A BLAS that may use two threads."""
    blas.find_libraries()
    if not blas.libraries:
        pytest.skip("threadpoolctl knows no BLAS in this process")
    monkeypatch.setattr(blas, "all_threads", 2)
    with threadpool_limits(2, user_api="blas"):
        yield


def blas_threads():
    return {
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    }


def a_product_is_right():
    a = np.arange(6.0).reshape(2, 3)
    return bool((matmul.product(a, a.T) == [[5, 14], [14, 50]]).all())


def test_another_thread_holds_the_lock_of_the_blas(two_threads):
    with another_thread_inside(blas.one_thread.lock):
        assert passes_in_a_child(a_product_is_right)
    assert a_product_is_right()


def test_another_thread_is_in_a_small_product(two_threads):
    """It is not in the child, which has all threads of the BLAS, before its products and after."""
    with another_thread_inside(blas.one_thread()):
        assert blas_threads() == {1}
        assert passes_in_a_child(
            lambda: blas_threads() == {2} and a_product_is_right() and blas_threads() == {2}
        )
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_the_forking_thread_is_where_products_have_one_thread(two_threads):
    def leave():
        inside.__exit__()
        return a_product_is_right() and blas_threads() == {2} and blas.one_thread.inside == 0

    inside = blas.one_thread()
    with inside:
        assert passes_in_a_child(leave)
    assert blas_threads() == {2}


def test_another_thread_takes_working_memory():
    def take():
        with memory.scratch(3, 2000) as (a, b):
            return len(a) >= 3 and len(b) >= 2000

    with another_thread_inside(memory.lock):
        assert passes_in_a_child(take)
    assert take()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core: no threads to lose")
def test_a_parallel_loop_after_one_in_the_parent():
    """It computes (TBB, workqueue), or is ended with a message (GNU's OpenMP); it never hangs."""
    code = """
import os, signal
import numpy as np
import minidl
from minidl import nn

def step():
    x = minidl.ones(32, 8, 64, 64)
    return float(nn.BatchNorm2d(8)(x).sum().data)

step()
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(0 if abs(step()) < 1 else 1)
status = os.waitpid(child, 0)[1]
print("computed" if status == 0 else f"ended by {os.WTERMSIG(status)}")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if done.stdout != "computed\n":
        assert done.stdout == f"ended by {int(signal.SIGTERM)}\n"
        assert "fork() called from a process already using GNU OpenMP" in done.stderr
