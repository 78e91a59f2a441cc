"""What a run may ask for when several machines train together; the rest is refused by name.

What depends on the model and the optimizer is in tensors.py, on the loader in batches.py.
"""

from __future__ import annotations

from minidl.errors import ArgumentError
from minidl.training.callback import Callback
from minidl.training.callbacks.clip import ClipGradients
from minidl.training.callbacks.nan import StopOnNaN
from minidl.training.run import Run
from minidl_dist.modes import parse
from minidl_dist.reports import check_metrics


def check_run(run: Run) -> None:
    """Several machines can do all that the run asks for.

    Raises:
        ArgumentError: names what they cannot.
    """
    if run.step_function is not None:
        raise ArgumentError(
            "dist", "servers take the steps, so a run with a step function has none to give",
            {"step": run.step_function}, "train in one process",
        )  # fmt: skip
    if run.step or run.history:
        raise ArgumentError(
            "dist", "a job begins a run of its own", {"resume": f"step {run.step}"},
            "minidl dist resume goes on with a job",
        )  # fmt: skip
    if not hasattr(run.loader, "__len__"):
        raise ArgumentError(
            "dist", "the loader says how many batches it has",
            {"loader": type(run.loader).__name__}, "define its __len__",
        )  # fmt: skip
    check_metrics(run)


def translate_callbacks(run: Run, mode: str) -> float | None:
    """Leave out the callbacks that look at gradients: no worker has their sum.

    The servers clip, and look for NaN (--on-nan), in their place.

    Args:
        run: that is about to begin.
        mode: of the job, see modes.py.

    Returns:
        the largest norm of the gradients, None for any.

    Raises:
        ArgumentError: one does something else with gradients; it is named.
    """
    clips = [c.max_norm for c in run.callbacks if type(c) is ClipGradients]
    if len(clips) > 1:
        raise ArgumentError("dist", "gradients are clipped once", {"max_norm": clips})
    if clips and not parse(mode).together:
        raise ArgumentError(
            "dist",
            "gradients are clipped in the modes sync and backup: in others there is no step whose "
            "gradients are together before it is taken",
            {"mode": mode, "callback": f"ClipGradients({clips[0]})"},
            "leave it out, or --mode sync",
        )
    run.callbacks = [c for c in run.callbacks if type(c) not in (ClipGradients, StopOnNaN)]
    for callback in run.callbacks:
        if type(callback).on_gradients is not Callback.on_gradients:
            raise ArgumentError(
                "dist", "no worker has the gradient of a step, which this callback looks at",
                {"callback": type(callback).__name__}, "ClipGradients and StopOnNaN are known",
            )  # fmt: skip
    return clips[0] if clips else None
