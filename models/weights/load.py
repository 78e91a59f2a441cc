"""Weights that others have trained, in our networks.

    file (minidl.io.read_weights)   names and arrays as the file has them, in PyTorch's layout
    names (models/weights/maps)      whose names these are: the map that places most of them
    values                          what differs beside names and layout: models/weights/values.py
    fitting                         each tensor of the model: loaded, or initialised afresh
    report                          all of it, said

Nothing is guessed from order or shape unless asked for, and an error leaves the model as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl import nn
from minidl.errors import ArgumentError, nearest
from minidl.nn.state import shorten
from minidl.shapes import check_flag
from models.weights.fit import (
    fit,
    keeps_order,
    nothing_fits,
    other_name,
    other_network,
    refuse_leftovers,
    refuse_mostly_fresh,
)
from models.weights.larger import further_layers, refuse_larger
from models.weights.maps import SOURCES, Layer, Preprocessing, Value, layers_of
from models.weights.maps.source import Facts
from models.weights.report import COUNTER, Report, Row
from models.weights.values import converted, not_square
from models.weights.wrappers import Unwrapped, unwrap

if TYPE_CHECKING:
    from minidl.io.weights.file import WeightsFile
    from models.weights.published import Published

__all__ = ["Preprocessing", "Report", "load_weights"]

OP = "load_weights"
MERGED_NORMS = (
    "the exporter merged batch norms into convolutions, which lost their names: "
    "export with training=TrainingMode.PRESERVE and do_constant_folding=False"
)
IDENTITY = "none: 1 or 0, as the file goes without"  # of a batch norm without scale or shift


def load_weights(
    model: nn.Module,
    path_or_name: str | Path,
    *,
    by: str = "name",
    fresh: Sequence[str] = (),
    strict: bool = False,
    channel_order: str | None = None,
    prefix: str | None = None,
    partial: bool = False,
) -> Report:
    """Load a weight file of another library, or of minidl, into a network.

    The names of torchvision, Caffe, MatConvNet, Keras and TensorFlow slim are known for AlexNet,
    VGG, GoogLeNet and ResNet, those of torchvision and Caffe for SqueezeNet, and those of
    efficientnet_pytorch for EfficientNet-Lite; names that are the model's own need no map.
    Kernels, the order of colours, the order of flattened maps and batch norms are converted;
    pictures are red, green, blue and the report says what else they have to go through.

    What wrappers have put around names comes off, and the report says what: DataParallel's
    "module.", wherever it is, or "net." of a network that is a part of a larger one. Of a network
    and the average of its weights in one file, the network is taken.

    The last layer (and those of auxiliary heads) keeps its initial values where the file was made
    for another number of classes. So do layers that the file does not have, as long as most of the
    network's tensors are in it. Any other difference of shape is an error, unless the layer is in
    `fresh`.

    Args:
        model: the network. Its values change in place.
        path_or_name: a .safetensors, .npz, .pth, .h5, .caffemodel, .mat, .onnx or .pb file; or the
            name of published weights (models.weights.published), which are downloaded once.
        by: "name"; "order" places the file's tensors one after the other, whatever their names. A
            .safetensors file, or one of Keras 3, has them sorted by name and is refused.
        fresh: layers, or groups of them ("classifier"), that keep their initial values.
        strict: refuse if a tensor of the model is not in the file, or the other way round; the
            last layer and those in `fresh` may differ.
        channel_order: "RGB" or "BGR", what the first convolution of the file expects; None for
            what the library is known for.
        prefix: how the names of the network begin in the file, where it is there several times:
            "ema_model", "student.backbone"; the rest of the file is not used. "" for names
            without a prefix.
        partial: load also what fills less than half of the network's tensors, and what the file of
            a larger network has under the same names.

    Returns:
        A Report: what was loaded, initialised afresh, unused.

    Raises:
        ArgumentError: no such layer, name, prefix, or option; or by="order" of a file that keeps
            none.
        CheckpointError: no such file, a damaged one, one of another architecture, one that has
            less than half of the network, of a larger network or has it several times, or shapes
            that differ. The model is as it was.

    >>> import tempfile, models
    >>> path = tempfile.mkdtemp() + "/lenet.safetensors"
    >>> minidl.io.save_checkpoint(path, models.lenet5())
    >>> len(models.load_weights(models.lenet5(num_classes=3), path).loaded)
    8
    """
    from minidl.io import read_weights
    from models.weights.published import find

    check_arguments(model, by, channel_order)
    path, published = find(path_or_name)
    report = place(
        model, read_weights(path), str(path), by, fresh, strict, channel_order, prefix, partial
    )
    add_published(report, model, published)
    return report


def add_published(report: Report, model: nn.Module, published: Published | None) -> None:
    """What is known of a file because it is a published one goes into the report, too."""
    if published is None:
        return
    if published.preprocessing is not None:
        report.preprocessing = published.preprocessing
    report.notes += elsewhere(other_name(model, published.model))


def elsewhere(other: str) -> list[str]:
    """A note that a file is for another network; none for ""."""
    return [f"{other}: layers of one name need not do the same in both"] if other else []


def place(
    model: nn.Module,
    file: WeightsFile,
    path: str,
    by: str = "name",
    fresh: Sequence[str] = (),
    strict: bool = False,
    channel_order: str | None = None,
    prefix: str | None = None,
    partial: bool = False,
) -> Report:
    """load_weights of a file that has been read; `path` is for the report and for errors."""
    check_flag(OP, "partial", partial)
    layers = layers_of(model)
    kept = named_layers(model, fresh)
    unwrapped = plain_names(model, file, layers, by, prefix, kept)
    source, matched, facts, order = match(model, unwrapped.file, layers, by)
    matched = unwrapped.under_file_names(matched)
    values = converted(matched, layers, file.flatten_order, channel_order or order)
    loaded, rows = fit(model, values, kept, file, path)
    used = {name for value in loaded.values() for name in value.names}
    unused = [Row(name, a.shape) for name, a in file.tensors.items() if name not in used]
    if not loaded:
        raise nothing_fits(model, file, path)
    if not partial:
        why = [note for note in facts.notes if note == MERGED_NORMS]
        refuse_mostly_fresh(model, loaded, rows, unused, kept, why)
    skipped = {name for row in rows if row.name in values for name in values[row.name].names}
    left = [row for row in unused if row.name not in skipped]
    if not partial and by == "name":
        further = further_layers(source, layers, loaded, unwrapped)
        refuse_larger(model, loaded, left, further, file, path)
    if strict:
        refuse_leftovers(model, rows, left, kept)
    model.load_state_dict({name: value.array for name, value in loaded.items()}, strict=False)
    parameters = {name for name, _ in model.named_parameters()}
    return Report(
        path, file.format, source, type(model).__name__,
        [Row(name, v.array.shape, ", ".join(v.names) or IDENTITY) for name, v in loaded.items()],
        rows, unused, sum(v.array.size for name, v in loaded.items() if name in parameters),
        facts.preprocessing,
        facts.notes + not_square(matched, layers, file.flatten_order)
        + elsewhere(other_network(model, file.meta)) + unwrapped.note(),
        unwrapped.taken_off(),
    )  # fmt: skip


def plain_names(
    model: nn.Module,
    file: WeightsFile,
    layers: list[Layer],
    by: str,
    prefix: str | None,
    kept: set[str],
) -> Unwrapped:
    """The file under names without what wrappers have put there; `kept` stays as it is."""
    if by == "order" and prefix is None:
        return Unwrapped(file)
    return unwrap(model, file, prefix, lambda other: match(model, other, layers, by)[1], kept)


def check_arguments(model: Any, by: Any, channel_order: Any) -> None:
    if not isinstance(model, nn.Module):
        raise ArgumentError(OP, "model is a minidl Module", {"model": model})
    if by not in ("name", "order"):
        raise ArgumentError(OP, 'by is "name" or "order"', {"by": by})
    if channel_order not in (None, "RGB", "BGR"):
        raise ArgumentError(OP, 'channel_order is "RGB" or "BGR"', {"channel_order": channel_order})


def named_layers(model: nn.Module, fresh: Sequence[str]) -> set[str]:
    """The tensors below the layers in `fresh`."""
    if fresh is not None and not isinstance(fresh, Iterable):
        raise ArgumentError(OP, "fresh is a list of names of layers", {"fresh": fresh})
    fresh = [fresh] if isinstance(fresh, str) else list(fresh or ())
    paths = [path for path, _ in model.named_modules() if path]
    for path in fresh:
        if path not in paths:
            raise ArgumentError(OP, "no such layer", {"fresh": path}, nearest(path, paths))
    own = model.state_dict()
    return {name for name in own for path in fresh if name.startswith(f"{path}.")}


# --- names --------------------------------------------------------------------------------------


def match(
    model: nn.Module, file: WeightsFile, layers: list[Layer], by: str
) -> tuple[str, dict[str, Value], Facts, str]:
    """Whose names the file has, our name -> value, what goes with it, and its order of colours."""
    if by == "order":
        return "none, by order", by_order(model, file), own_facts(file.meta), "RGB"
    only = "Caffe" if file.format == "caffe" else ""
    if file.format == "safetensors" and own_facts(file.meta).preprocessing:
        only = "minidl"
    candidates = [source for source in SOURCES if only in ("", source.name)]
    found = [source.match(file, layers) for source in candidates]
    best = max(range(len(found)), key=lambda i: len(found[i]))  # the first of equals
    source = candidates[best]
    facts = own_facts(file.meta) if source.name == "minidl" else source.facts(model, file.meta)
    if file.format == "onnx" and any(name.startswith("onnx::") for name in file.tensors):
        facts.notes.append(MERGED_NORMS)
    return source.name, found[best], facts, source.channel_order


def by_order(model: nn.Module, file: WeightsFile) -> dict[str, Value]:
    """The file's arrays one after the other for the model's, counters left out of both.

    Raises:
        ArgumentError: the file has them in another order than the network that was saved.
    """
    if not keeps_order(file):
        raise ArgumentError(
            OP, f"a {file.format} file has its tensors sorted by name, not in the network's order",
            {"by": "order", "names": shorten(list(file.tensors))},
            "write them to an .npz in the model's order, or under the model's names",
        )  # fmt: skip
    tensors = file.tensors
    ours = [name for name in model.state_dict() if not name.endswith(COUNTER)]
    theirs = [name for name, array in tensors.items() if array.ndim and array.dtype.kind == "f"]
    return {name: Value(tensors[other], (other,)) for name, other in zip(ours, theirs)}


def own_facts(meta: dict[str, Any]) -> Facts:
    """The preprocessing that a file of ours says its weights had in training.

    A checkpoint has the steps as a list, `minidl weights convert` writes the list as text. What
    Normalize refuses (NaN, a std of 0, none) is none.
    """
    from minidl.data.transforms import Normalize

    steps = meta.get("preprocessing")
    try:
        steps = json.loads(steps) if isinstance(steps, str) else steps
        (step,) = [step for step in steps or () if step["name"] == "Normalize"]
        normalize = Normalize(step["mean"], step["std"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return Facts()  # none, or several
    return Facts(Preprocessing(tuple(normalize.mean), tuple(normalize.std)))
