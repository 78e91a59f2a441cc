"""Three ways to train on the 17 flowers of Nilsback and Zisserman (2006), with three networks.

VGG-16 at 128 pixels, with about as many epochs; from scratch also twice as long, and the cheapest
of them once at 224 pixels. SqueezeNet and EfficientNet-Lite0 with the weights that know ImageNet's
classes, by the defaults of `minidl train`.

    python -m benchmarks.flowers17 --data ARCHIVE [--seeds 0 1 2] [--ways frozen] [--runs FOLDER]

writes the section "VGG-16 on 17 flowers, ..." of RESULTS.md with benchmarks/curves/flowers17.svg,
and "17 flowers by networks that know ImageNet"; those of which a way is among --ways. A long run
gets the first of the seeds.
"""

from __future__ import annotations

import statistics

from benchmarks.curves import Series, write_curves
from benchmarks.results import RESULTS, table, write_section
from benchmarks.training import (
    BY_THE_CLOCK,
    Finished,
    Training,
    commands,
    parser,
    percent,
    provenances,
    run_all,
    this_command,
)

WEIGHTS = "vgg16-hed"
FROZEN = (
    "--mode", "frozen", "--weights", WEIGHTS, "--train-from", "features.conv5_1",
    "--epochs", "16", "--lr", "3e-4", "--fresh-lr-mult", "10", "--label-smoothing", "0.1",
)  # fmt: skip
VGG = {
    "scratch": ("--size", "128", "--epochs", "15", "--lr", "1e-4"),
    "scratch-30": ("--size", "128", "--epochs", "30", "--lr", "1e-4"),
    "finetune": (
        "--size", "128", "--mode", "finetune", "--weights", WEIGHTS, "--epochs", "15",
        "--lr", "1e-4", "--fresh-lr-mult", "10",
    ),
    "frozen": ("--size", "128", *FROZEN),
    "frozen-224": ("--size", "224", *FROZEN),
}  # fmt: skip
IMAGENET = {  # way -> network, mode, weights; all else is by default
    "squeezenet-frozen": ("squeezenet", "frozen", "squeezenet"),
    "lite0-frozen": ("efficientnet_lite0", "frozen", "efficientnet-lite0"),
    "lite0-finetune": ("efficientnet_lite0", "finetune", "efficientnet-lite0"),
}
WAYS = (*VGG, *IMAGENET)
QUICK = ("frozen", "squeezenet-frozen", "lite0-frozen")  # these run with all seeds
SAYS = {
    "scratch": "all weights drawn afresh",
    "scratch-30": "all weights drawn afresh, twice as long as fine-tuned",
    "finetune": f"all weights go on learning from {WEIGHTS}",
    "frozen": f"conv1_1 to conv4_3 of {WEIGHTS} stay, the rest learns",
    "frozen-224": "the same with pictures of 224 pixels",
    "squeezenet-frozen": "conv1 to fire9 of SqueezeNet stay, a new conv10 learns",
    "lite0-frozen": "all of EfficientNet-Lite0 stays but a new last layer",
    "lite0-finetune": "all of EfficientNet-Lite0 goes on learning",
}
CURVES = RESULTS.parent / "curves" / "flowers17.svg"
COLUMNS = ["way", "", "test accuracy, median", "each seed", "epochs"]
TEST_SET = "A fifth of the 1,360 pictures, chosen by the hash of their names, are for testing."


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--data", required=True, help="archive or folder of the 17 flowers")
    options_of.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options_of.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    options = options_of.parse_args()
    for ways, write in ((VGG, write_vgg), (IMAGENET, write_imagenet)):
        done = {}
        for way in (way for way in options.ways if way in ways):
            seeds = options.seeds if way in QUICK else options.seeds[:1]
            trainings = [training(way, options.data, seed) for seed in seeds]
            done[way] = run_all(trainings, options.runs)
        if done:
            write(done, {options.data: "FLOWERS17"})


def write_vgg(done: dict[str, list[Finished]], hidden: dict[str, str]) -> None:
    """The section of VGG-16; `done` has the runs of each way."""
    series = [
        Series(
            f"{way}, seed {runs[0].training.name.rpartition('-')[2]}",
            [100 * epoch["val_accuracy"] for epoch in runs[0].history],
        )
        for way, runs in done.items()
    ]
    write_curves(CURVES, "Validation accuracy, %", series, lambda value: f"{value:g}")
    rows = [[*row_of(way, runs), f"{seconds_of(runs) / 60:.0f}"] for way, runs in done.items()]
    body = (
        f"{TEST_SET} {WEIGHTS}: the convolutions of a VGG-16 that learned ImageNet and then to "
        "find edges. In place of fc6 to fc8, too many parameters to draw afresh for so few "
        "pictures, one layer stands behind the averages of the last maps (head=average). "
        f"{BY_THE_CLOCK}\n\n"
        + table([*COLUMNS, "minutes"], rows)
        + "\n\n![validation accuracy over epochs](curves/flowers17.svg)\n\n"
        + how(done, hidden)
    )
    write_section("flowers17", "VGG-16 on 17 flowers, averages in place of fc6 to fc8", body)


def write_imagenet(done: dict[str, list[Finished]], hidden: dict[str, str]) -> None:
    """The section of the networks that know ImageNet's classes."""
    rows = [
        [*row_of(way, runs), f"{seconds_of(runs):.0f}", cpu_seconds_of(runs)]
        for way, runs in done.items()
    ]
    body = (
        f"{TEST_SET} The weights are those of `minidl weights list`, and learned the 1,000 classes "
        "of ImageNet; all other options are the defaults of network and mode. Seconds are from "
        "reading the photos through the features of the frozen layers and the training to the "
        "test's result, by the clock, on a machine where other programs ran as well; CPU seconds "
        "are of the whole command, on two cores. The defaults were found on this data set, those "
        "of the last layer by cross-validation with the test accuracy in sight: on other photos "
        "they are untried.\n\n"
        + table([*COLUMNS, "seconds", "CPU seconds"], rows) + "\n\n"
        + how(done, hidden)
    )  # fmt: skip
    write_section("flowers17-imagenet", "17 flowers by networks that know ImageNet", body)


def row_of(way: str, runs: list[Finished]) -> list[str | int]:
    """The first columns of a table: COLUMNS."""
    accuracies = [run.accuracy for run in runs]
    each = " ".join(map(percent, accuracies))
    return [way, SAYS[way], percent(statistics.median(accuracies)), each, len(runs[0].history)]


def seconds_of(runs: list[Finished]) -> float:
    return statistics.median(run.figures["seconds"] for run in runs)


def cpu_seconds_of(runs: list[Finished]) -> str:
    """The median; "-" where it is not known of a run."""
    spent = [run.cpu_seconds for run in runs]
    return "-" if None in spent else f"{statistics.median(spent):.0f}"


def how(done: dict[str, list[Finished]], hidden: dict[str, str]) -> str:
    """The commands of all runs, and what they ran on."""
    finished = [run for runs in done.values() for run in runs]
    by = f"All by `{this_command('flowers17', hidden)}`. "
    return commands(finished, hidden) + f"\n\n{by}" + provenances(finished)


def training(way: str, data: str, seed: int) -> Training:
    if way in IMAGENET:
        network, mode, weights = IMAGENET[way]
        arguments = [network, "--data", data, "--mode", mode, "--weights", weights]
        return Training(f"flowers17-{way}-{seed}", (*arguments, "--seed", str(seed)))
    arguments = [
        "vgg16", "--data", data, "--model-arg", "head=average", "--batch-size", "32",
        "--optimizer", "adamw", "--warmup", "1", *VGG[way], "--seed", str(seed),
    ]  # fmt: skip
    return Training(f"flowers17-vgg16-{way}-{seed}", tuple(arguments))


if __name__ == "__main__":
    main()
