"""How long it takes until something happens: importing, and the first training step.

    python -m benchmarks.startup [--times 5] [--write]

Each figure is the median of several fresh processes, for minidl and PyTorch in turn: importing
(beside that of NumPy, which both import), and the first step of LeNet-5 with 64 pictures, import
included. Cold, nothing is compiled yet (an empty NUMBA_CACHE_DIR); warm, the compiled kernels lie
on disk. --write puts the table into RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.results import provenance, table, write_section

IMPORT = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""
FIRST_STEP = """
import time
start = time.perf_counter()
import {package} as library
from {package} import nn, optim
net = nn.Sequential(
    nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
    nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
    nn.Linear(84, 10),
)
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
scores = net(library.randn(64, 1, 32, 32))
nn.functional.cross_entropy(scores, library.zeros(64, dtype=library.int64)).backward()
optimizer.step()
print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="processes for each figure")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()

    modules = ("numpy", "minidl", "torch")
    imports = {module: [] for module in modules}
    cold, warm, theirs = [], [], []
    seconds(IMPORT.format(module="torch"))  # files come from the disk the first time
    for _ in range(options.times):
        for module in modules:
            imports[module].append(seconds(IMPORT.format(module=module)))
        with tempfile.TemporaryDirectory() as folder:
            cold.append(seconds(FIRST_STEP.format(package="minidl"), folder))
            warm.append(seconds(FIRST_STEP.format(package="minidl"), folder))
        theirs.append(seconds(FIRST_STEP.format(package="torch")))
    rows = [
        [f"import {module}", f"{statistics.median(found):.2f} s"]
        for module, found in imports.items()
    ]
    rows += [
        ["first step of LeNet-5, cold", f"{statistics.median(cold):.2f} s"],
        ["first step of LeNet-5, warm", f"{statistics.median(warm):.2f} s"],
        ["first step of LeNet-5, PyTorch", f"{statistics.median(theirs):.2f} s"],
    ]
    print(table(["what", "median"], rows))
    if options.write:
        body = (
            f"Medians of {options.times} fresh processes; a first step has the import in it.\n\n"
            + table(["what", "median"], rows)
            + "\n\nAll by `python -m benchmarks.startup --write`. "
            + provenance("minidl", "numpy", "numba", "torch")
        )
        write_section("startup", "Until something happens", body)


def seconds(code: str, cache: str | None = None) -> float:
    """What a fresh process measures; `cache` is where it keeps compiled kernels."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout)


if __name__ == "__main__":
    main()
