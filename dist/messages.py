"""The vocabulary: messages between processes, events and effects of a machine.

Every process is one pure machine (coordinator.py, server.py, worker.py) and one Node (node.py):

    machine.handle(event, now) -> list of effects

A machine has no socket, clock, thread, file or random number. The Node turns what happens into
events and carries out effects, in order. simulate.py does the same on a heap of virtual time.

Who sends what, and when (w worker, s server, c coordinator, o operator):

    w s -> c  Hello       who I am; first, and again whenever Wanted.hello asks
    w s -> c  Beat        how I am; every Job.beat seconds, and at once when my state changes
    w   -> c  Offer       my plan; whenever Wanted.plan_hash is not mine
    c -> w s  Welcome     job and plan; to a Hello or Beat whose plan_hash is not the job's (to a
                          worker: only its Hello)
    c -> w s  Wanted      what is wanted of the receiver; answers every Hello and Beat, and comes
                          unasked when it changes. State: the newest replaces all earlier ones
    c -> any  Refused     you cannot take part, and why; also s -> w for a push that contradicts
                          another. The receiver ends with this error
    any -> c  Failed      I found an error that ends the job (slot not deterministic, heads differ)
    w   -> s  Initial     first values of a chunk; where Wanted.seeder, until acknowledged
    w   -> s  Push        a slot's gradient in one chunk; until acknowledged
    w   -> s  Head        a slot is complete: its weight, options, missing tensors; until ack.
    s   -> w  Ack         of Initial (step -1), Push, Head (chunk HEAD); of each duplicate, too
    w   -> s  Pull        give me a chunk, at `version` or later; answered when it is there, so it
                          may wait; asked again until answered. A version that is no longer there
                          is not answered: the next Wanted tells the worker that it is behind
    s   -> w  Weights     the answer
    s   -> w  Stale       your generation is not mine: an older one is forgotten; if it is newer,
                          the server will have it soon. Nothing was done
    w   -> c  Report      a slot is done, all of it acknowledged by all servers; until Wanted.step
                          is past it
    c   -> w  StepDone    all slots of a step are done, with their reports in slot order; when that
                          happens, and to a Beat of an earlier step
    s   -> c  Norms       sums of squares of the step's gradients, where Head.clip; until Norm
    c   -> s  Norm        the sum of all
    c   -> s  Counted     which slots of a step count (mode backup:K); to a Beat at that step, too
    w   -> c  RunState    the run at the start of a step: of a step to be saved (by the chief), of
                          step 0 (by the seeder), of the current (where Wanted.give_state); until
                          Wanted.states has that step
    c   -> w  RunState    the same, to a Beat in state "joining", once it is there for Wanted.step
    s   -> c  Saved       a shard is on the disk (or why not); until Wanted.manifest is past it
    w   -> c  Publish     what the chief found (validation); until Published comes back
    c   -> w  Published   to the chief as an acknowledgement; to others whose Beat.wants is the key
    any -> c  Bye         I leave, on purpose
    o   -> c  Query       "status", "stop"
    c   -> o  Answer      JSON values

Everything may be lost, doubled or late; nothing depends on one message. Generation rises with every
rollback; whatever belongs to an older one is dropped. It is token * GENERATIONS + a count: `token`
is the fencing token of a coordinator's life, kept in the manifest, so a new life begins above all
earlier ones. At most WINDOW chunks are in flight from a worker to one server in each direction.

The worker's machine and the training thread talk by events and effects, too (client.py):

    Begin             the model is built: plan, initial values, the run's first state. Then wait
    Rewind            (effect) load these weights and this state, go to the step; it may come at any
                      moment, also after Ended; what was computed of an older generation is dropped
    RunState          (event) the run at the START of the step now begun; after each Advance and
                      Rewind that goes on, also for the step after the last, before Ended
    Compute           (effect) compute this slot; its gradients follow as
    SlotChunk         chunk by chunk, as soon as backward has them; the array is given away. A chunk
                      whose tensors are all missing is not sent, nor are those of kind "count"
    SlotDone          the slot's head and report; after its last SlotChunk
    Advance           (effect) the step is done: weights of the next, reports in order. In ssp and
                      async the weights are the newest, the reports those of all steps that are
                      complete and were not given yet; at the end of an epoch all of it
    Doing             what else the training thread does: "evaluating", "saving", "" for neither
    Publish           (event, of the chief) and
    Await             tell me what is published under this key, which answers
    Published         (effect), or Chief, where the chief was lost and it is now you who must do it
    Chief             (effect) whether this worker validates, writes the run folder and prints
    Ended             fit's loop is over; wait for Finished (or Rewind)
    Finished          (effect) the job is over; reason "finished", or why it was stopped

    The first Rewind is the start: every worker gets the same values and state. In ssp and async a
    Compute may be of an earlier step than the one begun (somebody's slot was taken over), and
    gradients are clipped by the worker, each slot by its own norm (Head.clip is None).

    Step t, counted from 0, is slots 0..S-1 of Plan.slots_of(t).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

VERSION = 1  # of this protocol
GENERATIONS = 1_000_000
WINDOW = 8
HEAD = -1  # the chunk of an Ack of a Head
INITIAL = -1  # the step of an Ack of an Initial

COORDINATOR = "coordinator"
ROLES = ("worker", "server", "operator")

# What a worker is doing (Beat.state). Only the first four of them have limits, see Job.limits.
STATES = (
    "compiling",  # its first slot: kernels are compiled
    "computing",
    "evaluating",
    "saving",
    "starting",  # no Begin yet
    "joining",  # it has no weights and no run state of this generation
    "waiting",  # for others
    "leaving",  # it was asked to stop: give it no slots of further steps
    "done",  # its loop is over
    # of a server
    "empty",  # no values yet
    "loading",
    "serving",
    "failed",  # the checkpoint could not be read
)


# --- to the coordinator -------------------------------------------------------------------------


@dataclass
class Hello:
    role: str
    name: str  # "worker3"; its slots, chunks and log go by it
    incarnation: int  # of this life of the process; higher in a later life (nanoseconds of a clock)
    token: int  # the highest seen; a coordinator with a lower one ends
    address: str  # where workers connect to it (server), else ""
    key: str  # its public CURVE key, "" on ipc
    version: int
    fingerprint: dict  # minidl, numpy, blas, threads, ...: name -> text
    plan_hash: str  # "" as long as it knows none


@dataclass
class Beat:
    name: str
    incarnation: int
    token: int
    generation: int  # that it has loaded, or tries to; 0: none
    number: int  # of the newest Wanted it follows
    step: int  # worker: that it is in; server: the lowest version of its chunks; -1: none
    state: str
    progress: int  # rises whenever the training thread did something
    plan_hash: str
    wants: str = ""  # a key it waits for to be published
    given: int = 0  # worker: the first step whose reports it does not have


@dataclass
class Offer:
    plan: dict


@dataclass
class Report:
    generation: int
    step: int
    slot: int
    worker: str
    weight: float
    values: dict  # name -> number
    nan: str = ""  # a tensor whose gradient is not finite


@dataclass
class RunState:
    generation: int
    step: int
    blob: bytes  # opaque


@dataclass
class Saved:
    generation: int
    step: int
    file: str
    sha256: str
    chunks: list  # their numbers
    error: str = ""  # why it could not be saved


@dataclass
class Norms:
    generation: int
    step: int
    squares: list  # of floats: one for each NORM_BLOCK of each piece that has a gradient


@dataclass
class Publish:
    key: str
    value: dict


@dataclass
class Failed:
    rule: str
    received: dict


@dataclass
class Bye:
    name: str
    reason: str


@dataclass
class Query:
    what: str


# --- from the coordinator -----------------------------------------------------------------------


@dataclass
class Welcome:
    token: int
    job: dict  # Job.to_dict()
    plan: dict  # Plan.to_dict(); {} to a worker, which has it


@dataclass
class Wanted:
    token: int
    generation: int  # to be in; lower than mine: ignore the message
    number: int  # rises with every change within a generation; lower than seen: ignore
    step: int  # the current step: the first that is not done; -1: none yet
    until: int  # begin no step from here on; a server whose chunks all have this version saves it
    ready: bool  # all servers have the weights of this generation
    plan_hash: str  # of the job; "": not known yet
    hello: bool = False  # say Hello again, I do not know you
    stop: str = ""  # the job is over: "finished" or the reason; end
    code: int = 0  # with stop: exit code
    manifest: int = -1  # step of the newest complete checkpoint
    oldest: int = 0  # the first step whose StepDone can still be had; who is behind joins anew
    # for a worker
    slots: list = field(default_factory=list)  # [step, slot] pairs to compute
    servers: dict = field(default_factory=dict)  # name -> [address, key] of each known server
    chief: bool = False
    seeder: bool = False  # send your initial values to the servers
    give_state: bool = False  # send the run state of the current step: somebody joins
    states: list = field(default_factory=list)  # steps of the run states that I have
    # for a server
    load: int = -1  # step of the checkpoint to load; -1: forget everything, Initials will come
    files: dict = field(default_factory=dict)  # of it: file -> {"sha256": str, "chunks": [int]}


@dataclass
class StepDone:
    generation: int
    step: int
    reports: list  # of dicts {"slot", "worker", "weight", "values"}, by slot


@dataclass
class Norm:
    generation: int
    step: int
    total: float  # the norm of all gradients


@dataclass
class Counted:
    generation: int
    step: int
    slots: list


@dataclass
class Published:
    key: str
    value: dict


@dataclass
class Answer:
    what: str
    value: dict


# --- between worker and server ------------------------------------------------------------------


@dataclass
class Initial:
    generation: int
    chunk: int
    crc: int
    values: np.ndarray


@dataclass
class Push:
    generation: int
    step: int
    slot: int
    chunk: int
    crc: int  # aggregate.checksum(values): identity of a contribution, and against flipped bits
    values: np.ndarray


@dataclass
class Head:
    generation: int
    step: int
    slot: int
    weight: float  # what the slot counts in the mean over the step
    groups: list  # options of each group of the optimizer, a dict each, without "params"
    missing: list  # numbers of tensors without a gradient (an average that was not used)
    clip: float | None = None  # largest norm of all gradients together
    nan: str = ""  # a tensor whose gradient is not finite


@dataclass
class Pull:
    generation: int
    version: int
    chunk: int


@dataclass
class Ack:
    generation: int
    step: int
    slot: int
    chunk: int


@dataclass
class Weights:
    generation: int
    version: int
    chunk: int
    crc: int
    values: np.ndarray  # never changed afterwards: it may be sent without a copy


@dataclass
class Stale:
    generation: int  # the sender's


@dataclass
class Refused:
    rule: str
    received: dict
    hint: str = ""


# The number of a kind of message on the wire is its place here: append only, and raise VERSION
# when fields change.
MESSAGES: tuple[type, ...] = (
    Hello, Beat, Offer, Report, RunState, Saved, Norms, Publish, Failed, Bye, Query,
    Welcome, Wanted, StepDone, Norm, Counted, Published, Answer,
    Initial, Push, Head, Pull, Ack, Weights, Stale, Refused,
)  # fmt: skip


# --- events -------------------------------------------------------------------------------------


@dataclass
class Started:
    """The process runs; first event of a machine."""


@dataclass
class Timer:
    name: str


@dataclass
class Received:
    sender: str  # verified name of a process, or id of an operator's connection
    message: Any


@dataclass
class Loaded:
    """A file was read, and has the sha256 that was asked for. value: None: it is not there, or
    error says why not. Of "manifest": a dict; of a shard: a Shard; of a run state: bytes."""

    name: str
    value: Any
    tag: Any
    error: str = ""


@dataclass
class Stored:
    """A file is on the disk for good; or not, and `error` says why."""

    name: str
    tag: Any
    sha256: str = ""
    error: str = ""


@dataclass
class Left:
    """A process was seen to end, by its parent."""

    peer: str
    how: str  # "exit code 1", "signal 9"


@dataclass
class StopAsked:
    """SIGTERM, Ctrl-C or the cancel command."""

    reason: str


# Events from the training thread of a worker; RunState and Publish are events, too.


@dataclass
class Begin:
    plan: Any  # Plan
    initial: dict  # chunk -> values; needed until there is a checkpoint
    blob: bytes  # state of the run at step 0


@dataclass
class SlotChunk:
    generation: int  # of the Compute
    step: int
    slot: int
    chunk: int
    values: np.ndarray


@dataclass
class SlotDone:
    generation: int
    step: int
    slot: int
    weight: float
    groups: list
    missing: list
    clip: float | None
    nan: str
    values: dict  # the report: name -> number


@dataclass
class Doing:
    state: str


@dataclass
class Await:
    key: str


@dataclass
class Ended:
    generation: int
    step: int  # steps that were taken: the one that would come next


@dataclass
class Crashed:
    """The training thread raised: end, and name it."""

    error: str


# --- effects ------------------------------------------------------------------------------------


@dataclass
class Send:
    to: str  # COORDINATOR, a server's or worker's name, or the id of an operator's connection
    message: Any


@dataclass
class SetTimer:
    after: float  # seconds; a timer of the same name that still runs is replaced
    name: str


@dataclass
class Store:
    """Write a file so that it is there as a whole or not at all; answered by Stored.

    The values are never changed afterwards. "manifest" (a dict, with "token") is refused with the
    error FENCED where a higher token is on the disk. With CLAIM in it, it is refused where the same
    token is there, too, and is nothing but the claim of a token: the content of the manifest stays
    as it is.
    """

    name: str
    value: Any  # "manifest": dict of JSON values; "run-<step>": bytes; "shard-...": Shard
    tag: Any = None


FENCED = "fenced"
CLAIM = "claim"


@dataclass
class Load:
    """Read a file; answered by Loaded. sha256 "": whatever is there."""

    name: str
    tag: Any = None
    sha256: str = ""


@dataclass
class Remove:
    """Delete files that no checkpoint needs any more; not answered."""

    names: list


@dataclass
class Note:
    """For log and timeline: {"what": str, ...}. Those with "alarm" are shown to the user."""

    facts: dict


@dataclass
class Exit:
    code: int
    reason: str


@dataclass
class Shard:
    """What a server saves of the chunks it holds.

    Attributes:
        step: the version of all chunks.
        arrays: "<chunk>" -> values; "<chunk>/<piece>/<name>" -> the optimizer's state of a piece.
        numbers: "<chunk>/<piece>/<name>" -> an int or float of the optimizer's state.
    """

    step: int
    arrays: dict
    numbers: dict


# Effects to the training thread of a worker; Published is one, too.


@dataclass
class Compute:
    generation: int
    step: int
    slot: int


@dataclass
class Advance:
    generation: int
    step: int  # that begins now
    chunks: dict  # chunk -> values
    reports: list  # of dicts {"step", "slot", "worker", "weight", "values"}


@dataclass
class Rewind:
    generation: int
    step: int
    chunks: dict
    blob: bytes


@dataclass
class Chief:
    chief: bool


@dataclass
class Finished:
    reason: str
    code: int


def name_of(message: Any) -> str:
    """A message in a few words, for logs: its kind and small fields."""
    parts = [
        f"{name}={value!r}"
        for name, value in vars(message).items()
        if isinstance(value, int | float | str) and len(str(value)) <= 40
    ]
    return f"{type(message).__name__}({', '.join(parts)})"
