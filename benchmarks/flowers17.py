"""Three ways to train the same VGG-16 on the 17 flowers of Nilsback and Zisserman (2006).

    python -m benchmarks.flowers17 --data ARCHIVE [--seeds 0 1 2] [--ways frozen] [--runs FOLDER]

writes the section "VGG-16 on 17 flowers, three ways" of RESULTS.md and
benchmarks/curves/flowers17.svg. From scratch and fine-tuned, a run takes hours on two cores; the
seeds are for the frozen way, the others get the first.
"""

from __future__ import annotations

import statistics

from benchmarks.curves import Series, write_curves
from benchmarks.results import RESULTS, table, write_section
from benchmarks.training import (
    Training,
    commands,
    parser,
    percent,
    provenances,
    run_all,
    this_command,
)

WEIGHTS = "vgg16-hed"
WAYS = {
    "scratch": ("--epochs", "30", "--lr", "0.005", "--augment", "standard"),
    "finetune": (
        "--mode", "finetune", "--weights", WEIGHTS, "--epochs", "15", "--lr", "0.002",
        "--fresh-lr-mult", "5", "--warmup", "1",
    ),
    "frozen": (
        "--mode", "frozen", "--weights", WEIGHTS, "--train-from", "features.conv5_1",
        "--epochs", "12", "--lr", "0.01", "--warmup", "1",
    ),
}  # fmt: skip
SAYS = {
    "scratch": "all weights drawn afresh",
    "finetune": f"all weights go on learning from {WEIGHTS}",
    "frozen": f"conv1_1 to conv4_3 of {WEIGHTS} stay, the rest learns",
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
        losses = [epoch["val_loss"] for epoch in done[0].history]
        series.append(Series(f"{way}, seed {seeds[0]}", losses))
        finished += done
    write_curves(CURVES, "Validation loss", series, lambda value: f"{value:g}")
    columns = ["way", "", "test accuracy, median", "each seed", "epochs", "minutes"]
    hidden = {options.data: "FLOWERS17"}
    body = (
        "Pictures of 128 pixels; a fifth of them, chosen by the hash of their names, are for "
        f"testing. {WEIGHTS}: the convolutions of a VGG-16 that learned ImageNet and then to find "
        "edges; its fc6 to fc8 are drawn afresh. From scratch and fine-tuned a run takes hours, so "
        "that these have one seed.\n\n"
        + table(columns, rows)
        + "\n\n![validation loss over epochs](curves/flowers17.svg)\n\n"
        + commands(finished, hidden)
        + f"\n\nAll by `{this_command('flowers17', hidden)}`. "
        + provenances(finished)
    )
    write_section("flowers17", "VGG-16 on 17 flowers, three ways", body)


def training(way: str, data: str, seed: int) -> Training:
    arguments = [
        "vgg16", "--data", data, "--size", "128", "--batch-size", "32", *WAYS[way],
        "--seed", str(seed),
    ]  # fmt: skip
    return Training(f"flowers17-vgg16-{way}-{seed}", tuple(arguments))


if __name__ == "__main__":
    main()
