"""Image-to-text: what is right in sentences about drawn flowers, and about photographs.

    python -m benchmarks.caption [--seeds 0 1 2] [--ways flowers ...] [--runs FOLDER]
    python -m benchmarks.caption --compare [--seeds 0] [--ways ...] [--runs FOLDER]

The first writes the section "Saying what is on pictures" of RESULTS.md. Flowers are learned with
all seeds, photographs with the first two of them. The second writes "Ways to learn sentences, side
by side": without the loss of phrases, with scheduled sampling, with GoogLeNet and with the same
with batch norm.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import commit, table, write_section
from benchmarks.training import (
    BY_THE_CLOCK,
    Finished,
    Training,
    commands,
    minidl_command,
    parser,
    provenances,
    run,
    this_command,
)
from minidl.io.atomic import write_atomically

PROGRAM = ("caption", "train")
SCORE = "score.json"
FLOWERS = "flowers"
TUXPAINT = ("--data", "tuxpaint", "--val-share", "0")  # the nearest is one of all, too
SQUEEZENET = ("--cnn", "squeezenet", "--weights", "squeezenet")
EFFICIENTNET = ("--cnn", "efficientnet_lite0", "--weights", "efficientnet-lite0")
FROM_SCRATCH = ("--size", "64", "--epochs", "3", "--lr", "1e-3")  # the same for both GoogLeNets
WAYS = {  # way -> what is said of it, arguments, seeds at most
    FLOWERS: ("the default", (), 3),
    "tuxpaint-squeezenet": ("SqueezeNet, frozen", (*TUXPAINT, *SQUEEZENET), 2),
    "tuxpaint-efficientnet": ("EfficientNet-Lite0, frozen", (*TUXPAINT, *EFFICIENTNET), 2),
}  # fmt: skip
COMPARED = {
    FLOWERS: ("the default", (), 1),
    "flowers-captions-alone": ("without the loss of phrases", ("--phrase-loss", "0"), 1),
    "flowers-own-words": ("scheduled sampling", ("--scheduled-sampling", "0.25"), 1),
    "flowers-googlenet": ("GoogLeNet", ("--cnn", "googlenet", *FROM_SCRATCH), 1),
    "flowers-googlenet-bn": (
        "GoogLeNet with batch norm", ("--cnn", "googlenet_torchvision", *FROM_SCRATCH), 1,
    ),
}  # fmt: skip
NAMES = {way: parts[0] for way, parts in (WAYS | COMPARED).items()}
TRIED = """\
What decided the recipe, in runs of seed 0 that were stopped as soon as they told:

- From captions alone (`--phrase-loss 0`, in the section on ways to learn sentences) come colors,
  shapes and sizes. Numbers of petals and centers are two words of twenty, the last to come, and by
  then the state of the LSTM is saturated: the first version, with `--cnn-lr-mult 1`, was at the
  level of chance with them after 20 epochs, though a linear map finds both in the maps of the same
  CNN.
- The same CNN learns all six attributes from labels within an epoch. So it was given a lesson of
  that kind that captions allow: which words are in any caption of the picture. With a weight of 0.1
  the plateau before petals and centers is longer than with 1.
- Words alone do not tell whose color "yellow" is, and green is a background, too. The color of the
  center came in the eighth of 13 epochs, and how much of it was a matter of rounding: 98.9 % of
  sentences had all six right on a processor with AVX-512 (commit 508f0ec), 89.3 % on one with AVX2
  (2441c6f), there 73.1 % after 20 epochs instead of 13. Pairs of words tell it.
- Not kept: a rate of 0.001 or 0.002 for the LSTM (slow), a second batch norm on what the LSTM is
  fed (no gain), a leaky relu on the features (slower), the maps themselves, 2,048 numbers, as
  features (they saturate the gates within a hundred steps).

"""
SIDE_BY_SIDE = {  # way -> what its row shows
    "flowers-captions-alone": """\
Without the loss of phrases numbers of petals and the color of the center stay at chance.

""",
    "flowers-own-words": """\
With scheduled sampling it learns as well as without. That depends on the other loss: where the CNN
learned single words of a picture and no pairs (commit 2441c6f06e), 89.3 % of sentences had all six
attributes right without it, and 22.4 % with it.

""",
    "flowers-googlenet-bn": """\
Both GoogLeNets begin with random weights, see pictures of 64 pixels three times, and have the same
learning rate, which falls to 0. With batch norm the loss falls faster at first. After three epochs
the losses are alike, but what was learned is not: colors with batch norm, backgrounds without it.
Three epochs are too few to say more than that.

""",
}
MUST = {"all_right": 90, "of_ceiling": 90}


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options_of.add_argument("--ways", nargs="+", help="by default all", metavar="WAY")
    options_of.add_argument("--compare", action="store_true", help="other ways than the recipe's")
    options_of.add_argument("--epochs", type=int, help="of every way, in place of the recipe's")
    options = options_of.parse_args()
    ways = COMPARED if options.compare else WAYS
    if unknown := set(options.ways or ()) - set(ways):
        options_of.error(f"no such way: {', '.join(sorted(unknown))}; there are {', '.join(ways)}")
    ways = {way: ways[way] for way in options.ways or ways}
    done = {
        way: [
            trained(way, arguments, seed, options.runs, options.epochs)
            for seed in options.seeds[:at_most]
        ]
        for way, (_, arguments, at_most) in ways.items()
    }
    scores = {way: [score([one], options.runs) for one in runs] for way, runs in done.items()}
    together = {way: score(runs, options.runs) for way, runs in done.items() if len(runs) > 1}
    write(done, scores, together, options.compare)


def trained(way: str, of_way: Sequence[str], seed: int, runs: Path, epochs: int | None) -> Finished:
    arguments = [*of_way, "--seed", str(seed)]
    if epochs:
        arguments = [*without(arguments, "--epochs"), "--epochs", str(epochs)]
    return run(Training(f"caption-{way}-{seed}", tuple(arguments), program=PROGRAM), runs)


def without(arguments: list[str], option: str) -> list[str]:
    """Arguments without an option and its value."""
    if option not in arguments:
        return arguments
    place = arguments.index(option)
    return arguments[:place] + arguments[place + 2 :]


def score(finished: list[Finished], runs: Path) -> dict[str, Any]:
    """The figures of `minidl caption score`, kept in the first run's folder.

    They are computed anew where a run is newer, or the code another one.

    Args:
        finished: a run, or several that speak together.
        runs: folder of the runs.
    """
    folders = [runs / done.training.name for done in finished]
    others = [folder.name for folder in folders[1:]]
    file = folders[0] / "+".join([*others, SCORE])
    newest = max((folder / "run.json").stat().st_mtime for folder in folders)
    kept = json.loads(file.read_text()) if file.exists() and file.stat().st_mtime > newest else {}
    if kept.get("commit") != commit():
        command = [minidl_command(), "caption", "score", *map(str, folders), "--json"]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        kept = {"commit": commit(), "figures": json.loads(answer.stdout.splitlines()[-1])}
        write_atomically(file, json.dumps(kept).encode())
    return kept["figures"]


# --- the section --------------------------------------------------------------------------------


def write(
    done: dict[str, list[Finished]], scores: dict[str, list[dict[str, Any]]],
    together: dict[str, dict[str, Any]], compare: bool,
) -> None:  # fmt: skip
    """The section of RESULTS.md."""
    finished = [one for runs in done.values() for one in runs]
    flowers = [way for way in done if way.startswith(FLOWERS)]
    photographs = [way for way in done if way not in flowers]
    body = ""
    if flowers:
        body += flowers_text(flowers, done, scores, together)
        if compare:
            shown = (text for way, text in SIDE_BY_SIDE.items() if way in done)
            body += by_epoch(flowers, done) + "".join(shown)
        else:
            body += TRIED
    if photographs:
        body += photographs_text(photographs, done, scores, together)
    body += (
        commands(finished, {})
        + f"\n\nAll by `{this_command('caption', {})}`, which then measures each run, and those of "
        "a row together, by `minidl caption score RUN...`. "
        + BY_THE_CLOCK + " "
        + provenances(finished)
    )  # fmt: skip
    if compare:
        write_section("caption-compared", "Ways to learn sentences, side by side", body)
    else:
        write_section("caption", "Saying what is on pictures", body)


def flowers_text(
    ways: list[str], done: dict[str, list[Finished]], scores: dict[str, list[dict[str, Any]]],
    together: dict[str, dict[str, Any]],
) -> str:  # fmt: skip
    """What is right in sentences about flowers."""
    first = scores[ways[0]][0]
    names = list(first["attributes"]["said"]["attributes"])
    columns = ["flowers", "seed", "all six right", "nothing wrong", *names, "gray picture",
               "other picture", "CIDEr-D", "of faultless", "of the best template", "BLEU-4",
               "minutes", "CPU"]  # fmt: skip
    rows = []
    for way in ways:
        for one, figures in zip(done[way], scores[way]):
            rows.append([NAMES[way], seed_of(one), *flower_cells(figures, names), *spent(one)])
        if way in together:
            cells = flower_cells(together[way], names)
            rows.append([NAMES[way], "together", *cells, "", ""])
    must = ["must reach", "", str(MUST["all_right"]), *[""] * (len(names) + 4)]
    rows.append([*must, str(MUST["of_ceiling"]), "", "", "15", ""])
    return (
        f"Drawn flowers: {first['pictures']:,} pictures of the 202 combinations that were held "
        "out. A sentence is read back by the template that it fits; all six right: it names all "
        "six attributes, each as the picture has it. Nothing wrong: it may be silent about some. "
        "Attributes: sentences that name it, and right. All six right for a gray picture and for "
        "the picture of another flower is the level of chance. CIDEr-D is compared with that of "
        "the same sentences without their faults, and with "
        f"{first['ceiling']['best']:.2f}, which the template that scores highest would reach if "
        "it were said of all pictures, without fault; which of the templates it says is nothing "
        f"that a picture tells, and their mean is {first['ceiling']['mean']:.2f}. Shares in %.\n\n"
        + table(columns, rows) + "\n\n"
    )  # fmt: skip


def by_epoch(ways: list[str], done: dict[str, list[Finished]]) -> str:
    """How fast ways learn: the loss of captions of validation pictures, after some epochs."""
    epochs = range(1, 1 + min(3, *(len(done[way][0].history) for way in ways)))
    rows = [
        [NAMES[way], *(f"{caption_loss(done[way][0].history[epoch - 1]):.2f}" for epoch in epochs)]
        for way in ways
    ]
    columns = ["loss of validation captions", *(f"epoch {epoch}" for epoch in epochs)]
    return table(columns, rows) + "\n\n"


def caption_loss(epoch: dict[str, Any]) -> float:
    """The loss of captions of validation pictures; where it is all that is learned, the loss."""
    return epoch["val_caption_loss" if "val_caption_loss" in epoch else "val_loss"]


def flower_cells(figures: dict[str, Any], names: list[str]) -> list[str]:
    """What a row of flowers has beside its name and time."""
    parts, said = figures["attributes"], figures["said"]
    shares = [parts["said"]["attributes"][name] for name in names]
    return [
        percent(parts["said"]["all_right"]), percent(parts["said"]["nothing_wrong"]),
        *map(percent, shares), percent(parts["blank"]["all_right"]),
        percent(parts["shuffled"]["all_right"]), f"{said['cider_d']:.2f}",
        *(percent(said["cider_d"] / figures["ceiling"][name]) for name in ("faultless", "best")),
        f"{said['bleu'][3]:.3f}",
    ]  # fmt: skip


def photographs_text(
    ways: list[str], done: dict[str, list[Finished]], scores: dict[str, list[dict[str, Any]]],
    together: dict[str, dict[str, Any]],
) -> str:  # fmt: skip
    """Sentences about photographs against those that need no LSTM."""
    columns = ["tuxpaint", "seed", "CIDEr-D", "nearest picture's", "times", "most frequent",
               "BLEU-1", "BLEU-4", "ROUGE-L", "different", "minutes", "CPU"]  # fmt: skip
    rows = []
    for way in ways:
        for one, figures in zip(done[way], scores[way]):
            rows.append([NAMES[way], seed_of(one), *photo_cells(figures), *spent(one)])
        if way in together:
            rows.append([NAMES[way], "together", *photo_cells(together[way]), "", ""])
    pictures = scores[ways[0]][0]["pictures"]
    return (
        f"Photographs and drawings of tuxpaint, {pictures:,} of them to test, split by the hash of "
        "their names. The CNN learned ImageNet and stays frozen; the LSTM learns from all training "
        "pictures. Nearest: the caption of that of them whose features have the largest cosine; "
        "times: CIDEr-D in parts of that. Most frequent: the same caption for all.\n\n"
        + table(columns, rows)
        + "\n\n"
    )


def photo_cells(figures: dict[str, Any]) -> list[str]:
    """What a row of photographs has beside its name and time."""
    said, nearest = figures["said"], figures["nearest"]["cider_d"]
    return [
        f"{said['cider_d']:.3f}", f"{nearest:.3f}",
        f"{said['cider_d'] / nearest:.2f}" if nearest else "-",
        f"{figures['most_frequent']['cider_d']:.3f}", f"{said['bleu'][0]:.3f}",
        f"{said['bleu'][3]:.3f}", f"{said['rouge_l']:.3f}", f"{100 * said['distinct']:.0f} %",
    ]  # fmt: skip


def seed_of(done: Finished) -> str:
    return str(done.figures["settings"]["seed"])


def spent(done: Finished) -> list[str]:
    """Minutes by the clock, and of the processors."""
    cpu = done.cpu_seconds
    return [f"{done.figures['seconds'] / 60:.1f}", "-" if cpu is None else f"{cpu / 60:.1f}"]


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
