"""The list of commands: `minidl --help` imports no application, and says what each would say."""

import json
import subprocess
import sys

import typer

from apps.cli import APPLICATIONS, load
from tests.apps.conftest import minidl

LINES = {
    name: (module, line)
    for modules in APPLICATIONS.values()
    for module, lines in modules.items()
    for name, line in lines.items()
}


def modules_after(*arguments):
    """The modules that are loaded when the command has answered, and its output."""
    code = (
        "import json, sys\n"
        "from apps.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    *output, modules = done.stdout.splitlines()
    return json.loads(modules), "\n".join(output)


def test_help_imports_no_application_and_not_the_library():
    modules, text = modules_after("--help")
    assert all(name in text for name in LINES)
    assert "apps.cli" in modules
    for slow in ("numpy", "minidl", "models", "apps.classify", "apps.files", "apps.shared"):
        assert slow not in modules


def test_a_command_imports_its_own_application():
    modules, text = modules_after("onnx", "--help")
    assert "export" in text and "apps.files.onnx" in modules and "apps.classify" not in modules


def test_help_of_a_command_needs_no_training():
    modules, text = modules_after("train", "--help")
    assert "--epochs" in text
    for slow in ("numba", "jinja2", "apps.classify.training", "tensorboard"):
        assert slow not in modules


def test_the_lines_are_those_of_the_commands():
    for name, (module, line) in LINES.items():
        loaded = load(name, module)
        first = (loaded.help or "").split("\n\n")[0]
        assert " ".join(first.split()) == line, name


def test_every_command_of_an_application_is_listed():
    from importlib import import_module

    for modules in APPLICATIONS.values():
        for module, lines in modules.items():
            assert list(typer.main.get_group(import_module(module).app).commands) == list(lines)


def test_every_output_has_the_short_name():
    from importlib import import_module

    def commands(group, path=""):
        for name, one in group.commands.items():
            yield from (
                commands(one, f"{path} {name}")
                if hasattr(one, "commands")
                else [(f"{path} {name}", one)]
            )

    found = {
        path: option.opts
        for modules in APPLICATIONS.values()
        for module in modules
        for path, one in commands(typer.main.get_group(import_module(module).app))
        for option in one.params
        if "--output" in option.opts
    }
    assert " caption train" in found and " train" in found
    assert [path for path, names in found.items() if "-o" not in names] == []


def test_a_mistyped_command_names_the_nearest():
    result = minidl("trian")
    assert result.exit_code == 2 and "Did you mean 'train'?" in result.output
    result = minidl("nothing-like-it")
    assert result.exit_code == 2 and "No such command" in result.output
