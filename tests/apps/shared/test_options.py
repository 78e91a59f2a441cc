"""The table of options: each is written once, and is on the command line, in the settings, in the
JSON of a checkpoint and in --help."""

import re
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from apps.classify.defaults import from_command_line
from apps.classify.settings import Settings
from apps.shared import parse
from apps.shared.command import application, command
from apps.shared.console import Console
from apps.shared.options import (
    FREE,
    MORE,
    OptionError,
    above,
    at_least,
    below,
    between,
    check_resumed,
    check_values,
    one_of,
    option,
    stored_values,
    table,
    to_dict,
)
from minidl.errors import ArgumentError, CheckpointError, Hint
from tests.apps.conftest import minidl


@dataclass(kw_only=True)
class Colours:
    """A group of options."""

    hue: str = option("Colours", "Which colour.", check=one_of(("red", "blue")))
    shades: int = option("Colours", "How many.", default=1, check=at_least(1), resume=MORE)


@dataclass(kw_only=True)
class Brushes:
    """Another one."""

    bristles: dict[str, float] = option(
        "Brushes", "How hard they are.", called="bristle", default_factory=dict,
        metavar="NAME=FACTOR", typed=list[str], parse=parse.factors,
    )  # fmt: skip
    folder: str | None = option("Brushes", "Where they are.", default=None, resume=FREE)


@dataclass(kw_only=True)
class Painting(Colours, Brushes):
    """The settings of an application that does not exist."""

    wet: bool = option("Paint", "Whether it is wet.", default=False)


def paint(*arguments):
    """The command that has these options: what it was given, and its output."""
    app, seen = application("paint", "Paints."), []

    @command(app, "wall", settings=Painting)
    def wall(given, console: Console, coats: int = 2) -> None:
        """Paint a wall."""
        settings = Painting(**({"hue": "red"} | given))
        check_values(settings)
        seen.append((given, coats))
        console.line("painted")
        console.json(to_dict(settings))

    @command(app, "door", settings=Painting, without=("bristles", "folder"))
    def door(given, console: Console) -> None:
        """Paint a door."""

    result = CliRunner().invoke(app, list(arguments))
    return seen[0] if seen else None, result


def test_a_field_is_an_option_with_its_text_and_panel():
    _, result = paint("wall", "--help")
    text = result.output
    for words in ("--hue", "Which colour.", "--shades", "--bristle", "NAME=FACTOR", "--wet"):
        assert words in text
    panels = re.findall(r"─ (\w+) ─", text)
    assert panels == ["Options", "Colours", "Brushes", "Paint"]  # as the class names its groups


def test_what_was_typed_is_given_parsed():
    given, result = paint("wall", "--hue", "blue", "--bristle", "soft=0.5", "--no-wet")
    assert result.exit_code == 0, result.output
    assert given == ({"hue": "blue", "bristles": {"soft": 0.5}, "wet": False}, 2)
    assert paint("wall", "--coats", "3")[0] == ({}, 3)  # nothing typed of the table


def test_hints_name_the_options_of_the_command():
    """An argument of the library that is an option of the command has the option's name."""
    app = application()

    @command(app, "wall", settings=Painting)
    def wall(given, console: Console, coats: int = 2) -> None:
        hint = Hint(
            "try {coats=}, {bristles=} or {ladder=} ({larger_batch})",
            coats=3, bristles=["soft", "hard"], ladder="long", larger_batch="more",
        )  # fmt: skip
        raise ArgumentError("paint", "it is wet", {}, hint)

    assert CliRunner().invoke(app, []).output.splitlines()[1] == (
        "  hint: try --coats 3, --bristle soft,hard or ladder='long' (a larger --batch-size)"
    )


def test_settings_are_written_in_the_order_of_help():
    """Pages show them so; dataclasses have the last group first."""
    assert list(to_dict(Painting(hue="red"))) == ["hue", "shades", "bristles", "folder", "wet"]


def test_a_command_has_some_of_the_options():
    text = paint("door", "--help")[1].output
    assert "--hue" in text and "--bristle" not in text and "--folder" not in text


def test_an_application_may_declare_an_option_of_a_group_anew():
    """It keeps its place among the others."""

    @dataclass(kw_only=True)
    class Fence(Painting):
        shades: int = option("Colours", "How many greens.", default=2, check=at_least(2))

    known = table(Fence)
    assert list(known) == ["hue", "shades", "bristles", "folder", "wet"]
    assert known["shades"].help == "How many greens." and to_dict(Fence(hue="red"))["shades"] == 2
    with pytest.raises(OptionError, match="at least 2"):
        check_values(Fence(hue="red", shades=1))


def test_errors_begin_with_the_command_and_name_the_option():
    _, result = paint("wall", "--shades", "0")
    assert result.exit_code == 2
    assert result.output == "error: paint wall: shades must be at least 1\n  --shades  0\n"
    _, result = paint("wall", "--bristle", "soft")
    assert result.output == "error: paint wall: --bristle is NAME=VALUE\n  --bristle  'soft'\n"


def test_json_is_the_last_line_and_people_read_stderr():
    _, result = paint("wall", "--json", "--shades", "3")
    assert result.stderr == "painted\n"
    assert result.stdout == (
        '{"hue": "red", "shades": 3, "bristles": {}, "folder": null, "wet": false}\n'
    )


@pytest.mark.parametrize(
    "check, good, bad, says",
    [
        (at_least(1), 1, 0, "shades must be at least 1"),
        (at_least(0), 0.0, float("nan"), "shades must be at least 0"),
        (above(0), 1e-9, 0, "shades must be above 0"),
        (above(0), 1, float("inf"), "shades must be above 0"),
        (below(8, "2^3"), 7, 8, "shades must be below 2^3"),
        (between(0, 1), 0.5, 1.0, "shades lies between 0 and 1"),
        (one_of(("red", "blue")), "red", "rad", "no such shades"),
    ],
)
def test_checks(check, good, bad, says):
    known = table(Painting)["shades"]
    check(known, good)
    with pytest.raises(OptionError, match=re.escape(says)) as caught:
        check(known, bad)
    assert list(caught.value.received) == ["--shades"]


def test_a_resumed_run_may_change_what_allows_it():
    stored = to_dict(Painting(hue="red", shades=3, folder="a"))
    check_resumed(Painting, stored, {"hue": "red", "shades": 4, "folder": "b"})
    for given, says in (({"shades": 2}, "another --shades"), ({"hue": "blue"}, "another --hue"),
                        ({"bristles": {"a": 1.0}}, "another --bristle")):  # fmt: skip
        with pytest.raises(OptionError, match=says):
            check_resumed(Painting, stored, given)


def test_checkpoints_of_before_an_option_have_its_default():
    stored = to_dict(Painting(hue="red"))
    del stored["wet"], stored["bristles"]
    assert Painting(**stored_values(Painting, stored)) == Painting(hue="red")
    for broken in ({}, {"hue": "red", "smell": 1}, None):
        with pytest.raises(CheckpointError, match="does not say how"):
            stored_values(Painting, broken)


# --- the table of `minidl train` ----------------------------------------------------------------


def test_every_option_of_train_is_explained_and_on_the_command_line():
    text = " ".join(minidl("train", "--help").output.split())
    for name, known in table(Settings).items():
        assert known.help.endswith((".", ")")), name
        assert known.flag in text or known.is_argument
        assert known.is_argument == (not known.panel)
    assert to_dict(from_command_line({"model": "lenet"})).keys() == table(Settings).keys()


def test_defaults_are_within_their_range():
    for model in ("lenet", "resnet20_cifar", "lenet5_1998"):
        check_values(from_command_line({"model": model}))


def test_paths_are_kept_from_the_root_and_names_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("digits", "pictures"):
        (tmp_path / folder).mkdir()
    known = table(Settings)["data"]
    assert known.parse(known, "digits") == "digits"  # a data set's name, whatever lies there
    assert known.parse(known, "pictures") == str(tmp_path / "pictures")
    assert known.parse(known, "nowhere") == "nowhere"
