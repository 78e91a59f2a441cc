"""Many schedules of simulate.py: the command, its progress, and what failed.

python -m minidl_dist.schedules 100000 --mode any --processes 2
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator

import minidl
from minidl_dist.checked import Failure
from minidl_dist.simulate import World

BLOCK = 50  # schedules, after which progress may be told
PAUSE = 10.0  # seconds between two lines of progress

Result = tuple[int, list[tuple[int, str]], int, float]  # schedules, failures, events, CPU seconds


def main(arguments: list[str]) -> int:
    """Run them; prints each failure with the seed that shows it again."""
    parser = argparse.ArgumentParser("python -m minidl_dist.schedules")
    parser.add_argument("count", type=int, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--mode", default="sync", help="of the jobs; any: each draws its own")
    parser.add_argument("--compress", default="none", help="of gradients: 1bit, say")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print all that happens")
    options = parser.parse_args(arguments)
    mode = None if options.mode == "any" else options.mode
    last = options.first + options.count
    blocks = [
        (seed, min(seed + BLOCK, last), mode, options.compress, options.show)
        for seed in range(options.first, last, BLOCK)
    ]
    started, told = time.monotonic(), time.monotonic()
    done, events, spent, bad = 0, 0, 0.0, []
    for count, failures, happened, seconds in results(blocks, options.processes):
        done, events, spent = done + count, events + happened, spent + seconds
        bad += failures
        for seed, text in failures:
            print(f"seed {seed}: {text}", flush=True)
        if time.monotonic() - told > PAUSE and done < options.count:
            told = time.monotonic()
            left = (told - started) / done * (options.count - done)
            print(f"{done:,} schedules, {len(bad)} failed; {left:,.0f} s left", flush=True)
    print(
        f"{options.count:,} schedules, {events:,} events, {spent:.1f} s of CPU, "
        f"{1000 * spent / max(done, 1):.1f} ms each; failed: {[seed for seed, _ in bad] or 'none'}"
    )
    return 1 if bad else 0


def results(blocks: list[tuple], processes: int) -> Iterator[Result]:
    if processes == 1:
        yield from map(run_block, blocks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(run_block, blocks)


def run_block(block: tuple[int, int, str | None, str, bool]) -> Result:
    first, last, mode, compress, show = block
    failures, events = [], 0
    started = time.process_time()
    gc.disable()  # worlds are full of cycles: one collection at the end is cheaper
    with minidl.use_cpu_kernels("reference"):
        for seed in range(first, last):
            world = World(seed, mode, compress=compress)
            world.show = show
            try:
                world.run()
            except Failure as failure:
                failures.append((seed, str(failure)))
            except Exception:
                failures.append((seed, traceback.format_exc(limit=-3)))
            events += world.events
    gc.enable()
    return last - first, failures, events, time.process_time() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
