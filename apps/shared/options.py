"""One table of options: a field of a settings dataclass is an option of the command line.

    @dataclass(kw_only=True)
    class StepOptions:
        epochs: int = option("Steps", "Passes over the data.", check=at_least(1), resume=MORE)

From this line come the option --epochs, its type and its text in --help (command.py builds the
command line), the attribute `settings.epochs`, the check of its range, its value in the JSON of a
checkpoint, and the rule for a resumed run, which may have more epochs than before.

A group of options that several applications have is a dataclass of its own, and an application's
settings inherit from the groups that they consist of:

    class Settings(DataOptions, StepOptions, OptimizerOptions): ...
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from typing import Any

from minidl.errors import ArgumentError, CheckpointError, nearest

Check = Callable[["Option", Any], None]  # raises OptionError for a value that is out of range

# Whether a resumed run may change an option: not at all, to a larger value, or freely.
SAME, MORE, FREE = "same", "more", "free"


class OptionError(ArgumentError):
    """An option has an impossible value, or one that contradicts another option.

    Args:
        rule, received, hint: as of MinidlError; options are named as on the command line.
    """

    def __init__(self, rule: str, received: dict[str, Any] | None = None, hint: str = ""):
        super().__init__("options", rule, received, hint)


@dataclass(frozen=True)
class Option:
    """Everything about an option.

    Args:
        panel: the group in which --help shows it.
        help: its text there.
        called: its name on the command line without dashes, where it differs from the field's; for
            a positional argument, its name in errors.
        is_argument: whether it is positional, as in `minidl train MODEL`.
        metavar: the placeholder for a value in --help.
        typed: the type of what is typed, where it differs from that of the value.
        parse: (option, typed) -> value, where they differ.
        checks: each raises OptionError for a value that is out of range.
        resume: SAME, MORE or FREE.
        name, type: of the field.
    """

    panel: str
    help: str
    called: str = ""
    is_argument: bool = False
    metavar: str | None = None
    typed: Any = None
    parse: Callable[[Option, Any], Any] | None = None
    checks: tuple[Check, ...] = ()
    resume: str = SAME
    name: str = ""
    type: Any = None

    @property
    def words(self) -> str:
        """Its name in a sentence: "batch-size"."""
        return self.called or self.name.replace("_", "-")

    @property
    def flag(self) -> str:
        """What one types, "--batch-size"; of a positional argument its name."""
        return self.words if self.is_argument else f"--{self.words}"

    def refuse(self, rule: str, value: Any, hint: str = "") -> OptionError:
        """The error for a value of this option."""
        return OptionError(rule, {self.flag: value}, hint)


def option(
    panel: str,
    help: str,
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    check: Check | tuple[Check, ...] = (),
    **more: Any,
) -> Any:
    """A field of a settings dataclass that is an option.

    Args:
        panel, help, more: as of Option.
        default, default_factory: as of dataclasses.field: the value where nothing is typed, and in
            checkpoints that are older than the option. Without a default the application decides.
        check: one or several checks of the value; None is not checked.
    """
    checks = check if isinstance(check, tuple) else (check,)
    metadata = {"option": Option(panel, help, checks=checks, **more)}
    return field(default=default, default_factory=default_factory, metadata=metadata)


def table(settings: type, without: Collection[str] = ()) -> dict[str, Option]:
    """The options of a settings class by the name of the field, in the order of --help.

    That is the order in which a class names its groups, its own fields last.

    Args:
        settings: a dataclass, or one that inherits from several.
        without: names of fields to leave out.
    """
    types_of = typing.get_type_hints(settings)
    known = {f.name: f for f in fields(settings)}
    return {
        name: replace(known[name].metadata["option"], name=name, type=without_none(types_of[name]))
        for name in dict.fromkeys(names_in_order(settings))
        if name not in without
    }


def names_in_order(settings: type) -> Iterator[str]:
    """Names of the fields, group by group; dataclasses.fields has the last group first."""
    for group in settings.__bases__:
        yield from names_in_order(group)
    yield from vars(settings).get("__annotations__", {})


def without_none(kind: Any) -> Any:
    """int for `int | None`."""
    if isinstance(kind, types.UnionType):
        return next(one for one in typing.get_args(kind) if one is not types.NoneType)
    return kind


def group(settings: Any, kind: type) -> Any:
    """One group of the options alone, for a function that needs no others.

    Args:
        settings: of a class that inherits from the group.
        kind: the group, such as OptimizerOptions.
    """
    return kind(**{f.name: getattr(settings, f.name) for f in fields(kind)})


# --- from what was typed to values --------------------------------------------------------------


def parse_options(settings: type, typed: dict[str, Any]) -> dict[str, Any]:
    """Parse the options that were typed; those that are None or an empty list were not typed.

    Raises:
        OptionError: one cannot be read.
    """
    known = table(settings)
    found = {}
    for name, value in typed.items():
        if value is None or value == []:
            continue
        parser = known[name].parse
        found[name] = value if parser is None else parser(known[name], value)
    return found


def check_values(settings: Any) -> None:
    """Each value is in its range.

    Raises:
        OptionError: the first one that is not.
    """
    for name, known in table(type(settings)).items():
        value = getattr(settings, name)
        if value is not None:
            for check in known.checks:
                check(known, value)


# --- checks -------------------------------------------------------------------------------------


def at_least(minimum: float) -> Check:
    """A finite number >= minimum (NaN is not)."""

    def check(option: Option, value: float) -> None:
        if not value >= minimum or not math.isfinite(value):
            raise option.refuse(f"{option.words} must be at least {minimum}", value)

    return check


def at_most(maximum: float) -> Check:
    """A number <= maximum."""

    def check(option: Option, value: float) -> None:
        if not value <= maximum:
            raise option.refuse(f"{option.words} must be at most {maximum}", value)

    return check


def above(limit: float) -> Check:
    """A finite number > limit."""

    def check(option: Option, value: float) -> None:
        if not value > limit or not math.isfinite(value):
            raise option.refuse(f"{option.words} must be above {limit}", value)

    return check


def below(limit: float, spoken: str = "") -> Check:
    """A number < limit; errors write the limit as `spoken`."""

    def check(option: Option, value: float) -> None:
        if not value < limit:
            raise option.refuse(f"{option.words} must be below {spoken or limit}", value)

    return check


def between(low: float, high: float) -> Check:
    """A number with low < number < high."""

    def check(option: Option, value: float) -> None:
        if not low < value < high:
            raise option.refuse(f"{option.words} lies between {low} and {high}", value)

    return check


def one_of(choices: Collection[Any]) -> Check:
    """One of some words; the error names the nearest."""

    def check(option: Option, value: str) -> None:
        if value not in choices:
            raise option.refuse(f"no such {option.words}", value, nearest(value, choices))

    return check


# --- checkpoints and resumed runs ---------------------------------------------------------------


def to_dict(settings: Any) -> dict[str, Any]:
    """The settings as a checkpoint and run.json hold them, in the order of --help."""
    values = asdict(settings)
    return {name: values[name] for name in table(type(settings))}


def stored_values(settings: type, stored: Any) -> dict[str, Any]:
    """The values that a checkpoint holds, with the defaults of options that are newer than it.

    Args:
        settings: the dataclass.
        stored: what to_dict gave, perhaps in an older version.

    Raises:
        CheckpointError: it is not that.
    """
    known = {f.name: f for f in fields(settings)}
    needed = {name for name, f in known.items() if f.default is f.default_factory is MISSING}
    if not isinstance(stored, dict) or not needed <= set(stored) <= set(known):
        raise CheckpointError(
            "resume", "the checkpoint does not say how the run was set up", {}, "start a new run"
        )
    return {name: default_of(f) for name, f in known.items() if name not in needed} | stored


def resumed_settings(kind: type, meta: dict[str, Any], given: dict[str, Any]) -> Any:
    """The settings of a run to go on with, of which some may have been typed anew.

    Args:
        kind: the dataclass.
        meta: what the run's checkpoint holds beside the weights.
        given: those that were typed.

    Raises:
        OptionError: an option contradicts the run.
        CheckpointError: the checkpoint does not say how the run was set up.
    """
    stored = stored_values(kind, meta.get("settings"))
    check_resumed(kind, stored, given)
    return kind(**(stored | given))


def default_of(field: Field) -> Any:
    """The value of an option that has a default."""
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def check_resumed(settings: type, stored: dict[str, Any], given: dict[str, Any]) -> None:
    """A resumed run may repeat the options of the run, and change those that allow it.

    Args:
        settings: the dataclass.
        stored: all values of the run.
        given: those that were typed for its continuation.

    Raises:
        OptionError: an option contradicts the run.
    """
    known = table(settings)
    for name, value in given.items():
        rule = known[name].resume
        allowed = rule == FREE or (rule == MORE and value > (stored[name] or value))
        if not allowed and value != stored[name]:
            raise OptionError(
                f"the run to resume has another {known[name].flag}",
                {"stored": stored[name], "given": value},
                "leave the option out, or start a new run",
            )
