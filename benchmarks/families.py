"""AlexNet, GoogLeNet, VGG and ResNet from scratch on the 17 flowers of Nilsback and Zisserman.

    python -m benchmarks.families --data ARCHIVE [--networks resnet18 ...] [--runs FOLDER]

writes the section "Four architectures on 17 flowers" of RESULTS.md and
benchmarks/curves/families.svg. GoogLeNet runs with its auxiliary heads and without.
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

# What differs from network to network; pictures of 64 to 128 pixels fit two cores in an hour.
# Without batch norm, AlexNet and GoogLeNet stay at chance for many epochs of SGD.
ADAMW = ("--optimizer", "adamw", "--lr", "3e-4", "--warmup", "1")
NETWORKS = {
    "alexnet": ("alexnet", "--size", "128", "--model-arg", "init=he", *ADAMW),
    "googlenet": ("googlenet", "--size", "96", *ADAMW),
    "googlenet-without-heads": (
        "googlenet", "--size", "96", "--model-arg", "aux_logits=false", *ADAMW,
    ),
    "vgg11_bn": ("vgg11_bn", "--size", "64", "--lr", "0.01"),
    "resnet18": ("resnet18", "--size", "96", "--lr", "0.05"),
}  # fmt: skip
CURVES = RESULTS.parent / "curves" / "families.svg"


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--data", required=True, help="archive or folder of the 17 flowers")
    options_of.add_argument("--epochs", type=int, default=20)
    options_of.add_argument("--seed", type=int, default=0)
    options_of.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    options = options_of.parse_args()

    trainings = [
        training(name, options.data, options.epochs, options.seed) for name in options.networks
    ]
    finished = run_all(trainings, options.runs)
    rows = [
        [name, f"{run.figures['settings']['size']}", percent(run.accuracy),
         f"{run.history[0]['loss']:.2f} to {run.history[-1]['loss']:.2f}",
         f"{run.figures['seconds'] / 60:.0f}"]
        for name, run in zip(options.networks, finished)
    ]  # fmt: skip
    series = [
        Series(name, [100 * epoch["val_accuracy"] for epoch in run.history])
        for name, run in zip(options.networks, finished)
    ]
    write_curves(CURVES, "Validation accuracy, %", series, lambda value: f"{value:g}")
    columns = ["network", "pixels", "test accuracy", "training loss, first and last epoch", "min."]
    hidden = {options.data: "FLOWERS17"}
    body = (
        f"From scratch, {options.epochs} epochs, one seed; chance is 5.9 %. The loss of GoogLeNet "
        "with heads has 0.3 of each head's in it. "
        + BY_THE_CLOCK
        + "\n\n"
        + table(columns, rows)
        + "\n\n![validation accuracy over epochs](curves/families.svg)\n\n"
        + commands(finished, hidden)
        + f"\n\nAll by `{this_command('families', hidden)}`. "
        + provenances(finished)
    )
    write_section("families", "Four architectures on 17 flowers", body)


def training(name: str, data: str, epochs: int, seed: int) -> Training:
    arguments = [*NETWORKS[name], "--data", data, "--epochs", str(epochs), "--seed", str(seed)]
    return Training(f"families-{name}-{epochs}-{seed}", tuple(arguments))


if __name__ == "__main__":
    main()
