"""Where the time of a training step or a forward pass goes, and what it could be at best.

    python -m benchmarks.profile lenet5 [--inference]

Prints the time in each kind of operation, and two floors: the operations of plain sums at the speed
of a matrix product, and the bytes that the operations are given and return at the speed of a copy.
"""

from __future__ import annotations

import argparse

from benchmarks.breakdown import profile_of
from benchmarks.inference import forward_of
from benchmarks.machine import copy_bandwidth, product_peak
from benchmarks.step_cases import CASES
from benchmarks.steps import operations, step_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=CASES)
    parser.add_argument("--inference", action="store_true", help="a forward pass in evaluation")
    options = parser.parse_args()
    case = CASES[options.model]
    if options.inference and case.gan:
        parser.error(f"{options.model} is two networks: there is no forward pass of it")
    run = (forward_of if options.inference else step_of)("minidl", case)[0]
    profile = profile_of(run)
    for name, seconds in sorted(profile.parts.items(), key=lambda item: -item[1]):
        print(f"{name:30} {1e3 * seconds:9.2f} ms  {100 * seconds / profile.seconds:5.1f} %")
    flops = operations(case, forward_only=options.inference)
    print(profile.sentence(flops, product_peak(), copy_bandwidth()))


if __name__ == "__main__":
    main()
