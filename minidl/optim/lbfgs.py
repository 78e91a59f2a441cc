"""L-BFGS (Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 7.4 and 7.5).

A quasi-Newton method: the direction is -H g, where H estimates the inverse of the Hessian from the
last steps s = x' - x and changes of the gradient y = g' - g. H is never formed; two loops over
the history apply it to a vector:

    q = -g
    for (s, y) from the newest:   a = (s . q) / (y . s),   q = q - a y
    r = (y . s) / (y . y) q                                 of the newest pair
    for (s, y) from the oldest:   b = (y . r) / (y . s),   r = r + (a - b) s
    x = x + t r

Thresholds: PyTorch drops a pair with y . s <= 1e-10 and stops at gradients below 1e-7, so with a
loss of tiny scale it never moves. Here a pair counts if the angle between y and s is clearly acute,
y . s > eps |y| |s|, and a loss whose first gradient is below 1e-4 everywhere is multiplied by a
power of two, inside, that brings the gradient to about 1. All else is as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minidl.arrays import as_written
from minidl.device import array_module
from minidl.errors import ArgumentError, CheckpointError
from minidl.function import enable_grad
from minidl.kernels.sums import dot
from minidl.optim.line_search import Point, strong_wolfe
from minidl.optim.optimizer import Optimizer, check_closure
from minidl.tensor import Tensor

TINY_GRADIENT = 1e-4


class LBFGS(Optimizer):
    """L-BFGS, for a loss that is always of the same data: few, expensive, very good steps.

    x = x - t H g

    Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization".

    Args:
        params: Tensors; there is one group only.
        lr: the step length t, or where the line search begins, >= 0.
        max_iter: iterations in one call of step, >= 1.
        max_eval: evaluations of the loss in one call of step; by default 1.25 max_iter.
        tolerance_grad: stop when no element of the gradient is larger, >= 0.
        tolerance_change: stop when neither loss nor parameters change more, >= 0.
        history_size: how many pairs (s, y) are kept, >= 1.
        line_search_fn: "strong_wolfe" to search for t, or None.

    Raises:
        ArgumentError: an option is out of range, there are several groups, or a parameter cannot
            be optimized.

    >>> w = minidl.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = minidl.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad(); loss = (w * w).sum(); loss.backward(); return loss
    >>> loss = optimizer.step(closure); closure().item() < 1e-6
    True
    """

    limits = {
        **Optimizer.limits,
        "tolerance_grad": (0.0, float("inf")),
        "tolerance_change": (0.0, float("inf")),
    }

    def __init__(
        self,
        params: Iterable,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, group: dict[str, Any]) -> None:
        if self.param_groups:
            raise ArgumentError(
                self.name, "there is one group only", None, "H relates all parameters to each other"
            )
        super().add_param_group(group)

    def check_options(self, options: dict[str, Any]) -> None:
        super().check_options(options)
        for name in ("max_iter", "max_eval", "history_size"):
            value = options[name]
            if name == "max_eval" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ArgumentError(self.name, f"{name} is an int >= 1", {name: value})
        if options["line_search_fn"] not in (None, "strong_wolfe"):
            raise ArgumentError(
                self.name, 'line_search_fn is "strong_wolfe" or None',
                {"line_search_fn": options["line_search_fn"]},
            )  # fmt: skip

    # --- the step -------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor:
        """Up to max_iter iterations. Nothing moves if the loss or its gradient is not finite.

        Args:
            closure: clears the gradients, computes the loss, calls backward and returns the loss.

        Returns:
            The loss before the step.

        Raises:
            ArgumentError: there is no closure, or it does not return the loss.
        """
        if closure is None:
            raise ArgumentError(
                self.name, "step needs a closure that computes the loss anew", None,
                "def closure(): optimizer.zero_grad(); loss = ...; loss.backward(); return loss",
            )  # fmt: skip
        check_closure(self.name, closure)
        group, memory = self.param_groups[0], self.memory()
        max_eval = group["max_eval"] or group["max_iter"] * 5 // 4
        loss, f, g = self.evaluate(closure)
        if not math.isfinite(f) or not largest(g) > group["tolerance_grad"]:
            return loss
        evaluations, small = 1, group["tolerance_change"]
        for iteration in range(1, group["max_iter"] + 1):
            d = self.direction(g)
            slope, t = dot(g, d), group["lr"] * group["lr_mult"]
            if memory["gradient"] is None:
                t *= min(1.0, 1.0 / float(abs(g).sum()))  # nothing is known of H: begin with care
            if slope > -small:
                break
            before, memory["gradient"] = f, g
            if group["line_search_fn"]:
                point, trials = self.search(closure, Point(0.0, f, g, slope), t, d,
                                            max_eval - evaluations)  # fmt: skip
                t, f, g = point.t, point.f, point.g
                self.move(t, d)
                evaluations += trials
            else:
                self.move(t, d)
                if iteration < group["max_iter"]:
                    _, f, g = self.evaluate(closure)
                    evaluations += 1
            memory["step"] = t * d
            if (
                evaluations >= max_eval
                or not largest(g) > group["tolerance_grad"]
                or largest(memory["step"]) <= small
                or abs(f - before) < small
            ):
                break
        return loss

    def memory(self) -> dict[str, Any]:
        """What is remembered between steps; kept as the state of the first parameter."""
        return self.state.setdefault(
            self.param_groups[0]["params"][0],
            {"scale": None, "s": [], "y": [], "step": None, "gradient": None},
        )

    def evaluate(self, closure: Callable[[], Tensor]) -> tuple[Tensor, float, Any]:
        """The loss, and its value and flat gradient times the scale."""
        with enable_grad():
            loss = closure()
        if not isinstance(loss, Tensor):
            raise ArgumentError(
                self.name, "the closure returns the loss, a Tensor", {"returned": loss}
            )
        parts, xp = [], None
        for p in self.param_groups[0]["params"]:
            xp = array_module(p.data)
            known = p.grad is not None and p.requires_grad
            parts.append(self.gradient(p).ravel() if known else xp.zeros(p.data.size, p.data.dtype))
        g = xp.concatenate(parts)
        memory, size = self.memory(), largest(g)
        if memory["scale"] is None and 0 < size < math.inf:
            memory["scale"] = 2.0 ** -math.floor(math.log2(size)) if size < TINY_GRADIENT else 1.0
        scale = memory["scale"] or 1.0
        return loss, float(loss) * scale, g if scale == 1.0 else g * scale

    def direction(self, g: Any) -> Any:
        """-H g by the two loops, after the last step was added to the history."""
        memory = self.memory()
        S, Y = memory["s"], memory["y"]
        if memory["step"] is not None:
            s, y = memory["step"], g - memory["gradient"]
            acute = np.finfo(g.dtype).eps * math.sqrt(dot(y, y)) * math.sqrt(dot(s, s))
            if dot(y, s) > acute:
                S.append(s)
                Y.append(y)
                del S[: -self.param_groups[0]["history_size"]]
                del Y[: -self.param_groups[0]["history_size"]]
            memory["step"] = None  # counted
        r, weights = -g, []
        for s, y in zip(reversed(S), reversed(Y)):
            weights.append(dot(s, r) / dot(y, s))
            r -= weights[-1] * y
        if S:
            r *= dot(Y[-1], S[-1]) / dot(Y[-1], Y[-1])
        for s, y, weight in zip(S, Y, reversed(weights)):
            r += (weight - dot(y, r) / dot(y, s)) * s
        return r

    def search(
        self, closure: Callable[[], Tensor], start: Point, t: float, d: Any, max_trials: int
    ) -> tuple[Point, int]:
        """Line search along d from where the parameters are. They are there again afterwards."""
        parameters = self.param_groups[0]["params"]
        origin = [p.data.copy() for p in parameters]

        def at(t: float) -> Point:
            self.move(t, d)
            _, f, g = self.evaluate(closure)
            for p, values in zip(parameters, origin):
                p.data[...] = values  # x + t d - t d would not be x, bit for bit
            return Point(t, f, g, dot(g, d))

        shortest = self.param_groups[0]["tolerance_change"] / max(largest(d), 1e-300)
        return strong_wolfe(at, start, t, max_trials, shortest)

    def move(self, t: float, d: Any) -> None:
        """x = x + t d, for parameters that are not frozen."""
        offset = 0
        for p in self.param_groups[0]["params"]:
            part = d[offset : offset + p.data.size]
            offset += p.data.size
            if p.requires_grad:
                p.data += (t * part).reshape(p.data.shape)

    # --- state ----------------------------------------------------------------------------------

    def read_value(self, p: Tensor, name: str, value: Any) -> Any:
        """A saved value: vectors here are as long as all parameters together."""
        if isinstance(value, list):
            return [self.read_value(p, name, item) for item in value]
        if value is None or isinstance(value, int | float):
            return value
        array = as_written(self.name, value, p.data.dtype)
        size = sum(p.data.size for p in self.param_groups[0]["params"])
        if array.shape != (size,):
            raise CheckpointError(
                self.name, f"the saved {name} does not have one value per parameter element",
                {name: array, "elements": size},
            )  # fmt: skip
        return array_module(p.data).asarray(array).astype(p.data.dtype, copy=True)


def largest(a: Any) -> float:
    """The largest magnitude in an array, 0 for an empty one."""
    return float(abs(a).max()) if a.size else 0.0
