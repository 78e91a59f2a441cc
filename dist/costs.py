"""What the parts of a job cost on a machine: the figures that forecast.py counts with.

`minidl dist calibrate` measures them (calibrate.py) and writes a small JSON file. costs.json, which
comes with minidl, has those of the machine that it names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError
from minidl.io.atomic import write_atomically

OURS = Path(__file__).with_name("costs.json")
ROLES = ("worker", "server", "coordinator")
WAYS = ("ipc", "curve")


@dataclass(frozen=True)
class Costs:
    """Seconds of a core, by what is done.

    Attributes:
        machine: on which this was measured, and when.
        message: to send or to receive a small message, in a node's own thread.
        send_byte, receive_byte: of values, in addition.
        io_message, io_byte: way -> the same of ZeroMQ's thread, for either direction. That of
            "curve" encrypts.
        report: to send one report of a StepDone, the first time, and to receive it.
        entry: the same of one server in a Wanted.
        handle: role -> [to handle an event, in addition for each worker of the job].
        checksum: of a byte.
        fold: to add a byte of a gradient to the sum.
        update: optimizer -> for each byte of weights: mean, new values, their checksum.
        give, load: to take a byte of gradients out of a model, and of weights into it.
    """

    machine: str
    message: float
    send_byte: float
    receive_byte: float
    io_message: dict[str, float]
    io_byte: dict[str, float]
    report: list[float]
    entry: list[float]
    handle: dict[str, list[float]]
    checksum: float
    fold: float
    update: dict[str, float]
    give: float
    load: float

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self), indent=1).encode() + b"\n", "dist")

    @classmethod
    def read(cls, path: Path = OURS) -> Costs:
        """The costs in a file.

        Raises:
            ArgumentError: the file does not hold any.
        """
        hint = "minidl dist calibrate makes one"
        try:
            found = json.loads(Path(path).read_text())
        except FileNotFoundError:
            raise ArgumentError("dist", "no such file", {"costs": str(path)}, hint) from None
        except ValueError as error:
            raise ArgumentError(
                "dist", f"costs are a JSON file: {error}", {"costs": str(path)}, hint
            ) from None
        check(found, str(path), hint)
        return cls(**found)


def check(found: Any, path: str, hint: str) -> None:
    """
    Raises:
        ArgumentError: these are no costs.
    """
    names = {field.name for field in fields(Costs)}
    if not isinstance(found, dict) or set(found) != names:
        differ = sorted(names ^ set(found)) if isinstance(found, dict) else "not a JSON object"
        rule = "a file of costs holds exactly what minidl dist calibrate writes"
        raise ArgumentError("dist", rule, {"costs": path, "differ": differ}, hint)
    for name, keys in (("handle", ROLES), ("io_message", WAYS), ("io_byte", WAYS)):
        if not isinstance(found[name], dict) or set(found[name]) != set(keys):
            rule = f"{name} has values for {', '.join(keys)}"
            raise ArgumentError("dist", rule, {"costs": path}, hint)
    numbers: list[Any] = [found[name] for name in names - {"machine"}]
    while numbers:
        value = numbers.pop()
        if isinstance(value, dict):
            numbers += value.values()
        elif isinstance(value, list):
            numbers += value
        elif type(value) not in (int, float) or not 0 <= value < 1:
            rule = "costs are seconds, less than one"
            raise ArgumentError("dist", rule, {"costs": path, "value": value}, hint)
