"""LeNet-5, as it is taught and as in the paper of 1998, on MNIST over several seeds.

    python -m benchmarks.mnist --data-dir FOLDER [--epochs 5 12] [--seeds 0 1 2] [--runs FOLDER]

writes the section "LeNet-5 on MNIST" of RESULTS.md.
"""

from __future__ import annotations

import statistics

from benchmarks.results import table, write_section
from benchmarks.training import (
    Training,
    commands,
    parser,
    percent,
    provenances,
    run_all,
    this_command,
)

MODELS = ("lenet", "lenet5_1998")


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--data-dir", required=True, help="the folder with the four files")
    options_of.add_argument("--models", nargs="+", default=MODELS)
    options_of.add_argument("--epochs", type=int, nargs="+", default=[5, 12])
    options_of.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = options_of.parse_args()

    rows, finished = [], []
    for model in options.models:
        for epochs in options.epochs:
            trainings = [training(model, options.data_dir, epochs, s) for s in options.seeds]
            done = run_all(trainings, options.runs)
            accuracies = [run.accuracy for run in done]
            rows.append([
                model, epochs, percent(statistics.median(accuracies)),
                " ".join(percent(value) for value in accuracies),
                f"{statistics.median(run.figures['seconds'] for run in done):.0f}",
            ])  # fmt: skip
            finished += done
    hidden = {options.data_dir: "FOLDER"}
    body = (
        "Accuracy on the 10,000 test pictures after the last epoch; seconds of training with "
        "evaluation, on a machine that others use too. LeCun et al. (1998, figure 9) report an "
        "error of 0.95 % (99.05 % right) for LeNet-5 after 20 passes, without distortions of the "
        "training pictures; here they are shifted by up to one pixel.\n\n"
        + table(["network", "epochs", "median", f"seeds {options.seeds}", "seconds"], rows)
        + "\n\n"
        + commands(finished, hidden)
        + f"\n\nAll by `{this_command('mnist', hidden)}`. "
        + provenances(finished)
    )
    write_section("mnist", "LeNet-5 on MNIST", body)


def training(model: str, data_dir: str, epochs: int, seed: int) -> Training:
    arguments = [model, "--data", "mnist", "--data-dir", data_dir]
    arguments += ["--epochs", str(epochs), "--seed", str(seed)]
    return Training(f"mnist-{model}-{epochs}-{seed}", tuple(arguments))


if __name__ == "__main__":
    main()
