"""`minidl caption`: run, train, score, check.

Each turns its options into settings, calls one function and prints what it returns. Slow imports
are inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from apps.caption.settings import Settings
from apps.shared import run_folder
from apps.shared.command import DataDir, Output, Resume, application, command
from apps.shared.console import Console
from apps.shared.output_file import Overwrite

app = application()
caption = application("caption", "Image-to-text: say what is on a picture, and learn to.")
app.add_typer(caption)
RESUME = "minidl caption train --resume"
MOST = 1_000  # words of a sentence, and sentences of a picture: there is memory for so many
RUN_HELP = "flowers (comes with the install), a run folder, or a .safetensors file of one."
Beam = Annotated[
    int | None,
    typer.Option(help="Sentences that beam search goes on with at each word. Default: 3.", min=1),
]
MaxWords = Annotated[
    int | None,
    typer.Option(
        help="Words of a sentence at most; by default as many as in training.", min=1, max=MOST
    ),
]
LengthNorm = Annotated[
    float | None,
    typer.Option(
        "--length-norm", metavar="ALPHA", min=0,
        help="Divide log-probabilities by words^ALPHA, in favour of longer sentences. Default: 0.",
    ),
]  # fmt: skip


@command(caption, "run")
def run(
    network: Annotated[str, typer.Argument(metavar="RUN|NAME", help=RUN_HELP)],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Picture files, folders of them, or - for standard input."
        ),
    ],
    console: Console,
    beam: Beam = None,
    n_best: Annotated[int, typer.Option(help="Sentences of each picture.", min=1, max=MOST)] = 1,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw words by their probability, without a search.")
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option(help="With --sample: below 1 likely words become likelier. Default: 1."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of --sample. Default: 0.", min=0)] = None,
    max_words: MaxWords = None,
    length_norm: LengthNorm = None,
    html: Annotated[
        str | None, typer.Option(metavar="PAGE", help="Write a page with pictures and sentences.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Say what is on pictures.

    minidl caption run flowers PICTURE.png

    A file in a folder that is no picture is named on stderr and skipped. A
    picture that cannot be read is named, too; the others are described, and the
    exit code is 2.
    """
    from apps.caption.captioner import Decoding, check_decoding, load_captioner
    from apps.caption.report.page import likelihood, write_pictures
    from apps.caption.run import as_json, describe, shown_name
    from apps.shared.output_file import OutputFile
    from apps.shared.picture_files import picture_files
    from apps.shared.tables import filled, widest

    decoding = Decoding.typed(beam, n_best, max_words, length_norm, sample, temperature, seed)
    if html is not None:
        OutputFile(html, overwrite, (".html", ".htm"), flag="--html")
    paths, others = picture_files(images, "caption run")
    for other in others:
        console.note(f"skipped, no picture: {other}")
    captioner = load_captioner(network)
    check_decoding(decoding, captioner)
    width = widest(map(shown_name, paths))
    told, found, failed = [], [], []
    for path, answer in describe(captioner, paths, decoding):
        if isinstance(answer, Exception):
            console.error(answer)
            failed.append({"image": path, "error": answer.rule})
            continue
        said = [answer.said, *answer.others]
        for i, one in enumerate(said):
            more = f"{likelihood(one):>8}  " if n_best > 1 else ""
            name = filled("" if i else shown_name(path), width)
            console.line(f"{name}  {more}{' '.join(one.words) or '(nothing)'}")
        found.append(as_json(path, answer))
        if html is not None:
            told.append(answer)
    if html is not None:
        write_pictures(html, told, network, shlex.join(["minidl", *sys.argv[1:]]))
        console.note(f"written to {html}")
    console.json({"run": network, "pictures": found, "skipped": others, "failed": failed})
    if failed:
        raise typer.Exit(2)


@command(caption, "train", settings=Settings)
def train(
    given: dict[str, Any], console: Console, output: Output = None, resume: Resume = None
) -> None:
    """Learn to say what is on pictures; without options on flowers.

    A CNN sees, an LSTM speaks (Vinyals et al. 2016). A CNN with the weights
    of others stays frozen, and its features are computed once;
    --finetune-cnn-after N lets it learn, too. Ctrl-C or kill -9 at any moment:
    --resume goes on, and ends with the same bits.
    """
    from apps.caption.recipes import from_checkpoint, from_command_line
    from apps.caption.training import Training
    from apps.shared.outcome import sentences

    checkpoint = None
    if resume is not None:
        folder, checkpoint = run_folder.open_run(resume, output)
        settings = from_checkpoint(checkpoint.meta, given)
    else:
        settings = from_command_line(given)
        name = f"caption-{run_folder.short_name(settings.data)}"
        folder = run_folder.make_folder(output, name, RESUME)

    typed = shlex.join(["minidl", *sys.argv[1:]])
    with run_folder.in_run_folder(folder, f"{RESUME} {folder}", is_resumed=resume is not None):
        figures = Training(settings, folder, typed, console.note, checkpoint).run()

    scores = figures["scores"]
    line = f"CIDEr-D {scores['cider_d']:.3f}, BLEU-4 {scores['bleu'][3]:.3f}"
    if "attributes" in scores:
        line = (
            f"all six right: {100 * scores['attributes']['all_right']:.1f} % of sentences, {line}"
        )
    console.line(f"{line} ({figures['of']} pictures)")
    for sentence in sentences(figures):
        console.line(sentence)
    console.line(f"{figures['epochs']} epochs, {figures['seconds']:.0f} s")
    console.line(f"run folder: {folder} (report.html in it shows the run)")
    console.json(figures)


@command(caption, "score")
def score(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN|NAME...", help=f"{RUN_HELP} Several speak together."),
    ],
    console: Console,
    data: Annotated[
        str | None, typer.Option(help="As for train; by default what the run was trained on.")
    ] = None,
    data_dir: DataDir = None,
    split: Annotated[
        str,
        typer.Option(
            help="test; train; or val: where the data name none, what the run held out of train."
        ),
    ] = "test",
    beam: Beam = None,
    max_words: MaxWords = None,
    length_norm: LengthNorm = None,
    skip_missing: Annotated[
        bool,
        typer.Option("--skip-missing", help="Leave out lines of --data without their pictures."),
    ] = False,
) -> None:
    """Measure how good sentences are: BLEU-1 to BLEU-4, ROUGE-L, CIDEr-D.

    Beside them stand the caption of the training picture whose features are
    nearest, the most frequent caption, and the most that can be reached. Of
    flowers the sentences are read: which attributes are right, also of sentences
    for other pictures and for a gray one, which is the level of chance.

    Several runs are an ensemble: the mean of their probabilities counts.
    """
    from apps.caption.captioner import Decoding
    from apps.caption.score.score import score_runs
    from apps.caption.score.text import show
    from apps.shared.options import OptionError
    from minidl.data.captioned.listing import SPLITS
    from minidl.errors import nearest

    if split not in SPLITS:
        raise OptionError("no such split", {"--split": split}, nearest(split, SPLITS))
    decoding = Decoding.typed(beam, 1, max_words, length_norm)
    found = score_runs(runs, data, data_dir, split, decoding, console.note, skip_missing)
    show(console, found)
    console.json({"runs": runs} | found)


@command(caption, "check")
def check(
    data: Annotated[str, typer.Argument(metavar="NAME|PATH", help="As --data of train.")],
    console: Console,
    data_dir: DataDir = None,
) -> None:
    """Say what is wrong with pictures and captions, before hours are spent on them."""
    from apps.shared.checking import FOR_DRAWING, check_data

    found = check_data(data, data_dir, console, without=FOR_DRAWING)
    console.json(found)
    if found["serious"]:
        raise typer.Exit(2)
