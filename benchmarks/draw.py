"""Text-to-image on drawn flowers: what is right in the pictures, judged by the oracle.

    python -m benchmarks.draw [--seeds 0 1 2] [--ways small-cls paper-cls ...] [--runs FOLDER]

writes the section "Drawing sentences" of RESULTS.md. The recipe that `minidl draw train` has by
default is trained with all seeds, and so is the same for flowers at any angle; every other way with
the first seed. All ways but these two take the text encoder of the default recipe, so that within
small-* and within paper-* ways differ in what the section is about alone.

    python -m benchmarks.draw --short [--seeds 0] [--ways ...] [--runs FOLDER]

trains every way for a quarter as long, two at a time with one thread each, and writes the section
"Ways of drawing, side by side".
"""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from apps.draw.report.page import EASY_FIRST
from apps.draw.score.text import COMPARED
from benchmarks.results import table, write_section
from benchmarks.training import (
    Finished,
    Training,
    commands,
    minidl_command,
    parser,
    provenances,
    run,
    run_together,
    this_command,
)
from minidl.data.flowers import TILT
from minidl.io.atomic import write_atomically

PROGRAM = ("draw", "train")
PICTURES = 1000
SCORE = "score.json"
# The paper's networks, losses and optimizer, narrow enough for a CPU, with about as many steps as
# the default recipe. The table's text says what differs from the paper.
PAPER = (
    "--preset", "reed", "--ngf", "16", "--ndf", "16", "--batch-size", "32", "--schedule", "none",
)  # fmt: skip
EPOCHS = (
    16  # of drawn flowers, as the default recipe has; a quarter of them where training is short
)
ONE = ("--captions", "1")  # of a picture make its embedding, as in the default recipe
DEFAULT, TURNED = "small-cls", "small-cls-turned"
SEEDED = (DEFAULT, TURNED)  # trained with all seeds, each with a text encoder of its own
WAYS = {  # way -> what is said of it, arguments
    "small-cls": ("wrong captions as well (CLS): the default", ()),
    "small-cls-turned": ("the default, of flowers at any angle", ("--data", "flowers-turned")),
    "small-conditional": ("captions alone", ("--gan", "conditional")),
    "small-int": ("captions, and between them (INT)", ("--gan", "int")),
    "small-cls-int": ("CLS and INT", ("--gan", "cls-int")),
    "small-gan": ("plain GAN, no captions", ("--gan", "gan")),
    "small-cls-standard": ("embeddings of deviation 1", ("--no-discriminant",)),
    "small-cls-far": ("no wrong captions that are nearly right", ("--near-share", "0")),
    "small-cls-halves": ("drawn pictures count half, as the paper's", ("--drawn-weight", "0.5")),
    "paper-conditional": (
        "captions alone; 64 pixels, narrow",
        (*PAPER, *ONE, "--gan", "conditional"),
    ),
    "paper-cls": ("CLS; 64 pixels, narrow", (*PAPER, *ONE, "--gan", "cls")),
    "paper-int": ("INT; 64 pixels, narrow", (*PAPER, *ONE, "--gan", "int")),
    "paper-cls-int": ("CLS and INT; 64 pixels, narrow", (*PAPER, *ONE, "--gan", "cls-int")),
    "paper-gan": ("plain GAN, no captions; 64 pixels, narrow", (*PAPER, "--gan", "gan")),
}
PAPER_TEXT = (
    "paper-* have the networks, losses and optimizer of Reed et al. (2016), but are not the "
    "paper's experiment: the generator is an eighth as wide and the discriminator a quarter, one "
    "caption stands in place of the mean of four, the default's text encoder (words, learned from "
    "32 pixels) in place of theirs, and training is as many epochs of drawn flowers as of small-*, "
    "in batches of 32 at a constant rate. They draw 64 pixels, small-* 32.\n\n"
)
ABOUT = (
    f"{PICTURES:,} pictures for captions of the 202 combinations that were held out; what the "
    "oracle reads from them is compared with the caption. Shares in %, the median over the seeds, "
    "as many as the row says; all six: of pictures in which all attributes are right at once. "
    f"Flowers stand upright, give or take {TILT:.0f} degrees, which makes petals easy to count; of "
    f"{TURNED} they are turned to any angle. Diversity: of pictures of one caption, and of "
    "different captions, in parts of that of real pictures. Open: how often backgrounds of a "
    "caption that names none differ, in parts of how often they do in real pictures. Seen: the "
    "mean over attributes for seen combinations less that for held out ones, in points. R: "
    "R-precision, chance is 1 %. Frechet: distance of SqueezeNet's features, 0 for real pictures. "
    "Minutes are of what the row's command trained: with the text encoder where it is not another "
    "run's.\n\n"
)
SHORT_TEXT = (
    f"Every way with one seed and {EPOCHS // 4} epochs of drawn flowers, a quarter of the default, "
    "two at a time with one thread each, beside other programs, which minutes by the clock show. "
    "So the figures compare ways with each other; what the default reaches in full is in the "
    "section above.\n\n"
)
MUST = {"color": 90, "background": 98, "center": 90, "size": 95, "shape": 85, "count": 40}


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options_of.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    options_of.add_argument("--short", action="store_true", help="a quarter of the training")
    options = options_of.parse_args()
    done: dict[str, list[Finished]] = {}
    if options.short:
        done = trained_briefly(options.ways, options.seeds[0], options.runs)
    else:
        for way in options.ways:
            seeds = options.seeds if way in SEEDED else options.seeds[:1]
            done[way] = [trained(way, seed, options.runs) for seed in seeds]
    scores = {way: [score(one, options.runs) for one in runs] for way, runs in done.items()}
    names = [one.training.name for runs in done.values() for one in runs]
    write(done, scores, options.short, {str(options.runs / name): name for name in names})


def trained(way: str, seed: int, runs: Path) -> Finished:
    """Train a way; with captions, the default recipe first, whose text encoder it takes."""
    if takes_encoder(way):
        run(training_of(DEFAULT, seed, runs), runs)
    return run(training_of(way, seed, runs), runs)


def trained_briefly(ways: list[str], seed: int, runs: Path) -> dict[str, list[Finished]]:
    """Train each way once; first those that learn an encoder of their own."""
    first = [DEFAULT, *(way for way in ways if not takes_encoder(way) and way != DEFAULT)]
    order = first + [way for way in ways if takes_encoder(way)]
    done: dict[str, list[Finished]] = {}
    for pair in (order[i : i + 2] for i in range(0, len(order), 2)):
        finished = run_together([training_of(way, seed, runs, short=True) for way in pair], runs)
        done |= {way: [one] for way, one in zip(pair, finished)}
    return {way: done[way] for way in ways}


def takes_encoder(way: str) -> bool:
    """Whether a way draws captions, with the text encoder of the default recipe."""
    return way not in SEEDED and not way.endswith("-gan")


def training_of(way: str, seed: int, runs: Path, short: bool = False) -> Training:
    """The run of a way."""
    prefix, arguments = "draw-short" if short else "draw", [*WAYS[way][1]]
    if short or way.startswith("paper"):
        arguments += ["--epochs", str(EPOCHS // 4 if short else EPOCHS)]
    if takes_encoder(way):
        arguments += ["--text-encoder", str(runs / f"{prefix}-{DEFAULT}-{seed}")]
    arguments += ["--seed", str(seed)]
    return Training(f"{prefix}-{way}-{seed}", tuple(arguments), program=PROGRAM)


def score(done: Finished, runs: Path) -> dict[str, Any]:
    """The figures of `minidl draw score`, kept in the run's folder, and made anew for a new run."""
    folder = runs / done.training.name
    file = folder / SCORE
    if not file.exists() or file.stat().st_mtime < (folder / "run.json").stat().st_mtime:
        command = [minidl_command(), "draw", "score", str(folder)]
        answer = subprocess.run(
            [*command, "-n", str(PICTURES), "--json"], stdout=subprocess.PIPE, check=True, text=True
        )
        write_atomically(file, answer.stdout.splitlines()[-1].encode())
    return json.loads(file.read_text())


# --- the section --------------------------------------------------------------------------------


def write(
    done: dict[str, list[Finished]],
    scores: dict[str, list[dict[str, Any]]],
    short: bool,
    hidden: dict[str, str],
) -> None:
    """The section of RESULTS.md."""
    finished = [one for runs in done.values() for one in runs]
    body = (
        (SHORT_TEXT if short else "")
        + ABOUT
        + table(columns(), [row(way, done[way], scores[way]) for way in done])
        + "\n\n"
        + (PAPER_TEXT if any(way.startswith("paper") for way in done) else "")
        + ("" if short else seeds_of_default(scores))
        + commands(finished, hidden)
        + f"\n\nAll by `{this_command('draw', hidden)}`, which then measures each run by "
        f"`minidl draw score RUN -n {PICTURES}`. " + provenances(finished)
    )
    if short:
        write_section("draw-short", "Ways of drawing, side by side", body)
    else:
        write_section("draw", "Drawing sentences", body)


def columns() -> list[str]:
    return [
        "way",
        "",
        "seeds",
        *EASY_FIRST,
        "all six",
        "diversity same / across",
        "open",
        "seen",
        "R",
        "Frechet",
        "minutes",
        "CPU",
    ]


def row(way: str, runs: list[Finished], scores: list[dict[str, Any]]) -> list[str]:
    """A way's line of the table."""
    held_out = [one["held_out"] for one in scores]
    cells = [percent([part["attributes"][name] for part in held_out]) for name in EASY_FIRST]
    diversity = " / ".join(
        f"{statistics.median(part['diversity'][kind] for part in held_out):.2f}"
        for kind in ("same", "across")
    )
    minutes = statistics.median(one.figures["seconds"] for one in runs) / 60
    spent = [one.cpu_seconds for one in runs]
    cpu = "-" if None in spent else f"{statistics.median(spent) / 60:.0f}"
    return [
        way, WAYS[way][0], str(len(runs)), *cells,
        percent([part["all_six"]["attributes"] for part in held_out]), diversity,
        f"{statistics.median(varies(one) for one in scores):.2f}", f"{gap(scores):+.1f}",
        percent([part.get("r_precision") for part in held_out]),
        number([part.get("frechet") for part in held_out]), f"{minutes:.0f}", cpu,
    ]  # fmt: skip


def varies(score: dict[str, Any]) -> float:
    """How much backgrounds vary where captions leave them open."""
    return score["seen"]["left_open"]["background"]


def gap(scores: list[dict[str, Any]]) -> float:
    """How much better seen combinations are drawn, in points; the median over seeds."""
    return statistics.median(
        100 * (mean(one["seen"]["attributes"]) - mean(one["held_out"]["attributes"]))
        for one in scores
    )


def mean(shares: dict[str, float]) -> float:
    return sum(shares.values()) / len(shares)


def percent(shares: list[float | None]) -> str:
    """The median in percent; "-" where it is not known."""
    return "-" if None in shares else f"{100 * statistics.median(shares):.1f}"


def number(values: list[float | None]) -> str:
    return "-" if None in values else f"{statistics.median(values):.0f}"


def seeds_of_default(scores: dict[str, list[dict[str, Any]]]) -> str:
    """Each seed of the default recipe, and what it compares with, in a table of its own."""
    if DEFAULT not in scores:
        return ""
    rows = []
    for one in scores[DEFAULT]:
        rows += [
            share_row(what, name, one["held_out"])
            for what, name in (("held out", "attributes"), ("shuffled", "shuffled"))
        ]
    last = scores[DEFAULT][0]["held_out"]
    rows += [share_row(what, name, last) for name, what in COMPARED.items() if name != "shuffled"]
    rows.append(["must reach", *(str(MUST[name]) for name in EASY_FIRST), "-"])
    return (
        f"Each seed of {DEFAULT}, with captions and with captions shuffled. Real pictures are the "
        "most that the oracle lets one reach; who draws the nearest combination of the training "
        "without fault has five of six attributes right, and never all:\n\n"
        + table(["", *EASY_FIRST, "all six"], rows)
        + "\n\n"
    )


def share_row(what: str, name: str, part: dict[str, Any]) -> list[str]:
    """One line of it: the attributes in this table's order, and all at once."""
    shares = [*(part[name][attribute] for attribute in EASY_FIRST), part["all_six"][name]]
    return [what, *(percent([share]) for share in shares)]


if __name__ == "__main__":
    main()
