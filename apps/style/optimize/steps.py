"""What an iteration does to the picture: Adam with an average of the iterates, or L-BFGS.

Adam (Kingma and Ba 2015) changes every pixel by about the learning rate, which falls linearly. The
picture it leaves is an average of its iterates (Polyak and Juditsky 1992), exponential and
corrected for its start as Adam corrects its moments:

    e = a e + (1 - a) x         picture = e / (1 - a^t)

Its pixels are clamped to 0..255 after each step. L-BFGS with a strong Wolfe line search is what
Gatys et al. used; its picture is the iterate with the lowest loss, clamped at the end alone, since
its memory is of the steps as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from apps.style.optimize.objective import Objective
from apps.style.optimize.plan import FALLS_TO, Plan, Scale
from minidl import optim
from minidl.device import array_module
from minidl.nn import Parameter
from minidl.tensor import Tensor

Report = Callable[[dict[str, float]], None]  # called with the losses of each evaluation
TINY = 1e-16  # Adam's eps: gradients of normalised losses are small
TRIALS = 25  # evaluations in one line search of L-BFGS, at most
HISTORY = 25  # pairs that L-BFGS remembers, each twice as large as the picture
PROGRESS = 1e-5  # of the loss; an iteration of L-BFGS that gains less counts as none,
PATIENCE = 8  # and after so many of them in a row it is stuck,
NOTHING = 1e-7  # unless the loss has fallen to this share of the first: what is left is rounding


class AdamSteps:
    """Adam, one iteration at a time.

    Args:
        x: the picture; it changes in place.
        plan, scale: what to do.
        rng: draws the shifts.
    """

    name = "adam"

    def __init__(self, x: Parameter, plan: Plan, scale: Scale, rng: np.random.Generator):
        self.x, self.plan, self.scale, self.rng = x, plan, scale, rng
        self.optimizer = optim.Adam([x], lr=plan.lr, eps=TINY)
        self.mean, self.count, self.slower = array_module(x.data).zeros_like(x.data), 0, 1.0
        self.finite = x.data.copy()  # the last iterate whose losses were finite

    def advance(self, objective: Objective, iteration: int, report: Report) -> None:
        """One iteration, the one with number `iteration`, counted from 0."""
        left = 1 - iteration / self.scale.iterations
        rate = self.slower * self.plan.lr * (FALLS_TO + (1 - FALLS_TO) * left)
        self.optimizer.param_groups[0]["lr"] = rate
        down, right = self.rng.integers(0, self.plan.shift + 1, 2)
        losses = objective.evaluate(self.x, (int(down), int(right)))
        report(losses)
        if not math.isfinite(sum(losses.values())):
            return  # the loop starts afresh
        x, a = self.x.data, self.plan.average
        self.finite[...] = x
        self.optimizer.step()
        array_module(x).clip(x, 0, 255, out=x)
        self.mean *= a
        self.mean += (1 - a) * x
        self.count += 1

    @property
    def is_stuck(self) -> bool:
        return False

    @property
    def is_finished(self) -> bool:
        return False

    def picture(self) -> Any:
        """The average so far, an array (1, 3, H, W)."""
        if self.count == 0:
            return self.x.data.copy()
        return self.mean / (1 - self.plan.average**self.count)

    def state(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(), "mean": Tensor(self.mean),
            "finite": Tensor(self.finite), "count": self.count, "slower": self.slower,
        }  # fmt: skip

    def load(self, saved: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(saved["optimizer"])
        self.mean[...], self.finite[...] = saved["mean"].data, saved["finite"].data
        self.count, self.slower = saved["count"], saved["slower"]


class LBFGSSteps:
    """L-BFGS, one iteration at a time: a direction and a line search along it.

    The line search ends at a point whose loss and gradient are known, usually the last it tried;
    the next iteration begins there, and need not compute them again.

    Args:
        x: the picture; it changes in place.
        plan, scale, rng: not used: the loss must be the same function throughout.
    """

    name = "lbfgs"

    def __init__(self, x: Parameter, plan: Plan, scale: Scale, rng: np.random.Generator):
        self.x = x
        self.optimizer = optim.LBFGS(
            [x], max_iter=1, max_eval=TRIALS, history_size=HISTORY, line_search_fn="strong_wolfe"
        )
        self.best, self.lowest, self.idle = x.data.copy(), math.inf, 0
        self.first = 0.0  # the loss at the start
        # x, losses, gradient
        self.last: tuple[Any, dict[str, float], Tensor | None] | None = None

    def advance(self, objective: Objective, iteration: int, report: Report) -> None:
        """One iteration; reports the lowest losses that it found."""
        before = self.lowest
        found: dict[str, float] = {}

        def closure() -> Tensor:
            nonlocal found
            losses = self.evaluate(objective)
            total = float(sum(losses.values()))
            self.first = self.first or total
            if not found or total < sum(found.values()):
                found = losses
            if total < self.lowest:
                self.best, self.lowest = self.x.data.copy(), total
            return Tensor(np.asarray(total))

        self.optimizer.step(closure)
        report(found)
        moved = self.lowest < before * (1 - PROGRESS) or before == math.inf
        self.idle = 0 if moved else self.idle + 1

    def evaluate(self, objective: Objective) -> dict[str, float]:
        """The losses at x, with the gradient in x.grad; from memory if x was the last point."""
        if self.last is not None and array_module(self.x.data).array_equal(
            self.last[0], self.x.data
        ):
            self.x.grad = self.last[2]
            return self.last[1]
        losses = objective.evaluate(self.x)
        self.last = self.x.data.copy(), losses, self.x.grad
        return losses

    @property
    def is_stuck(self) -> bool:
        return self.idle >= PATIENCE and not self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to minimise."""
        return self.lowest <= NOTHING * self.first

    def picture(self) -> Any:
        """The iterate with the lowest loss, clamped, an array (1, 3, H, W)."""
        return array_module(self.best).clip(self.best, 0, 255)

    def state(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(), "best": Tensor(self.best),
            "lowest": self.lowest, "first": self.first, "idle": self.idle,
        }  # fmt: skip

    def load(self, saved: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(saved["optimizer"])
        self.best[...] = saved["best"].data
        self.lowest, self.first, self.idle = saved["lowest"], saved["first"], saved["idle"]


STEPS = {steps.name: steps for steps in (AdamSteps, LBFGSSteps)}
