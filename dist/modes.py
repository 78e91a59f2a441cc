"""The modes: which gradients make a step, and how old the weights may be that they come from.

    sync        step t + 1 begins with the mean over all slots of step t: a batch of S slots, to
                the last bit that of one process
    backup:K    as sync, but a step is over when S - K of its slots are there; the others are not
                used (Chen et al. 2016, "Revisiting distributed synchronous SGD")
    ssp:N       every slot's gradient is a step of its own. A slot may be N steps ahead of the
                slowest (Ho et al. 2013, "More effective distributed ML via a stale synchronous
                parallel parameter server")
    async       the same without a bound (Recht et al. 2011, Hogwild; Dean et al. 2012, DistBelief)

In all of them the end of an epoch and every step that is saved is a barrier: no slot of a later
step begins before all slots of all earlier ones are done. So epochs, validation and checkpoints
mean the same in each mode.

What bounds staleness is one rule, kept by the servers: a Pull for step t waits until the chunk
contains every slot of every step below `weights_of(t)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from minidl.errors import ArgumentError
from minidl_dist.plan import Job, Plan

UNBOUNDED = 1 << 60


@dataclass(frozen=True)
class Mode:
    """A mode, parsed.

    Attributes:
        together: the slots of a step make one update (sync, backup); else each its own.
        staleness: how many steps a slot may be ahead; 0 where together.
        backup: how many slots of a step need not be waited for.
    """

    together: bool = True
    staleness: int = 0
    backup: int = 0

    def is_barrier(self, plan: Plan, job: Job, step: int) -> bool:
        """Whether step begins only when all before it are done."""
        return self.together or step % plan.steps_per_epoch == 0 or is_saved(job, step)

    def weights_of(self, plan: Plan, job: Job, step: int) -> int:
        """The version that weights for a step must have at least: steps that are in them."""
        if self.together:
            return step
        lowest = max(0, step - self.staleness)
        barrier = max(step // plan.steps_per_epoch * plan.steps_per_epoch, last_saved(job, step))
        return max(lowest, barrier)

    def counted(self, plan: Plan, step: int) -> int:
        """How many slots of a step are waited for."""
        return max(1, len(plan.slots_of(step)) - self.backup)


def is_saved(job: Job, step: int) -> bool:
    """Whether a checkpoint is made of the weights with which this step begins."""
    return job.save_every > 0 and step > 0 and step % job.save_every == 0


def last_saved(job: Job, step: int) -> int:
    return step // job.save_every * job.save_every if job.save_every else 0


def parse(text: str, slots: int | None = None) -> Mode:
    """The mode that an option names.

    Args:
        text: "sync", "async", "ssp:3", "backup:1".
        slots: S, if known: a backup of all of them leaves none.

    Raises:
        ArgumentError: there is no such mode.

    >>> parse("ssp:3")
    Mode(together=False, staleness=3, backup=0)
    """
    name, colon, number = text.partition(":")
    if name in ("sync", "async") and not colon:
        return Mode() if name == "sync" else Mode(together=False, staleness=UNBOUNDED)
    if name in ("ssp", "backup") and number.isdecimal():
        n = int(number)
        if name == "ssp":
            return Mode(together=False, staleness=n)
        if n >= 1 and (slots is None or n < slots):
            return Mode(backup=n)
        raise ArgumentError(
            "dist", "backup:K leaves out K of the S slots of a step, 1 <= K < S",
            {"mode": text, "S": slots},
        )  # fmt: skip
    raise ArgumentError(
        "dist", "mode is sync, async, ssp:N or backup:K", {"mode": text},
        "ssp:3 lets a worker be 3 steps ahead of the slowest",
    )  # fmt: skip


def existing(plan: Plan, step: int, slot: int) -> int:
    """The first step from `step` on that has this slot: the last one of an epoch may not."""
    return step if slot in plan.slots_of(step) else step + 1
