"""Events and effects: how a machine and its surroundings talk.

The Node (or simulate.py) turns what happens in its process into events, and carries out effects.

The worker's machine and the training thread talk by events and effects, too (client.py):

    Begin             the model is built: plan, initial values, the run's first state. Then wait
    Rewind            (effect) load these weights and this state, go to the step; it may come at any
                      moment, also after Ended; what was computed of an older generation is dropped
    RunState          (event) the training thread is at the START of the step now begun; after each
                      Advance and Rewind that goes on, also for the step after the last, before
                      Ended. Its blob may be empty, and comes by a second RunState where
    GiveState         (effect) asks for it: to serialize the run at every step would be a waste
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
    Head.clip is refused: there is no moment at which all gradients of a step are together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
class Reconnected:
    """The connection to a peer broke and is there again; what was on its way may be lost."""

    peer: str


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
    fingerprint: dict = field(default_factory=dict)  # of this process, as training begins


@dataclass
class SlotChunk:
    generation: int  # of the Compute
    step: int
    slot: int
    chunk: int
    values: np.ndarray
    missing: list = field(default_factory=list)  # its tensors that have no gradient


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
class Sweep:
    """Delete the shards on this disk that no checkpoint needs: all but `keep`, up to a generation,
    and what killed lives left half written. Those of servers named in `others` stay. Not answered.
    """

    keep: list
    others: list
    generation: int


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
    reports: list  # of dicts {"weight", "values"}, by step and slot


@dataclass
class GiveState:
    generation: int
    step: int  # that the training thread is at the start of


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


# --- for a node itself, by Node.post --------------------------------------------------------------


@dataclass
class Allowed:
    """This key may connect from now on, under this name."""

    name: str
    key: str


@dataclass
class Revoked:
    """What still comes from this name is dropped."""

    name: str
