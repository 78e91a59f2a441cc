"""Two sections of benchmarks/dist.py: what compression of gradients saves, and what modes learn.

compress      a step of two workers, by the compression of their gradients: on a link of
              100 Mbit/s between two network namespaces (needs root and iproute2), and on one
              machine, where messages never leave its memory
convergence   LeNet on MNIST, by mode and compression, each for as many examples
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import dist_job
from benchmarks.results import table

SCHEMES = ("none", "bf16", "1bit", "topk:0.01")
SLOW = "100mbit"
MODELS = {"resnet20": "ResNet-20, 64 examples each", "linear": "a linear layer, 16 examples each"}
BATCHES = {"resnet20": 128, "linear": 32}  # examples of a step
ADDRESSES = ("10.178.0.1", "10.178.0.2")
WAYS = {
    "sync": ("sync", "none"), "ssp:3": ("ssp:3", "none"), "async": ("async", "none"),
    "backup:1": ("backup:1", "none"), "sync, 1bit": ("sync", "1bit"),
}  # fmt: skip
SEEDS = (0, 1, 2)
WITHIN = 25  # steps, all workers of ssp and async take part


# --- what compression saves ---------------------------------------------------------------------


def compress(options: argparse.Namespace) -> str:
    places = ["here"] if os.geteuid() else [SLOW, "here"]
    seconds: dict[tuple[str, str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, slow_link(SLOW in places) as hosts:
        for number in range(options.rounds):
            for place, model, scheme in itertools.product(places, BATCHES, SCHEMES):
                flags = ["--workers", "2", "--slots", "2", "--checkpoint-every", "1000"]
                if place == SLOW:
                    flags += ["--hosts", hosts, "--shell", "ip netns exec"]
                arguments = ["--model", model, "--batch", str(BATCHES[model]), "--slots", "2"]
                name = f"{number}-{place}-{model}-{scheme}".replace(":", "-")
                output = run_job(
                    Path(folder) / name, [*flags, "--compress", scheme],
                    "dist_job.py", [*arguments, "--steps", "24"],
                )  # fmt: skip
                found = [float(one) for one in re.findall(r'"median": ([^,}]+)', output)]
                seconds.setdefault((place, model, scheme), []).append(statistics.fmean(found))
    rows = []
    for (place, model, scheme), found in seconds.items():
        pairs = zip(seconds[place, model, "none"], found)
        ratio = statistics.median(plain / one for plain, one in pairs)
        rows.append([
            "100 Mbit/s" if place == SLOW else "one machine", MODELS[model], scheme,
            f"{bytes_of_slot(model, scheme):,}", f"{1000 * statistics.median(found):.0f}",
            f"{ratio:.2f}",
        ])  # fmt: skip
    columns = ["link", "what", "compress", "bytes a slot pushes", "ms a step", "times as fast"]
    return (
        "Two workers of one thread, one server, sync. On the slow link (`tc ... tbf`, both ways),"
        " the server and a worker are on one side, the other worker on the other; keys are used."
        " Weights come back as they are, so a step cannot be more than about twice as fast. On one"
        f" machine, compression is only work. Medians of {options.rounds} rounds of 24 steps"
        " without the first eight, which are not compressed; times as fast: of the ratios of rounds"
        ", not the ratio of the medians beside it.\n\n" + table(columns, rows)
    )


def bytes_of_slot(model: str, scheme: str) -> int:
    """What one slot pushes of its gradient, once the warm-up is over."""
    from minidl import optim
    from minidl_dist.compress import Codec
    from minidl_dist.plan import Job
    from minidl_dist.tensors import make_plan

    net = dist_job.build(model)
    plan, _ = make_plan(net, optim.SGD(net.parameters(), lr=0.1), 2, 48, 1)
    codec = Codec(plan, Job(("server0",), compress=scheme, save_every=1000))
    forms = [codec.form(12, 0, chunk.number) for chunk in plan.chunks if chunk.kind == "sum"]
    return sum(size * (1 if dtype == "uint8" else 4) for dtype, size in forms)


@contextmanager
def slow_link(is_wanted: bool = True) -> Iterator[str]:
    """Two namespaces with a cable of 100 Mbit/s; what --hosts says of them."""
    names = [f"minidl-{os.getpid()}-{letter}" for letter in "ab"]
    cables = [f"mc{os.getpid() % 100_000}{letter}" for letter in "ab"]
    if not is_wanted:
        yield ""
        return
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        for name, cable, address in zip(names, cables, ADDRESSES):
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", cable, "up")
            limit = ["rate", SLOW, "burst", "128kb", "limit", "16mb"]
            run("tc", "-n", name, "qdisc", "add", "dev", cable, "root", "tbf", *limit)
        yield ",".join(f"{name}={address}" for name, address in zip(names, ADDRESSES))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def ip(*words: str) -> None:
    run("ip", *words)


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")


# --- what modes learn ---------------------------------------------------------------------------


def convergence(options: argparse.Namespace) -> str:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for way, (mode, scheme) in WAYS.items():
            found = []
            for seed in SEEDS[: options.rounds]:
                where = Path(folder) / f"{mode}-{scheme}-{seed}".replace(":", "-")
                found.append(accuracy(where, mode, scheme, seed, options))
            spread = statistics.stdev(found) if len(found) > 1 else 0.0
            each = ", ".join(f"{one:.2%}" for one in found)
            rows.append([way, f"{statistics.fmean(found):.2%}", f"{spread:.2%}", each])
    return (
        f"LeNet-5 after {options.examples:,} pictures of MNIST, by four workers (SGD, learning rate"
        " 0.01, momentum 0.9). sync: steps of four slots of 32; backup:1 leaves out the slowest of"
        " the four; in ssp and async each slot is a step of its own, with the same learning rate."
        f" There a checkpoint is made every {WITHIN} steps, not every 100: until the first, one"
        " worker may compute alone."
        " Accuracy on the test set; seeds draw weights and order.\n\n"
        + table(["mode", "mean", "standard deviation", "each seed"], rows)
    )


def accuracy(folder: Path, mode: str, scheme: str, seed: int, options: argparse.Namespace) -> float:
    output = run_job(
        folder,
        ["--workers", "4", "--slots", "4", "--mode", mode, "--compress", scheme,
         "--checkpoint-every", str(WITHIN if mode in ("ssp:3", "async") else 100)],
        "dist_mnist.py",
        ["--data", options.data_dir, "--examples", str(options.examples), "--seed", str(seed),
         "--workers", "4"],
    )  # fmt: skip
    found = re.findall(r"accuracy (\S+)", output)[-1]
    print(f"{mode}, {scheme}, seed {seed}: {found}", file=sys.stderr, flush=True)
    return float(found)


def run_job(folder: Path, flags: list[str], script: str, arguments: list[str]) -> str:
    """What `minidl dist run` of a script beside this file prints, with workers of one thread."""
    done = subprocess.run(
        [
            sys.executable, "-c", "from apps.cli import main; main()", "dist", "run",
            "--threads", "1", *flags, "-o", str(folder), str(Path(__file__).with_name(script)),
            *arguments,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout)
    return done.stdout
