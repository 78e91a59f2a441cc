"""The training thread of a worker: the slots that minidl.fit asks for its batches.

    minidl.fit ── asks ──► Client ── events ──►  machine (worker.py), in the Node's thread,
    (this thread)                 ◄─ effects ──  which talks to servers and coordinator

Every worker runs the whole loop of fit with the same Run. In each step it computes the slots that
are given to it, hands their gradients on while backward computes them, and waits for the weights of
the next step and the reports of all slots. So losses, schedules and early stopping are the same
everywhere. One worker, the chief, also validates, prints, and writes the run folder.

When a server is lost, all go back to a step that was saved: `Rewound` leaves the epoch in progress,
and `rewind` loads the weights and the state of the run. A worker that comes later begins the same
way. When the chief is lost, another one becomes chief, perhaps while it waits for the validation.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from minidl import random
from minidl.errors import ArgumentError
from minidl.tensor import Tensor
from minidl.training.callback import Callback
from minidl.training.fit import validate
from minidl.training.resume import named_callbacks
from minidl.training.run import Run
from minidl.training.slots import Batch, Rewound, Slots
from minidl_dist import messages as m
from minidl_dist.batches import BatchesAhead
from minidl_dist.checks import check_run, translate_callbacks
from minidl_dist.fingerprint import fingerprint
from minidl_dist.reports import count_reports, report_of
from minidl_dist.state import (
    check_memory,
    from_bytes,
    load_watchers,
    options_of,
    states_of_watchers,
    to_bytes,
)
from minidl_dist.tensors import Averages, Chunks, Fixed, make_plan

PROGRESS = 1.0  # seconds between two words of a validation that it goes on


class Stopped(BaseException):
    """The job is over, and with it this process. No SystemExit: commands take that for another."""

    def __init__(self, reason: str, code: int):
        super().__init__(reason)
        self.reason, self.code = reason, code


class Client(Slots):
    """The slots that a worker is given.

    Args:
        name: of the worker.
        default: how many slots a step has where the user does not say.
        mode: of the job, see modes.py.

    Attributes:
        post: takes an event for the worker's machine; to be set before training.
        leaves: whether fit ends the process when the job is over, but for the chief's, which has a
            report to write.
    """

    leaves = True

    def __init__(self, name: str, default: int = 1, mode: str = "sync"):
        self.name, self.default, self.mode = name, default, mode
        self.post: Callable[[Any], None] = nowhere
        self.inbox: queue.SimpleQueue = queue.SimpleQueue()
        self.kept: deque = deque()  # effects whose turn will come
        self.generation = 0
        self.at_start: int | None = None  # the step at whose start the run is
        self.run: Run | None = None
        self.finished: m.Finished | None = None
        self.is_running = self.is_chief = self.may_be_chief = False

    # --- what fit asks for ----------------------------------------------------------------------

    def begin(self, run: Run) -> None:
        """Offer the plan, and wait for the weights and the step to begin with.

        Raises:
            ArgumentError: the run holds something that several machines cannot do; it is named.
        """
        if self.run is not None:
            raise ArgumentError("dist", "a job trains one run", hint="train again in another job")
        check_run(run)
        check_memory(run)
        self.run, run.is_chief, run.has_servers = run, self.is_chief, True
        self.clip = translate_callbacks(run, self.mode)
        self.plan, tensors = make_plan(
            run.model, run.optimizer, run.accumulate, len(run.loader), run.epochs
        )
        self.chunks = Chunks(self.plan, tensors, self.give_chunk)
        self.averages = Averages(run.model, self.plan, tensors)
        self.fixed = Fixed(self.plan, tensors)
        self.ahead = BatchesAhead(self.plan, run.loader)
        watchers = [c for c in run.callbacks if c.watches and (c.order < 0 or c.state_dict())]
        if run.validation is not None or watchers:
            run.callbacks.append(Exchange(self))
            run.callbacks.sort(key=lambda callback: callback.order)
        self.post(m.Begin(self.plan, self.chunks.initial(), to_bytes(run), fingerprint()))
        self.go_back(self.wait(m.Rewind))
        self.is_running = True

    def steps(self) -> Iterator[Iterator[Batch]]:
        """The steps that are left in this epoch, each with the batches that are ours."""
        run = self.run
        self.post(m.Doing(""))
        self.say_that_it_goes_on()
        self.set_batch(run.step)
        self.fixed.check()
        while run.batch < len(run.loader):
            self.tell_state()
            yield self.of_step()
        set_position(run.validation, run.epoch - 1, 0)
        if run.is_chief:
            self.post(m.Doing("evaluating"))

    def of_step(self) -> Iterator[Batch]:
        """Batches as they are given to us, until the next step begins."""
        while True:
            effect = self.wait(m.Compute, m.Advance)
            if isinstance(effect, m.Advance):
                self.advance = effect
                return
            self.place = effect.step, effect.slot
            inputs, targets = self.ahead.take(*self.place)
            self.averages.begin()
            self.chunks.begin()
            random.begin(self.run.seed, *self.place)
            yield inputs, targets

    @contextmanager
    def only(self, parameters: Collection[Tensor]) -> Iterator[None]:
        """See Slots."""
        self.chunks.own = parameters
        yield
        self.chunks.own = None

    def add(self, values: dict[str, float] | None = None) -> None:
        """The current batch's gradients are computed, and most are on their way: report it."""
        run = self.run
        self.averages.end(self.chunks)
        missing = self.chunks.end()
        self.fixed.check_slot()
        self.post(m.SlotDone(
            self.generation, *self.place, float(run.weight), options_of(run.optimizer), missing,
            self.clip, self.chunks.nan, report_of(run, values or {"loss": run.loss.item()}),
        ))  # fmt: skip

    def give_chunk(self, number: int, values: Any, missing: list[int]) -> None:
        self.post(m.SlotChunk(self.generation, *self.place, number, values, missing))

    def take_step(self) -> None:
        """Load the weights of the next step, and count what all workers report of this one."""
        run, advance, self.at_start = self.run, self.advance, None
        self.chunks.load(advance.chunks)
        count_reports(run, advance.reports)
        run.step = advance.step - 1  # finish_step counts it
        self.set_batch(advance.step, is_end=True)

    def set_batch(self, step: int, is_end: bool = False) -> None:
        """Where the run, and the loader, are at the start of a step, or the end of the last one."""
        run, t = self.run, step % self.plan.steps_per_epoch
        ended = is_end and t == 0
        run.batch = len(run.loader) if ended else t * self.plan.slots
        epoch = step // self.plan.steps_per_epoch - ended
        set_position(run.loader, epoch, run.batch)

    def rewind(self) -> None:
        self.go_back(self.rewound)

    def end(self) -> None:
        """All steps are taken: wait until that is so for everybody.

        Raises:
            Rewound: a server was lost in the meantime.
            Stopped: this process has nothing left to do.
            ArgumentError: a callback has stopped the run here, and not where the chief is.
        """
        self.post(m.Doing(""))
        self.fixed.check()
        self.tell_state()
        if len(self.run.history) < self.run.epochs:
            self.stop_with_the_chief()
        self.post(m.Ended(self.generation, self.run.step))
        finished = self.finished or self.wait(m.Finished)
        if finished.code or (self.leaves and not self.run.is_chief):
            raise Stopped(finished.reason, finished.code)

    def say_that_it_goes_on(self) -> None:
        """Let those know that would end the run after the epoch before: the chief decides."""
        if self.run.is_chief and self.run.epoch > 1:
            self.post(m.Publish(goes_on(self.run.epoch - 1), {}))

    def stop_with_the_chief(self) -> None:
        """Before the last epoch: wait for what the chief does, unless that is this worker."""
        run = self.run
        if not run.is_chief:
            self.post(m.Await(goes_on(run.epoch)))
        while not run.is_chief and self.finished is None:
            if isinstance(self.wait(m.Published, m.Chief, m.Finished), m.Published):
                raise ArgumentError(
                    "dist", "a callback that stops the run does so on all workers, or on the chief",
                    {"callback": run.stopped_by, "worker": self.name, "after": f"epoch {run.epoch}",
                     "chief": "goes on"},
                    "a limit of time, say, is looked at where run.is_chief",
                )  # fmt: skip

    def close(self) -> None:
        """The command of this worker has ended. Where the job has not, it is told why."""
        if self.run is not None and self.is_running:
            self.chunks.close()
        if self.finished is None:
            error = None if self.run is None else self.run.error
            why = f"{type(error).__name__}: {error}" if error is not None else "it did not train"
            if isinstance(error, GeneratorExit):
                why = "the loop over ps.batches() was left before its end"
            self.post(m.Crashed(why))

    # --- where the run is -----------------------------------------------------------------------

    def tell_state(self) -> None:
        """The run is at the start of a step; its state can be had from now on."""
        self.run.remember_position()
        self.at_start = self.run.step
        self.post(m.RunState(self.generation, self.run.step, b""))

    def give_state(self, asked: m.GiveState) -> None:
        """A checkpoint, or a worker that joins, needs the state of the run at this step."""
        if (asked.generation, asked.step) == (self.generation, self.at_start):
            self.post(m.RunState(self.generation, asked.step, to_bytes(self.run)))

    def go_back(self, to: m.Rewind) -> None:
        """Be where the servers are."""
        self.generation = to.generation
        self.kept.clear()
        with_past = from_bytes(self.run, to.blob)
        self.chunks.load(to.chunks)
        self.run.step_totals.reset()
        self.run.step_weight = 0
        for name, callback in named_callbacks(self.run.callbacks):
            if self.is_running and name not in with_past and callback.state_dict():
                callback.on_fit_start(self.run)  # back at the first step, it had no past yet

    # --- effects of the machine -----------------------------------------------------------------

    def take(self, effect: Any) -> None:
        """To be called with each effect that is for the training thread, from any thread."""
        if isinstance(effect, m.Chief):
            self.may_be_chief = effect.chief
            if self.run is not None and not effect.chief:
                self.run.is_chief = False  # at once: what this run would write is another's now
        self.inbox.put(effect)

    def wait(self, *kinds: type) -> Any:
        """The next effect of one of these kinds; others are kept for when they are asked for.

        Raises:
            Rewound: the servers went back. (To wait for that is the start of a run.)
            Stopped: the job is over before its end.
        """
        for effect in self.kept:
            if isinstance(effect, kinds):
                self.kept.remove(effect)
                return effect
        while True:
            effect = self.inbox.get()
            if isinstance(effect, m.Chief):
                self.set_chief(effect.chief)
            if isinstance(effect, m.Finished):
                self.finished = effect
            if isinstance(effect, m.GiveState):
                self.give_state(effect)
            if isinstance(effect, kinds):
                if getattr(effect, "generation", self.generation) >= self.generation:
                    return effect
            elif isinstance(effect, m.Rewind):
                self.rewound = effect
                raise Rewound
            elif isinstance(effect, m.Finished):
                raise Stopped(effect.reason, effect.code)
            elif not isinstance(effect, m.Chief | m.GiveState):
                self.kept.append(effect)

    def set_chief(self, is_chief: bool) -> None:
        """Become the worker that validates, prints and writes files, or no longer be it."""
        is_chief = is_chief and self.may_be_chief  # by the newest word, which is still to come
        was, self.is_chief, run = self.is_chief, is_chief, self.run
        run.is_chief = is_chief
        if is_chief and not was and self.is_running:
            self.say_that_it_goes_on()
            for callback in run.callbacks:
                if callback.watches:
                    callback.on_fit_start(run)
                    callback.on_epoch_start(run)


class Exchange(Callback):
    """The metrics of an epoch: the chief tells what it found, the others take it over.

    It comes after what adds metrics (order < 0) and before what watches them. With the metrics goes
    what watchers remember, as any worker may be chief next; of those that come later in an epoch it
    is what they knew before it.
    """

    order = -0.5

    def __init__(self, client: Client):
        self.client, self.said_at = client, 0.0

    def on_validation_step_end(self, run: Run) -> None:
        """A long validation is no worker that is stuck: say now and then that it goes on."""
        now = time.monotonic()
        if now > self.said_at + PROGRESS:
            self.said_at = now
            self.client.post(m.Doing("evaluating"))

    def on_epoch_end(self, run: Run) -> None:
        client, key = self.client, f"epoch {run.epoch}"
        if not run.is_chief:
            client.post(m.Await(key))
            answer = client.wait(m.Published, m.Chief)
            while not (run.is_chief or getattr(answer, "key", "") == key):
                answer = client.wait(m.Published, m.Chief)
            if not run.is_chief:
                run.metrics |= answer.value["metrics"]
                load_watchers(run, answer.value["watchers"])
                return
            self.do_what_the_chief_did_not(run)
        metrics = {name: value for name, value in run.metrics.items() if is_plain(value)}
        client.post(m.Publish(key, {"metrics": metrics, "watchers": states_of_watchers(run)}))

    def do_what_the_chief_did_not(self, run: Run) -> None:
        """It was lost before it told what it found, and this worker is chief now."""
        self.client.post(m.Doing("evaluating"))
        if run.validation is not None:
            validate(run)
            found = run.validation_totals.compute()
            run.metrics |= {f"val_{name}": value for name, value in found.items()}
        for callback in run.callbacks:
            if callback.watches and callback.order < self.order:
                callback.on_epoch_end(run)


def goes_on(epoch: int) -> str:
    """The key under which the chief publishes that it begins the epoch after this one."""
    return f"after epoch {epoch}"


def nowhere(event: Any) -> None:
    raise ArgumentError("dist", "a worker's client is connected to its node", {"event": event})


def set_position(loader: Any, epoch: int, batch: int) -> None:
    """Where a DataLoader would be, had it been iterated: chiefs change, checkpoints hold it."""
    if hasattr(loader, "load_state_dict") and loader.state_dict().keys() == {"epoch", "batch"}:
        loader.load_state_dict({"epoch": epoch, "batch": batch})


def is_plain(value: Any) -> bool:
    """Whether a message can hold it."""
    return value is None or isinstance(value, bool | int | float | str)
