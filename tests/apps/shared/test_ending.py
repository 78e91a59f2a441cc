"""SIGTERM is handed to whatever handles Ctrl-C, where nothing else decides about it."""

import signal

import pytest

from apps.shared.ending import Terminated, sigterm_as_ctrl_c
from minidl.training import slots

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.fixture(autouse=True)
def handlers():
    """Those that there were, again after the test."""
    before = {number: signal.getsignal(number) for number in (TERM, INT)}
    signal.signal(TERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def terminate():
    assert signal.getsignal(TERM) is not signal.SIG_DFL  # or the tests end here
    signal.raise_signal(TERM)


def test_it_ends_what_handles_ctrl_c_itself():
    heard = []
    with pytest.raises(Terminated, match="saved"), sigterm_as_ctrl_c():
        signal.signal(INT, lambda number, frame: heard.append(number))
        terminate()
        assert heard == [TERM]
        raise KeyboardInterrupt("saved")
    assert signal.getsignal(TERM) is signal.SIG_DFL


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_it_ends_what_handles_no_ctrl_c(handler):
    signal.signal(INT, handler)
    with pytest.raises(Terminated), sigterm_as_ctrl_c():
        terminate()


def test_ctrl_c_stays_ctrl_c():
    with pytest.raises(KeyboardInterrupt) as caught, sigterm_as_ctrl_c():
        signal.raise_signal(INT)
    assert caught.type is KeyboardInterrupt


def test_what_decides_about_it_already_goes_on_to_do_so(monkeypatch):
    def own(number, frame): ...

    for handler in (own, signal.SIG_IGN):
        signal.signal(TERM, handler)
        with sigterm_as_ctrl_c():
            assert signal.getsignal(TERM) is handler
        assert signal.getsignal(TERM) is handler
    signal.signal(TERM, signal.SIG_DFL)
    monkeypatch.setattr(slots, "in_use", object())
    with sigterm_as_ctrl_c():
        assert signal.getsignal(TERM) is signal.SIG_DFL
