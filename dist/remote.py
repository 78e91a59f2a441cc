"""A job seen from another machine: an operator asks its coordinator, by TCP and with a key.

    minidl dist keygen me.key                             here: prints the public key
    minidl dist run --address eth0 --operator KEY ...     there: says at which door it listens
    minidl dist status tcp://10.0.0.1:5555/DOORKEY --keys me.key

The door's key is the coordinator's: whoever answers with another is not the job. An operator may
ask, cancel and scale; weights and gradients are not for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, MinidlError
from minidl_dist import messages as m
from minidl_dist.keys import (
    Bundle,
    KeyPair,
    KeyProblem,
    from_hex,
    read_bundle,
    to_hex,
    write_bundle,
)
from minidl_dist.launch.keyring import OPERATOR
from minidl_dist.node import Node

AGAIN = 1.0  # seconds until a question is asked again
PATIENCE = 10.0  # seconds until the job must have been reached, and then until it must answer
SCHEME = "tcp://"


def keygen(file: str) -> str:
    """Write an operator's pair of keys to a new file that only its owner can read.

    Returns:
        The public key, for --operator.

    Raises:
        ArgumentError: the file is there already, or its folder is not.
    """
    pair = KeyPair.new()
    if not Path(file).absolute().parent.is_dir():
        raise ArgumentError("dist", "the folder for the keys is not there", {"file": file})
    write_bundle(Bundle(OPERATOR, pair), file)
    return to_hex(pair.public)


def is_door(job: str) -> bool:
    """Whether a job is named by its door, and not by its folder."""
    return job.startswith(SCHEME)


def ask(door: str, keys: str | None, what: str) -> dict[str, Any]:
    """A coordinator's answer.

    Args:
        door: tcp://ADDRESS:PORT/KEY.
        keys: the file that keygen wrote.
        what: "status", "stop" or "scale N".

    Raises:
        MinidlError: it cannot be reached, is another, or does not know our key.
    """
    if keys is None:
        raise ArgumentError(
            "dist", "a job on another machine is asked with a key", {"job": door},
            "--keys FILE, which minidl dist keygen made",
        )  # fmt: skip
    address, _, key = door.removeprefix(SCHEME).partition("/")
    if not key or ":" not in address:
        raise ArgumentError(
            "dist", f"a door is {SCHEME}ADDRESS:PORT/KEY", {"job": door},
            "minidl dist status, where the job was started, shows it",
        )  # fmt: skip
    try:
        bundle = read_bundle(keys)
    except FileNotFoundError:
        raise ArgumentError(
            "dist", "there is no such file of keys", {"--keys": keys}, "minidl dist keygen FILE"
        ) from None
    if bundle.name != OPERATOR:
        raise KeyProblem("dist", "these are not the keys of an operator", {"--keys": keys})
    question = Question(what)
    node = Node(question, OPERATOR, bundle, patience=PATIENCE)
    node.connect(m.COORDINATOR, SCHEME + address, from_hex("dist", key))
    end = node.run()
    if question.answer is None:
        raise node.failure or MinidlError("dist", end.reason, {"job": door})
    return question.answer


class Question:
    """The machine of an operator: asks until it is answered, or for 2 * PATIENCE seconds."""

    plan = None

    def __init__(self, what: str):
        self.what = what
        self.answer: dict[str, Any] | None = None
        self.deadline = 0.0

    def handle(self, event: Any, now: float) -> list:
        match event:
            case m.Timer() if now > self.deadline:
                return [m.Exit(1, f"the job does not answer within {2 * PATIENCE:g} s")]
            case m.Started() | m.Timer():
                if isinstance(event, m.Started):
                    self.deadline = now + 2 * PATIENCE
                return [m.Send(m.COORDINATOR, m.Query(self.what)), m.SetTimer(AGAIN, "again")]
            case m.Received(_, m.Answer(value=value)):
                self.answer = value
                return [m.Exit(0, "answered")]
            case m.Received(_, m.Refused(rule=rule)):
                return [m.Exit(1, rule)]
        return []


def status(door: str, keys: str | None) -> dict[str, Any]:
    """What status.py shows of a job, as far as its coordinator knows it."""
    value = ask(door, keys, "status")
    members = [
        {"name": name, "state": one["state"], "restarts": 0, "pid": None}
        for name, one in sorted(value["members"].items())
    ]
    return {
        "job": door.rpartition("/")[0], "running": True, "step": value["step"],
        "total_steps": value["steps"], "checkpoint_step": value["checkpoint"],
        "generation": value["generation"], "members": members,
    }  # fmt: skip
