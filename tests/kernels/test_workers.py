"""Parts of a kernel's work on several threads: each done once, errors and settings kept."""

import os
import threading
import warnings

import numba
import numpy as np
import pytest

from minidl.kernels.cpu.threads import blas
from minidl.kernels.cpu.threads.workers import share


def test_each_part_is_done_once():
    done = np.zeros(1000, int)

    def count(part, by):
        done[part] += by

    share(count, range(1000), 3)
    assert (done == 3).all()
    share(count, [])
    assert (done == 3).all()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core: no two threads")
def test_two_threads_work_side_by_side():
    both = threading.Barrier(2, timeout=20)
    share(lambda part: both.wait(), range(2))  # ends only if two parts run at the same time


def test_a_single_part_runs_where_it_was_asked_for():
    seen = []
    share(lambda part: seen.append(threading.current_thread()), [0])
    assert seen == [threading.current_thread()]


@pytest.mark.parametrize("bad", [0, 7, 15])
def test_an_error_comes_out_and_the_blas_gets_its_threads_back(bad):
    def work(part):
        assert blas.one_thread.inside >= 1
        if part == bad:
            raise ZeroDivisionError(part)

    with pytest.raises(ZeroDivisionError, match=str(bad)):
        share(work, range(16))
    assert blas.one_thread.inside == 0


def test_what_numpy_shall_ignore_is_ignored_in_all_threads():
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error")
        share(lambda part: np.float32(1e38) * np.float32(10), range(64))
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        share(lambda part: np.float32(1e38) * np.float32(10), range(64))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own():
    share(lambda part: None, range(4))
    child = os.fork()
    if child == 0:
        done = []
        share(done.append, range(8))
        os._exit(0 if sorted(done) == list(range(8)) else 1)
    assert os.waitpid(child, 0)[1] == 0
