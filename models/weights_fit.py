"""Which tensors of a network get the values of a file; what a file that does not fit is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl import nn
from minidl.errors import CheckpointError
from minidl.nn.state import NAMES_SHOWN, Plain, shorten
from models.registry import MODELS
from models.weight_maps import Value
from models.weights_report import Row

if TYPE_CHECKING:
    from minidl.io.weights.file import WeightsFile

OP = "load_weights"
COUNTER = "num_batches_tracked"  # of batch norms; most libraries have none


def heads_of(model: nn.Module) -> tuple[str, ...]:
    """The layers that have a score for each class: of networks of your own the last linear one."""
    for entry in MODELS.values():
        if type(model) is entry.make:
            return (entry.head, *entry.aux_heads)
    linear = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    return tuple(linear[-1:])


def fit(
    model: nn.Module, values: dict[str, Value], kept: set[str], path: str
) -> tuple[dict[str, Value], list[Row]]:
    """Which tensors get the file's values, and the rows of those that do not.

    Raises:
        CheckpointError: a shape differs, and it is not the number of classes.
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
        raise wrong_shapes(model, wrong, values, path)
    return loaded, rows


def other_classes(theirs: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    """Whether two shapes differ in their first number alone."""
    return len(theirs) == len(ours) > 0 and theirs[1:] == ours[1:]


def wrong_shapes(
    model: nn.Module, wrong: dict[str, Any], values: dict[str, Value], path: str
) -> CheckpointError:
    name = next(iter(wrong))
    layer = name.rpartition(".")[0]
    theirs, ours = values[name].array.shape, model.state_dict()[name].shape
    hint = f"weights of another architecture? To leave the layer out: fresh=[{layer!r}]"
    first = next((p for p, m in model.named_modules() if isinstance(m, nn.Conv2d)), "")
    if layer == first and len(theirs) == 4 and theirs[:1] + theirs[2:] == ours[:1] + ours[2:]:
        hint = (
            f"these weights see {theirs[1]} channels, the model {ours[1]}: make it with "
            f"in_channels={theirs[1]}, or leave the layer out with fresh=[{layer!r}]"
        )
    elif len(theirs) == len(ours) == 2 and theirs[0] == ours[0]:
        hint = (
            "the file's classifier is made for pictures of another size: make the model with "
            f"that size, or leave the layer out with fresh=[{layer!r}]"
        )
    shown = dict(list(wrong.items())[:NAMES_SHOWN])
    rule = f"the shapes of {len(wrong)} tensors differ"
    return CheckpointError(OP, rule, {"file": path, **shown}, hint)


def nothing_fits(model: nn.Module, file: WeightsFile, path: str) -> CheckpointError:
    return CheckpointError(
        OP, f"no tensor of the file has a place in {type(model).__name__}",
        {
            "file": path, "format": file.format, "its names": shorten(list(file.tensors)),
            "the model's": shorten(list(model.state_dict())),
        },
        "weights of another architecture, or unknown names; by='order' goes by order and shape",
    )  # fmt: skip


def refuse_leftovers(model: nn.Module, rows: list[Row], unused: list[Row], kept: set[str]) -> None:
    """What strict=True refuses."""
    heads = heads_of(model)
    missing = [row.name for row in rows
               if row.name not in kept and row.name.rpartition(".")[0] not in heads]  # fmt: skip
    left = [row.name for row in unused]
    if missing or left:
        raise CheckpointError(
            OP, f"{len(missing)} names are missing in the file and {len(left)} left over",
            {"missing": shorten(missing), "left over": shorten(left)},
            "strict=False loads the others",
        )  # fmt: skip
