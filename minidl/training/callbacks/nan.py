"""Stop when a result of training is no longer a number, and say where it came from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import random
from minidl.device import array_module
from minidl.errors import Hint, NonFiniteError
from minidl.function import no_grad
from minidl.graph import tensors_in
from minidl.nn.module import Module
from minidl.nn.record import ModuleCall, Recorder
from minidl.training.batch import call_model
from minidl.training.callback import Callback


class StopOnNaN(Callback):
    """Raise NonFiniteError for a NaN or infinite loss or gradient, before it reaches the weights.

    For a loss, the batch is run again with the same random numbers, watching each module, to name
    the first one whose output is not finite although its inputs are. After an epoch, the weights,
    the buffers and the validation loss are looked at: no batch follows the last step to show what
    it did.

    Of a step function it looks at each loss that run.minimize gets, its gradients, and the values
    that the function returns. The batch is not run again, as parameters may have changed since.

    >>> callback = minidl.callbacks.StopOnNaN()
    """

    order = -100  # first: no other callback needs to see such a loss

    def on_step_start(self, run) -> None:
        self.random_state = random.get_state()

    def on_loss(self, run) -> None:
        if math.isfinite(run.loss.item()):
            return
        if run.step_function is None:
            random.set_state(self.random_state)
            with np.errstate(all="ignore"):  # NumPy warned already, in the forward pass
                cause, hint = find_cause(run.model, run.inputs, run.loss_function, run.targets)
        else:  # a step function cannot be run again: it may have changed parameters
            cause, hint = find_bad_data(run.model, run.inputs, run.targets) or (
                "weights and data are finite", SMALLER_STEPS,
            )  # fmt: skip
        self.fail(run, f"the loss is {run.loss.item()}: {cause}", hint)

    def on_gradients(self, run) -> None:
        bad = [
            name
            for name, p in run.parameters_to_update().items()
            if p.grad is not None and p.requires_grad and not is_finite(p.grad)
        ]
        if bad:
            rule = f"the loss is finite, but not its gradient by {first_of(bad)}"
            self.fail(run, rule, "look for a root, power or logarithm at 0")

    def on_step_end(self, run) -> None:
        if run.step_function is None:
            return  # on_loss has looked
        bad = [name for name, value in run.values.items() if not math.isfinite(value)]
        if bad:
            rule = f"the step function returned {run.values[bad[0]]} for {first_of(bad)}"
            cause, hint = find_bad_data(run.model, run.inputs, run.targets) or (
                "weights and data are finite", SMALLER_STEPS,
            )  # fmt: skip
            details = {"epoch": run.epoch, "step": run.step, **run.rates}
            raise NonFiniteError("fit", f"{rule}: {cause}", details, hint)

    def on_epoch_end(self, run) -> None:
        cause = find_bad_state(run.model)
        value = run.metrics.get("val_loss", 0.0)
        if cause is None and not math.isfinite(value):
            rule = f"the validation loss is {value}; training loss, weights and buffers are finite"
            cause = rule, LOOK_AT_VALIDATION
        if cause is not None:
            details = {"epoch": run.epoch, "step": run.step, **run.rates}
            raise NonFiniteError("fit", cause[0], details, cause[1])

    def fail(self, run, rule: str, hint: str) -> None:
        details = {"epoch": run.epoch, "step": run.step + 1, **run.current_rates()}
        raise NonFiniteError("fit", rule, details, hint)


CLIP = {"clip_gradients": "callbacks.ClipGradients"}
SMALLER_STEPS = Hint("lower the learning rate, or clip gradients ({clip_gradients})", **CLIP)
LOOK_AT_VALIDATION = Hint(f"look at the validation data, {SMALLER_STEPS.text}", **CLIP)


def find_cause(model: Module, inputs: Any, loss: Any, targets: Any) -> tuple[str, str]:
    """What made the loss non-finite, and what to do about it."""
    cause = find_bad_data(model, inputs, targets)
    if cause is not None:
        return cause
    path, outputs = first_nonfinite_module(model, inputs)
    if path is not None:
        return f"its first non-finite output is that of {path}", SMALLER_STEPS
    with no_grad():
        if not math.isfinite(loss(outputs, targets).item()):
            return f"the model's output is finite, {type_name(loss)} makes it so", SMALLER_STEPS
    return "it was finite when the batch was run again", "is something random in the model?"


def find_bad_data(model: Module, inputs: Any, targets: Any) -> tuple[str, str] | None:
    """What is not finite before the model runs, and what to do about it; None if all is."""
    cause = find_bad_state(model)
    if cause is not None:
        return cause
    if not is_finite(inputs):
        return "the input batch holds NaN or inf", "look at the data and their normalisation"
    if not is_finite(targets):
        return "the targets hold NaN or inf", "look at the data"
    return None


def find_bad_state(model: Module) -> tuple[str, str] | None:
    """Which parameters or buffer are not finite, and what to do about it; None if all are."""
    bad = [name for name, p in model.named_parameters() if not is_finite(p)]
    if bad:
        return f"a step left NaN or inf in {first_of(bad)}", SMALLER_STEPS
    bad = [name for name, buffer in model.named_buffers() if not is_finite(buffer)]
    if bad:
        return f"NaN or inf is in the buffer {bad[0]}", "look at the data of the steps before"
    return None


class FirstNonFinite(Recorder):
    """Notes the first module whose output is not finite although its inputs are.

    Modules finish in the order of execution, each after those inside it.
    """

    culprit: ModuleCall | None = None

    def module_done(self, call: ModuleCall) -> None:
        given = call.inputs, call.options
        if self.culprit is None and is_finite(given) and not is_finite(call.output):
            self.culprit = call


def first_nonfinite_module(model: Module, inputs: Any) -> tuple[str | None, Any]:
    """Run the model and watch: path of the module at fault, or None, and the model's output."""
    with no_grad(), FirstNonFinite() as watch:
        outputs = call_model(model, inputs)
    if watch.culprit is None:
        return None, outputs
    path = ".".join(filter(None, [type(model).__name__, watch.culprit.path]))
    return f"{path} ({type(watch.culprit.module).__name__})", outputs


def is_finite(value: Any) -> bool:
    """Whether every floating-point Tensor inside a value has finite elements only."""
    return all(
        bool(array_module(tensor.data).isfinite(tensor.data).all())
        for tensor in tensors_in(value)
        if tensor.data.dtype.kind == "f"
    )


def first_of(names: list[str]) -> str:
    """'a, b, c and 4 more'."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def type_name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
