"""Eight layers on CIFAR-10 in few passes, and PyTorch's twin of the same training beside it.

    python -m benchmarks.cifar10_fast --data ARCHIVE [--epochs 14] [--width 0.75]
                                      [--augment shift-flip] [--seed 0] [--runs FOLDER] [--alone]

trains both at once, each with one thread on a core of its own, and writes the section "CIFAR-10 in
few epochs" of RESULTS.md and benchmarks/curves/cifar10-fast.svg. With --alone, minidl's network
learns on all cores, from all 50,000 training pictures, which is for the last run, once the recipe
is chosen; it writes the section "CIFAR-10, the longest run". What was interrupted goes on.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.curves import Series, write_curves
from benchmarks.results import RESULTS, table, write_section
from benchmarks.training import (
    Finished,
    Training,
    commands,
    minidl_command,
    parser,
    percent,
    provenances,
    run,
    run_together,
    this_command,
)

RECIPE = (
    "airbench_cifar", "--batch-size", "128", "--lr", "0.19",
    "--momentum", "0.85", "--weight-decay", "1.3e-3", "--no-bias-decay",
    "--lr-mult", "*norm*.bias=64", "--label-smoothing", "0.2",
)  # fmt: skip
"""After airbench94, with its learning rate for fewer pictures in a batch.

What was tried by the accuracy on validation pictures, in three epochs of a net a third as wide:
batches of 128 pictures (77.0 %) rather than 256 (76.2 %) or 512 (74.1 %).
"""

COLUMNS = ["library", "seed", "test accuracy", "--tta flip", "minutes", "CPU minutes"]
VIEWS = ("flip", "flip-shift")  # of the longest run
WARM = 0.2  # part of the epochs in which the rate rises
CURVES = RESULTS.parent / "curves" / "cifar10-fast.svg"


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--data", default="cifar10", help="cifar10, or an archive of it")
    options_of.add_argument("--epochs", type=int, default=14)
    options_of.add_argument("--width", type=float, default=0.75, help="of the network")
    options_of.add_argument("--augment", default="shift-flip", help="as of minidl train")
    options_of.add_argument("--seed", type=int, default=0)
    options_of.add_argument(
        "--alone", action="store_true", help="minidl's network only, on all cores and pictures"
    )
    options = options_of.parse_args()

    arguments = arguments_of(options)
    name = f"cifar10-{options.width:g}-{options.augment}-{options.epochs}-{options.seed}"
    both = [
        Training(name, arguments),
        Training(f"{name}-torch", arguments, "benchmarks.cifar10_torch"),
    ]
    if options.alone:
        alone = Training(f"{name}-all", (*arguments, "--val-share", "0"))
        write_alone(run(alone, options.runs), options)
        return
    ours, twin = run_together(both, options.runs)
    rows = [
        row("minidl", ours, accuracy_with(options.runs / name, "flip")),
        row("PyTorch", twin, twin.figures["flip_accuracy"]),
    ]
    curves = [series("minidl", ours), series("PyTorch", twin)]
    write_curves(CURVES, "Validation accuracy, %", curves, lambda value: f"{value:g}")
    hidden = {} if options.data == "cifar10" else {options.data: "CIFAR10"}
    body = (
        f"Accuracy on the 10,000 test pictures after the last of {options.epochs} epochs; `--tta "
        "flip` is the mean over each picture and its mirror image. Of the 50,000 training pictures "
        "a tenth is held out for validation, by which the recipe was chosen. The twin is PyTorch's "
        "network, gradients and optimizer (float32, channels last) with the same pictures in the "
        "same order and the same first weights. Both ran at once, one thread on one core each, on "
        "a machine that did other work too: minutes by the clock hold the time that other programs "
        "had the cores, CPU minutes (user and system) do not. PyTorch's have the mirrored test "
        "pictures in them, less than 1 %.\n\n"
        + table(COLUMNS, rows)
        + "\n\n![validation accuracy over epochs](curves/cifar10-fast.svg)\n\n"
        + commands([ours], hidden)
        + f"\n\nAll by `{this_command('cifar10_fast', hidden)}`. "
        + provenances([ours, twin])
    )
    write_section("cifar10_fast", "CIFAR-10 in few epochs", body)


def write_alone(done: Finished, options: Any) -> None:
    """The section about the network that learned from all training pictures."""
    hidden = {} if options.data == "cifar10" else {options.data: "CIFAR10"}
    means = [accuracy_with(options.runs / done.training.name, tta) for tta in VIEWS]
    columns = [*COLUMNS[:3], *(f"--tta {tta}" for tta in VIEWS), *COLUMNS[4:]]
    body = (
        f"The recipe of the section above for {options.epochs} epochs of all 50,000 training "
        "pictures, with none held out; the test pictures were looked at after the last only. "
        "`flip` is the mean over each picture and its mirror image, `flip-shift` that over the six "
        "views by which Jordan (2024) evaluates; it was added when the two figures before it were "
        "known. Minutes by the clock are those of a machine that did other work too.\n\n"
        + table(columns, [row("minidl", done, *means)])
        + "\n\n" + commands([done], hidden)
        + f"\n\nBy `{this_command('cifar10_fast', hidden)}`. " + provenances([done])
    )  # fmt: skip
    write_section("cifar10_alone", "CIFAR-10, the longest run", body)


def arguments_of(options: Any) -> tuple[str, ...]:
    """Those of `minidl train`."""
    return (
        *RECIPE, "--model-arg", f"width={options.width:g}", "--augment", options.augment,
        "--data", options.data, "--epochs", str(options.epochs),
        "--warmup", f"{WARM * options.epochs:g}", "--seed", str(options.seed),
    )  # fmt: skip


def row(library: str, done: Finished, *means: float) -> list[str]:
    """What the table says about a run.

    Args:
        means: its test accuracy with test-time augmentation.
    """
    cpu = "-" if done.cpu_seconds is None else f"{done.cpu_seconds / 60:.0f}"
    return [
        library, str(done.figures["settings"]["seed"]), percent(done.accuracy),
        *map(percent, means), f"{done.figures['seconds'] / 60:.0f}", cpu,
    ]  # fmt: skip


def series(name: str, done: Finished) -> Series:
    return Series(name, [100 * epoch["val_accuracy"] for epoch in done.history])


def accuracy_with(folder: Path, tta: str) -> float:
    """The test accuracy of a run with test-time augmentation."""
    command = [minidl_command(), "evaluate", str(folder), "--tta", tta, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["test_accuracy"]


if __name__ == "__main__":
    main()
