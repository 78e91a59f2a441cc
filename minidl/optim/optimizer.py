"""Optimizer: what all update rules share. Parameter groups, state, and the loop over parameters.

A subclass is one formula: `update(p, g, state, group)` changes the array p in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minidl.arrays import as_written
from minidl.checks import check_ordered
from minidl.device import array_module
from minidl.errors import ArgumentError, CheckpointError, DtypeError, ShapeError, nearest
from minidl.function import enable_grad
from minidl.nn.module import Module, Parameter
from minidl.shapes import check_flag, is_number
from minidl.tensor import Tensor


class Optimizer:
    """Base class of optimizers.

    Args:
        params: Tensors to optimize, or parameter groups: dicts with "params" and options that
            differ from the defaults, for example {"params": layer.parameters(), "lr_mult": 10}.
        defaults: option -> value for groups that do not say otherwise. Each group also has
            lr_mult (1.0): the rate of its steps is lr * lr_mult, and schedules change lr.

    Attributes:
        param_groups: list of dicts: "params" and every option.
        state: parameter -> dict of what the update rule remembers about it.
    """

    # Option -> (lowest, below): lowest <= value < below. Subclasses add theirs.
    limits: dict[str, tuple[float, float]] = {
        "lr": (0.0, np.inf),
        "lr_mult": (0.0, np.inf),
        "weight_decay": (0.0, np.inf),
        "eps": (0.0, np.inf),
    }

    flags = ("maximize", "nesterov", "amsgrad", "centered")  # options that are bools

    def __init__(self, params: Iterable, defaults: dict[str, Any]):
        self.defaults = {**defaults, "lr_mult": 1.0}
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        for group in as_groups(self.name, params):
            self.add_param_group(group)
        if not any(p.requires_grad for group in self.param_groups for p in group["params"]):
            raise ArgumentError(
                self.name,
                "there is no parameter that requires a gradient",
                {"parameters": sum(len(group["params"]) for group in self.param_groups)},
                "unfreeze() a layer, or pass parameters of another one",
            )

    @property
    def name(self) -> str:
        return type(self).__name__

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Optimize more parameters, with their own options where the group has them.

        Raises:
            ArgumentError: an option is unknown or out of range, or a parameter cannot be
                optimized or is in a group already.
        """
        if not isinstance(group, dict) or "params" not in group:
            received = sorted(group) if isinstance(group, dict) else group
            raise ArgumentError(self.name, 'a group is a dict with "params"', {"group": received})
        for option in group:
            if option not in self.defaults and option not in ("params", "initial_lr"):
                raise ArgumentError(
                    self.name, "no such option", {"option": option}, nearest(option, self.defaults)
                )
        options = {name: plain(value) for name, value in {**self.defaults, **group}.items()}
        parameters = as_list(self.name, options.pop("params"))
        self.check_options(options)
        known = {p for other in self.param_groups for p in other["params"]}
        for index, p in enumerate(parameters):
            check_parameter(self.name, p, index)
            if p in known:
                raise ArgumentError(
                    self.name, "a parameter is given twice", {"index": index, "parameter": p},
                    "each parameter belongs to one group, once",
                )  # fmt: skip
            known.add(p)
        self.param_groups.append({"params": parameters, **options})

    def check_options(self, options: dict[str, Any]) -> None:
        """Every number of a group is in its range. Subclasses check what depends on two."""
        for name in self.flags:
            if name in options:
                check_flag(self.name, name, options[name])
        for name, (lowest, below) in self.limits.items():
            if name not in options:
                continue
            value = options[name]
            if not is_number(value) or not lowest <= value < below:
                bound = "" if below == np.inf else f" and < {below:g}"
                raise ArgumentError(
                    self.name, f"{name} is a number >= {lowest:g}{bound}", {name: value}
                )

    # --- the step -------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters. Call it before each backward."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Change every parameter in place by its gradient.

        Parameters without a gradient, or frozen, are left as they are.

        Args:
            closure: computes the loss anew, with its gradients; called once before the update.

        Returns:
            What the closure returned.

        Raises:
            ArgumentError: closure cannot be called.
            ShapeError, DtypeError: a gradient that was assigned by hand does not have its
                parameter's shape or element type.
        """
        loss = None
        if closure is not None:
            check_closure(self.name, closure)
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None or not p.requires_grad:
                    continue
                g = self.gradient(p)
                if group.get("maximize"):
                    g = -g
                self.update(p.data, g, self.state.setdefault(p, {}), group)
        return loss

    def gradient(self, p: Tensor) -> Any:
        """The array of p.grad, which backward made or a user assigned.

        Raises:
            ShapeError: it does not have p's shape; NumPy would stretch it.
            DtypeError: it does not have p's element type.
        """
        if not isinstance(p.grad, Tensor) or p.grad.data.shape != p.data.shape:
            raise ShapeError(
                self.name, "p.grad is a Tensor of p's shape", {"p": p, "p.grad": p.grad}
            )
        if p.grad.data.dtype != p.data.dtype:
            raise DtypeError(
                self.name, "p.grad has p's element type", {"p": p, "p.grad": p.grad},
                f'p.grad.to("{p.data.dtype}")',
            )  # fmt: skip
        return p.grad.data

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change the array p in place, given its gradient g, which must not be changed.

        Args:
            p: NumPy or CuPy array, of any memory layout.
            g: array of p's shape and dtype.
            state: what the last update left about this parameter, {} the first time.
            group: the options.
        """
        raise NotImplementedError(f"{self.name}.update")

    # --- state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Options and state: JSON values and Tensors that share memory with the optimizer.

        Parameters are named by their number, counted through all groups, as in PyTorch.
        """
        groups, state, number = [], {}, 0
        for group in self.param_groups:
            numbers = list(range(number, number + len(group["params"])))
            number += len(numbers)
            groups.append({**group, "params": numbers})
            for i, p in zip(numbers, group["params"]):
                if p in self.state:
                    state[i] = wrap_arrays(self.state[p])
        return {"optimizer": self.name, "state": state, "param_groups": groups}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take over options and state from another optimizer's state_dict.

        Raises:
            CheckpointError: it was saved by another kind of optimizer or for other parameters.
                Nothing was changed.
        """
        if not isinstance(saved, dict):
            raise CheckpointError(self.name, "a state is a dict", {"state": saved})
        if saved.get("optimizer", self.name) != self.name:
            raise CheckpointError(
                self.name, f"the state was saved by {saved['optimizer']}", None,
                f"make the optimizer with minidl.optim.{saved['optimizer']}",
            )  # fmt: skip
        try:
            groups, state = self.read_state(saved)
        except CheckpointError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = getattr(error, "rule", repr(error))
            raise CheckpointError(self.name, f"the state cannot be used: {why}") from error
        for group, options in zip(self.param_groups, groups):
            group.update(options)
        self.state = state

    def read_state(self, saved: dict[str, Any]) -> tuple[list[dict], dict[Tensor, dict]]:
        """The options of each group, and a copy of the state by parameter."""
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved["param_groups"]]
        if sizes != saved_sizes:
            raise CheckpointError(
                self.name,
                "the groups have other numbers of parameters than the saved ones",
                {"groups": sizes, "saved": saved_sizes},
            )
        groups = []
        for mine, other in zip(self.param_groups, saved["param_groups"]):
            options = {
                name: tuple(value) if isinstance(mine.get(name), tuple) else value
                for name, value in other.items()
                if name in mine or name == "initial_lr"
            }
            del options["params"]
            self.check_options(options)
            groups.append(options)
        parameters = dict(enumerate(p for group in self.param_groups for p in group["params"]))
        state = {}
        for number, values in saved["state"].items():
            p = parameters[int(number)]  # JSON has made text of the number
            state[p] = {name: self.read_value(p, name, value) for name, value in values.items()}
        return groups, state

    def read_value(self, p: Tensor, name: str, value: Any) -> Any:
        """One saved value about p: a number as it is, an array in p's memory layout."""
        if value is None or isinstance(value, bool | int | float):
            return value
        array = as_written(self.name, value, p.data.dtype)
        if array.shape != p.data.shape:
            raise CheckpointError(
                self.name, f"the saved {name} does not have its parameter's shape",
                {name: array, "parameter": p},
            )  # fmt: skip
        mine = array_module(p.data).empty_like(p.data)
        mine[...] = array_module(p.data).asarray(array)
        return mine

    def __repr__(self) -> str:
        lines = [
            f"  group {i}: {len(group['params'])} parameters, "
            + ", ".join(f"{name}={value}" for name, value in group.items() if name != "params")
            for i, group in enumerate(self.param_groups)
        ]
        return "\n".join([f"{self.name}(", *lines, ")"])


def wrap_arrays(value: Any) -> Any:
    """A copy of dicts and lists with arrays as Tensors that share their memory."""
    if isinstance(value, dict):
        return {key: wrap_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [wrap_arrays(item) for item in value]
    return Tensor(value) if hasattr(value, "dtype") else value


def plain(value: Any) -> Any:
    """A NumPy number as a Python one: float64 times a float32 array would be float64."""
    return value.item() if isinstance(value, np.generic) else value


# --- checks -------------------------------------------------------------------------------------


def as_groups(op: str, params: Any) -> list[dict[str, Any]]:
    """A list of groups, from a list of Tensors or of groups."""
    params = as_list(op, params)
    if any(isinstance(entry, dict) for entry in params):
        if not all(isinstance(entry, dict) for entry in params):
            raise ArgumentError(
                op, "params is a list of Tensors or a list of groups, not a mixture"
            )
        return params
    return [{"params": params}]


def as_list(op: str, params: Any) -> list:
    """The parameters as a list; a single Tensor, a Module or nothing at all is a mistake."""
    if isinstance(params, Module):
        raise ArgumentError(
            op, "params is a list of Tensors", {"params": type(params).__name__},
            "pass model.parameters()",
        )  # fmt: skip
    if isinstance(params, Tensor | dict | str) or not isinstance(params, Iterable):
        raise ArgumentError(
            op,
            "params is a list of Tensors or groups",
            {"params": params},
            "put it in a list: [...]",
        )
    check_ordered(op, "params", params, "pass a list, or model.parameters()")
    params = list(params)
    if not params:
        raise ArgumentError(
            op, "the list of parameters is empty", None,
            "a generator is used up by one loop: pass model.parameters() directly",
        )  # fmt: skip
    return params


def check_closure(op: str, closure: Any) -> None:
    if not callable(closure):
        raise ArgumentError(
            op, "closure is a function that computes the loss", {"closure": closure}
        )


def check_parameter(op: str, p: Any, index: int) -> None:
    """p can be optimized: a leaf that requires a gradient, or a Parameter that is frozen now."""
    received = {"index": index, "parameter": p if isinstance(p, Tensor) else type(p).__name__}
    if not isinstance(p, Tensor):
        hint = "pass model.parameters(), not named_parameters()" if isinstance(p, tuple) else ""
        raise ArgumentError(op, "a parameter is a Tensor", received, hint)
    if not p.is_leaf:
        raise ArgumentError(
            op, "a parameter is a leaf, not the result of a computation", received,
            "optimize the tensor it was computed from, or .detach().requires_grad_() it",
        )  # fmt: skip
    if not p.requires_grad and not isinstance(p, Parameter):
        raise ArgumentError(
            op, "this tensor does not require a gradient", received,
            "make it with requires_grad=True",
        )  # fmt: skip
