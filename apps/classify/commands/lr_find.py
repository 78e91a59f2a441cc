"""`minidl lr-find`: which learning rate a training run should have."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.classify.commands import train_options as o
from apps.shared.command_line import Debug, Json, app
from apps.shared.console import answering_errors, note, print_json

NOT_SETTINGS = ("lowest", "highest", "steps", "output", "as_json", "debug")


@app.command("lr-find")
def lr_find(
    model: o.Model = None,
    lowest: Annotated[float, typer.Option(help="Rate of the first step.")] = 1e-5,
    highest: Annotated[float, typer.Option(help="Rate of the last step.")] = 1.0,
    steps: Annotated[int, typer.Option(help="How many steps.")] = 100,
    data: o.Data = None,
    data_dir: o.DataDir = None,
    test_share: o.TestShare = None,
    size: o.Size = None,
    workers: o.Workers = None,
    mode: o.Mode = None,
    weights: o.Weights = None,
    fresh: o.Fresh = None,
    model_args: o.ModelArg = None,
    freeze: o.Freeze = None,
    train_from: o.TrainFrom = None,
    lr_mult: o.LrMult = None,
    fresh_lr_mult: o.FreshLrMult = None,
    augment: o.Augment = None,
    mixup: o.Mixup = None,
    label_smoothing: o.LabelSmoothing = None,
    class_weights: o.ClassWeights = None,
    loss: o.Loss = None,
    batch_size: o.BatchSize = None,
    optimizer: o.OptimizerName = None,
    momentum: o.Momentum = None,
    weight_decay: o.WeightDecay = None,
    bias_decay: o.BiasDecay = None,
    clip_grad: o.ClipGrad = None,
    seed: o.Seed = None,
    output: o.Output = None,
    cpu_kernels: o.CpuKernels = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Raise the learning rate with each step, and say at which the loss falls best.

    The options are those of the training run that it is for. lr.html in the
    output folder shows the curve. Nothing of what was learned is kept.
    """
    given = {name: value for name, value in locals().items() if name not in NOT_SETTINGS}
    with answering_errors(debug):
        from apps.classify.lr_find.finder import find_lr

        figures = find_lr(given, output, lowest, highest, steps, note)
        say = note if as_json else print
        if figures["suggestion"] is None:
            say("no suggestion: the loss did not fall (more --steps, another range?)")
        else:
            say(f"suggested: --lr {figures['suggestion']:.2g}")
        say(f"the loss is lowest at {figures['lr_of_lowest_loss']:.2g} ({figures['steps']} steps)")
        say(f"curve: {figures['run']}/lr.html")
        if as_json:
            print_json(figures)
