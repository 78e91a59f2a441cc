"""Callback: what can be hooked into a training run, and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minidl.checks import check_ordered
from minidl.errors import ArgumentError
from minidl.training.run import Run


class Callback:
    """Base class: minidl.fit calls these methods, each with the Run. Override the ones you need.

        on_fit_start               after a resumed state was loaded, before the first step
          on_epoch_start           model is in training mode
            on_step_start          run.inputs and run.targets hold the batch
            on_loss                run.outputs and run.loss are computed, nothing was changed yet
            on_gradients           p.grad holds the gradients of the step: the place to clip
            on_step_end            parameters are updated, run.step counts this step
          on_validation_step_end   after each batch of the validation set
          on_epoch_end             run.metrics is complete and is the last entry of run.history
        on_fit_end                 always, also after an error, which is then in run.error

    With fit(accumulate=k), k batches come by (on_step_start, on_loss) before each on_gradients.
    With fit(step=...), on_loss and on_gradients come once for each run.minimize in the function.
    Setting run.stop = True ends the run after this epoch.

    on_epoch_end may add entries to run.metrics, such as a score of generated texts: they are part
    of the history. With order < 0 it is called before the callbacks that show, save and watch them.

    A callback whose behaviour depends on the past returns that past from `state_dict` (JSON values
    and Tensors), so that a checkpoint can hold it and a resumed run goes on as if never stopped.

    Where several processes train together, each calls its callbacks, as they may steer the run. One
    that only shows or saves something has `watches = True`, and is called in one process alone. A
    run that is stopped before its last epoch is stopped by all of them, or by the one where
    run.is_chief.

    Attributes:
        order: callbacks are called by ascending order; within one order as they were given.
        watches: whether it leaves the run as it is.

    >>> class Shout(minidl.callbacks.Callback):
    ...     def on_epoch_end(self, run):
    ...         print(run.epoch, run.metrics["loss"])
    """

    order = 0
    watches = False

    def on_fit_start(self, run: Run) -> None:
        pass

    def on_epoch_start(self, run: Run) -> None:
        pass

    def on_step_start(self, run: Run) -> None:
        pass

    def on_loss(self, run: Run) -> None:
        pass

    def on_gradients(self, run: Run) -> None:
        pass

    def on_step_end(self, run: Run) -> None:
        pass

    def on_validation_step_end(self, run: Run) -> None:
        pass

    def on_epoch_end(self, run: Run) -> None:
        pass

    def on_fit_end(self, run: Run) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def check_callbacks(callbacks: Any) -> list[Callback]:
    """The callbacks that someone passed, as a list; a single one may stand for a list of one.

    Raises:
        ArgumentError: one is something else.
    """
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    check_ordered("fit", "callbacks", callbacks)
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = "make an instance of it: add ()" if isinstance(callback, type) else ""
            raise ArgumentError(
                "fit", "callbacks are minidl.callbacks.Callback instances",
                {"callback": callback}, hint,
            )  # fmt: skip
    return callbacks
