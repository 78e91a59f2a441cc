"""The commands of `minidl`. Each checks its options, calls one function of apps, prints.

Imports that take long are inside the commands, so that `minidl --help` answers at once.
"""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from apps.console import answering_errors, note, print_json

app = typer.Typer(
    name="minidl",
    help="Train and use the networks of minidl.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets: which there are, and fetching one.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
DataDir = Annotated[str | None, typer.Option(help="Folder in which to look for data first.")]
Workers = Annotated[int | None, typer.Option(help="Threads that prepare batches; 0: none.")]
RUN_HELP = "Run folder, or a .safetensors file in one."


def print_version(wanted: bool) -> None:
    if wanted:
        from minidl import __version__

        print(f"minidl {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train and use the networks of minidl."""


@app.command()
def train(
    model: Annotated[str | None, typer.Argument(help="Network: lenet.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, mnist, fashion-mnist, cifar10, or the path of a folder with a folder "
            "per class, a list file of `path label` lines, or an archive of these. Default: digits."
        ),
    ] = None,
    data_dir: DataDir = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures per step.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd (the default), adam, adamw, rmsprop or adagrad.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Of sgd and rmsprop.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="L2 penalty.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="none, step, exponential, cosine (the default) or plateau.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of all random numbers; 0 if left out.")] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Run folder; by default a new one, runs/<model>-<data>-<time>."),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with the run in this folder.")
    ] = None,
    cpu_kernels: Annotated[
        str | None, typer.Option(help="numba (the default) or reference.")
    ] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(metavar="N", help="Stop after N epochs without a better validation loss."),
    ] = None,
    workers: Workers = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a network on pictures. Without options: LeNet-5 on handwritten digits.

    Defaults by data set (the learning rate is that of sgd):

    \b
                     epochs  batch size    lr
    digits               30          32  0.03
    mnist                12          64  0.03
    fashion-mnist        12          64  0.03
    cifar10              20          64  0.03
    other                20          32  0.02
    """
    given = {
        "model": model, "data": data, "data_dir": data_dir, "epochs": epochs,
        "batch_size": batch_size, "optimizer": optimizer, "lr": lr, "momentum": momentum,
        "weight_decay": weight_decay, "schedule": schedule, "seed": seed,
        "cpu_kernels": cpu_kernels, "early_stopping": early_stopping, "workers": workers,
    }  # fmt: skip
    with answering_errors(debug):
        from apps.classify.run import resume_run, start_run

        command = shlex.join(["minidl", *sys.argv[1:]])
        if resume is None:
            figures = start_run(given, output, command, note)
        else:
            figures = resume_run(resume, given, output, command, note)
        accuracy = f"test accuracy {100 * figures['test_accuracy']:.2f} %"
        say = note if as_json else print
        say(f"{accuracy} after {figures['epochs']} epochs, {figures['seconds']:.0f} s")
        say(f"run folder: {figures['run']} (report.html in it shows the run)")
        if as_json:
            print_json(figures)


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help=RUN_HELP)],
    data: Annotated[
        str | None, typer.Option(help="As for train; by default what the run was trained on.")
    ] = None,
    data_dir: DataDir = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    workers: Workers = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a trained network on a labelled set of pictures."""
    with answering_errors(debug):
        from apps.classify.evaluate import evaluate_run

        found = evaluate_run(run, data, data_dir, split, 1 if workers is None else workers)
        say = note if as_json else print
        for row in found.per_class():
            say(
                f"{row['name']:>16}  precision {100 * row['precision']:6.2f} %  recall "
                f"{100 * row['recall']:6.2f} %  F1 {100 * row['f1']:6.2f} %  of {row['count']:,}"
            )
        wrong = len(found.mistakes())
        say(
            f"{split} accuracy {100 * found.accuracy:.2f} % ({wrong:,} mistakes in "
            f"{len(found.labels):,}), loss {found.loss:.4f}"
        )
        if as_json:
            figures = {
                f"{split}_accuracy": found.accuracy,
                f"{split}_loss": found.loss,
                "images": len(found.labels),
                "seconds": round(found.seconds, 3),
                "images_per_second": round(len(found.labels) / found.seconds, 1),
                "run": run,
            }
            print_json(figures)


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help=RUN_HELP)],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Picture files.")],
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 5,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what is on pictures.

    They go through the preprocessing that the checkpoint holds (colours, size,
    normalisation), and should look like those of the training: the digits of
    digits and mnist are light on dark.

    A picture that cannot be read is named on stderr; the others are answered,
    and the exit code is 2.
    """
    with answering_errors(debug):
        from apps.classify.evaluate import load_trained
        from apps.classify.predict import predict as predict_one
        from minidl.errors import DataError

        trained = load_trained(run, "predict")
        steps = ", ".join(str(step) for step in trained.preprocessing.transforms)
        note(f"preprocessing, as in training: {steps}")
        answers: list[dict[str, Any]] = []
        failed = False
        for path in images:
            try:
                answer = predict_one(trained, path, top)
            except DataError as error:
                note(f"error: {error}")
                failed = True
                continue
            answers.append({"image": path, "top": answer})
            shown = "  ".join(f"{a['class']} {100 * a['probability']:.1f} %" for a in answer)
            (note if as_json else print)(f"{path}: {shown}")
        if as_json:
            print_json({"run": run, "predictions": answers})
        if failed:
            raise typer.Exit(2)


@data_app.command("list")
def list_data(data_dir: DataDir = None, as_json: Json = False, debug: Debug = False) -> None:
    """Show the data sets that have a name, and where they are on this machine."""
    with answering_errors(debug):
        from minidl.data import available

        rows = available(data_dir)
        say = note if as_json else print
        for row in rows:
            place = row["found"] or f"not here, {row['size'] / 1e6:.0f} MB to fetch"
            say(f"{row['name']:<14} {row['what']}: {place}")
        if as_json:
            print_json({"datasets": rows})
        sys.stdout.flush()


@data_app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="mnist, fashion-mnist or cifar10.")],
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Download a data set, unless it is there: to the cache folder, or below --data-dir."""
    with answering_errors(debug):
        from pathlib import Path

        from minidl.data import fetch

        folder = fetch(name, None if data_dir is None else Path(data_dir) / name)
        where = f"is in {folder}" if folder.is_dir() else "needs no download"
        print(f"{name} {where}", flush=True)
