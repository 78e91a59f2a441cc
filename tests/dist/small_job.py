"""A training run of a second or two that processes share, with faults on demand.

    python small_job.py --slots 2                     one process: the oracle
    minidl dist run --workers 2 small_job.py ...      the same bits

Batch norm, dropout, clipping, momentum, a schedule and a last step with fewer slots are all in it.
At its end it prints the SHA-256 of the weights and running averages. A fault is worker:moment:step,
such as worker1:on_loss:7, and happens in the first life of that worker alone.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np

import minidl
import minidl_dist
from minidl import nn
from minidl.data import DataLoader
from minidl.training import slots
from minidl.training.callback import Callback

EXAMPLES, BATCH = 136, 8  # 17 batches: with two slots, the last step of an epoch has one


class Bars:
    """Pictures of noise with one of four rows brighter, each computed from its number."""

    classes = ["first", "second", "third", "fourth"]

    def __len__(self):
        return EXAMPLES

    def __getitem__(self, i):
        picture = np.random.default_rng(i).integers(0, 200, (4, 4, 1), np.uint8)
        picture[i % 4] += 55
        return picture, i % 4


def wait_for_others(workers):
    """Let all workers of a job begin together, or one that was late would miss its fault."""
    from minidl_dist import here

    folder = Path(here.told.folder)
    ready = folder / f"ready-{here.told.name}"
    if not ready.exists():  # it is, in a later life, whose disk may be read-only
        ready.touch()
    while len(list(folder.glob("ready-*"))) < workers:
        time.sleep(0.01)


class Fault(Callback):
    """What happens to a worker at a moment."""

    def __init__(self, act, moment, step):
        self.act, self.step = act, step
        setattr(self, moment, self.at)

    def at(self, run):
        if run.step == self.step:
            self.act(run)


class Slow(Callback):
    def __init__(self, seconds):
        self.seconds = seconds

    def on_step_start(self, run):
        time.sleep(self.seconds)


class LeaveOut(Callback):
    """A step that changes nothing: weights, averages and momentum are put back after it."""

    def __init__(self, step):
        self.step, self.before = step, None

    def on_step_start(self, run):
        if run.step == self.step and self.before is None:  # before its first slot
            self.before = copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict()))

    def on_step_end(self, run):
        if self.before is not None:
            run.model.load_state_dict(self.before[0])
            run.optimizer.load_state_dict(self.before[1])
            self.before = None


def kill(run):
    os.kill(os.getpid(), signal.SIGKILL)


def crash(run):
    raise RuntimeError("the cat is on the keyboard")


def stall(run):
    time.sleep(3600)


def nan(run):
    run.model[1].weight.data[0, 0] = np.nan


ACTS = {"kill": kill, "crash": crash, "stall": stall, "nan": nan}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--together", type=int, default=0)
    parser.add_argument("--own-loop", action="store_true")
    parser.add_argument("--other-model", default="")
    parser.add_argument("--kill-chief-afterwards", action="store_true")
    parser.add_argument("--leave-out", type=int, default=-1)
    parser.add_argument("--packed", default="", help="one process: as with --compress")
    for name in ACTS:
        parser.add_argument(f"--{name}", action="append", default=[])
    options = parser.parse_args()

    if options.packed:
        from packed import Packed

        slots.use(Packed(options.packed, every=10))
    if minidl_dist.worker_name():
        wait_for_others(options.together)
    minidl.manual_seed(3)
    width = 65 if minidl_dist.worker_name() in [options.other_model or None] else 64
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(16, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(width, 4),
    )  # fmt: skip
    optimizer = minidl.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = minidl.optim.StepLR(optimizer, 2)
    callbacks = [minidl.callbacks.ClipGradients(1.0), minidl.callbacks.Schedule(schedule)]
    if options.leave_out >= 0:
        callbacks.append(LeaveOut(options.leave_out))
    if options.slow:
        callbacks.append(Slow(options.slow))
    for name, act in ACTS.items():
        for fault in getattr(options, name):
            worker, moment, step = fault.split(":")
            if minidl_dist.worker_name() == worker and minidl_dist.life() == 0:
                callbacks.append(Fault(act, moment, int(step)))
    loader, loss = DataLoader(Bars(), BATCH, shuffle=True, seed=5), nn.CrossEntropyLoss()
    if options.own_loop:
        ps = minidl_dist.connect(model, optimizer, options.slots, callbacks)
        for x, labels in ps.batches(loader, options.epochs):
            ps.step(loss(model(x), labels))
    else:
        minidl.fit(
            model, loader, loss, optimizer, options.epochs, callbacks=callbacks,
            accumulate=options.slots,
        )  # fmt: skip
    if options.kill_chief_afterwards and minidl_dist.is_chief() and minidl_dist.life() == 0:
        time.sleep(2)  # the others have ended, and the coordinator
        kill(None)
    state = model.state_dict()
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + np.ascontiguousarray(state[name].data).tobytes())
    print("weights", digest.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
