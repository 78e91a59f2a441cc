"""What the loop minimises: named losses of a picture, already weighted, and their gradient.

    class Grey(Objective):
        def losses(self, x, shift):
            return {"grey": ((x - 127.5) ** 2).mean()}

A random shift of some pixels in each iteration keeps the stride of a network from showing in the
picture. The loop draws the shift and the picture arrives shifted; an objective that compares it
with another picture, position by position, shifts that one alike (`shifted`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import minidl
from apps.style.losses import added
from minidl.nn.functional import pad
from minidl.tensor import Tensor

Shift = tuple[int, int]  # rows and columns
STAYS: Shift = (0, 0)
KEPT = 200 << 20  # bytes of features of shifted pictures that an objective keeps, at most


class Kept:
    """Features of a picture that is compared position by position, at each shift: they are computed
    when they are first wanted and kept, as long as they are no more than KEPT bytes.

    Attributes:
        nbytes: of one shift.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self.found: dict[Shift, dict[str, Tensor]] = {}

    def at(self, shift: Shift, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Those at a shift: name -> features."""
        if shift in self.found:
            return self.found[shift]
        with minidl.no_grad():
            found = compute()
        self.nbytes = sum(x.data.nbytes for x in found.values())
        if (len(self.found) + 1) * self.nbytes <= KEPT:
            self.found[shift] = found
        return found


class Objective:
    """Base of what is minimised. A subclass defines losses.

    Attributes:
        kept: what is kept for each shift.
    """

    @cached_property
    def kept(self) -> Kept:
        return Kept()

    def losses(self, x: Tensor, shift: Shift) -> dict[str, Tensor]:
        """The parts of the loss, weighted: their sum is minimised.

        Args:
            x: the picture, shifted.
            shift: by how many rows and columns.
        """
        raise NotImplementedError(f"{type(self).__name__}.losses")

    def evaluate(self, x: Tensor, shift: Shift = STAYS) -> dict[str, float]:
        """The parts of the loss as numbers; the gradient of their sum is in x.grad afterwards.

        Args:
            x: the picture, a leaf.
            shift: by how many rows and columns to move it first.
        """
        x.grad = None
        parts = self.losses(shifted(x, shift), shift)
        added(list(parts.values())).backward()
        return {name: float(part) for name, part in parts.items()}


def shifted(x: Tensor, shift: Shift) -> Tensor:
    """The picture moved down and to the right; its first row and column are repeated there."""
    if shift == STAYS:
        return x
    return pad(x, (shift[1], 0, shift[0], 0), mode="replicate")
