"""The parameter server in figures: the wire, memory, training with one to four workers, recovery.

    python -m benchmarks.dist [--write] [--rounds 5] [--size 250MB] [--only wire training ...]

Everything that is compared is measured in turn, in rounds, and the ratio of a round is that of its
own figures; medians are of rounds. The machine should be doing nothing else. All of it takes about
seven minutes on two cores; --rounds counts those of the wire, the other sections have fewer.

    wire       messages beside bare sockets that carry the same, minidl_dist/bench.py
    memory     the largest memory of a server's process, with 67 MB of weights
    training   ResNet-20, a step of 128 examples: by workers of one thread, by processes that do
               not talk (each with half of the examples), by one process
    recovery   from kill -9 of a worker or a server to the next step that is done
    gloo       torch.distributed's all_reduce of as many bytes, where PyTorch is installed
    compress, convergence   see dist_compress.py

--write puts the tables into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.dist_compress import compress, convergence
from benchmarks.results import provenance, table, write_section
from minidl_dist.bench import bench, parse_size

JOB = [sys.executable, "-m", "benchmarks.dist_job"]
MINIDL = [sys.executable, "-c", "from apps.cli import main; main()"]
ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
BATCH = 128
WIDE_BYTES = 4 * (4096 * 4096 + 4096 + 4096 * 10 + 10)  # weights of dist_job.py's "wide"
WINDOW = 8 << 20  # bytes in flight from a worker


# --- running jobs -------------------------------------------------------------------------------


class Job:
    """`minidl dist run` of dist_job.py in a folder of its own, while something looks on.

    Args:
        folder: of the job; made.
        workers, arguments: how many, and dist_job.py's arguments.
        watch: called again and again, with the job, until it ends.
    """

    def __init__(
        self,
        folder: Path,
        workers: int,
        arguments: list[str],
        watch: Callable[[Job], None] | None = None,
        checkpoint_every: int = 1000,
    ):
        self.folder = folder
        script = Path(__file__).with_name("dist_job.py")
        process = subprocess.Popen(
            [
                *MINIDL, "dist", "run", "--workers", str(workers), "--threads", "1",
                "--slots", str(workers), "--checkpoint-every", str(checkpoint_every),
                "-o", str(folder), str(script), "--slots", str(workers), *arguments,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        lines: list[str] = []
        stdout = process.stdout or ()
        reader = threading.Thread(target=lambda: lines.extend(stdout), daemon=True)
        reader.start()
        while process.poll() is None:
            if watch is not None:
                watch(self)
            time.sleep(0.02)
        reader.join()
        self.output = "".join(lines)
        if process.returncode:
            raise SystemExit(self.output)

    def member(self, name: str) -> dict:
        """What status.json says of a process."""
        try:
            members = json.loads((self.folder / "status.json").read_text())["members"]
        except (OSError, ValueError, KeyError):
            return {}
        return next((one for one in members if one["name"] == name), {})

    def events(self, name: str) -> list[dict]:
        lines = (self.folder / "events" / f"{name}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def steps(self) -> list[dict]:
        """What each worker measured."""
        return steps_in(self.output)


def steps_in(output: str) -> list[dict]:
    return [json.loads(found) for found in re.findall(r"steps (\{.*\})", output)]


def alone(*batches: int, steps: int) -> list[dict]:
    """Processes of one thread that train at the same time and do not talk."""
    processes = [
        subprocess.Popen(
            [*JOB, "--batch", str(batch), "--steps", str(steps)],
            stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD,
        )
        for batch in batches
    ]  # fmt: skip
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("\n".join(outputs))
    return [found for output in outputs for found in steps_in(output)]


# --- the sections -------------------------------------------------------------------------------


def wire(options: argparse.Namespace) -> str:
    size = parse_size(options.size)
    found = bench(size, options.rounds)
    goals = {
        "tcp": ("raw tcp", "60 %, aim 80 %"),
        "zmq alone": ("raw tcp", ""),
        "curve": ("raw tcp", "20 %, aim 25 %"),
        "ipc": ("raw unix", "60 %, aim 75 %"),
    }
    rows = []
    for way, one in found.items():
        raw, goal = goals.get(way, ("", ""))
        rows.append([
            way, f"{2 * size / one['seconds'] / 1e6:,.0f} MB/s",
            f"{one['ratio']:.0%} of {raw}" if raw else "", goal, f"{one['p50'] * 1e6:.0f} us",
            f"{one['p50 ratio']:.1f}x" if raw else "", "5x, aim 4x" if goal else "",
        ])  # fmt: skip
    columns = ["way", "push + pull", "ratio", "goal", "small request, p50", "ratio", "goal"]
    return (
        f"{options.size} pushed and pulled in chunks of 1 MiB, eight in flight; the server takes a"
        " step of SGD with each. A bare socket does the same work: values go with a checksum, made"
        " by who sends them and compared by who takes them; but nobody checks its headers."
        " ZeroMQ alone is what its sockets take over TCP, without a node: of a request, that of two"
        " threads on each side that wake each other. What is above it is a node's: it polls several"
        " sockets and a timer, checks each header, and asks a machine what to do."
        f" Medians of {options.rounds} rounds.\n\n" + table(columns, rows)
    )


def memory(options: argparse.Namespace) -> str:
    peaks: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in ("wide", "resnet20"):
            largest = 0

            def look(job: Job) -> None:
                nonlocal largest
                largest = max(largest, peak_of(job.member("server0").get("pid")))

            arguments = ["--model", model, "--batch", "4", "--steps", "14"]
            Job(Path(folder) / model, 2, arguments, look)
            peaks[model] = largest
    grown, budget = peaks["wide"] - peaks["resnet20"], 4 * WIDE_BYTES + 2 * WINDOW
    rows = [
        ["weights", f"{WIDE_BYTES / 1e6:.0f} MB"],
        ["optimizer state (momentum)", f"{WIDE_BYTES / 1e6:.0f} MB"],
        ["a server's largest memory, less that with ResNet-20", f"{grown / 1e6:.0f} MB"],
        ["goal: 3 weights + state + 2 slots x window", f"{budget / 1e6:.0f} MB"],
        ["in weights, without state and windows",
         f"{(grown - WIDE_BYTES - 2 * WINDOW) / WIDE_BYTES:.2f} (goal 3, aim 2)"],
    ]  # fmt: skip
    return "Two workers, two slots.\n\n" + table(["what", "memory"], rows)


def peak_of(pid: int | None) -> int:
    """The largest memory that a process has had, in bytes; 0 where it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0


def training(options: argparse.Namespace) -> str:
    steps, rounds = options.steps, max(1, round(0.6 * options.rounds))
    jobs: dict[int, list[float]] = {1: [], 2: [], 4: []}
    parts: dict[int, list[dict[str, float]]] = {1: [], 2: [], 4: []}
    apart, lockstep, one = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for workers, found in jobs.items():
                if number and workers != 2:
                    continue  # only two workers have a goal
                place = Path(folder) / f"{number}-{workers}"
                job = Job(place, workers, ["--batch", str(BATCH), "--steps", str(steps)])
                found.append(statistics.fmean(s["mean"] for s in job.steps()))
                parts[workers].append(where_it_goes(job))
            silent = alone(BATCH // 2, BATCH // 2, steps=steps)
            apart.append(statistics.fmean(s["mean"] for s in silent))
            pairs = zip(*(s["steps"] for s in silent))
            lockstep.append(statistics.fmean(max(pair) for pair in pairs))
            one.append(alone(BATCH, steps=steps)[0]["mean"])
    rows = [
        [
            f"{workers} worker{'s' * (workers > 1)}", *milliseconds(statistics.median(found)),
            *milliseconds(*(middle(parts[workers], part) for part in PARTS)),
            f"{middle(parts[workers], 'hidden'):.0%}", f"{median_ratio(one, found):.2f}",
        ]
        for workers, found in jobs.items()
    ]  # fmt: skip
    empty = [""] * (len(PARTS) + 1)
    rows.append(["two processes that do not talk", *milliseconds(statistics.median(apart)), *empty,
                 f"{median_ratio(one, apart):.2f}"])  # fmt: skip
    rows.append(["the same, if each step took as long as its slower one",
                 *milliseconds(statistics.median(lockstep)), *empty,
                 f"{median_ratio(one, lockstep):.2f}"])  # fmt: skip
    rows.append(["one process", *milliseconds(statistics.median(one)), *empty, "1.00"])
    columns = ["who", "ms a step", *PARTS, "pushed during backward", "speed-up"]
    return (
        f"ResNet-20, {BATCH} examples a step, workers of one thread, sync, one server. Two workers"
        f" reach {median_ratio(apart, jobs[2]):.0%} of the throughput of two processes that do not"
        " talk (goal 92 %, aim 96 %), and"
        f" {median_ratio(one, jobs[2]):.2f} times that of one process (goal 1.6, aim 1.8)."
        " Sync waits for the slower worker of each step, and on a machine whose cores others use,"
        f" too, one of two is often slow: {median_ratio(lockstep, jobs[2]):.0%} is left where that"
        " is not counted."
        f" Medians of {rounds} rounds of {steps} steps, but 1 and 4 workers of one. A worker's"
        " step: it computes, pushes what is left of its gradient, waits for the other workers, and"
        " pulls the weights; with 4 workers on fewer cores, waiting is for a core, too."
        "\n\n" + table(columns, rows)
    )


PARTS = ("compute", "push", "wait", "pull")


def where_it_goes(job: Job) -> dict[str, float]:
    """Medians of worker0: the seconds of each part of its steps, and the share of its gradient that
    the server had when backward ended."""
    done = {e["step"]: e["time"] for e in job.events("coordinator") if e["what"] == "step done"}
    found: dict[str, list[float]] = {part: [] for part in (*PARTS, "hidden")}
    last: dict[str, dict] = {}  # the newest event of each kind
    for event in job.events("worker0"):
        last[event["what"]] = event
        if event["what"] != "advance" or not {"compute", "computed", "pushed"} <= last.keys():
            continue
        step = last["compute"]["step"]
        kinds = ("compute", "computed", "pushed")
        if step not in done or any(last[kind]["step"] != step for kind in kinds):
            continue
        times = [*(last[kind]["time"] for kind in kinds), done[step], event["time"]]
        for part, begin, end in zip(PARTS, times, times[1:]):
            found[part].append(max(0.0, end - begin))
        found["hidden"].append(last["computed"]["hidden"])
    return {name: statistics.median(values) for name, values in found.items() if values}


def middle(rounds: list[dict[str, float]], name: str) -> float:
    return statistics.median(found.get(name, 0.0) for found in rounds)


def recovery(options: argparse.Namespace) -> str:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, goal in (("worker1", "5 s, aim 2 s"), ("server0", "30 s, aim 10 s")):
            found = [
                recover(Path(folder) / f"{name}-{number}", name)
                for number in range(max(1, round(0.4 * options.rounds)))
            ]
            rows.append([name, f"{statistics.median(found):.1f} s", f"{max(found):.1f} s", goal])
    return (
        "From kill -9 to the end of the next step; of a server, a checkpoint is loaded and steps"
        " are repeated first. ResNet-20, two workers of 32 examples, a checkpoint every 10"
        " steps.\n\n" + table(["killed", "median", "longest", "goal"], rows)
    )


def recover(folder: Path, name: str) -> float:
    """Seconds from the kill to the next step that is done."""
    killed: list[float] = []

    def kill_it(job: Job) -> None:
        path = job.folder / "events" / "coordinator.jsonl"
        if killed or not path.exists() or path.read_text().count('"step done"') < 15:
            return
        pid = job.member(name).get("pid")
        if pid:
            killed.append(time.time())
            os.kill(pid, signal.SIGKILL)

    arguments = ["--batch", str(BATCH // 2), "--steps", "30"]
    job = Job(folder, 2, arguments, kill_it, checkpoint_every=10)
    generations = [
        event["time"] for event in job.events("coordinator")
        if event["what"] == "generation" and event["time"] >= killed[0]
    ]  # fmt: skip
    after = generations[0] if name.startswith("server") and generations else killed[0] + 0.05
    done = [event["time"] for event in job.events("coordinator") if event["what"] == "step done"]
    return next(when for when in done if when > after) - killed[0]


def gloo(options: argparse.Namespace) -> str:
    """torch.distributed with as many bytes, between two processes of this machine."""
    size = parse_size(options.size)
    found, rounds = [], max(1, round(0.6 * options.rounds))
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            ranks = [
                subprocess.Popen(
                    [sys.executable, "-c", GLOO, str(rank), str(size // 4), f"{folder}/store"],
                    stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD,
                )
                for rank in range(2)
            ]  # fmt: skip
            found.append(max(float(rank.communicate()[0].split()[-1]) for rank in ranks))
    ours = [2 * bench(size, 1, 5, ("raw tcp", "tcp"))["tcp"]["seconds"] for _ in found]
    rows = [
        ["gloo: all_reduce between two processes", f"{statistics.median(found):.2f} s"],
        ["ours: push and pull of one process, twice", f"{statistics.median(ours):.2f} s"],
    ]
    return (
        f"{options.size} of gradients of each of two processes. The server's step of SGD is in"
        " ours; that of gloo's processes is not.\n\n" + table(["what", "median"], rows)
    )


GLOO = """
import sys, time, torch
import torch.distributed as dist
rank, size, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
x, found = torch.ones(size), []
for _ in range(4):
    dist.barrier()
    start = time.perf_counter()
    dist.all_reduce(x)
    found.append(time.perf_counter() - start)
print(sorted(found[1:])[1])
"""


def milliseconds(*seconds: float) -> list[str]:
    return [f"{1000 * one:.1f}" for one in seconds]


def median_ratio(above: list[float], below: list[float]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(above, below))


SECTIONS = {
    "wire": ("Messages", wire), "memory": ("Memory of a server", memory),
    "training": ("Training", training), "recovery": ("Recovery", recovery),
    "gloo": ("Beside gloo", gloo), "compress": ("Compression of gradients", compress),
    "convergence": ("What modes learn", convergence),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=32, help="of a training")
    parser.add_argument("--size", default="250MB", help="to push and pull")
    parser.add_argument("--examples", type=int, default=60_000, help="of convergence")
    parser.add_argument("--data-dir", default="mnist", help="folder that holds MNIST")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    for name in options.only:
        title, section = SECTIONS[name]
        body = section(options)
        print(f"{title}\n\n{body}\n", flush=True)
        if options.write:
            packages = ["minidl", "numpy", "numba", "pyzmq"] + ["torch"] * (name == "gloo")
            command = f"python -m benchmarks.dist --write --only {name}"
            if options.rounds != 5:
                command += f" --rounds {options.rounds}"
            write_section(
                f"dist {name}", f"The parameter server: {title.lower()}",
                f"{body}\n\nBy `{command}`. {provenance(*packages)}",
            )  # fmt: skip


if __name__ == "__main__":
    main()
