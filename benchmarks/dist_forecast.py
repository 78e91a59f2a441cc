"""How fast jobs with up to 1,000 workers would be, and how far such a forecast is off.

    python -m benchmarks.dist_forecast [--write] [--only real curves] [--steps 40] [--most 1000]

First the costs of this machine are measured (minidl dist calibrate).

    real    forecasts for one to four workers on this machine beside real jobs: ResNet-20, and a
            model with 67 MB of weights that is all messages. How long a slot takes is measured with
            processes that do not talk; everything else is the forecast's
    curves  speed-up over the number of workers on a network of 10 Gbit, for each mode, and with
            more servers; and what a step waits for

The machine should be doing nothing else; each part takes five to ten minutes. --write puts tables
and pictures into RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.dist import JOB, MINIDL, ONE_THREAD, steps_in
from benchmarks.results import RESULTS, provenance, table, write_section
from benchmarks.scaling import Line, write_scaling
from minidl_dist.calibrate import calibrate
from minidl_dist.costs import Costs
from minidl_dist.forecast import Forecast, figure, forecast
from minidl_dist.scenario import Scenario

BATCH = 120  # examples of a step: one to four workers have equal parts of it
FEW = (1, 2, 3, 4)
MANY = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1000)
FEWER = MANY[:-1]  # of a large model, which takes longer
SIZES = {"resnet20": 1_078_888, "wide": 67_289_128}
REAL = (("resnet20", "sync"), ("resnet20", "async"), ("wide", "sync"))
STRAGGLERS = "lognormal:0.1,rare:0.01:5"
MODES = ("sync", "backup:2", "ssp:3", "async")
SERVERS = (1, 4, 16)
MIDDLE = {"size": 100_000_000, "compute": 1.0}  # about ResNet-50 with 32 pictures on a GPU's host
LOOKED_AT = 600  # slots, in at least ...
STEPS = 8  # ... so many steps
PICTURES = RESULTS.parent / "curves"


# --- beside real jobs ---------------------------------------------------------------------------


def slot_alone(model: str, workers: int, steps: int) -> tuple[float, float]:
    """Seconds of a slot, and its spread, where as many are computed at once as there are cores."""
    batch, together = BATCH // workers, min(workers, cores())
    processes = [
        subprocess.Popen(
            [*JOB, "--model", model, "--batch", f"{batch}", "--steps", f"{steps}",
             "--without-update"],
            stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD,
        )
        for _ in range(together)
    ]  # fmt: skip
    found = [one for process in processes for one in steps_in(process.communicate()[0])]
    if len(found) < together:
        raise SystemExit("a process that was to be timed has failed")
    return tuple(statistics.fmean(one[name] for one in found) for name in ("median", "spread"))


def real_job(model: str, mode: str, workers: int, steps: int) -> float:
    """Steps a second of `minidl dist run`; in async, those of all workers together / workers."""
    with tempfile.TemporaryDirectory() as folder:
        script = str(Path(__file__).with_name("dist_job.py"))
        done = subprocess.run(
            [
                *MINIDL, "dist", "run", "--workers", f"{workers}", "--threads", "1", "--slots",
                f"{workers}", "--mode", mode, "--checkpoint-every", "1000", "-o", f"{folder}/job",
                script, "--model", model, "--batch", f"{BATCH}", "--slots", f"{workers}",
                "--steps", f"{steps}",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout)
    return statistics.fmean(1 / one["median"] for one in steps_in(done.stdout))


def real(options: argparse.Namespace, costs: Costs) -> str:
    rows, errors = [], []
    slots: dict[tuple[str, int], tuple[float, float]] = {}
    for model, mode in REAL:
        for workers in FEW:
            key = model, workers
            slots[key] = slots.get(key) or slot_alone(*key, options.steps)
            compute, deviation = slots[key]
            told = Scenario(
                workers, mode=mode, size=SIZES[model], compute=compute, network=0.0, cores=cores(),
                straggler=f"lognormal:{min(deviation / compute, 3):.4f}",
            )  # fmt: skip
            told = replace(told, steps=max(options.steps, told.measured_steps))
            expected, was = forecast(told, costs), real_job(model, mode, workers, options.steps)
            errors.append(expected.steps / was - 1)
            waits = 1 - expected.parts["compute"] - expected.parts["cores"]
            rows.append([
                model, mode, workers, f"{1000 * compute:.1f}", f"{1000 / expected.steps:.1f}",
                f"{1000 / was:.1f}", f"{errors[-1]:+.0%}", f"{waits:.0%}",
            ])  # fmt: skip
            print(*rows[-1], flush=True)
    columns = [
        "model", "mode", "workers", "ms a slot, alone", "ms a step, forecast", "ms a step, real",
        "error of the speed", "not computing, forecast",
    ]  # fmt: skip
    off = [abs(error) for error in errors]
    return (
        f"One machine of {cores()} cores, {BATCH} examples a step, workers of one thread, ipc;"
        f" medians of {options.steps} steps. wide is one layer with 67 MB of weights. **The"
        f" forecast is off by {statistics.median(off):.0%} in the median, by {max(off):.0%} at"
        " most.** (+: it promises too much.) A slot alone: forward and backward, with as many"
        " processes at once as there are cores.\n\n" + table(columns, rows)
    )


def cores() -> int:
    return len(os.sched_getaffinity(0))


# --- curves -------------------------------------------------------------------------------------


def curve(scenario: Scenario, workers: Sequence[int], costs: Costs) -> list[Forecast]:
    """Forecasts for numbers of workers that can have such a job."""
    found = []
    for n in workers:
        steps = max(STEPS, -(-LOOKED_AT // n))
        found.append(forecast(replace(scenario, workers=n, steps=steps), costs))
        one = found[-1]
        print(scenario.mode, scenario.servers, n, figure(one.speedup), one.limit, flush=True)
    return found


def curves(options: argparse.Namespace, costs: Costs) -> str:
    workers = [n for n in MANY if n <= options.most]
    small = Scenario(1, straggler=STRAGGLERS)
    modes = {}
    for mode in MODES:
        able = [n for n in workers if n > 2 or not mode.startswith("backup")]
        modes[mode] = curve(replace(small, mode=mode), able, costs)
    middle = Scenario(1, straggler=STRAGGLERS, **MIDDLE)
    fewer = [n for n in workers if n in FEWER]
    servers = {n: curve(replace(middle, servers=n), fewer, costs) for n in SERVERS}
    if options.write:
        draw("dist-modes", "Speed-up: ResNet-20, one server", "A step in sync mode waits for",
             modes, "sync")  # fmt: skip
        named = {f"{n} server{'s' * (n > 1)}": found for n, found in servers.items()}
        draw("dist-servers", "Speed-up: 100 MB of weights, sync",
             f"A step with {SERVERS[-1]} servers waits for", named, [*named][-1])  # fmt: skip
    return (
        "Every process on a machine of its own with four cores and a network card of 10 Gbit,"
        " 0.1 ms there and back, encrypted. Of the slots, the logarithms deviate by 0.1, and one in"
        " a hundred takes five times as long. Speed-up: how many workers that need not talk would"
        f" compute as many slots. {LOOKED_AT:,} slots are looked at, in at least {STEPS} steps.\n\n"
        f"ResNet-20, {small.size / 1e6:.2f} MB of weights, {small.compute:g} s a slot, one server:"
        "\n\n![Speed-up of ResNet-20 by mode](curves/dist-modes.svg)\n\n"
        + modes_table(modes)
        + f"\n\n{middle.size / 1e6:.0f} MB of weights, {middle.compute:g} s a slot, sync:"
        "\n\n![Speed-up with 100 MB of weights by servers](curves/dist-servers.svg)\n\n"
        + modes_table({f"{n} servers" if n > 1 else "1 server": f for n, f in servers.items()})
    )


def draw(name: str, left: str, right: str, found: dict[str, list[Forecast]], shown: str) -> None:
    lines = [Line(one, [(f.workers, f.speedup) for f in many]) for one, many in found.items()]
    parts = [(f.workers, f.parts) for f in found[shown]]
    write_scaling(PICTURES / f"{name}.svg", (left, right), lines, parts)


def modes_table(found: dict[str, list[Forecast]]) -> str:
    """Speed-up, and what limits it."""
    rows = []
    by_workers = {n: {f.workers: f for f in many} for n, many in found.items()}
    for n in sorted({f.workers for many in found.values() for f in many}):
        row = [f"{n:,}"]
        for many in by_workers.values():
            one = many.get(n)
            row.append(f"{figure(one.speedup)} ({one.limit})" if one else "")
        rows.append(row)
    return table(["workers", *found], rows)


SECTIONS = {
    "real": ("Forecasts beside real jobs", real), "curves": ("Up to 1,000 workers", curves),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="of a real job")
    parser.add_argument("--most", type=int, default=MANY[-1], help="workers of a curve")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--write", action="store_true", help="write the sections of RESULTS.md")
    options = parser.parse_args()
    costs = calibrate()
    for name in options.only:
        title, section = SECTIONS[name]
        body = section(options, costs)
        print(f"{title}\n\n{body}\n", flush=True)
        if options.write:
            write_section(
                f"dist forecast {name}", f"The parameter server: {title[0].lower()}{title[1:]}",
                f"{body}\n\nBy `python -m benchmarks.dist_forecast --write --only {name}`."
                f" {provenance('minidl', 'numpy', 'numba', 'pyzmq')}",
            )  # fmt: skip


if __name__ == "__main__":
    main()
