"""Files of another, larger network, of which the names of a smaller one are a part.

    resnet34 into resnet18          layer1.2.conv1.weight has no place; layer1 is one of the network
    EfficientNet-B0 into Lite0      _blocks.0._se_reduce.weight; _blocks.0 is
    vgg19 into vgg16                features.conv3_4.weight; features is

Each tensor of the smaller network finds one of its name and shape, but does not do the same there:
in the file, other layers stand between them. What is left over beside the network (the layers of a
head, a decoder) says nothing of that kind, nor do vectors and numbers (counters, constants).

Caffe, MatConvNet and Keras have names without parts: conv3_4, res4b6_branch2a. There the map tells:
the layer that would come next in ours, features.conv3_4 or layer3.6.conv1, is in the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from minidl import nn
from minidl.errors import CheckpointError, Hint
from minidl.nn.state import counted, shorten
from models.weights.fit import heads_of, other_network
from models.weights.maps import SOURCES, Layer, Value
from models.weights.report import Row
from models.weights.wrappers import Unwrapped

if TYPE_CHECKING:
    from minidl.io.weights.file import WeightsFile

OP = "load_weights"


def refuse_larger(
    model: nn.Module,
    loaded: dict[str, Value],
    unused: list[Row],
    further: set[str],
    file: WeightsFile,
    path: str,
) -> None:
    """What partial=False refuses: kernels left over within a part of the network.

    Args:
        loaded: our name -> what was found for it.
        unused: tensors of the file that nothing was found for.
        further: see further_layers.
    """
    kernels = [row.name for row in unused
               if len(row.shape) > 1 and file.tensors[row.name].dtype.kind == "f"]  # fmt: skip
    if not kernels:
        return
    ours = parts_with_layers(model, loaded)
    left = [
        name for name in kernels
        if name in further
        or (any(part in ours for part in parts_of(name)) and not is_inside_layer(name, loaded))
    ]  # fmt: skip
    if not left:
        return
    known = other_network(model, file.meta)
    raise CheckpointError(
        OP, f"the file is of another, larger network: {counted(len(left), 'kernel', 'kernels')} "
        f"within parts of {type(model).__name__} {'has' if len(left) == 1 else 'have'} no place",
        {"file": path, "not used": shorten(left)},
        Hint(
            f"{known + ': ' if known else ''}make the network as the file's; {{partial=}} loads "
            "what has a place", partial=True,
        ),
    )  # fmt: skip


def further_layers(
    source: str, layers: list[Layer], loaded: dict[str, Value], unwrapped: Unwrapped
) -> set[str]:
    """The tensors of the file that are of layers which would come next in ours, behind those that
    were loaded: conv3_4 after conv3_3, or the convolutions of layer1.3 after those of layer1.2.

    Args:
        source: the name of the map that fits the file.
    """
    ours = {layer.path for layer in layers}
    following = []
    for layer in layers:
        number = re.search(r"(?<=\.)\d+(?=\.)|(?<=_)\d+$", layer.path)
        if number and isinstance(layer.module, nn.Conv2d) and f"{layer.path}.weight" in loaded:
            before, after = layer.path[: number.start()], layer.path[number.end() :]
            path = f"{before}{int(number[0]) + 1}{after}"
            following += [Layer(path, layer.module, layer.family)] if path not in ours else []
    found = [known.match(unwrapped.file, following) for known in SOURCES if known.name == source]
    values = [unwrapped.under_file_names(matched).values() for matched in found]
    return {name for some in values for value in some for name in value.names}


def parts_of(name: str) -> list[str]:
    """What a tensor is in, the outermost first: "a" and "a.b" of "a.b.weight"."""
    return [name[: place.start()] for place in re.finditer("[./]", name)]


def parts_with_layers(model: nn.Module, loaded: dict[str, Value]) -> set[str]:
    """The parts of the file that are a submodule of the network, as far as was loaded.

    "layer1" or "module.layer1", from which the parameters of one submodule come: neither the whole
    network, whatever its scope is called, nor a part that has a head in it.
    """
    below: dict[str, tuple[list[str], list[str]]] = {}  # part -> our and their names below it
    for ours, value in loaded.items():
        for theirs in value.names:
            for part in parts_of(theirs):
                mine, names = below.setdefault(part, ([], []))
                mine.append(ours)
                names.append(theirs)
    heads = heads_of(model)
    found = set()
    for part, (mine, names) in below.items():
        module = common_part(mine)
        has_head = any(f"{head}.".startswith(f"{module}.") for head in heads)
        same_name = any(f".{part}".endswith(f".{outer}") for outer in [*parts_of(module), module])
        if module and not has_head and (same_name or common_part(names) == part):
            found.add(part)
    return found


def common_part(names: list[str]) -> str:
    """The innermost part that all of them are in; "" for none."""
    first, last = parts_of(min(names)), set(parts_of(max(names)))
    return next((part for part in reversed(first) if part in last), "")


def is_inside_layer(name: str, loaded: dict[str, Value]) -> bool:
    """Whether a tensor belongs to a layer that was loaded: a mask, what an optimizer keeps."""
    names = {n for value in loaded.values() for n in value.names}
    layers = {parts_of(n)[-1] for n in names if parts_of(n)}
    return any(part in names for part in parts_of(name)) or parts_of(name)[-1] in layers
