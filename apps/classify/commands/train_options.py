"""The options of `minidl train`, in the groups in which --help shows them.

`minidl lr-find` has those of them that decide what a step does.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

DATA, NETWORK, STEPS = "Data", "Network and weights", "Steps"
LEARNING, PICTURES, RUN = "What learns", "Pictures and targets", "Run"


def option(panel: str, text: str, *names: str, metavar: str | None = None) -> Any:
    """An option in a group of --help."""
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)


Model = Annotated[str | None, typer.Argument(help="Network, such as lenet, vgg16, resnet20_cifar.")]

# --- data ---------------------------------------------------------------------------------------

Data = Annotated[
    str | None,
    option(
        DATA,
        "digits, mnist, fashion-mnist, cifar10, or the path of a folder with a folder per class, "
        "a list file of `path label` lines, or an archive of these. Default: digits.",
    ),
]
DataDir = Annotated[str | None, option(DATA, "Folder in which to look for data first.")]
TestShare = Annotated[
    float | None,
    option(DATA, "Part to test on, where the data set none apart (by hash of the name); 0.2."),
]
Size = Annotated[
    int | None, option(DATA, "Height and width of the network's pictures.", metavar="PIXELS")
]
Workers = Annotated[int | None, option(DATA, "Threads that prepare batches; 0: none.")]

# --- network ------------------------------------------------------------------------------------

Mode = Annotated[
    str | None,
    option(
        NETWORK,
        "scratch (the default); finetune: the weights of a file go on learning; frozen: most of "
        "them stay.",
    ),
]
Weights = Annotated[
    str | None,
    option(
        NETWORK, "Weights to start from: a file, a run folder, or a name of `minidl weights list`.",
        metavar="FILE|NAME",
    ),
]  # fmt: skip
Fresh = Annotated[
    list[str] | None,
    option(NETWORK, "Layers to initialise afresh, though the weights have them.", metavar="NAMES"),
]
ModelArg = Annotated[
    list[str] | None,
    option(NETWORK, "Argument of the network, as in shortcut=B; repeatable.", "--model-arg",
           metavar="NAME=VALUE"),
]  # fmt: skip

# --- what learns --------------------------------------------------------------------------------

Freeze = Annotated[
    list[str] | None,
    option(
        LEARNING,
        "With --mode frozen: layers that stay as they are, as in features; all others learn. "
        "Default: all but the last layer and those initialised afresh.",
        metavar="NAMES",
    ),
]
TrainFrom = Annotated[
    str | None,
    option(LEARNING, "With --mode frozen: the first layer that learns.", metavar="NAME"),
]
UnfreezeAfter = Annotated[
    int | None, option(LEARNING, "Let the frozen layers learn after N epochs.", metavar="N")
]
UnfreezeLrMult = Annotated[
    float | None, option(LEARNING, "Factor on their learning rate then; 0.1.", metavar="FACTOR")
]
LrMult = Annotated[
    list[str] | None,
    option(
        LEARNING,
        "Factor on the learning rate of a layer, group or pattern, as in features=0.1 or "
        '"*.bias=2"; 0: it never learns; repeatable.',
        "--lr-mult",
        metavar="NAME=FACTOR",
    ),
]
FreshLrMult = Annotated[
    float | None,
    option(LEARNING, "The same for layers initialised afresh; 10 with --mode finetune, else 1.",
           metavar="FACTOR"),
]  # fmt: skip
Cache = Annotated[
    bool | None,
    option(LEARNING, "Compute the features of frozen layers once; default: where possible.",
           "--cache/--no-cache"),
]  # fmt: skip

# --- pictures and targets -----------------------------------------------------------------------

Augment = Annotated[
    str | None,
    option(
        PICTURES,
        "Random changes of training pictures: none, flip, shift, shift-flip (by up to an eighth, "
        "mirrored or not), crop (a part, mirrored or not), color (that, and colours and light), "
        "or standard: what the data set is known to like. Default: standard; with frozen layers "
        "none.",
    ),
]
Mixup = Annotated[
    float | None,
    option(PICTURES, "Blend pictures in pairs (mixup), as in 0.2; 0: not.", metavar="ALPHA"),
]
LabelSmoothing = Annotated[
    float | None, option(PICTURES, "Share of a target that all classes get.", metavar="SHARE")
]
ClassWeights = Annotated[
    list[str] | None,
    option(
        PICTURES,
        "How much classes count: balanced, a file (JSON, or lines `name factor`), or "
        "name=factor (repeatable).",
        "--class-weights",
        metavar="balanced|FILE|NAME=FACTOR",
    ),
]

Loss = Annotated[
    str | None,
    option(PICTURES, "cross-entropy (the default), or map: that of LeCun et al. 1998, for "
           "lenet5_1998, whose default it is."),
]  # fmt: skip

# --- steps --------------------------------------------------------------------------------------

Epochs = Annotated[int | None, option(STEPS, "Passes over the data.")]
BatchSize = Annotated[int | None, option(STEPS, "Pictures per batch.")]
Accumulate = Annotated[
    int | None, option(STEPS, "Batches per step, as one batch K times as large.", metavar="K")
]
OptimizerName = Annotated[
    str | None,
    option(STEPS, "sgd (the default), adam, adamw, rmsprop or adagrad.", "--optimizer"),
]
Lr = Annotated[float | None, option(STEPS, "Learning rate.")]
Momentum = Annotated[float | None, option(STEPS, "Of sgd and rmsprop.")]
WeightDecay = Annotated[float | None, option(STEPS, "L2 penalty.")]
BiasDecay = Annotated[
    bool | None,
    option(STEPS, "Whether weight decay holds for biases and norms, too; it does.",
           "--bias-decay/--no-bias-decay"),
]  # fmt: skip
ClipGrad = Annotated[
    float | None, option(STEPS, "Largest norm of the gradients of a step.", metavar="NORM")
]
Schedule = Annotated[
    str | None,
    option(STEPS, "none, step, multistep, exponential, cosine (the default) or plateau."),
]
Milestones = Annotated[
    str | None,
    option(STEPS, "A tenth of the rate after each of these epochs, as in 80,120.",
           metavar="EPOCHS"),
]  # fmt: skip
Warmup = Annotated[
    float | None, option(STEPS, "Let the rate rise during the first epochs.", metavar="EPOCHS")
]

# --- run ----------------------------------------------------------------------------------------

Seed = Annotated[int | None, option(RUN, "Of all random numbers; 0 if left out.")]
Output = Annotated[
    str | None, option(RUN, "Run folder; by default a new one, runs/<model>-<data>-<time>.")
]
Resume = Annotated[str | None, option(RUN, "Go on with the run in this folder.", metavar="RUN")]
CpuKernels = Annotated[str | None, option(RUN, "numba (the default) or reference.")]
EarlyStopping = Annotated[
    int | None,
    option(
        RUN,
        "Stop after N epochs without a better validation loss. A run that stopped goes on with "
        "--resume and a larger N.",
        metavar="N",
    ),
]
Keep = Annotated[
    str | None,
    option(
        RUN,
        "Which epoch's network is evaluated, by train and later commands: best (lowest "
        "validation loss) or last. Default: last; with --early-stopping best.",
    ),
]
