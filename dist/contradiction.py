"""What a server refuses: contributions that contradict each other, heads that say too little."""

from __future__ import annotations

import numpy as np

from minidl.errors import ArgumentError
from minidl_dist.messages import Head, Push
from minidl_dist.plan import SUM, Plan


class Contradiction(ArgumentError):
    """Two messages about one slot differ: it was computed twice, with different results."""


class NotFinite(ArgumentError):
    """The mean of gradients that are finite is not."""


def not_finite(step: int, tensor: str) -> None:
    raise NotFinite(
        "dist", "the sum of the slots' gradients is finite, as each of them is",
        {"step": step, "tensor": tensor},
        "clip gradients, or take a smaller learning rate",
    )  # fmt: skip


def contradict(message: Push | Head, what: str) -> None:
    raise Contradiction(
        "dist", "slot not deterministic: it was computed twice with different results",
        {"step": message.step, "slot": message.slot, "differ": what},
        "random numbers of a slot come from (seed, step, slot) alone, and every worker has the "
        "same number of threads",
    )  # fmt: skip


def check_head(plan: Plan, head: Head, together: bool) -> None:
    """A head says what an update needs to know.

    Args:
        plan: of the job.
        head: of a slot.
        together: whether the slots of a step make one update; else it has no norm to clip by.

    Raises:
        Contradiction
    """
    if head.clip is not None and not together:
        raise Contradiction(
            "dist", "in modes ssp and async, gradients are not clipped by their norm",
            {"max_norm": head.clip}, "use --mode sync or backup:K, or train without clipping",
        )  # fmt: skip
    needed = {spec.group for spec in plan.tensors if spec.kind == SUM}
    if len(head.groups) <= max(needed, default=0) or not head.weight > 0:
        raise Contradiction(
            "dist", "a head has a weight > 0, and options for each group of the optimizer",
            {"weight": head.weight, "groups": len(head.groups), "needed": max(needed) + 1},
        )  # fmt: skip


def check_agreement(head: Head, slot: int, other: Head) -> None:
    """All slots of a step are for the same step of the optimizer.

    Raises:
        Contradiction
    """
    for name in ("groups", "clip"):
        mine, theirs = getattr(head, name), getattr(other, name)
        if mine != theirs:
            raise Contradiction(
                "dist", "all slots of a step have the same options of the optimizer",
                {"step": head.step, f"{name} of slot {head.slot}": mine, f"of slot {slot}": theirs},
            )  # fmt: skip


def check_shape(key: str, value: np.ndarray, size: int, dtype: str | None) -> None:
    """An array that was read is the one that the plan says.

    Raises:
        ArgumentError
    """
    if value.shape != (size,) or (dtype is not None and value.dtype != dtype):
        raise ArgumentError(
            "dist", "the checkpoint does not fit the plan",
            {"array": key, "is": f"{value.dtype} {value.shape}", "expected": f"{dtype} ({size},)"},
        )  # fmt: skip
