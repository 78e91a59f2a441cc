"""`minidl evaluate` and `minidl predict`: what a trained network is good for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from apps.shared.command_line import RUN_HELP, DataDir, Debug, Json, Workers, app
from apps.shared.console import answering_errors, note, print_json

Tta = Annotated[
    str,
    typer.Option(
        "--tta",
        help="Test-time augmentation, the mean over views of each picture: none, flip (it and its "
        "mirror image) or 10-crop (corners and middle, each also mirrored).",
    ),
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


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help=RUN_HELP)],
    data: Annotated[
        str | None, typer.Option(help="As for train; by default what the run was trained on.")
    ] = None,
    data_dir: DataDir = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    tta: Tta = "none",
    best: Best = None,
    workers: Workers = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a trained network on a labelled set of pictures.

    Prints precision, recall and F1 of each class, the confusion matrix, the
    most confused pairs, top-1 and top-5 accuracy.

    Other data than those of the training may have their classes in another
    order, or only some of them: they are matched by name.
    """
    with answering_errors(debug):
        from apps.classify.evaluate import evaluate_run
        from apps.classify.report.text import evaluation_json, show_evaluation
        from apps.shared.tables import Out

        threads = 1 if workers is None else workers
        found, dataset = evaluate_run(run, data, data_dir, split, threads, tta, best, note)
        show_evaluation(Out(as_json), found, split)
        if as_json:
            figures = evaluation_json(found, split, dataset.names)
            print_json({"run": run, "tta": tta} | figures)


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help=RUN_HELP)],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Picture files, and folders of them.")
    ],
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 5,
    tta: Tta = "none",
    best: Best = None,
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
        from apps.classify import predict as prediction
        from apps.classify.evaluate import load_trained
        from apps.classify.report.text import show_answer
        from apps.shared.tables import Out

        trained = load_trained(run, "predict", best)
        paths = prediction.picture_files(images)
        answers = prediction.predict(trained, paths, top, tta)
        steps = ", ".join(str(step) for step in trained.preprocessing.transforms)
        note(f"preprocessing, as in training: {steps}")
        widths = max(map(len, paths)), max(map(len, trained.classes))
        out = Out(as_json)
        predictions: list[dict[str, Any]] = []
        failed: list[dict[str, str]] = []
        for path, answer in answers:
            if isinstance(answer, Exception):
                note(f"error: {answer}")
                failed.append({"image": path, "error": answer.rule})
                continue
            predictions.append({"image": path, "top": answer})
            show_answer(out, path, answer, widths)
        if as_json:
            print_json({"run": run, "tta": tta, "predictions": predictions, "failed": failed})
        if failed:
            raise typer.Exit(2)
