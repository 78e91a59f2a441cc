"""LeNet-5 on MNIST through the command line, over several seeds.

    python -m benchmarks.mnist --data-dir FOLDER [--epochs 5 12] [--seeds 0 1 2]

runs `minidl train lenet --data mnist ... --json` once for each number of epochs and seed and
writes the section "LeNet-5 on MNIST" of RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.results import provenance, table, write_section


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="the folder with the four MNIST files")
    parser.add_argument("--epochs", type=int, nargs="+", default=[5, 12])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()

    rows = []
    for epochs in options.epochs:
        accuracies = []
        for seed in options.seeds:
            figures = train(options.data_dir, epochs, seed)
            accuracies.append(figures["test_accuracy"])
            rows.append(
                [epochs, seed, f"{100 * figures['test_accuracy']:.2f} %",
                 f"{figures['seconds']:.0f}", f"{figures['images_per_second']:.0f}"]
            )  # fmt: skip
            print(*rows[-1], flush=True)
        median = statistics.median(accuracies)
        rows.append([epochs, "median", f"{100 * median:.2f} %", "", ""])

    body = (
        "`minidl train lenet --data mnist --data-dir FOLDER --epochs E --seed S --json`; test "
        "accuracy on the 10,000 test pictures after the last epoch; seconds of training with "
        "evaluation, on a machine that others use too.\n\n"
        + table(["epochs", "seed", "test accuracy", "seconds", "images/s"], rows)
        + "\n\nCommand: `python -m benchmarks.mnist --data-dir FOLDER --epochs "
        + f"{' '.join(map(str, options.epochs))} --seeds {' '.join(map(str, options.seeds))}`. "
        + provenance("minidl", "numpy", "numba")
    )
    write_section("mnist", "LeNet-5 on MNIST", body)


def train(data_dir: str, epochs: int, seed: int) -> dict:
    """Run the command in a process of its own; the figures of its last line."""
    minidl = shutil.which("minidl", path=str(Path(sys.executable).parent)) or "minidl"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            minidl, "train", "lenet", "--data", "mnist", "--data-dir", data_dir, "--epochs",
            str(epochs), "--seed", str(seed), "--output", f"{folder}/run", "--json",
        ]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
