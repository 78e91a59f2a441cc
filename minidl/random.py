"""Random numbers: one seed, the same numbers on every run, whatever the number of threads.

`generator()` is a NumPy Generator for initialisers and orders. Dropout does not draw from it:
its mask is a function of (seed, position), computed by a counter-based generator
(minidl/ops/dropout.py), so that any number of threads, and a GPU, make the same mask.
`next_counters` hands out the positions.

Training seeds both anew for each batch, by its place in the run (`begin`). So a step draws the same
numbers whatever was computed before it, and by whichever machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.errors import ArgumentError


class RandomState:
    """The state of all random numbers of the process."""

    seed: int
    counter: int  # the next unused position of the counter-based generator
    drawn_from: np.random.Generator | None

    def __init__(self, seed: int):
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Begin at the first number of this seed."""
        self.seed, self.counter, self.drawn_from = seed, 0, None

    @property
    def generator(self) -> np.random.Generator:
        """Made when first needed: importing minidl need not load numpy.random."""
        if self.drawn_from is None:
            self.drawn_from = np.random.Generator(np.random.PCG64(self.seed))
        return self.drawn_from


state = RandomState(0)


def manual_seed(seed: int) -> None:
    """Start all random numbers afresh.

    Args:
        seed: an int from 0 to 2^63 - 1.

    Raises:
        ArgumentError: anything else.

    >>> minidl.manual_seed(1); a = minidl.randn(3); minidl.manual_seed(1)
    >>> bool((a == minidl.randn(3)).all())
    True
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ArgumentError("manual_seed", "expects an int from 0 to 2^63 - 1", {"seed": seed})
    state.restart(int(seed))


def begin(seed: int, step: int, slot: int) -> None:
    """Start the random numbers of one batch of a training run.

    Args:
        seed: of the run, an int >= 0.
        step: number of the step, from 0.
        slot: number of the batch in the step, from 0.

    >>> minidl.random.begin(1, 7, 0); a = minidl.randn(3); minidl.random.begin(1, 7, 0)
    >>> bool((a == minidl.randn(3)).all())
    True
    """
    words = np.random.SeedSequence([step, slot, seed]).generate_state(1, np.uint64)
    state.restart(int(words[0]) >> 1)


def new_seed() -> int:
    """A seed for a training run, drawn from the numbers of the process."""
    return int(state.generator.integers(2**63))


def generator() -> np.random.Generator:
    """The generator behind initialisers and shuffling."""
    return state.generator


def next_counters(n: int) -> tuple[int, int]:
    """Reserve n positions of the counter-based generator: (seed, first position)."""
    first = state.counter
    state.counter += n
    return state.seed, first


def get_state() -> dict[str, Any]:
    """All of the state, as JSON types: a checkpoint stores it."""
    bits = state.generator.bit_generator.state
    return {"seed": state.seed, "counter": state.counter, "generator": bits}


def set_state(saved: dict[str, Any]) -> None:
    """Go on exactly where get_state() was taken."""
    manual_seed(saved["seed"])
    state.counter = int(saved["counter"])
    state.generator.bit_generator.state = saved["generator"]
