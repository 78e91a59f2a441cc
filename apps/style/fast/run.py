"""`minidl style fast-train`: a training run with its files.

MODEL.safetensors                       the network, when the run has ended or was interrupted
MODEL.html                              the report
MODEL.safetensors.resume.safetensors    the state while the run is unfinished, for --resume
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.shared.options import to_dict
from apps.shared.trained_transform import save_fast
from apps.style.fast.progress import TrainProgress
from apps.style.fast.report import write_report
from apps.style.fast.settings import TrainSettings, checked
from apps.style.fast.training import OP, SAVE_SECONDS, Training
from apps.style.interrupt import Interrupt
from apps.style.resume import Order, RunFiles


def train(order: Order) -> dict[str, Any]:
    """Train, and write the files.

    Returns:
        what --json prints.

    Raises:
        OptionError: an option, or the output, will not do.
        MinidlError: something cannot be read or written.
        KeyboardInterrupt: interrupted; the state and the network so far are kept.
    """
    files = RunFiles(order, OP, (".safetensors",))
    settings = files.settings(TrainSettings) if order.resume else checked(order.given)
    training = Training(settings, order.note)
    if files.saved is not None:
        training.load(files.saved)
    announce(training, order.note)
    # A NonFiniteError leaves the state as it was.
    interrupted = make_steps(training, files.state, order.note)
    write_files(training, files)
    if interrupted:
        raise KeyboardInterrupt(
            f"interrupted after {training.notes.step:,} of {settings.iterations:,} steps: "
            f"{order.output} holds the network so far. --resume goes on"
        )
    files.forget()
    return {
        "model": str(files.output.path), "report": str(files.report),
        "iterations": training.notes.step, "seconds": training.notes.seconds,
        "losses": last_losses(training), "losses_held_out": losses_held_out(training),
        "photographs": len(training.photographs), "held_out": training.photographs.held_out,
        "settings": to_dict(settings),
    }  # fmt: skip


def announce(training: Training, note: Callable[[str], None]) -> None:
    """Say what is trained on what, and about how long it takes and how much memory."""
    places = ", ".join(
        f"{len(place.learned):,} of {Path(place.location).name}"
        for place in training.photographs.places
    )
    note(f"photographs: {places}; {training.photographs.held_out:,} held out")
    steps = training.settings.iterations - training.notes.step
    note(f"{steps:,} steps, {training.estimate()}")


def make_steps(training: Training, state: Path, note: Callable[[str], None]) -> bool:
    """The steps that are left, with samples and saves between them; whether Ctrl-C ended them."""
    settings, notes = training.settings, training.notes
    saved = time.monotonic()
    with Interrupt(note) as interrupt, TrainProgress(settings, note) as progress:

        def after_step(losses: dict[str, float]) -> bool:
            nonlocal saved
            progress.step(notes.step, losses)
            if is_sampled(notes.step, settings):
                training.check()
            over = interrupt.asked and notes.step < settings.iterations
            if over or time.monotonic() - saved > SAVE_SECONDS:
                training.save(state)
                saved = time.monotonic()
            return not over

        return not training.run(after_step)


def is_sampled(step: int, settings: TrainSettings) -> bool:
    """Whether the report shows what is drawn after this step: more often at the start."""
    count, n = settings.snapshots, settings.iterations
    moments = {max(1, round(n * (i / count) ** 2)) for i in range(1, count + 1)}
    return step in moments


def write_files(training: Training, files: RunFiles) -> None:
    """The network so far and the report."""
    settings = training.settings
    save_fast(
        files.output.path, training.net, training.kind,
        {
            "arguments": training.arguments, "settings": without_folders(to_dict(settings)),
            "steps": training.notes.step, "losses": last_losses(training),
            "losses_held_out": losses_held_out(training),
        },
    )  # fmt: skip
    write_report(files.report, training, last_losses(training), files.order.command)


def without_folders(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as a model tells them to whoever gets it: files without the folders they were in."""
    found = dict(settings)
    for name in ("style", "weights"):
        found[name] = found[name] and Path(found[name]).name
    found["data"] = [Path(place).name for place in found["data"]]
    return found


def losses_held_out(training: Training) -> dict[str, float] | None:
    """The parts of the loss on photographs that no step saw; None where there are none."""
    if not training.photographs.held_out or not training.notes.checks:
        return None
    return {name: part for name, part in training.notes.checks[-1].items() if name != "step"}


def last_losses(training: Training) -> dict[str, float]:
    """The parts of the loss, the mean over the last steps."""
    last = training.notes.losses[-20:]
    if not last:  # of a short run
        return {name: value / training.notes.step for name, value in training.notes.sums.items()}
    names = [name for name in last[0] if name != "step"]
    return {name: sum(one[name] for one in last) / len(last) for name in names}
