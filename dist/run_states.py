"""The states of the run that a worker keeps, and gives to the coordinator where it needs them."""

from __future__ import annotations

from minidl_dist.messages import COORDINATOR, GiveState, RunState
from minidl_dist.modes import is_saved
from minidl_dist.peer import Peer
from minidl_dist.window import SHORTEST


class RunStates(Peer):
    """A part of the worker.

    Attributes:
        step: that the training thread is in; None: it has to join.
        chief: whether this worker is.
        states: step -> the run's state at its start, as the training thread told it; with an
            empty blob where nobody needs it, or it was asked for and is not there yet.
        state_sent: step -> when it is sent again.
        states_asked: steps whose state the training thread was asked for.
    """

    step: int | None
    chief: bool
    states: dict[int, RunState]
    state_sent: dict[int, float]
    states_asked: set[int]

    def keep_state(self, state: RunState) -> None:
        """Of the current step, the one to be saved, and the last that others may ask for."""
        last = max(filter(self.is_kept, self.states), default=None)
        kept = (last, self.wanted.save)
        self.states = {s: self.states[s] for s in self.states if s in kept}
        self.states[state.step] = state

    def is_kept(self, step: int) -> bool:
        if self.mode.together:
            return is_saved(self.job, step)
        return self.mode.is_barrier(self.plan, self.job, step)

    def share_states(self) -> None:
        """Give the coordinator the states that a checkpoint or somebody who joins needs."""
        for step, state in self.states.items():
            is_last = step in (self.wanted.until, self.wanted.save)
            is_awaited = self.wanted.give_state and step == self.wanted.step
            if not state.blob:
                if is_last or is_awaited or self.is_kept(step):
                    self.ask_for_state(step)
            elif is_awaited or (is_last and step > self.wanted.manifest and self.chief):
                self.share(state)

    def ask_for_state(self, step: int) -> None:
        """Every worker keeps those of steps to be saved: it may have to share them as chief."""
        if step == self.step and step not in self.states_asked:
            self.states_asked.add(step)
            self.effects.append(GiveState(self.generation, step))

    def share(self, state: RunState) -> None:
        if state.step in self.wanted.states or self.now < self.state_sent.get(state.step, 0.0):
            return
        self.state_sent = {s: t for s, t in self.state_sent.items() if s in self.states}
        self.state_sent[state.step] = self.now + SHORTEST
        self.send(COORDINATOR, state)
