"""What wrappers have put around the names of a network's tensors, and how it comes off.

    module.features.0.weight              DataParallel around all of it
    features.module.0.weight              DataParallel around a part, as in PyTorch's own example
    layer1._orig_mod.0.conv1.weight       torch.compile
    net.conv1.weight, loss.scale          a network that is an attribute of something larger
    model.conv1.weight, ema.conv1.weight  a network and the moving average of its weights

Parts that wrappers are known for come off wherever they are. What else is in front is not known by
name: of all fronts that many tensors have in common, the one behind which most of the network is
found. Nothing comes off that does not have to. Where half of the network or more is behind several
of them, these are copies, of which one is chosen: how whole each is does not matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from minidl import nn
from minidl.errors import ArgumentError, CheckpointError, Hint, nearest
from minidl.nn.state import shorten
from models.weights.fit import heads_of
from models.weights.maps import Value
from models.weights.report import COUNTER

if TYPE_CHECKING:
    from minidl.io.weights.file import WeightsFile

OP = "load_weights"
# DataParallel, torch.compile, FullyShardedDataParallel, checkpoint_wrapper.
PARTS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
AVERAGE = re.compile(r"(^|[._])(ema|swa|avg|average|averaged|shadow)([._]|$)")
MOST = 32  # fronts that are tried
DEPTH = 8  # parts of a front

Match = Callable[["WeightsFile"], dict[str, Value]]  # our name -> value, of a file


@dataclass
class Unwrapped:
    """A file under the names that its network's tensors have without wrappers.

    Args:
        file: with other names.
        front: what came off in front, with its dot; "" for nothing.
        parts: what came off elsewhere.
        originals: name -> the name in the file.
        others: fronts behind which the same network is once more, and was left.
    """

    file: WeightsFile
    front: str = ""
    parts: set[str] = field(default_factory=set)
    originals: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def taken_off(self) -> list[str]:
        """For the report: "model.", "module."."""
        front = [self.front] if self.front else []
        return front + sorted(f"{part}." for part in self.parts)

    def under_file_names(self, values: dict[str, Value]) -> dict[str, Value]:
        """Values of the tensors by the names that they have in the file."""
        return {
            name: replace(value, names=tuple(self.originals.get(n, n) for n in value.names))
            for name, value in values.items()
        }

    def note(self) -> list[str]:
        """That there are other copies."""
        if not self.others:
            return []
        took = f"names with {self.front!r}" if self.front else "names without a front"
        others = " and ".join(repr(other) for other in self.others)
        return [f"the file has this network several times: {took} were taken, not {others}, "
                "which the option prefix chooses"]  # fmt: skip


def unwrap(
    model: nn.Module, file: WeightsFile, prefix: str | None, match: Match, kept: set[str]
) -> Unwrapped:
    """The file under the names that fit the network.

    Args:
        prefix: what to take off in front, as a user says; None to find out.
        match: our name -> value, of a file.
        kept: tensors of the network that are not to be loaded.

    Raises:
        ArgumentError: prefix is no text, or no name begins so.
        CheckpointError: the network is there several times, and it is not clear which is meant.
    """
    sizes = {name: t.data.size for name, t in model.state_dict().items() if COUNTER not in name}
    if prefix is None:
        found = [renamed(file, front, clean) for front, clean in fronts(file, len(sizes))]
        tried = [Unwrapped(file), *(one for one in found if one is not None)]
    else:
        tried = behind(file, prefix)
    aside = kept | {f"{head}.{part}" for head in heads_of(model) for part in ("weight", "bias")}
    matches = [Matched(one, match(one.file), sizes, aside) for one in tried]
    best = max(matches, key=lambda one: one.rank)
    if not best.values:
        return tried[0]
    told = next(i for i, count in enumerate(best.rank) if count)  # the first that tells anything
    least = min((len(sizes.keys() - aside) + 1) // 2 or 1, best.rank[told])
    taken: list[Matched] = []
    for one in sorted(matches, key=lambda one: one.rank, reverse=True):  # the first of equals
        if one is best or (one.rank[told] >= least and one.adds_to(taken)):
            taken.append(one)
    copies = without_aliases(taken)
    return choose([one.how for one in matches if one in copies])


class Matched:
    """What one way to take wrappers off gives the network.

    Args:
        how: the way.
        values: our name -> value.
        sizes: our name -> number of elements.
        aside: names that do not tell how much of the network is there: heads, and what stays fresh.

    Attributes:
        rank: how many tensors of the network get values of their size, and of any; the same with
            those aside.
        body: our name -> the tensors of the file for it, of those that are not aside.
    """

    def __init__(
        self, how: Unwrapped, values: dict[str, Value], sizes: dict[str, int], aside: set[str]
    ):
        self.how = how
        self.values = {name: value for name, value in values.items() if name in sizes}
        fitting = {name for name, v in self.values.items() if v.array.size == sizes[name]}
        counted = self.values.keys() - aside
        self.rank = len(fitting - aside), len(counted), len(fitting), len(self.values)
        self.body = {
            name: {how.originals.get(n, n) for n in self.values[name].names}
            for name in fitting & counted or counted or self.values
        }

    def adds_to(self, others: list[Matched]) -> bool:
        """Whether most of it comes from tensors that none of the others has: another copy."""
        used = set().union(*(names for other in others for names in other.body.values()))
        new = sum(names.isdisjoint(used) for names in self.body.values())
        return 2 * new >= len(self.body) > 0

    def is_alias_of(self, other: Matched) -> bool:
        """Whether all of it is there to the bit in another copy."""
        return self.values.keys() <= other.values.keys() and all(
            np.array_equal(value.array, other.values[name].array)
            for name, value in self.values.items()
        )


def without_aliases(found: list[Matched]) -> list[Matched]:
    """One of each of the copies that are equal: rather the network than the average, and whole."""
    kept: list[Matched] = []
    for one in sorted(found, key=lambda m: (is_average(m.how), -len(m.values), bool(m.how.front))):
        if not any(one.is_alias_of(other) for other in kept):
            kept.append(one)
    return kept


def is_average(found: Unwrapped) -> bool:
    return AVERAGE.search(found.front) is not None


def fronts(file: WeightsFile, tensors: int) -> list[tuple[str, bool]]:
    """What may be in front of the network's names, and whether parts of wrappers come off first.

    Those that all tensors have, or at least half as many as the network has; the shorter ones
    first.
    """
    found = []
    for clean in (False, True):
        names = [without_parts(name) if clean else name for name in file.tensors]
        if clean and names == list(file.tensors):
            continue
        counts: Counter[str] = Counter()
        for name in names:
            ends = [place.end() for place in islice(re.finditer("[./]", name), DEPTH)]
            counts.update(name[:end] for end in ends)
        least = min(tensors / 2, len(names))
        many = [front for front, count in counts.items() if count >= least]
        many.sort(key=lambda front: len(re.findall("[./]", front)))
        found += [(front, clean) for front in ([""] if clean else []) + many[:MOST]]
    return found


def without_parts(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in PARTS)


def renamed(file: WeightsFile, front: str, clean: bool, only: bool = False) -> Unwrapped | None:
    """The file with a front, and wrappers' parts if `clean`, taken off; None if names collide.

    Names without the front stay as they are, unless they stand for one that has it, or are left
    out if `only`.
    """
    with_front: dict[str, str] = {}  # new name -> the name in the file
    others: dict[str, str] = {}
    for old in file.tensors:
        name = without_parts(old) if clean else old
        begun = next((n for n in (old, name) if n.startswith(front) and n != front), None)
        if begun is not None:
            name = without_parts(begun[len(front) :]) if clean else begun[len(front) :]
        where = others if begun is None else with_front
        if not name or name in where:
            return None
        where[name] = old
    originals = with_front if only else {**others, **with_front}
    tensors = {name: file.tensors[old] for name, old in originals.items()}
    parts = {part for old in originals.values() for part in old.split(".") if part in PARTS}
    meta = file.meta
    if isinstance(meta.get("eps"), dict):  # it names tensors
        told = {name: meta["eps"][old] for name, old in originals.items() if old in meta["eps"]}
        meta = {**meta, "eps": told}
    plain = replace(file, tensors=tensors, meta=meta)
    return Unwrapped(plain, front, parts if clean else set(), originals)


def choose(found: list[Unwrapped]) -> Unwrapped:
    """One of several copies of the network: the one that is no moving average.

    Raises:
        CheckpointError: that is none of them, or more than one.
    """
    plain = [one for one in found if not is_average(one)]
    without = [one for one in plain if not one.front]
    first = without or plain
    if len(first) == 1 or len(found) == 1:
        taken = (first or found)[0]
        taken.others = [one.front for one in found if one is not taken]
        return taken
    names = [one.front for one in found]
    raise CheckpointError(
        OP, f"the file has this network {len(found)} times",
        {"its names begin with": shorten(names)},
        Hint("{prefix=} takes one of them", prefix=names[0]),
    )  # fmt: skip


def behind(file: WeightsFile, prefix: str) -> list[Unwrapped]:
    """The tensors whose names begin with a prefix, under what follows it, parts on and off.

    Raises:
        ArgumentError: there are none.
    """
    if not isinstance(prefix, str):
        raise ArgumentError(OP, "prefix is a text", {"prefix": prefix})
    front = prefix
    if prefix and prefix[-1] not in "./":
        slashed = any(name.startswith(f"{prefix}/") for name in file.tensors)
        front = prefix + ("/" if slashed else ".")
    found = [renamed(file, front, clean, only=True) for clean in (False, True)]
    if not any(one is not None and one.file.tensors for one in found):
        known = sorted({re.split("[./]", name)[0] for name in file.tensors})
        raise ArgumentError(
            OP, "no name of the file begins so",
            {"prefix": prefix, "they begin with": shorten(known)}, nearest(prefix, known),
        )  # fmt: skip
    return [one for one in found if one is not None]
