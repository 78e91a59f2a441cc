"""The server: holds some of the chunks, takes gradients in and gives weights out.

How contributions become weights is in aggregate.py; here is when. A pure machine, see messages.py.

    empty     nothing there: a worker will send the initial values
    loading   the checkpoint that the coordinator named is being read
    serving   pushes, heads and pulls are answered
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from minidl.errors import ArgumentError
from minidl_dist.aggregate import Aggregate
from minidl_dist.checksum import checksum
from minidl_dist.compress import PACKED
from minidl_dist.contradiction import Contradiction, NotFinite
from minidl_dist.manifest import PAUSE, owner_of
from minidl_dist.messages import (
    COORDINATOR,
    INITIAL,
    Ack,
    Counted,
    Exit,
    Failed,
    Head,
    Initial,
    Left,
    Load,
    Loaded,
    Norm,
    Norms,
    Note,
    Pull,
    Push,
    Received,
    Refused,
    Saved,
    Shard,
    Stale,
    Started,
    StopAsked,
    Store,
    Stored,
    Sweep,
    Timer,
    Wanted,
    Weights,
    Welcome,
)
from minidl_dist.messages import HEAD as HEAD_CHUNK
from minidl_dist.peer import Peer

ABSENT = "the file is not there"
WITH_VALUES = (Push, Initial)


class Server(Peer):
    """See the module.

    Attributes:
        aggregate: the chunks; of this generation.
        parked: chunk -> worker -> version that it waits for.
        partial: what is collected of the checkpoint in progress: chunk -> its snapshot.
        collecting: its step.
        writing: (generation, step) of the shard that is on its way to the disk; at most one.
        saved: step -> what the coordinator is told about it.
        norms: ours, until the norm of all is there.
        found: file -> why it could not be loaded, or "".
        swept: the effect that last deleted what is not needed.
        ignored: (what, sender) -> messages that were dropped; the first of each is noted.
    """

    role = "server"
    aggregate_class = Aggregate

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.phase = "empty"
        self.aggregate: Aggregate | None = None
        self.mine: list[int] = []
        self.writing: tuple[int, int] | None = None
        self.folds = 0
        self.retry_at = 0.0
        self.swept: Sweep | None = None
        self.ignored: Counter[tuple[str, str]] = Counter()
        self.reset()

    def reset(self) -> None:
        """Nothing of the generation before is left."""
        self.parked: dict[int, dict[str, int]] = {}
        self.partial: dict[int, Any] = {}
        self.collecting = -1
        self.saved: dict[int, Saved] = {}
        self.norms: Norms | None = None
        self.loading: set[str] = set()
        self.found: dict[str, str] = {}

    def handle(self, event: Any, now: float) -> list:
        self.effects, self.now = [], now
        match event:
            case Received(sender, message):
                self.receive(sender, message)
            case Started() | Timer():
                self.tick()
                self.repeat()
            case Loaded():
                self.loaded(event)
            case Stored():
                self.stored(event)
            case StopAsked():
                self.asked_to_stop()
            case Left(peer) if peer == COORDINATOR:  # at the end of the job
                self.effects.append(Exit(0, "the job was over before this server heard of it"))
        return self.effects

    # --- how it is ------------------------------------------------------------------------------

    def state(self) -> str:
        return "leaving" if self.phase == "serving" and self.stop_at is not None else self.phase

    def step_of_beat(self) -> int:
        return self.aggregate.step if self.aggregate and self.aggregate.is_whole else -1

    def progress(self) -> int:
        return self.folds

    def repeat(self) -> None:
        """Ask again what was not answered."""
        if self.norms is not None:
            self.send(COORDINATOR, self.norms)
        for saved in self.saved.values():
            self.send(COORDINATOR, saved)
        if self.saved:
            self.save_last()

    # --- messages -------------------------------------------------------------------------------

    def receive(self, sender: str, message: Any) -> None:
        if sender == COORDINATOR:
            self.from_coordinator(message)
        elif message.generation != self.generation or self.aggregate is None:
            self.send(sender, Stale(self.generation))
        else:
            try:
                self.from_worker(sender, message)
            except NotFinite as error:
                self.send(COORDINATOR, Failed(error.rule, {"server": self.name, **error.received}))
            except Contradiction as error:
                received = {"worker": sender, **error.received}
                self.send(COORDINATOR, Failed(error.rule, received))
                self.send(sender, Refused(error.rule, received, str(error.hint)))

    def from_coordinator(self, message: Any) -> None:
        match message:
            case Welcome():
                if self.take_welcome(message):
                    self.find_mine()
                    self.say_how_it_is()
            case Wanted():
                if self.take_wanted(message):
                    self.follow()
            case Norm() if message.generation == self.generation:
                self.take_norm(message)
            case Counted() if message.generation == self.generation:
                self.take_counted(message)
            case Refused():
                self.refused(message)

    def find_mine(self) -> None:
        """Which chunks this server holds."""
        if self.plan is None:
            return
        if self.name not in self.job.servers:
            self.leave(2, f"{self.name} is no server of this job: {', '.join(self.job.servers)}")
            return
        places = self.plan.place(len(self.job.servers))
        number = self.job.servers.index(self.name)
        self.mine = [chunk for chunk, place in enumerate(places) if place == number]

    def from_worker(self, sender: str, message: Any) -> None:
        if isinstance(message, WITH_VALUES) and not self.is_sound(sender, message):
            return
        match message:
            case Pull():
                self.pull(sender, message)
            case Initial():
                self.take_initial(sender, message)
            case Push() | Head() if not self.aggregate.may_come(message.step, message.slot):
                self.ignore("a step that cannot be", sender, step=message.step)
            case Push():
                self.take_push(sender, message)
            case Head():
                is_new = self.aggregate.take_head(message)
                self.acknowledge(sender, message, HEAD_CHUNK)
                if is_new:
                    self.fold(self.mine)

    def take_push(self, sender: str, message: Push) -> None:
        """Take a slot's gradient in a chunk, unpacked; its crc stays that of what was sent."""
        if message.values.dtype == PACKED:
            try:
                values = self.codec.unpack(message.chunk, message.values)
            except ArgumentError as error:
                self.send(sender, Refused(error.rule, {"chunk": message.chunk, **error.received}))
                return
            message = replace(message, values=values)
        is_new = self.aggregate.take(message)
        self.acknowledge(sender, message, message.chunk)
        if is_new:
            self.fold([message.chunk])
            self.aggregate.keep(message)

    def acknowledge(self, sender: str, message: Push | Head, chunk: int) -> None:
        self.send(sender, Ack(message.generation, message.step, message.slot, chunk))

    def is_sound(self, sender: str, message: Push | Initial) -> bool:
        """Whether the values are those that were sent, and of a chunk that is ours."""
        if message.chunk not in self.mine:
            rule = "this server does not hold the chunk"
            self.send(sender, Refused(rule, {"chunk": message.chunk, "server": self.name}))
            return False
        chunk, values = self.plan.chunks[message.chunk], message.values
        dtype, size = self.codec.form_of(message)
        if values.shape != (size,) or values.dtype != dtype:
            rule = f"chunk {chunk.number} has {size} elements of {dtype}"
            is_what = {"received": f"{values.dtype} {values.shape}"}
            self.send(sender, Refused(rule, is_what))
            return False
        missing = getattr(message, "missing", [])
        if not all(isinstance(n, int) and n in chunk.tensors for n in missing):
            rule = "missing tensors of a chunk are some of its own"
            self.send(sender, Refused(rule, {"chunk": chunk.number, "missing": str(missing)[:99]}))
            return False
        if checksum(values) != message.crc:  # not acknowledged, so it will come again
            self.ignore("damaged on the way", sender, chunk=chunk.number)
            return False
        return True

    def ignore(self, why: str, sender: str, **facts: Any) -> None:
        """Drop a message. A log with a line for each would fill the disk where a link is bad."""
        self.ignored[why, sender] += 1
        if self.ignored[why, sender] == 1:
            self.note(f"{why}: ignored", sender=sender, **facts)

    def all_troubles(self) -> dict[str, float]:
        ignored = sum(self.ignored.values())
        return {**super().all_troubles(), **({"ignored": ignored} if ignored else {})}

    def note(self, what: str, **facts: Any) -> None:
        self.effects.append(Note({"what": what, "server": self.name, **facts}))

    # --- a generation ---------------------------------------------------------------------------

    def follow(self) -> None:
        """Become what the coordinator wants."""
        wanted = self.wanted
        if wanted.stop:
            self.leave(wanted.code, wanted.stop)
            return
        if self.plan is None or wanted.plan_hash != self.plan.hash:
            return
        if wanted.generation > self.generation:
            self.start_generation()
        self.saved = {step: s for step, s in self.saved.items() if step > wanted.manifest}
        self.collect(self.mine)
        self.save_last()
        self.sweep()

    def start_generation(self) -> None:
        """Forget everything, and load the checkpoint to go on from, if there is one."""
        wanted = self.wanted
        for saved in self.saved.values():  # if nobody needs it, it is deleted
            self.send(COORDINATOR, saved)
        self.reset()
        self.generation = wanted.generation
        self.aggregate = self.aggregate_class(self.plan, self.mode, self.mine)
        self.phase = "empty"
        if wanted.load >= 0:
            self.phase = "loading"
            mine = set(self.mine)
            needed = {f: facts for f, facts in wanted.files.items() if mine & set(facts["chunks"])}
            self.loading = set(needed)
            for name, facts in needed.items():
                self.effects.append(Load(name, self.generation, facts["sha256"]))
        self.say_how_it_is()

    def loaded(self, event: Loaded) -> None:
        """A shard was read. Another number of servers may have written it: take what is ours."""
        if event.tag != self.generation or event.name not in self.loading:
            return
        error = event.error or ("" if event.value is not None else ABSENT)
        if not error:
            try:
                self.aggregate.restore(event.value)
            except (ArgumentError, LookupError, ValueError) as problem:
                error = str(problem)
        self.found[event.name] = error
        if error:
            self.note("cannot load a checkpoint", alarm=True, file=event.name, error=error)
        self.loading.discard(event.name)
        if not self.loading:
            self.look_for_other_disks()
            whole = self.aggregate.is_whole and not any(self.found.values())
            self.phase = "serving" if whole else "failed"
            self.say_how_it_is()

    def look_for_other_disks(self) -> None:
        """Shards of other servers, which had another number, may be on the disks of these alone."""
        others = sorted(file for file in self.found if owner_of(file) != self.name)
        own = [error for file, error in self.found.items() if owner_of(file) == self.name]
        if any(own) or not others or any(self.found[file] != ABSENT for file in others):
            return
        rule = "a checkpoint of another number of servers is on disks that are not shared"
        self.send(COORDINATOR, Failed(rule, {
            "server": self.name,
            "its disk lacks": ", ".join(others),
            "servers then": len({owner_of(file) for file in self.wanted.files}),
            "servers now": len(self.job.servers),
            "hint": "minidl dist resume JOB --servers with that number, on the same hosts; or copy "
            "the files in its folder checkpoints to this machine",
        }))  # fmt: skip

    def take_initial(self, sender: str, message: Initial) -> None:
        """A first value; when all are there, the job can begin, and is saved once."""
        if self.phase == "empty":
            self.aggregate.set_values(message.chunk, message.values)
        self.send(sender, Ack(self.generation, INITIAL, 0, message.chunk))
        if self.phase == "empty" and self.aggregate.is_whole:
            self.phase = "serving"
            self.have_changed(self.mine)
            self.say_how_it_is()

    # --- steps ----------------------------------------------------------------------------------

    def fold(self, chunks: list[int]) -> None:
        """Fold what can be folded, and do what new versions allow."""
        changed = []
        for chunk in chunks:
            before = self.aggregate.chunks[chunk].version
            folded = len(self.aggregate.fold(chunk))
            self.folds += folded
            if self.aggregate.chunks[chunk].version > before or (folded and not self.mode.together):
                changed.append(chunk)
        squares = self.aggregate.squares()
        if squares is not None and self.norms is None:
            self.norms = Norms(self.generation, self.aggregate.step, squares)
            self.send(COORDINATOR, self.norms)
        if changed:
            self.have_changed(changed)

    def take_norm(self, message: Norm) -> None:
        if self.norms is not None and self.norms.step == message.step:
            self.norms = None
            self.have_changed(self.aggregate.clip(message.total))

    def take_counted(self, message: Counted) -> None:
        is_known = self.aggregate.counted.get(message.step) == message.slots
        if self.aggregate.is_whole and message.step >= self.aggregate.step and not is_known:
            self.aggregate.counted[message.step] = message.slots
            self.fold(self.mine)

    def have_changed(self, chunks: list[int]) -> None:
        """Chunks have a new version: who waits for it gets it, and it may have to be saved."""
        self.collect(chunks)
        for chunk in chunks:
            for worker, version in list(self.parked.get(chunk, {}).items()):
                self.pull(worker, Pull(self.generation, version, chunk))
        self.aggregate.forget()
        self.save_last()

    def pull(self, sender: str, message: Pull) -> None:
        """Answer now, or when the version is there. At most one is kept for (worker, chunk)."""
        chunk = message.chunk
        if chunk not in self.mine:
            return
        parked = self.parked.setdefault(chunk, {})
        found = self.aggregate.weights(chunk, message.version)
        if found is not None:
            parked.pop(sender, None)
            version, values, crc = found
            self.send(sender, Weights(self.generation, version, chunk, crc, values))
        elif chunk not in self.aggregate.chunks or (
            self.aggregate.chunks[chunk].version < message.version
        ):
            parked[sender] = message.version

    # --- checkpoints ----------------------------------------------------------------------------

    def collect(self, chunks: list[int]) -> None:
        """Copy those of these chunks that are at the step to be saved; the last completes it."""
        step = self.wanted.save
        is_over = step <= self.wanted.manifest or step in self.saved or self.is_writing(step)
        if is_over or not self.is_in_step():
            return
        if step != self.collecting:
            self.collecting, self.partial = step, {}
        for chunk in chunks:
            if chunk in self.partial:
                continue
            if self.aggregate.is_past(chunk, step):
                self.partial = {}
                error = "the step was over before it could be saved: the disk is slow"
                self.tell_saved(Saved(self.generation, step, self.shard(step), "", [], error))
                return
            if self.writing is None and self.aggregate.is_at(chunk, step):
                self.partial[chunk] = self.aggregate.snapshot(chunk)
        if len(self.partial) == len(self.mine):
            self.store(step, self.partial)
            self.partial = {}

    def is_in_step(self) -> bool:
        """Whether chunks are served, and what is wanted is of their generation."""
        return self.phase == "serving" and self.wanted.generation == self.generation

    def is_writing(self, step: int) -> bool:
        return self.writing == (self.generation, step)

    def shard(self, step: int) -> str:
        """Name of a file."""
        return f"shard-{self.generation}-{step}-{self.name}"

    def save_last(self) -> None:
        """Save the version at which everything stands still, where the coordinator says so."""
        until = self.wanted.until
        if not self.is_in_step() or until < 0 or until <= self.wanted.manifest or self.writing:
            return
        stands = all(self.aggregate.is_at(chunk, until) for chunk in self.mine)
        failed = until in self.saved and self.saved[until].error and self.now >= self.retry_at
        if stands and (failed or until not in self.saved):
            self.store(until, {chunk: self.aggregate.snapshot(chunk) for chunk in self.mine})

    def sweep(self) -> None:
        """Delete files that are no longer needed; on this disk nobody else would."""
        keep = {*self.wanted.shards, *(s.file for s in self.saved.values() if not s.error)}
        if self.writing is not None:
            keep.add("shard-{}-{}-".format(*self.writing) + self.name)
        others = [name for name in self.job.servers if name != self.name]
        sweep = Sweep(sorted(keep), others, self.generation)
        if sweep != self.swept:
            self.swept = sweep
            self.effects.append(sweep)

    def store(self, step: int, parts: dict[int, Any]) -> None:
        """Give a shard to the disk."""
        self.writing = self.generation, step
        shard = Shard(step, {}, {})
        for arrays, numbers in parts.values():
            shard.arrays |= arrays
            shard.numbers |= numbers
        self.effects.append(Store(self.shard(step), shard, self.writing))

    def stored(self, event: Stored) -> None:
        self.writing = None
        if self.aggregate is not None and not self.partial:
            self.aggregate.written()
        generation, step = event.tag
        if event.error:
            self.retry_at = self.now + PAUSE
            self.note("cannot save", alarm=True, file=event.name, error=event.error)
        self.tell_saved(
            Saved(generation, step, event.name, event.sha256, self.mine, event.error)
        )  # fmt: skip
        self.collect(self.mine)
        self.save_last()

    def tell_saved(self, saved: Saved) -> None:
        """Say so until it is known; of an older generation, once: its file will be deleted."""
        if saved.generation == self.generation:
            last = max((step for step in self.saved if step != saved.step), default=-1)
            self.saved = {s: self.saved[s] for s in self.saved if s == last} | {saved.step: saved}
        self.send(COORDINATOR, saved)
