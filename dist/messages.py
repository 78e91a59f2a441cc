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
    c   -> w  RunState    the same, to who is "joining": when it comes for Wanted.step, and to Beats
    s   -> c  Saved       a shard is on the disk (or why not); until Wanted.manifest is past it,
                          and once more when another generation begins
    w   -> c  Publish     what the chief found (validation); until Published comes back
    c   -> w  Published   to the chief as an acknowledgement; to others whose Beat.wants is the key
    any -> c  Bye         I leave, on purpose
    o   -> c  Query       "status", "stop"
    c   -> o  Answer      JSON values

Everything may be lost, doubled or late; nothing depends on one message. Generation rises with every
rollback; whatever belongs to an older one is dropped. It is token * GENERATIONS + a count: `token`
is the fencing token of a coordinator's life, kept in the manifest, so a new life begins above all
earlier ones. At most WINDOW chunks are in flight from a worker to one server in each direction.

Events and effects are in events.py; they can be had from here, too.

Step t, counted from 0, is slots 0..S-1 of Plan.slots_of(t).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl_dist.events import (  # noqa: F401
    CLAIM,
    FENCED,
    Advance,
    Await,
    Begin,
    Chief,
    Compute,
    Crashed,
    Doing,
    Ended,
    Exit,
    Finished,
    GiveState,
    Left,
    Load,
    Loaded,
    Note,
    Received,
    Reconnected,
    Remove,
    Rewind,
    Send,
    SetTimer,
    Shard,
    SlotChunk,
    SlotDone,
    Started,
    StopAsked,
    Store,
    Stored,
    Sweep,
    Timer,
)

VERSION = 2  # of this protocol
GENERATIONS = 1_000_000
WINDOW = 8
HEAD = -1  # the chunk of an Ack of a Head
INITIAL = -1  # the step of an Ack of an Initial

COORDINATOR = "coordinator"

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
    incarnation: int  # of this life of the process: 1 in its first since the launcher began
    token: int  # the highest seen; a coordinator with a lower one ends
    address: str  # where workers connect to it (server), else ""
    key: str  # its public CURVE key, "" on ipc
    version: int
    fingerprint: dict[str, str]  # minidl, numpy, blas, threads ...; {} before training begins
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
    troubles: dict[str, float] = field(default_factory=dict)  # messages lost, garbage, repeated
    waits_for: str = ""  # worker: a server that should have answered long ago
    count: int = 0  # of this life's beats: one that comes after a newer one is out of date


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
    values: dict  # name -> number; of a Metric that is a class any JSON value
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
    chunks: list[int]  # their numbers
    error: str = ""  # why it could not be saved


@dataclass
class Norms:
    generation: int
    step: int
    squares: list[float]  # one for each NORM_BLOCK of each piece that has a gradient


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
    slots: list[list] = field(default_factory=list)  # [step, slot] pairs to compute
    servers: dict[str, list] = field(default_factory=dict)  # name -> [address, key]; those known
    chief: bool = False
    seeder: bool = False  # send your initial values to the servers
    give_state: bool = False  # send the run state of the current step: somebody joins
    states: list[int] = field(default_factory=list)  # steps of the run states that I have
    hold: bool = False  # begin nothing: it is found out how far everybody is
    save: int = -1  # the step to be saved; the next one is named when that is done, or given up
    # for a server
    load: int = -1  # step of the checkpoint to load; -1: forget everything, Initials will come
    files: dict[str, dict] = field(default_factory=dict)  # of it, see manifest.Checkpoint
    shards: list[str] = field(default_factory=list)  # needed: its own, those of servers that left


@dataclass
class StepDone:
    generation: int
    step: int
    reports: list[dict]  # {"weight", "values"} of each slot that counts, in slot order


@dataclass
class Norm:
    generation: int
    step: int
    total: float  # the norm of all gradients


@dataclass
class Counted:
    generation: int
    step: int
    slots: list[int]


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
    crc: int  # checksum.checksum(values): identity of a contribution, and against flipped bits
    missing: list[int]  # numbers of the chunk's tensors that have no gradient
    values: np.ndarray  # compressed, where compress.Codec.form says so


@dataclass
class Head:
    generation: int
    step: int
    slot: int
    weight: float  # what the slot counts in the mean over the step
    groups: list[dict]  # options of each group of the optimizer, without "params"
    missing: list[int]  # numbers of tensors without a gradient (an average that was not used)
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


def name_of(message: Any) -> str:
    """A message in a few words, for logs: its kind and small fields."""
    parts = [
        f"{name}={value!r}"
        for name, value in vars(message).items()
        if isinstance(value, int | float | str) and len(str(value)) <= 40
    ]
    return f"{type(message).__name__}({', '.join(parts)})"
