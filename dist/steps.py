"""Which slots are done: the coordinator's book of one generation.

In sync and backup mode a step is in progress, in ssp and async every slot has its own; the step of
the job is in both the first one that is not done.
"""

from __future__ import annotations

from typing import Any

from minidl.optim.clip import norm_of_squares
from minidl_dist.messages import Norms, Report
from minidl_dist.modes import Mode, existing
from minidl_dist.plan import SUM, Job, Plan


class Steps:
    """The steps of a generation.

    Args:
        plan, job, mode: of the job.
        step: to begin with: that of a checkpoint.

    Attributes:
        step: the first that is not done.
        next_step: slot -> the first step of it that was not reported.
        reports: step -> slot -> Report, of steps that are not done.
        done: step -> reports of all slots that count, as StepDone has them; of the last steps.
        oldest: the first step of these.
        counted: step -> slots that count, of the last steps; mode backup.
        totals: step -> the norm of all gradients, of the last steps.
    """

    def __init__(self, plan: Plan, job: Job, mode: Mode, step: int):
        self.plan, self.job, self.mode = plan, job, mode
        self.first = self.step = step
        self.next_step = {slot: existing(plan, step, slot) for slot in plan.slots_of(0)}
        self.reports: dict[int, dict[int, Report]] = {}
        self.done: dict[int, list[dict[str, Any]]] = {}
        self.oldest = self.barrier = step
        self.counted: dict[int, list[int]] = {}
        self.squares: dict[int, dict[str, list[float]]] = {}
        self.totals: dict[int, float] = {}
        places = plan.place(len(job.servers))
        self.with_gradients = {job.servers[places[c.number]] for c in plan.chunks if c.kind == SUM}

    def is_barrier(self) -> bool:
        """Whether the current step begins only when all before are done, for everybody."""
        return self.step == self.first or self.mode.is_barrier(self.plan, self.job, self.step)

    def open_slots(self) -> list[int]:
        """The slots that have to be computed now."""
        if not self.mode.together:
            return list(self.next_step)
        return [s for s in self.plan.slots_of(self.step) if self.next_step[s] == self.step]

    def of(self, slots: list[int]) -> list[list[int]]:
        """[step, slot] of those of these slots that have to be computed now."""
        now = [(self.next_step[slot], slot) for slot in slots]
        return [[t, s] for t, s in now if not self.mode.together or t == self.step]

    def take(self, report: Report) -> bool:
        """Whether a report is the first of its slot, of a step that is not done."""
        step, slot = report.step, report.slot
        if self.next_step.get(slot) != step or (self.mode.together and step != self.step):
            return False
        self.reports.setdefault(step, {})[slot] = report
        self.next_step[slot] = existing(self.plan, step + 1, slot)
        return True

    def finish(self) -> int | None:
        """The current step, if it is done; the next one is then current. None: it is not."""
        step, got = self.step, self.reports.get(self.step, {})
        if len(got) < self.mode.counted(self.plan, step):
            return None
        slots = sorted(got)
        if self.mode.backup:
            self.counted = {s: n for s, n in self.counted.items() if s >= step - 2} | {step: slots}
            for slot, waits in self.next_step.items():  # what was not waited for is left out
                self.next_step[slot] = max(waits, existing(self.plan, step + 1, slot))
        self.done[step] = [{"weight": got[s].weight, "values": got[s].values} for s in slots]
        del self.reports[step]
        self.step += 1
        self.forget()
        return step

    def forget(self) -> None:
        """Keep the last step's reports; where workers run ahead, those since the last barrier."""
        if self.mode.together:
            self.oldest = self.step - 1
        elif self.is_barrier():
            self.oldest, self.barrier = self.barrier, self.step
        for step in [step for step in self.done if step < self.oldest]:
            del self.done[step]

    # --- clipping -------------------------------------------------------------------------------

    def norm(self, server: str, norms: Norms) -> float | None:
        """The norm of all gradients of a step, once all servers have said what theirs is."""
        step = norms.step
        if step not in self.totals and self.step - 1 <= step <= self.step:
            parts = self.squares.setdefault(step, {})
            parts[server] = norms.squares
            if set(parts) >= self.with_gradients:
                self.totals = {s: t for s, t in self.totals.items() if s >= step - 2}
                self.totals[step] = norm_of_squares(x for part in parts.values() for x in part)
                del self.squares[step]
        return self.totals.get(step)
