"""Neural style: the sections of RESULTS.md, each by the file of its name.

    python -m benchmarks.style [--parts evaluation,cnnmrf ...]

Each part, benchmarks/style_PART.py, has a function write() that measures and writes its section.
"""

from __future__ import annotations

import argparse
from importlib import import_module

PARTS = ("evaluation", "gatys", "reconstruct", "texture", "fast", "cnnmrf", "cnnmrf_pictures")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=PARTS, help=", ".join(PARTS))
    words = [part for group in parser.parse_args().parts for part in group.split(",") if part]
    for part in words:
        if part not in PARTS:
            parser.error(f"no such part: {part}. There are {', '.join(PARTS)}")
    for part in words:
        print(f"{part} ...", flush=True)
        import_module(f"benchmarks.style_{part}").write()


if __name__ == "__main__":
    main()
