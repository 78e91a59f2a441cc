"""Text-to-image on photographs: 17 kinds of flowers, drawn from captions of their kinds.

    python -m benchmarks.draw_flowers17 --data-dir FOLDER [--seeds 0 1] [--epochs N] [--runs FOLDER]

FOLDER has flowers17.tar and flowers17-captions.json. It writes the section "17 kinds of flowers,
drawn" of RESULTS.md, with a sheet in benchmarks/pictures. A SqueezeNet whose last layer learned the
17 kinds from photographs judges the drawings: how often it sees the kind that the caption was of.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np

from apps.classify.evaluation import evaluate, load_classifier
from apps.draw.data import open_pairs
from apps.draw.presets import from_command_line
from apps.draw.sampling import Artist, load_artist
from apps.shared.pictures import Picture
from apps.shared.sheet import write_sheet
from benchmarks.results import RESULTS, table, write_section
from benchmarks.training import (
    BY_THE_CLOCK,
    Finished,
    Training,
    commands,
    parser,
    percent,
    provenances,
    run,
    this_command,
)
from minidl.data import ArrayDataset, open_dataset

CLASSIFIER = ("squeezenet", "--mode", "frozen", "--weights", "squeezenet")
EACH = 30  # pictures of each kind
SHEET = RESULTS.parent / "pictures" / "draw-flowers17.jpg"
JUDGE = "draw-flowers17-judge"
TRIED = """\
Without changes of the pictures the discriminator learns the photographs, of which there are 1,087,
by heart, and one picture of each kind is all that is drawn in the end: by `--changes none
--wrong-weight 0.5 --drawn-weight 1` (commit f4a9ac2d47, seed 0) 12.75 % were named rightly, with a
diversity of 0.15. Those weights, 1.5 together against 1 of photographs with their own captions, had
another effect: for hundreds of steps "all is wrong" was what cost the discriminator least.

"""


def main() -> None:
    options_of = parser(__doc__.splitlines()[0])
    options_of.add_argument(
        "--data-dir", required=True, help="folder of flowers17.tar and captions"
    )
    options_of.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options_of.add_argument("--epochs", type=int, help="in place of those of the recipe")
    options = options_of.parse_args()
    folder = Path(options.data_dir).resolve()
    photos = str(folder / "flowers17.tar")
    judge = run(Training(JUDGE, (*CLASSIFIER, "--data", photos)), options.runs)
    epochs = ("--epochs", str(options.epochs)) if options.epochs else ()
    done = [
        run(
            Training(
                f"draw-flowers17-{seed}",
                ("--data", "flowers17", "--data-dir", str(folder), *epochs, "--seed", str(seed)),
                program=("draw", "train"),
            ),
            options.runs,
        )
        for seed in options.seeds
    ]
    right = [judged(options.runs, one, photos, str(folder)) for one in done]
    draw_sheet(load_artist(str(options.runs / done[0].training.name)), str(folder))
    spread = [diversity(options.runs / one.training.name) for one in done]
    write(judge, done, right, spread, {str(folder): "FOLDER", photos: "FOLDER/flowers17.tar"})


def captions_of(data_dir: str) -> dict[int, list[str]]:
    """The captions of each kind."""
    pairs = open_pairs(from_command_line({"data": "flowers17", "data_dir": data_dir}), "test")
    return {
        c: [pairs.texts[t] for t in pairs.captions[pairs.members[c][0]]]
        for c in range(len(pairs.members))
    }


def judged(runs: Path, done: Finished, photos: str, data_dir: str) -> float:
    """The share of drawings in which the classifier sees the kind of their caption."""
    artist = load_artist(str(runs / done.training.name))
    texts, labels = [], []
    for kind, captions in captions_of(data_dir).items():
        texts += [captions[i % len(captions)] for i in range(EACH)]
        labels += [kind] * EACH
    pictures = artist.draw(artist.embed(texts), artist.noise(len(texts), 1))
    classes = open_dataset(photos, "test").classes
    drawn = ArrayDataset(pictures, np.array(labels, np.int64), classes)
    return evaluate(load_classifier(str(runs / JUDGE)), drawn).accuracy


def diversity(run: Path) -> float:
    """How much pictures of one caption differed at the end, in parts of real pictures of it."""
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["diversity"]


def draw_sheet(artist: Artist, data_dir: str) -> None:
    """Four pictures of each kind with its first caption, as a JPEG."""
    pictures = []
    for kind, captions in captions_of(data_dir).items():
        a, b, c, d = artist.draw(artist.embed(captions[:1] * 4), artist.noise(4, kind))
        pictures.append(Picture(np.block([[[a], [b]], [[c], [d]]]), captions[0]))
    write_sheet(SHEET, pictures, "draw_flowers17", quality=60, columns=6, cell=128)


def write(
    judge: Finished,
    done: list[Finished],
    right: list[float],
    spread: list[float],
    hidden: dict[str, str],
) -> None:
    """The section of RESULTS.md."""
    rows = [
        [one.training.name.rpartition("-")[2], percent(share), f"{differ:.2f}",
         f"{one.figures['steps']:,}", f"{one.figures['seconds'] / 60:.0f}",
         "-" if one.cpu_seconds is None else f"{one.cpu_seconds / 60:.0f}"]
        for one, share, differ in zip(done, right, spread)
    ]  # fmt: skip
    finished = [judge, *done]
    body = (
        f"{EACH} pictures of 64 pixels of each kind, drawn from its captions, judged by SqueezeNet "
        "with a last layer that learned the kinds from photographs (of photographs it names "
        f"{percent(judge.accuracy)} rightly). Chance is 5.9 %; the median here "
        f"{percent(statistics.median(right))}. The captions are of kinds, not of pictures: eight "
        "sentences for all photographs of a kind. Diversity: of pictures of one caption, in parts "
        "of that of photographs of its kind; near 0, the network draws one picture of each. How "
        "far that is from Reed et al. (2016), the sheet shows best: they trained for 600 epochs on "
        "a GPU, on 8,189 photographs with ten sentences for each, and report no such figure.\n\n"
        + table(["seed", "named rightly", "diversity", "steps", "minutes", "CPU"], rows)
        + f"\n\n![drawings of each kind](pictures/{SHEET.name})\n\n"
        + TRIED
        + commands(finished, hidden)
        + f"\n\nAll by `{this_command('draw_flowers17', hidden)}`. {BY_THE_CLOCK} "
        + provenances(finished)
    )
    write_section("draw-flowers17", "17 kinds of flowers, drawn", body)


if __name__ == "__main__":
    main()
