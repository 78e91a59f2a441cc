"""The state of a run in bytes: what a worker that joins or goes back needs besides the weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from minidl.errors import CheckpointError
from minidl.io.checkpoint import Damaged, pack, parse, unpack
from minidl.training.resume import load_run_state, run_state
from minidl.training.run import Run


def to_bytes(run: Run) -> bytes:
    """All but the weights and what the optimizer remembers, which the servers hold."""
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}
    tree = {"run": run_state(run), "groups": options_of(run.optimizer)}
    try:  # at each step: where there are only JSON values, this is ten times as fast
        text = json.dumps(tree, allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(pack(tree, "state", tensors))
    return save(tensors, {"content": text})


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
