"""`minidl train`."""

from __future__ import annotations

import shlex
import sys

from apps.classify.commands import train_options as o
from apps.shared.command_line import Debug, Json, app
from apps.shared.console import answering_errors, note, print_json


@app.command()
def train(
    model: o.Model = None,
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
    unfreeze_after: o.UnfreezeAfter = None,
    unfreeze_lr_mult: o.UnfreezeLrMult = None,
    lr_mult: o.LrMult = None,
    fresh_lr_mult: o.FreshLrMult = None,
    cache: o.Cache = None,
    augment: o.Augment = None,
    mixup: o.Mixup = None,
    label_smoothing: o.LabelSmoothing = None,
    class_weights: o.ClassWeights = None,
    loss: o.Loss = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    accumulate: o.Accumulate = None,
    optimizer: o.OptimizerName = None,
    lr: o.Lr = None,
    momentum: o.Momentum = None,
    weight_decay: o.WeightDecay = None,
    bias_decay: o.BiasDecay = None,
    clip_grad: o.ClipGrad = None,
    schedule: o.Schedule = None,
    milestones: o.Milestones = None,
    warmup: o.Warmup = None,
    seed: o.Seed = None,
    output: o.Output = None,
    resume: o.Resume = None,
    cpu_kernels: o.CpuKernels = None,
    early_stopping: o.EarlyStopping = None,
    keep: o.Keep = None,
    as_json: Json = False,
    debug: Debug = False,
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
    """
    given = {name: value for name, value in locals().items() if name not in NOT_SETTINGS}
    with answering_errors(debug):
        from apps.classify.run import resume_run, start_run
        from apps.shared.outcome import counted, sentences

        command = shlex.join(["minidl", *sys.argv[1:]])
        if resume is None:
            figures = start_run(given, output, command, note)
        else:
            figures = resume_run(resume, given, output, command, note)
        accuracy = f"test accuracy {100 * figures['test_accuracy']:.2f} %"
        say = note if as_json else print
        say(f"{accuracy} after {counted(figures['epochs'])}, {figures['seconds']:.0f} s")
        for sentence in sentences(figures):
            say(sentence)
        say(f"run folder: {figures['run']} (report.html in it shows the run)")
        if as_json:
            print_json(figures)


NOT_SETTINGS = ("output", "resume", "as_json", "debug")  # options that are no part of Settings
