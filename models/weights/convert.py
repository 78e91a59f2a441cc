"""Converting a weight file of another library once, into a file with our names and layout."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, CheckpointError
from minidl.io.atomic import as_path, write_atomically
from minidl.nn.checks import check_sizes
from models.registry import build
from models.weights.fit import heads_of
from models.weights.load import (
    add_published,
    check_arguments,
    match,
    named_layers,
    place,
    plain_names,
)
from models.weights.maps import layers_of
from models.weights.report import Report

ENDINGS = (".safetensors", ".npz")


def convert(
    path_or_name: str | Path,
    model: str,
    output: str | Path,
    num_classes: int | None = None,
    arguments: dict[str, Any] | None = None,
    by: str = "name",
    fresh: Sequence[str] = (),
    channel_order: str | None = None,
    prefix: str | None = None,
    partial: bool = False,
) -> Report:
    """Write what load_weights loads into a network to a file, under our names.

    The file holds what was loaded and nothing else: no layer that was only initialised. The
    preprocessing goes into the metadata of a .safetensors; an .npz has none.

    Args:
        path_or_name: as load_weights takes it.
        model: a name of models.names().
        output: the new file, *.safetensors or *.npz.
        num_classes: of the network; by default as many as the file has.
        arguments: further ones of the network, such as {"size": 128}.
        by: as load_weights takes it.
        fresh: layers to leave out.
        channel_order, prefix, partial: as load_weights takes them.

    Returns:
        The Report.

    Raises:
        ArgumentError: no such model, argument or option, or an output of another kind.
        CheckpointError: as load_weights, or the output cannot be written.
    """
    from minidl.io import read_weights
    from models.weights.published import find

    output = as_path("convert", "output", output)
    if output.suffix not in ENDINGS:
        rule = "the output ends with .safetensors or .npz"
        raise ArgumentError("convert", rule, {"output": str(output)})
    if not output.absolute().parent.is_dir():
        raise CheckpointError("convert", "the output's folder is missing", {"output": str(output)})
    chosen = dict(arguments or {})
    given = {}
    if num_classes is not None:
        check_sizes("convert", num_classes=num_classes)
        given["num_classes"] = num_classes
    network = build(model, **{**chosen, **given})
    check_arguments(network, by, channel_order)
    path, published = find(path_or_name, "convert")
    file = read_weights(path)
    classes = classes_in(file, network, by, prefix, fresh)
    if num_classes is None and classes is not None:
        network = build(model, **{**chosen, "num_classes": classes})
    report = place(network, file, str(path), by, fresh, False, channel_order, prefix, partial)
    add_published(report, network, published)
    own = network.state_dict()
    tensors = {row.name: np.array(own[row.name].numpy(), order="C") for row in report.loaded}
    write_atomically(output, encoded(tensors, report, output.suffix), "convert")
    return report


def classes_in(
    file: Any, network: Any, by: str, prefix: str | None, fresh: Sequence[str]
) -> int | None:
    """How many scores the last layer in the file gives, None where it has none or the same."""
    layers = layers_of(network)
    file = plain_names(network, file, layers, by, prefix, named_layers(network, fresh)).file
    values = match(network, file, layers, by)[1]
    head = f"{heads_of(network)[0]}.weight"
    if head not in values or len(values[head].array) == network.state_dict()[head].shape[0]:
        return None
    return len(values[head].array)


def encoded(tensors: dict[str, np.ndarray], report: Report, ending: str) -> bytes:
    """The bytes of the new file."""
    if ending == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **tensors)
        return buffer.getvalue()
    from safetensors.numpy import save

    metadata = {"format": "pt", "converted_from": Path(report.file).name}
    if report.preprocessing is not None:
        steps = [step.config() for step in report.preprocessing.transforms()]
        metadata["preprocessing"] = json.dumps(steps)
    return save(tensors, metadata)
