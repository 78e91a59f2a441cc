"""`minidl evaluate` and `minidl predict`: what a trained network is good for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from apps.commands.app import RUN_HELP, DataDir, Debug, Json, Workers, app
from apps.console import answering_errors, note, print_json


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
