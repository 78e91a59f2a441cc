"""Neural style: all its sections of RESULTS.md, or those of some parts.

    python -m benchmarks.style [--parts evaluation,cnnmrf ...]

Each part is a module of this folder, whose write() measures and writes its section, or in the case
of readme the picture in README.md; `python -m benchmarks.style.PART` has options of its own.
"""

from __future__ import annotations

import argparse
from importlib import import_module

PARTS = (
    "evaluation", "gatys", "reconstruct", "texture", "fast", "fast_pictures", "cnnmrf",
    "cnnmrf_pictures", "readme",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.style", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--parts", nargs="+", default=PARTS, help=", ".join(PARTS))
    words = [part for group in parser.parse_args().parts for part in group.split(",") if part]
    for part in words:
        if part not in PARTS:
            parser.error(f"no such part: {part}. There are {', '.join(PARTS)}")
    for part in words:
        print(f"{part} ...", flush=True)
        import_module(f"benchmarks.style.{part}").write()


if __name__ == "__main__":
    main()
