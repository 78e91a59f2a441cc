"""What a checkpoint holds of a run besides model and optimizers, and how a run goes on from it.

It is everything that decides how the run goes on: where it is in the data, the random numbers, the
sums of the epoch in progress, the history, and what the callbacks remember.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minidl import random
from minidl.errors import CheckpointError
from minidl.training.run import Run


def run_state(run: Run) -> dict[str, Any]:
    """Everything but model and optimizers, as JSON values and Tensors."""
    return {
        "epochs_finished": len(run.history),
        "step": run.step,
        "batch": run.batch,
        "seed": run.seed,
        "has_servers": run.has_servers,
        "rates": run.rates,
        "totals": run.totals.state_dict(),
        "history": run.history,
        "stop": run.stop,
        "position": run.position,
        "callbacks": {
            name: state
            for name, callback in named_callbacks(run.callbacks)
            if (state := callback.state_dict())
        },
    }


def resume_run(run: Run, path: str | Path) -> None:
    """Go on where a checkpoint was saved.

    Raises:
        CheckpointError: it is damaged, or of another model, optimizer or set of callbacks.
    """
    from minidl.io.checkpoint import load_checkpoint  # `import minidl` loads no file formats

    checkpoint = load_checkpoint(path)
    if checkpoint.optimizer is None or "epochs_finished" not in checkpoint.run:
        raise CheckpointError(
            "fit", "the file holds no state of a run to go on from", {"resume": str(path)},
            "callbacks.Checkpoint writes checkpoint.safetensors for this",
        )  # fmt: skip
    if checkpoint.run.get("has_servers"):
        raise CheckpointError(
            "fit", "servers took the steps of this run, and the file lacks what they remember",
            {"resume": str(path)}, "minidl dist resume goes on with the job",
        )  # fmt: skip
    run.model.load_state_dict(checkpoint.model)
    load_optimizers(run, checkpoint.optimizer)
    try:
        load_run_state(run, checkpoint.run)
    except CheckpointError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why, hint = getattr(error, "rule", repr(error)), getattr(error, "hint", "")
        raise CheckpointError(
            "fit", f"the state of the run cannot be used: {why}", {"resume": str(path)}, hint
        ) from error


def load_optimizers(run: Run, saved: dict[str, Any]) -> None:
    """Each optimizer takes over its own state."""
    is_one = isinstance(saved.get("param_groups"), list)  # not an optimizer of this name
    states = {"": saved} if is_one else saved
    if set(states) != set(run.optimizers):
        raise CheckpointError(
            "fit", "the checkpoint was saved with other optimizers",
            {"optimizers": names_of(run.optimizers), "saved": names_of(states)},
            "resume with the optimizers of the run that saved it, by the same names",
        )  # fmt: skip
    for name, optimizer in run.optimizers.items():
        optimizer.load_state_dict(states[name])


def load_run_state(run: Run, state: dict[str, Any]) -> None:
    callbacks = dict(named_callbacks(run.callbacks))
    for name in state["callbacks"]:
        if name not in callbacks:
            raise CheckpointError(
                "fit",
                f"the checkpoint holds the state of a callback {name}, which this run has not",
                {"callbacks": list(callbacks)},
                "resume with the callbacks of the run that saved it",
            )
    for name, saved in state["callbacks"].items():
        callbacks[name].load_state_dict(saved)
    run.step, run.batch, run.seed = (int(state[name]) for name in ("step", "batch", "seed"))
    run.rates = {name: float(state["rates"][name]) for name in run.rates}
    run.history = [dict(metrics) for metrics in state["history"]]
    run.stop = bool(state["stop"])
    run.metrics = run.history[-1] if run.history else {}
    run.epoch = len(run.history)
    run.totals.load_state_dict(state["totals"])
    position = state["position"]
    for name, loader in (("loader", run.loader), ("validation", run.validation)):
        if hasattr(loader, "load_state_dict") and position[name]:
            loader.load_state_dict(position[name])
    random.set_state(position["random"])
    run.remember_position()


def named_callbacks(callbacks: list) -> Iterator[tuple[str, Any]]:
    """Class name and callback; a second one of the same class is Name2, and so on."""
    seen: dict[str, int] = {}
    for callback in callbacks:
        name = type(callback).__name__
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}{seen[name]}"), callback


def names_of(optimizers: dict[str, Any]) -> list[str] | str:
    """The names of several optimizers, for errors."""
    return "one, without a name" if "" in optimizers else list(optimizers)
