"""Show how training is going: a live bar, and a line for each epoch."""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Any

from minidl.shapes import is_number
from minidl.training.callback import Callback
from minidl.training.metrics import RESERVED, is_share

COMPILING = "compiling kernels (first run)"


class Progress(Callback):
    """Print one line per epoch and, on a terminal, a live bar below.

    The bar shows loss and metrics so far, images (examples of any kind) per second and the time
    left of the whole run; while Numba compiles, it says so. Where the output is no terminal, only
    the lines appear.

    Args:
        console: a rich Console to print on; by default one on stderr.

    >>> callback = minidl.callbacks.Progress()
    """

    watches = True

    def __init__(self, console: Any = None):
        self.console = console
        self.bar: Any = None
        self.waiter: threading.Timer | None = None

    def on_fit_start(self, run) -> None:
        from rich.console import Console

        if self.console is None:
            self.console = Console(stderr=True)
        self.pace = Pace()
        if self.console.is_terminal:
            self.bar = make_bar(self.console)
            self.bar.start()
            self.task = self.bar.add_task("", total=None, text="")
        else:
            self.waiter = threading.Timer(1.0, self.say_compiling)
            self.waiter.daemon = True
            self.waiter.start()

    def say_compiling(self) -> None:
        """Without a bar: one line, if the first step is slow because kernels are compiled."""
        if is_compiling():
            self.console.print(COMPILING)

    def on_epoch_start(self, run) -> None:
        self.pace.start()
        self.shown = run.totals.count
        if self.bar:
            total = len(run.loader) if hasattr(run.loader, "__len__") else None
            self.bar.reset(
                self.task, total=total, completed=run.batch,
                description=f"epoch {run.epoch}/{run.epochs}", text="",
            )  # fmt: skip

    def on_step_end(self, run) -> None:
        if self.waiter is not None:
            self.waiter.cancel()
        images, self.shown = run.totals.count - self.shown, run.totals.count
        self.pace.step(images)
        if self.bar:
            self.bar.update(self.task, completed=run.batch, text=self.describe(run))

    def describe(self, run) -> str:
        """Loss, metrics, images/s and time left, as far as they are known."""
        parts = [figures(run.totals.compute(live=True))]
        if self.pace.rate:
            parts.append(f"{self.pace.rate:,.0f} images/s")
            if hasattr(run.loader, "__len__"):
                left = len(run.loader) * (run.epochs - run.epoch + 1) - run.batch
                left = -(-left // run.accumulate)
                parts.append(f"{clock(left * self.pace.seconds_per_step)} left")
        return "  ".join(parts)

    def on_validation_step_end(self, run) -> None:
        if self.bar:
            shown = figures(run.validation_totals.compute(live=True), "val ")
            self.bar.update(self.task, text=f"validating  {shown}")

    def on_epoch_end(self, run) -> None:
        m = run.metrics
        training = {name: value for name, value in m.items() if not name.startswith("val_")}
        validation = {name[4:]: value for name, value in m.items() if name.startswith("val_")}
        parts = [f"epoch {run.epoch}/{run.epochs}", figures(training), figures(validation, "val ")]
        parts.append(f"{m['images_per_second']:,.0f} images/s  {clock(m['seconds'])}")
        self.console.print("  ".join(filter(None, parts)), soft_wrap=True, highlight=False)

    def on_fit_end(self, run) -> None:
        if self.waiter is not None:
            self.waiter.cancel()
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class Pace:
    """Images per second lately: a running mean in which the last 20 steps or so count."""

    def __init__(self):
        self.rate: float | None = None
        self.seconds_per_step = 0.0
        self.steps = 0

    def start(self) -> None:
        self.last = time.perf_counter()

    def step(self, images: int) -> None:
        now = time.perf_counter()
        seconds, self.last = max(now - self.last, 1e-9), now
        self.steps += 1
        if self.steps <= 2:  # the first steps compile kernels and would distort the mean for long
            return
        if self.rate is None:
            self.seconds_per_step = seconds
        self.seconds_per_step += (seconds - self.seconds_per_step) / 20
        self.rate = images / self.seconds_per_step


def is_compiling() -> bool:
    """Whether Numba is compiling a kernel at this moment (in the thread that trains)."""
    numba = sys.modules.get("numba.core.compiler_lock")
    return numba is not None and numba.global_compiler_lock.is_locked()


def make_bar(console: Any) -> Any:
    """A rich progress bar that disappears when the run ends."""
    from rich.progress import BarColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class Status(ProgressColumn):
        """The task's text, or that kernels are being compiled."""

        def render(self, task) -> Text:
            return Text(COMPILING if is_compiling() else task.fields["text"])

    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(10),
        Status(Column(no_wrap=True, overflow="ellipsis")),  # one line, however narrow it is
        console=console,
        transient=True,
    )


def figures(metrics: dict[str, float], prefix: str = "") -> str:
    """'loss 0.1234  accuracy 97.21 %': the numbers among them, without what fit itself counts."""
    return "  ".join(
        f"{prefix}{name} {figure(name, value)}"
        for name, value in metrics.items()
        if is_number(value) and name not in RESERVED and not name.startswith("lr_")
    )


def figure(name: str, value: float) -> str:
    """A share in percent, else four decimals, or an exponent where they would not show it."""
    if is_share(name):
        return f"{100 * value:.2f} %"
    plain = value == 0 or 1e-3 <= abs(value) < 1e5 or not math.isfinite(value)
    return f"{value:.4f}" if plain else f"{value:.3e}"


def clock(seconds: float) -> str:
    """'3:07' or '1:02:03'."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
