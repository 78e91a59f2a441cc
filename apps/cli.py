"""The entry point of the command `minidl`: a list of its commands, each imported when it is called.

So `minidl --help` answers at once, whatever the applications import. An application is a module
with an `app` (apps/shared/command.py); a test compares the lines here with its commands.
"""

from __future__ import annotations

import sys
from importlib import import_module

import typer
from typer.core import TyperCommand, TyperGroup

# Panel of --help -> module -> command -> what it does.
APPLICATIONS = {
    "Image classification": {
        "apps.classify.commands": {
            "train": "Train a network on pictures; `minidl train lenet` alone: on handwritten "
            "digits.",
            "lr-find": "Raise the learning rate with each step, and say at which the loss falls "
            "best.",
            "evaluate": "Measure a trained network on a labelled set of pictures.",
            "predict": "Say what is on pictures.",
        },
    },
    "Neural style": {
        "apps.style.commands": {
            "style": "Pictures in the style of others, in four ways, and textures.",
        },
    },
    "Text and pictures": {
        "apps.draw.commands": {"draw": "Text-to-image: draw a sentence, and learn to."},
        "apps.caption.commands": {
            "caption": "Image-to-text: say what is on a picture, and learn to.",
        },
    },
    "Several processes": {
        "minidl_dist.commands": {
            "dist": "Train with several processes, which lose nothing when one of them dies.",
        },
    },
    "Networks and files": {
        "apps.files.models": {
            "models": "Show the networks that have a name.",
            "summary": "Show the layers of a network: output shapes, parameters, "
            "multiply-accumulates, receptive fields.",
        },
        "apps.files.data": {"data": "Data sets: which there are, and fetching one."},
        "apps.files.weights": {
            "weights": "Weights that others have trained: which there are, fetching, converting."
        },
        "apps.files.onnx": {"onnx": "ONNX files: write one, look into one."},
    },
}


class Commands(TyperGroup):
    """The commands of minidl. --help shows the lines above; calling a command imports it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.modules = {}
        for panel, modules in APPLICATIONS.items():
            for module, lines in modules.items():
                for name, line in lines.items():
                    self.modules[name] = module
                    stand_in = TyperCommand(name, help=line, rich_help_panel=panel)
                    self.add_command(stand_in, name)

    def resolve_command(self, context, arguments):
        """Import the command that is called. Typer itself answers a mistyped name."""
        name, command, rest = super().resolve_command(context, arguments)
        return name, load(name, self.modules[name]) if command is not None else None, rest


def load(name: str, module: str):
    """Import a command. That takes a few tenths of a second, during which Ctrl-C must work, too."""
    try:
        app = import_module(module).app
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(130) from None
    except ValueError as error:  # $MINIDL_CPU_KERNELS names no set of kernels
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    return typer.main.get_group(app).commands[name]


app = typer.Typer(
    name="minidl", cls=Commands, no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip


def print_version(wanted: bool) -> None:
    if wanted:
        from minidl import __version__

        print(f"minidl {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: bool = typer.Option(
        False, "--version", callback=print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Train and use the networks of minidl."""


def main() -> None:
    """What the installed command calls."""
    for stream in (sys.stdout, sys.stderr):  # file names may hold what its encoding lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()
