"""The commands of image classification: train, evaluate, predict, lr-find.

Each turns its options into settings, calls one function and prints what it returns. Slow imports
are inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

import models
from apps.classify.checks import FROM_DATA
from apps.classify.defaults import from_checkpoint, from_command_line
from apps.classify.settings import Settings
from apps.shared import run_folder
from apps.shared.command import (
    RUN_HELP,
    Best,
    DataDir,
    Output,
    Resume,
    Workers,
    application,
    command,
)
from apps.shared.console import Console, words_for_networks
from apps.shared.options import OptionError

app = application()
RESUME = "minidl train --resume"


def words(name: str, value: Any) -> str | None:
    """How train and lr-find spell arguments in hints that are none of their own options."""
    if name == "by":
        return f"minidl weights convert --by {value}"
    return None if name in FROM_DATA else words_for_networks(name, value)


Tta = Annotated[
    str,
    typer.Option(
        "--tta",
        help="Test-time augmentation, the mean over views of each picture: none, flip (it and its "
        "mirror image), flip-shift (also shifted by a pixel, for small pictures) or 10-crop "
        "(corners and middle, each also mirrored).",
    ),
]


# --- training -----------------------------------------------------------------------------------


@command(app, "train", settings=Settings, words=words)
def train(
    given: dict[str, Any], console: Console, output: Output = None, resume: Resume = None
) -> None:
    """Train a network on pictures; `minidl train lenet` alone: on handwritten digits.

    Three ways: from scratch; --mode finetune --weights FILE, which trains all
    weights of a file further; --mode frozen --weights FILE, which trains the last
    layer alone (or what --freeze, --train-from leave). A last layer for another
    number of classes is initialised afresh.

    Defaults by data set (the learning rate is that of sgd; finetune has a tenth
    of it):

    \b
                     epochs  batch size    lr
    digits               30          32  0.03
    mnist                12          64  0.03
    fashion-mnist        12          64  0.03
    cifar10              20          64  0.03
    other                20          32  0.02
    above 64 pixels      30          32  0.01

    lenet5_1998 has 0.001 and lenet_caffe 0.01, whatever the data.
    efficientnet_lite0 and squeezenet have defaults of their own with --mode frozen
    and finetune, for photos and the weights of those names.
    """
    from apps.classify import training
    from apps.shared.outcome import counted, sentences

    if resume is not None:
        folder, checkpoint = run_folder.open_run(resume, output)
        settings = from_checkpoint(checkpoint.meta, given)
    elif "model" in given:
        settings, checkpoint = from_command_line(given), None
        folder = run_folder.make_folder(output, run_name(settings), RESUME)
    else:
        hint = f"minidl train {models.names()[0]}, or --resume RUN"
        raise OptionError("say which network", {}, hint)

    typed = shlex.join(["minidl", *sys.argv[1:]])
    with run_folder.in_run_folder(folder, f"{RESUME} {folder}", is_resumed=resume is not None):
        figures = training.train(settings, folder, typed, console.note, checkpoint)

    accuracy = f"test accuracy {100 * figures['test_accuracy']:.2f} %"
    console.line(f"{accuracy} after {counted(figures['epochs'])}, {figures['seconds']:.0f} s")
    for sentence in sentences(figures):
        console.line(sentence)
    console.line(f"run folder: {figures['run']} (report.html in it shows the run)")
    console.json(figures)


def run_name(settings: Settings) -> str:
    """What a run is called if nobody says otherwise: lenet-digits."""
    return f"{settings.model}-{run_folder.short_name(settings.data)}"


# Options of train that decide nothing about a single step.
NOT_FOR_LR_FIND = (
    "unfreeze_after", "unfreeze_lr_mult", "cache", "epochs", "accumulate", "slots", "lr",
    "schedule", "milestones", "warmup", "early_stopping", "keep",
)  # fmt: skip


@command(app, "lr-find", settings=Settings, without=NOT_FOR_LR_FIND, words=words)
def lr_find(
    given: dict[str, Any],
    console: Console,
    lowest: Annotated[float, typer.Option(help="Rate of the first step.")] = 1e-5,
    highest: Annotated[float, typer.Option(help="Rate of the last step.")] = 1.0,
    steps: Annotated[int, typer.Option(help="How many steps.")] = 100,
    output: Output = None,
) -> None:
    """Raise the learning rate with each step, and say at which the loss falls best.

    The options are those of the training run that it is for. lr.html in the
    output folder shows the curve. Nothing of what was learned is kept.
    """
    from apps.classify.lr_find.finder import check_range, find_lr

    check_range(lowest, highest, steps)
    if "model" not in given:
        raise OptionError("say which network", {}, f"minidl lr-find {models.names()[0]}")
    settings = from_command_line(given)
    folder = run_folder.make_folder(output, f"lr-{run_name(settings)}", RESUME)
    with run_folder.removed_if_empty(folder):
        figures = find_lr(settings, folder, lowest, highest, steps, console.note)

    if figures["suggestion"] is None:
        console.line("no suggestion: the loss did not fall (more --steps, another range?)")
    else:
        console.line(f"suggested: --lr {figures['suggestion']:.2g}")
    lowest_at = f"the loss is lowest at {figures['lr_of_lowest_loss']:.2g}"
    console.line(f"{lowest_at} ({figures['steps']} steps)")
    console.line(f"curve: {figures['run']}/lr.html")
    console.json(figures)


# --- using what was trained ---------------------------------------------------------------------


@command(app, "evaluate")
def evaluate(
    run: Annotated[str, typer.Argument(help=RUN_HELP)],
    console: Console,
    data: Annotated[
        str | None, typer.Option(help="As for train; by default what the run was trained on.")
    ] = None,
    data_dir: DataDir = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    tta: Tta = "none",
    best: Best = None,
    workers: Workers = 1,
) -> None:
    """Measure a trained network on a labelled set of pictures.

    Prints precision, recall and F1 of each class, the confusion matrix, the
    most confused pairs, top-1 and top-5 accuracy.

    Other data than those of the training may have their classes in another
    order, or only some of them: they are matched by name.
    """
    from apps.classify.evaluation import evaluate_run
    from apps.classify.report.text import evaluation_json, show_evaluation

    found, dataset = evaluate_run(run, data, data_dir, split, workers, tta, best, console.note)
    show_evaluation(console, found, split)
    console.json({"run": run, "tta": tta} | evaluation_json(found, split, dataset.names))


@command(app, "predict")
def predict(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|NAME",
            help=f"{RUN_HELP} Or a name of `minidl weights list`, such as squeezenet.",
        ),
    ],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Picture files, and folders of them.")
    ],
    console: Console,
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 5,
    tta: Tta = "none",
    best: Best = None,
) -> None:
    """Say what is on pictures.

    By a network of yours, or one that learned ImageNet's 1,000 classes: minidl
    predict squeezenet PHOTO fetches 5 MB of weights once; efficientnet-lite0
    (19 MB) is right more often.

    Pictures go through the preprocessing that the checkpoint holds (colours, size,
    normalisation), and should look like those of the training: the digits of
    digits and mnist are light on dark.

    A picture that cannot be read is named on stderr; the others are answered,
    and the exit code is 2.
    """
    from apps.classify import predict as prediction
    from apps.classify.published import load_any_classifier
    from apps.classify.report.text import show_answer
    from apps.shared.picture_files import picture_files
    from apps.shared.tables import widest

    paths, _ = picture_files(images, "predict")
    trained = load_any_classifier(run, best, console.note)
    answers = prediction.predict(trained, paths, top, tta)
    if trained.meta:  # a run's; of published weights it is their own, in full digits
        steps = ", ".join(str(step) for step in trained.preprocessing.transforms)
        console.note(f"preprocessing, as in training: {steps}")
    widths = widest(paths), widest(trained.classes)
    predictions: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for path, answer in answers:
        if isinstance(answer, Exception):
            console.error(answer)
            failed.append({"image": path, "error": answer.rule})
            continue
        predictions.append({"image": path, "top": answer})
        show_answer(console, path, answer, widths)
    console.json({"run": run, "tta": tta, "predictions": predictions, "failed": failed})
    if failed:
        raise typer.Exit(2)
