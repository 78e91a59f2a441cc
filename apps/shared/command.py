"""Turn a function into a command of the command line.

    @command(app, "train", settings=Settings)
    def train(given: dict[str, Any], console: Console, output: Output = None) -> None:
        \"\"\"The text of --help.\"\"\"

`given` holds the options of the table of Settings that were typed (options.py), parsed; the other
parameters are ordinary typer options. Each command also gets --json and --debug, reports errors in
a few lines, and prints through `console`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

from apps.shared.console import Console, Words, usual_words
from apps.shared.options import Option, parse_options, table
from apps.shared.parse import as_literal
from apps.shared.settings import RUN

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]

# Options that commands of several applications have.
DataDir = Annotated[str | None, typer.Option(help="Folder in which to look for data first.")]
Workers = Annotated[int, typer.Option(help="Threads that prepare batches; 0: none.")]
RUN_HELP = "Run folder, or a .safetensors file in one."
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", rich_help_panel=RUN,
        help="Run folder; by default a new one in runs/, named after network, data and time.",
    ),
]  # fmt: skip
Resume = Annotated[
    str | None,
    typer.Option(rich_help_panel=RUN, metavar="RUN", help="Go on with the run in this folder."),
]
Best = Annotated[
    bool | None,
    typer.Option(
        "--best/--last",
        help="Of a run folder, the network of the epoch with the best validation, or of the last "
        "step. By default the one that training reported.",
        show_default=False,
    ),
]


def application(name: str | None = None, help: str | None = None) -> typer.Typer:
    """An application, or a group of commands of one, to which `command` adds commands."""
    return typer.Typer(
        name=name, help=help, no_args_is_help=True, add_completion=False,
        pretty_exceptions_enable=False,
    )  # fmt: skip


def command(
    app: typer.Typer,
    name: str,
    settings: type | None = None,
    without: Collection[str] = (),
    words: Words = usual_words,
    has_json: bool = True,
) -> Callable[[Callable], Callable]:
    """Add a function to an application as a command.

    Args:
        app: from `application`.
        name: of the command.
        settings: the dataclass whose options the command has; the function gets them as `given`.
        without: fields of `settings` that are no options of this command.
        words: how the command spells an argument of the library that a hint names; its own options
            need no such entry.
        has_json: whether the command has --json.

    Returns:
        a decorator, which leaves the function as it is.
    """
    options = {} if settings is None else table(settings, without)
    called = f"{app.info.name} {name}" if app.info.name else name

    def add(function: Callable) -> Callable:
        signature = inspect.Signature(parameters_of(function, options, has_json))
        flags = {name: f"--{name.replace('_', '-')}" for name in signature.parameters}
        flags |= {option.name: option.flag for option in options.values()}

        def option_or_words(name: str, value: Any) -> str | None:
            if name not in flags:
                return words(name, value)
            return flags[name] if value is True else f"{flags[name]} {spoken(value)}"

        def run(**values: Any) -> None:
            debug, as_json = values.pop("debug"), values.pop("as_json", False)
            console = Console(called, as_json, option_or_words, set(flags.values()))
            with console.answering_errors(debug):
                if settings is not None:
                    typed = {field: values.pop(field) for field in options}
                    values["given"] = parse_options(settings, typed)
                function(console=console, **values)

        shown: Any = run
        shown.__name__, shown.__doc__ = function.__name__, function.__doc__
        shown.__signature__ = signature
        shown.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        app.command(name)(shown)
        return function

    return add


def spoken(value: Any) -> str:
    """A value as one types it: "a,b" for ["a", "b"]."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else as_literal(value)


def parameters_of(
    function: Callable, options: dict[str, Option], has_json: bool
) -> list[inspect.Parameter]:
    """The parameters that typer sees: the function's own, with the table's options for `given`."""
    found: list[inspect.Parameter] = []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.name == "given":
            found += [keyword(option.name, as_typer(option), None) for option in options.values()]
        elif parameter.name != "console":
            found.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    if has_json:
        found.append(keyword("as_json", Json, False))
    return [*found, keyword("debug", Debug, False)]


def keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def as_typer(option: Option) -> Any:
    """The annotation that makes typer offer this option; its value is None if it is left out."""
    kind = option.typed or option.type
    if option.is_argument:
        return Annotated[kind | None, typer.Argument(help=option.help, metavar=option.metavar)]
    flags = [option.flag] if option.called else []  # else typer makes it from the field's name
    return Annotated[
        kind | None,
        typer.Option(
            *flags, help=option.help, rich_help_panel=option.panel, metavar=option.metavar
        ),
    ]
