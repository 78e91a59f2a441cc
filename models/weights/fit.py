"""Which tensors of a network get the values of a file; what a file that does not fit is told."""

from __future__ import annotations

import math
import reprlib
from typing import TYPE_CHECKING, Any

from minidl import nn
from minidl.errors import CheckpointError, Hint
from minidl.nn.state import NAMES_SHOWN, Plain, counted, shorten
from models.registry import MODELS, all_arguments
from models.weights.maps import Value, layers_of
from models.weights.report import COUNTER, Row

if TYPE_CHECKING:
    from minidl.io.weights.file import WeightsFile

OP = "load_weights"


def heads_of(model: nn.Module) -> tuple[str, ...]:
    """The layers that have a score for each class: of networks of your own the last linear one."""
    for entry in MODELS.values():
        if type(model) is entry.make:
            return (entry.head, *entry.aux_heads)
    linear = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    return tuple(linear[-1:])


def fit(
    model: nn.Module, values: dict[str, Value], kept: set[str], file: WeightsFile, path: str
) -> tuple[dict[str, Value], list[Row]]:
    """Which tensors get the file's values, and the rows of those that do not.

    Raises:
        CheckpointError: a shape differs, and it is not the number of classes; or weights are whole
            numbers.
    """
    loaded: dict[str, Value] = {}
    rows, wrong = [], {}
    heads = heads_of(model)
    for name, own in model.state_dict().items():
        value = values.get(name)
        theirs = None if value is None else value.array.shape
        if name in kept:
            rows.append(Row(name, own.shape, "as asked"))
        elif theirs == own.shape:
            loaded[name] = value
        elif theirs is None:
            if not name.endswith(COUNTER):
                rows.append(Row(name, own.shape, "not in the file"))
        elif name.rpartition(".")[0] in heads and other_classes(theirs, own.shape):
            rows.append(Row(name, own.shape, f"the file has {theirs[0]:,} classes"))
        else:
            wrong[name] = Plain(f"the file has {theirs}, the model {own.shape}")
    if wrong:
        raise wrong_shapes(model, wrong, values, file, path)
    refuse_integers(model, loaded, path)
    return loaded, rows


def refuse_integers(model: nn.Module, loaded: dict[str, Value], path: str) -> None:
    """Whole numbers for weights are quantised ones, which mean nothing without their scales."""
    own = model.state_dict()
    wrong = {
        name: Plain(f"{value.array.dtype} in the file")
        for name, value in loaded.items()
        if own[name].data.dtype.kind == "f" and value.array.dtype.kind in "iub"
    }
    if wrong:
        shown = dict(list(wrong.items())[:NAMES_SHOWN])
        raise CheckpointError(
            OP, f"{counted(len(wrong), 'tensor is', 'tensors are')} made of whole numbers, as "
            "quantised weights are", {"file": path, **shown},
            "save the network before it is quantised",
        )  # fmt: skip


def other_classes(theirs: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    """Whether two shapes differ in their first number alone."""
    return len(theirs) == len(ours) > 0 and theirs[1:] == ours[1:]


def wrong_shapes(
    model: nn.Module, wrong: dict[str, Any], values: dict[str, Value], file: WeightsFile, path: str
) -> CheckpointError:
    name = next(iter(wrong))
    layer = name.rpartition(".")[0]
    theirs, ours = values[name].array.shape, model.state_dict()[name].shape
    leave_out = {"fresh": [layer]}
    first = next((p for p, m in model.named_modules() if isinstance(m, nn.Conv2d)), "")
    if layer == first and len(theirs) == 4 and theirs[:1] + theirs[2:] == ours[:1] + ours[2:]:
        hint = Hint(
            f"these weights see {theirs[1]} channels, the model {ours[1]}: make it with "
            "{in_channels=}, or leave the layer out with {fresh=}",
            in_channels=theirs[1], **leave_out,
        )  # fmt: skip
    elif known := other_name(model, file.meta.get("model")):
        hint = Hint(
            f"{known}: make it as the file's, or leave the layer out with {{fresh=}}", **leave_out
        )
    elif known := other_arguments(model, file.meta):
        needed = known[0] if max(len(repr(value)) for value in known[0].values()) < 60 else {}
        places = "with " + " and ".join(f"{{{name}=}}" for name in needed)
        how = places if needed else "as the file's"
        hint = Hint(
            f"{in_one_sentence(*known)}: make it {how}, or leave the layer out with {{fresh=}}",
            **leave_out, **needed,
        )  # fmt: skip
    elif sides := other_maps(model, layer, theirs, ours):
        hint = Hint(
            f"the file's {layer} sees maps of {sides[0]}x{sides[0]}, the model's of "
            f"{sides[1]}x{sides[1]}: if the file is for pictures of another size, make the model "
            "with that size, or leave the layer out with {fresh=}",
            **leave_out,
        )
    else:
        hint = Hint(
            "weights of another architecture? To leave the layer out: {fresh=}", **leave_out
        )
    shown = dict(list(wrong.items())[:NAMES_SHOWN])
    rule = f"the shapes differ in {counted(len(wrong), 'tensor', 'tensors')}"
    return CheckpointError(OP, rule, {"file": path, **shown}, hint)


def other_network(model: nn.Module, meta: dict[str, Any]) -> str:
    """What the network of a run of ours was made with and this one was not; "" if not known."""
    if other := other_name(model, meta.get("model")):
        return other
    found = other_arguments(model, meta)
    return in_one_sentence(*found) if found else ""


def in_one_sentence(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """The arguments that other_arguments found, in words."""
    theirs, ours = (
        ", ".join(f"{key}={reprlib.repr(value)}" for key, value in given.items())
        for given in (theirs, ours)
    )
    return f"the file's network was made with {theirs}, this one with {ours}"


def other_arguments(
    model: nn.Module, meta: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The arguments that differ between the network of a run of ours and the model.

    Returns:
        The file's and the model's, by name; None where nothing is known or nothing differs.
    """
    name, arguments = meta.get("model"), meta.get("model_arguments")
    built_as = getattr(model, "built_as", None)
    if not is_name(name) or not isinstance(arguments, dict) or built_as is None:
        return None
    theirs, ours = all_arguments(name, arguments), all_arguments(*built_as)
    # A last layer for other classes was no fault.
    differ = [
        key for key in ours
        if key != "num_classes" and as_in_json(theirs[key]) != as_in_json(ours[key])
    ]  # fmt: skip
    if not differ:
        return None
    return {key: theirs[key] for key in differ}, {key: ours[key] for key in differ}


def as_in_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def other_name(model: nn.Module, name: Any) -> str:
    """That a file is for a network of another class, depth or configuration; "" if it is not."""
    if not is_name(name):
        return ""
    known = MODELS[name]
    same = [getattr(model, key, None) == value for key, value in known.fixed.items()]
    if type(model) is known.make and all(same):
        return ""
    built_as = getattr(model, "built_as", None)
    return f"the file's network is {name}, this one {built_as[0] if built_as else 'is not'}"


def is_name(name: Any) -> bool:
    return isinstance(name, str) and name in MODELS


def other_maps(
    model: nn.Module, layer: str, theirs: tuple[int, ...], ours: tuple[int, ...]
) -> tuple[int, int] | None:
    """Sides of the square maps that a linear layer sees in the file and in the model, if it does.

    Where only they differ, pictures of another size explain it.
    """
    maps = {known.path: known.flattened_maps for known in layers_of(model)}.get(layer, 0)
    if not maps or len(theirs) != 2 or theirs[0] != ours[0]:
        return None
    sides = math.isqrt(theirs[1] // maps), math.isqrt(ours[1] // maps)
    fits = (maps * sides[0] ** 2, maps * sides[1] ** 2) == (theirs[1], ours[1])
    return sides if fits else None


def keeps_order(file: WeightsFile) -> bool:
    """Whether the tensors of a file are in the order of the network that was saved.

    safetensors sorts them by type and name, the groups of Keras 3 (which alone has layer_names
    there) are read by name.
    """
    is_keras3 = file.format == "keras" and "layer_names" in file.meta
    return file.format != "safetensors" and not is_keras3


def nothing_fits(model: nn.Module, file: WeightsFile, path: str) -> CheckpointError:
    hint = "weights of another architecture, or unknown names"
    if keeps_order(file):
        hint = Hint(f"{hint}; {{by=}} goes by order and shape", by="order")
    return CheckpointError(
        OP, f"no tensor of the file has a place in {type(model).__name__}",
        {
            "file": path, "format": file.format, "its names": shorten(list(file.tensors)),
            "the model's": shorten(list(model.state_dict())),
        },
        hint,
    )  # fmt: skip


def refuse_leftovers(model: nn.Module, rows: list[Row], unused: list[Row], kept: set[str]) -> None:
    """What strict=True refuses."""
    heads = heads_of(model)
    missing = [row.name for row in rows
               if row.name not in kept and row.name.rpartition(".")[0] not in heads]  # fmt: skip
    left = [row.name for row in unused]
    if missing or left:
        lacks = counted(len(missing), "name is", "names are")
        raise CheckpointError(
            OP, f"{lacks} missing in the file and {len(left)} left over",
            {"missing": shorten(missing), "left over": shorten(left)},
            Hint("{strict=} loads the others", strict=False),
        )  # fmt: skip


def refuse_mostly_fresh(
    model: nn.Module,
    loaded: dict[str, Value],
    rows: list[Row],
    unused: list[Row],
    kept: set[str],
    why: list[str],
) -> None:
    """What partial=False refuses: a file that has less than half of the network.

    Layers that were to stay fresh do not count, nor those that have a score for each class.

    Args:
        why: what is known of a file of which little fits.
    """
    heads = heads_of(model)
    missing = [row.name for row in rows
               if row.name not in kept and row.name.rpartition(".")[0] not in heads]  # fmt: skip
    found = [name for name in loaded
             if not name.endswith(COUNTER) and name.rpartition(".")[0] not in heads]  # fmt: skip
    if len(missing) <= len(found):
        return
    hint = Hint(
        "; ".join([*(why or ["weights of another network, or unknown names"]), "{partial=} loads "
                   "what there is"]), partial=True,
    )  # fmt: skip
    raise CheckpointError(
        OP, f"the file has {counted(len(found), 'tensor', 'tensors')} of the network, and "
        f"{len(missing)} would keep their initial values",
        {"not in the file": shorten(missing), "not used": shorten([row.name for row in unused])},
        hint,
    )  # fmt: skip
