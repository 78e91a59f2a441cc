"""Progress: lines, the bar, and what it says."""

import pytest

import minidl
from minidl import callbacks
from tests.training.small import (
    fit_with,
    make,
    make_loader,
)


def console(terminal):
    rich_console = pytest.importorskip("rich.console")
    import io

    return rich_console.Console(file=io.StringIO(), force_terminal=terminal, width=60)


def test_progress_without_a_terminal():
    out = console(False)
    fit_with(callbacks.Progress(out), epochs=2)
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss 0.") or lines[1].startswith("epoch 2/2  loss 1.")
    for text in ("accuracy", " %  val loss", "val accuracy", "images/s", "0:00"):
        assert text in lines[1]


def test_progress_on_a_terminal():
    out = console(True)
    model, _, loss, optimizer = make()
    loader = make_loader(batch_size=1)
    minidl.fit(model, loader, loss, optimizer, 2, make_loader(), callbacks.Progress(out))
    text = out.file.getvalue()
    assert "\x1b[2K" in text  # a line is cleared and drawn again: the bar
    for epoch in (1, 2):
        assert len([line for line in text.split("\n") if f"epoch {epoch}/2  loss" in line]) == 1


def test_progress_describes_a_step():
    progress = callbacks.Progress(console(False))
    described = []

    class Listen(callbacks.Callback):
        order = 1

        def on_step_end(self, run):
            described.append(progress.describe(run))

    fit_with(progress, Listen(), epochs=1)
    assert "loss" in described[0] and "accuracy" in described[0] and "left" not in described[0]
    assert "images/s" in described[-1] and "0:00 left" in described[-1]


def test_progress_says_that_it_compiles(monkeypatch):
    """While Numba's compiler lock is held, and only then."""
    lock = pytest.importorskip("numba.core.compiler_lock").global_compiler_lock
    from minidl.training.callbacks import progress

    assert not progress.is_compiling()
    with lock:
        assert progress.is_compiling()
        shown = callbacks.Progress(console(False))
        shown.say_compiling()
    assert not progress.is_compiling()


def test_clock():
    from minidl.training.callbacks.progress import clock

    assert [clock(s) for s in (0, 9.6, 187, 3723)] == ["0:00", "0:10", "3:07", "1:02:03"]
