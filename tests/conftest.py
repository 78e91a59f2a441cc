"""What holds for all tests."""

import gc
import os
import signal

import pytest

# A shell starts background jobs with Ctrl-C ignored, and so do some CI runners. Child processes
# inherit that, and the tests that interrupt a run would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config):
    """How many processes share the tests, where -n does not say it (pytest-xdist asks).

    Two for the whole suite. One, this one, for files that are named: breakpoints work there, and
    it starts sooner.
    """
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if named else min(2, os.cpu_count() or 1)


def pytest_collection_finish(session):
    """12,000 tests are objects that the garbage collector need not look through again and again."""
    gc.freeze()


def pytest_runtest_setup(item):
    if item.get_closest_marker("torch"):
        pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that skips for want of PyTorch must have the marker torch, or .ci/run, which runs
    those with the marker where PyTorch is installed, never runs it."""
    report = yield
    reason = str(call.excinfo.value) if report.skipped and call.excinfo else ""
    if "torch" in reason.lower() and not item.get_closest_marker("torch"):
        report.outcome, report.longrepr = "failed", f"{item.nodeid} lacks @pytest.mark.torch"
    return report
