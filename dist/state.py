"""The state of a run in bytes: what a worker that joins or goes back needs besides the weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, CheckpointError
from minidl.io.checkpoint import Damaged, pack, parse, unpack
from minidl.nn.module import Module
from minidl.training.callbacks.average import AverageWeights
from minidl.training.callbacks.early_stopping import EarlyStopping
from minidl.training.resume import load_run_state, named_callbacks, run_state
from minidl.training.run import Run
from minidl_dist.wire import MAX_HEADER

LARGEST_OF_WATCHER = 512 << 10  # bytes of JSON: the states of all go in one message
LARGEST = MAX_HEADER - (64 << 10)  # bytes of a state: it is a field of one message


def to_bytes(run: Run) -> bytes:
    """All but the weights and what the optimizer remembers, which the servers hold.

    Raises:
        ArgumentError: it is too large, since a callback remembers arrays; it is named.
    """
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}
    tree = {"run": run_state(run), "groups": options_of(run.optimizer)}
    try:  # where there are only JSON values, this is ten times as fast
        text = json.dumps(tree, allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(pack(tree, "state", tensors))
    blob = save(tensors, {"content": text})
    if len(blob) > LARGEST:
        held = {name: bytes_of(state) for name, state in tree["run"]["callbacks"].items()}
        name = max(held, key=held.get, default="none")
        raise too_large(name, held.get(name, 0), len(blob))
    return blob


def check_memory(run: Run) -> None:
    """What minidl's callbacks will remember fits into the state of a run.

    Raises:
        ArgumentError: one of them keeps a copy of a model that is too large; it is named.
    """
    for name, callback in named_callbacks(run.callbacks):
        model: Module | None = None
        if isinstance(callback, EarlyStopping) and callback.restore_best:
            model = run.model
        if isinstance(callback, AverageWeights):
            model = run.model.get_submodule(callback.part)
        size = 0 if model is None else bytes_of(model.state_dict())
        if size > LARGEST:
            raise too_large(name, size, size)


def too_large(callback: str, size: int, total: int) -> ArgumentError:
    return ArgumentError(
        "dist", f"what callbacks remember of a run is at most {LARGEST:,} bytes: workers that join"
        " get it in one message",
        {"callback": callback, "its bytes": f"{size:,}", "in all": f"{total:,}"},
        "leave it out, such as restore_best (Checkpoint keeps the best weights in a file), or train"
        " in one process",
    )  # fmt: skip


def bytes_of(state: Any) -> int:
    """Of the arrays in a nest of dicts, lists and Tensors."""
    if isinstance(state, dict):
        return sum(map(bytes_of, state.values()))
    if isinstance(state, list | tuple):
        return sum(map(bytes_of, state))
    return getattr(getattr(state, "data", state), "nbytes", 0)


def from_bytes(run: Run, blob: bytes) -> set[str]:
    """Let a run go on from such a state.

    Returns:
        the names of the callbacks that had a state.

    Raises:
        CheckpointError: it is damaged, or of another run.
    """
    try:
        tensors, metadata = parse(blob)
        tree = unpack(json.loads(metadata["content"]), tensors)
        for group, options in zip(run.optimizer.param_groups, tree["groups"], strict=True):
            group |= {
                name: tuple(value) if isinstance(group.get(name), tuple) else value
                for name, value in options.items()
            }
        load_run_state(run, tree["run"])
        return set(tree["run"]["callbacks"])
    except (Damaged, LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError("dist", f"the state of the run cannot be used: {error!r}") from error


def states_of_watchers(run: Run) -> dict[str, Any]:
    """What callbacks remember that only show or save something, by name, if it is JSON."""
    found = {}
    for name, callback in named_callbacks(run.callbacks):
        try:
            text = json.dumps(callback.state_dict() if callback.watches else {})
        except (TypeError, ValueError):
            continue
        if 2 < len(text) <= LARGEST_OF_WATCHER:
            found[name] = json.loads(text)  # a copy, made of dicts and lists
    return found


def load_watchers(run: Run, states: dict[str, Any]) -> None:
    """Let them remember what those of the chief do."""
    for name, callback in named_callbacks(run.callbacks):
        if callback.watches and name in states:
            callback.load_state_dict(states[name])


def options_of(optimizer: Any) -> list[dict[str, Any]]:
    """The options of each group, as JSON values."""
    return [
        {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in group.items()
            if name != "params"
        }
        for group in optimizer.param_groups
    ]
