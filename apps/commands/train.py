"""`minidl train`."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from apps.commands.app import DataDir, Debug, Json, Workers, app
from apps.console import answering_errors, note, print_json


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
