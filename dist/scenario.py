"""What is to be forecast: how many processes, what they train, on which machines."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minidl.errors import ArgumentError
from minidl_dist.modes import Mode, parse
from minidl_dist.plan import CHUNK_BYTES, SUM, Plan, TensorSpec

GBIT = 1e9 / 8  # bytes a second
FORWARD = 1 / 3  # of the time of a slot; then backward gives its gradients, bit by bit
NETWORK = "10Gbit"
SLOTS = 300  # that are forecast at least, so that slow ones are among them ...
STEPS = 6  # ... in at least so many steps
WARM_UP = 2  # steps before
MOST = 4000  # workers
CHUNKS = 20_000  # at most so many are pushed; where there would be more, they are joined


@dataclass(frozen=True)
class Scenario:
    """A job and the machines it runs on.

    Attributes:
        workers, servers: how many; each worker computes one slot of a step.
        mode: "sync", "ssp:3", "async", "backup:2".
        size: bytes of the model's weights.
        compute: seconds of one core-bound slot, alone on its machine.
        network: bytes a second of each network card, either way. Each process then has a host of
            its own, and connections are encrypted. 0: all are on one host, and use ipc.
        rtt: seconds of a round trip of the network.
        cores: of each host.
        straggler: how long slots take compared with each other, see `straggling`.
        optimizer: "SGD" (with momentum) or "Adam".
        steps: to forecast; 0: as many as it takes.
        seed: of the stragglers.
    """

    workers: int
    servers: int = 1
    mode: str = "sync"
    size: int = 1_078_888  # ResNet-20
    compute: float = 0.145
    network: float = 10 * GBIT
    rtt: float = 100e-6
    cores: int = 4
    straggler: str = "none"
    optimizer: str = "SGD"
    steps: int = 0
    seed: int = 0

    def check(self) -> None:
        """
        Raises:
            ArgumentError: there is no such job.
        """
        for name in ("workers", "servers", "size", "cores"):
            if getattr(self, name) < 1:
                raise ArgumentError("dist", f"{name} is at least 1", {name: getattr(self, name)})
        if not 0 < self.compute < 1e5 or not 0 <= self.rtt < 10:
            raise ArgumentError(
                "dist", "compute and rtt are seconds", {"compute": self.compute, "rtt": self.rtt}
            )  # fmt: skip
        if self.optimizer not in ("SGD", "Adam"):
            raise ArgumentError(
                "dist", "costs are known of SGD and Adam", {"optimizer": self.optimizer}
            )  # fmt: skip
        self.parsed_mode()
        straggling(self.straggler, self.seed)
        self.plan().place(self.servers)

    def parsed_mode(self) -> Mode:
        return parse(self.mode, self.workers)

    # --- how much of it is looked at ------------------------------------------------------------

    @property
    def measured_steps(self) -> int:
        return self.steps or max(STEPS, -(-SLOTS // self.workers))

    @property
    def real_chunks(self) -> int:
        return max(-(-self.size // CHUNK_BYTES), 1)

    @property
    def chunks(self) -> int:
        """How many there are in the forecast."""
        affordable = CHUNKS // (self.workers * (self.measured_steps + WARM_UP))
        return min(self.real_chunks, max(affordable, self.servers))

    @property
    def joined(self) -> float:
        """Chunks of the job for each of the forecast."""
        return self.real_chunks / self.chunks

    def plan(self) -> Plan:
        """With one number for each chunk: what it stands for is `size` / `chunks` bytes."""
        one = TensorSpec("", (1,), "float32", SUM)
        tensors = tuple(TensorSpec(f"{n}", one.shape, one.dtype) for n in range(self.chunks))
        many = 20 * (self.measured_steps + WARM_UP)  # nobody gets to the end
        return Plan(
            tensors, self.optimizer, self.workers, many * self.workers, epochs=1, chunk_bytes=4,
            norm_block=1,
        )  # fmt: skip


# --- stragglers ---------------------------------------------------------------------------------


Factor = Callable[[int, int, int], float]  # of step, slot and worker


def straggling(text: str, seed: int = 0) -> Factor:
    """How many times the usual a slot takes: a function of step, slot and number of the worker.

    Args:
        text: one of these, or several with commas between, which then multiply:
            "none"
            "lognormal:0.1": every slot differs; the logarithm by a deviation of 0.1
            "rare:0.01:5": one slot in a hundred takes five times as long
            "slow:0.05:2": one worker in twenty is always half as fast
        seed: which ones. Nothing else decides, so in all modes the same slots take the same time.

    Raises:
        ArgumentError: it is none of these.

    >>> straggling("slow:0.5:2", seed=1)(0, 0, 3) in (1.0, 2.0)
    True
    """
    factors = [one_kind(part.strip(), seed) for part in text.split(",")]

    def factor(step: int, slot: int, worker: int) -> float:
        product = 1.0
        for one in factors:
            product *= one(step, slot, worker)
        return product

    return factor


def one_kind(text: str, seed: int) -> Factor:
    name, *numbers = text.split(":")
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = [-1.0]
    if name == "none" and not values:
        return lambda step, slot, worker: 1.0
    if name == "lognormal" and len(values) == 1 and 0 <= values[0] <= 3:
        deviation = values[0]
        return lambda step, slot, worker: drawn(seed, step, slot).lognormvariate(0.0, deviation)
    if name in ("rare", "slow") and len(values) == 2 and 0 <= values[0] <= 1 <= values[1]:
        chance, times = values

        def rare(step: int, slot: int, worker: int) -> float:
            r = drawn(seed + 1, step, slot) if name == "rare" else drawn(seed + 2, 0, worker)
            return times if r.random() < chance else 1.0

        return rare
    raise ArgumentError(
        "dist", "stragglers are none, lognormal:DEVIATION, rare:SHARE:TIMES or slow:SHARE:TIMES",
        {"straggler": text}, "rare:0.01:5, one slot in a hundred takes five times as long",
    )  # fmt: skip


def drawn(seed: int, step: int, slot: int) -> random.Random:
    """Random numbers of a slot, or of a worker."""
    return random.Random((seed * 1_000_003 + step) * 1_000_003 + slot)


# --- as people write it -------------------------------------------------------------------------


def parse_network(text: str) -> float:
    """Bytes a second of "10Gbit"; 0 of "none".

    Raises:
        ArgumentError: it is neither.

    >>> parse_network("100Mbit")
    12500000.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([mg])bit(?:/s)?", text.strip().lower())
    rate: Any = float(found[1]) * {"m": GBIT / 1000, "g": GBIT}[found[2]] if found else 0.0
    if not rate and text.strip().lower() != "none":
        raise ArgumentError(
            "dist", "a network is a number and a unit, Mbit or Gbit; none: one machine",
            {"network": text}, NETWORK,
        )  # fmt: skip
    return rate


def parse_workers(text: str) -> list[int]:
    """Numbers of workers, "1,2,4".

    Raises:
        ArgumentError: it is something else.

    >>> parse_workers("1, 2,1000")
    [1, 2, 1000]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= MOST for part in parts):
        raise ArgumentError(
            "dist", f"workers are whole numbers from 1 to {MOST:,}", {"workers": text}, "1,2,4,8"
        )  # fmt: skip
    return [int(part) for part in parts]
