"""Three ways to train the same VGG-16 on the 17 flowers of Nilsback and Zisserman (2006).

The three ways at 128 pixels, with about as many epochs; from scratch also twice as long, and the
cheapest of them once at 224 pixels.

    python -m benchmarks.flowers17 --data ARCHIVE [--seeds 0 1 2] [--ways frozen] [--runs FOLDER]

writes the section "VGG-16 on 17 flowers, ..." of RESULTS.md and
benchmarks/curves/flowers17.svg. From scratch and fine-tuned a run takes long on two cores; the
seeds are for the frozen way, the others get the first.
"""

from __future__ import annotations

import statistics

from benchmarks.curves import Series, write_curves
from benchmarks.results import RESULTS, table, write_section
from benchmarks.training import (
    BY_THE_CLOCK,
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
WAYS = {
    "scratch": ("--size", "128", "--epochs", "15", "--lr", "1e-4"),
    "scratch-30": ("--size", "128", "--epochs", "30", "--lr", "1e-4"),
    "finetune": (
        "--size", "128", "--mode", "finetune", "--weights", WEIGHTS, "--epochs", "15",
        "--lr", "1e-4", "--fresh-lr-mult", "10",
    ),
    "frozen": ("--size", "128", *FROZEN),
    "frozen-224": ("--size", "224", *FROZEN),
}  # fmt: skip
SAYS = {
    "scratch": "all weights drawn afresh",
    "scratch-30": "all weights drawn afresh, twice as long as fine-tuned",
    "finetune": f"all weights go on learning from {WEIGHTS}",
    "frozen": f"conv1_1 to conv4_3 of {WEIGHTS} stay, the rest learns",
    "frozen-224": "the same with pictures of 224 pixels",
}
CURVES = RESULTS.parent / "curves" / "flowers17.svg"


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--data", required=True, help="archive or folder of the 17 flowers")
    options_of.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options_of.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    options = options_of.parse_args()

    rows, finished, series = [], [], []
    for way in options.ways:
        seeds = options.seeds if way == "frozen" else options.seeds[:1]
        done = run_all([training(way, options.data, seed) for seed in seeds], options.runs)
        accuracies = [run.accuracy for run in done]
        rows.append([
            way, SAYS[way], percent(statistics.median(accuracies)),
            " ".join(map(percent, accuracies)), len(done[0].history),
            f"{statistics.median(run.figures['seconds'] for run in done) / 60:.0f}",
        ])  # fmt: skip
        accuracies = [100 * epoch["val_accuracy"] for epoch in done[0].history]
        series.append(Series(f"{way}, seed {seeds[0]}", accuracies))
        finished += done
    write_curves(CURVES, "Validation accuracy, %", series, lambda value: f"{value:g}")
    columns = ["way", "", "test accuracy, median", "each seed", "epochs", "minutes"]
    hidden = {options.data: "FLOWERS17"}
    body = (
        "A fifth of the 1,360 pictures, chosen by the hash of their names, are for testing. "
        f"{WEIGHTS}: the convolutions of a VGG-16 that learned ImageNet and then to find edges. In "
        "place of fc6 to fc8, too many parameters to draw afresh for so few pictures, one layer "
        f"stands behind the averages of the last maps (head=average). {BY_THE_CLOCK}\n\n"
        + table(columns, rows)
        + "\n\n![validation accuracy over epochs](curves/flowers17.svg)\n\n"
        + commands(finished, hidden)
        + f"\n\nAll by `{this_command('flowers17', hidden)}`. "
        + provenances(finished)
    )
    write_section("flowers17", "VGG-16 on 17 flowers, averages in place of fc6 to fc8", body)


def training(way: str, data: str, seed: int) -> Training:
    arguments = [
        "vgg16", "--data", data, "--model-arg", "head=average", "--batch-size", "32",
        "--optimizer", "adamw", "--warmup", "1", *WAYS[way], "--seed", str(seed),
    ]  # fmt: skip
    return Training(f"flowers17-vgg16-{way}-{seed}", tuple(arguments))


if __name__ == "__main__":
    main()
