"""ResNet-20 on CIFAR-10, and the plain net of the same depth beside it.

    python -m benchmarks.cifar10 --data ARCHIVE [--epochs 30] [--seeds 0] [--runs FOLDER]

writes the section "ResNet-20 on CIFAR-10" of RESULTS.md and benchmarks/curves/cifar10.svg.
"""

from __future__ import annotations

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

NETWORKS = ("resnet20_cifar", "plain20_cifar")
PAPER = {"resnet20_cifar": "8.75 %", "plain20_cifar": "-"}  # He et al. 2016, table 6
CURVES = RESULTS.parent / "curves" / "cifar10.svg"


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--data", default="cifar10", help="cifar10, or an archive of it")
    options_of.add_argument("--epochs", type=int, default=30)
    options_of.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = options_of.parse_args()

    trainings = [
        training(network, options.data, options.epochs, seed)
        for network in NETWORKS
        for seed in options.seeds
    ]
    finished = run_all(trainings, options.runs)
    rows = [
        [run.figures["model"], run.figures["settings"]["seed"], percent(run.accuracy),
         percent(1 - run.accuracy), PAPER[run.figures["model"]],
         f"{run.figures['seconds'] / 60:.0f}"]
        for run in finished
    ]  # fmt: skip
    series = [
        Series(run.training.name, [100 * epoch["val_accuracy"] for epoch in run.history])
        for run in finished
    ]
    write_curves(CURVES, "Validation accuracy, %", series, lambda value: f"{value:g}")
    hidden = {} if options.data == "cifar10" else {options.data: "CIFAR10"}
    body = (
        "Accuracy on the 10,000 test pictures after the last epoch. The paper trains for 164 "
        f"epochs; these runs have {options.epochs}, with one cosine. {BY_THE_CLOCK}\n\n"
        + table(["network", "seed", "test accuracy", "test error", "paper's", "minutes"], rows)
        + "\n\n![validation accuracy over epochs](curves/cifar10.svg)\n\n"
        + commands(finished, hidden)
        + f"\n\nAll by `{this_command('cifar10', hidden)}`. "
        + provenances(finished)
    )
    write_section("cifar10", "ResNet-20 on CIFAR-10", body)


def training(network: str, data: str, epochs: int, seed: int) -> Training:
    arguments = [
        network, "--data", data, "--epochs", str(epochs), "--batch-size", "128", "--lr", "0.1",
        "--weight-decay", "5e-4", "--schedule", "cosine", "--warmup", "1",
        "--augment", "shift-flip", "--seed", str(seed),
    ]  # fmt: skip
    return Training(f"cifar10-{network}-{epochs}-{seed}", tuple(arguments))


if __name__ == "__main__":
    main()
