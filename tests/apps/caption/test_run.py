"""`minidl caption run`: pictures in files, folders and standard input, and what is said of them."""

import os
import shutil
import weakref

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from typer.testing import CliRunner

import apps.caption.captioner as captioner_module
import minidl as library
from apps.caption.captioner import Decoding, captions_of, load_captioner
from apps.caption.report.page import AT_MOST
from apps.caption.run import describe
from apps.cli import app
from minidl.errors import CheckpointError
from minidl.kernels import unchanging
from minidl.kernels.cpu import word_step
from tests.apps.conftest import last_json, minidl, spawn
from tests.apps.flowers import made_up
from tests.training.processes import posix


@pytest.fixture
def folder(tmp_path):
    """Pictures with any names, among other files."""
    for i, name in enumerate(("Blüte 花.png", "b.png", "sub/c.png")):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(made_up(1).picture(i)).save(path)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures"


def test_a_folder_with_other_files_among_the_pictures(captioning_run, folder):
    result = minidl("caption", "run", captioning_run, folder, "--json")
    assert result.exit_code == 0, result.output
    found = last_json(result.stdout)
    names = [one["image"].removeprefix(f"{folder}/") for one in found["pictures"]]
    assert names == ["Blüte 花.png", "b.png", "sub/c.png"]
    assert [name.removeprefix(f"{folder}/") for name in found["skipped"]] == ["notes.txt"]
    assert "skipped, no picture: " in result.output
    for one in found["pictures"]:
        (said,) = one["captions"]
        assert said["caption"] == " ".join(word["word"] for word in said["words"])
        assert all(0 < word["probability"] <= 1 for word in said["words"])


@posix
def test_names_of_any_letters_and_bytes(captioning_run, folder):
    """The sentences stand below each other, and a name that is no UTF-8 is an escape."""
    content = (folder / "b.png").read_bytes()
    for name in ("花が咲く.png".encode(), b"no text \xff.png"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(content)
    process = spawn("caption", "run", captioning_run, folder, "--html", folder.with_name("a.html"),
                    "--json", encoding="utf-8")  # fmt: skip
    out, text = process.communicate(timeout=100)
    assert process.returncode == 0 and "Traceback" not in text, text
    lines = {line.partition(".png")[0]: line for line in text.splitlines() if ".png  " in line}
    assert {f"{folder}/{name}" for name in ("花が咲く", "b", r"no text \udcff")} <= lines.keys()
    starts = {
        cell_len(line) - cell_len(line.partition(".png")[2].lstrip()) for line in lines.values()
    }
    assert len(lines) == 5 and len(starts) == 1
    images = {one["image"] for one in last_json(out)["pictures"]}
    assert os.fsdecode(os.path.join(os.fsencode(folder), b"no text \xff.png")) in images


def test_several_sentences_of_each_picture(captioning_run, folder):
    result = minidl("caption", "run", captioning_run, folder / "b.png", "--n-best", 3, "--json")
    (one,) = last_json(result.stdout)["pictures"]
    chances = [said["log_prob"] for said in one["captions"]]
    assert len(chances) == 3 and chances == sorted(chances, reverse=True)


def test_a_picture_that_cannot_be_read(captioning_run, folder):
    (folder / "a broken.jpg").write_bytes(b"\xff\xd8 nothing")
    result = minidl("caption", "run", captioning_run, folder, "--json")
    assert result.exit_code == 2
    found = last_json(result.stdout)
    assert len(found["pictures"]) == 3
    assert [one["image"] for one in found["failed"]] == [str(folder / "a broken.jpg")]
    assert minidl("caption", "run", captioning_run, folder / "gone.png").exit_code == 2


def test_a_folder_without_pictures(captioning_run, tmp_path):
    result = minidl("caption", "run", captioning_run, tmp_path)
    assert result.exit_code == 2 and "no pictures in the folder" in result.output


def test_standard_input(captioning_run, folder):
    content = (folder / "b.png").read_bytes()
    words = ["caption", "run", str(captioning_run), "-", "--json"]
    found = last_json(CliRunner().invoke(app, words, input=content).stdout)
    file = last_json(minidl(*words[:3], folder / "b.png", "--json").stdout)
    assert found["pictures"][0]["captions"] == file["pictures"][0]["captions"]
    result = CliRunner().invoke(app, words, input=b"no picture")
    assert result.exit_code == 2 and "standard input" in result.output


@posix
def test_standard_input_that_is_closed(captioning_run):
    process = spawn("caption", "run", captioning_run, "-", preexec_fn=lambda: os.close(0))
    assert "standard input is closed" in process.communicate()[1] and process.returncode == 2


def test_a_page(captioning_run, folder, tmp_path):
    page = tmp_path / "said.html"
    words = ("caption", "run", captioning_run, folder, "--max-words", 5, "--html", page)
    assert minidl(*words).exit_code == 0
    text = page.read_text()
    assert text.count("<img") == 3 and "Blüte 花.png" in text
    result = minidl(*words)
    assert result.exit_code == 2 and "--html" in result.output and "there already" in result.output
    assert minidl(*words, "--overwrite").exit_code == 0


def test_sampling(captioning_run, folder):
    words = ("caption", "run", captioning_run, folder / "b.png", "--sample", "--json")
    one, same, other = (
        last_json(minidl(*words, "--seed", seed).stdout)["pictures"] for seed in (0, 0, 1)
    )
    assert one == same != other


@pytest.mark.parametrize(
    "options, says",
    [
        (["--temperature", 0.5], "--temperature belongs to --sample"),
        (["--seed", 0], "--seed belongs to --sample"),
        (["--sample", "--beam", 3], "--beam belongs to the search"),
        (["--sample", "--length-norm", 0], "--length-norm belongs to the search"),
        (["--sample", "--temperature", 0], "temperature must be a finite number above 0"),
        (["--sample", "--temperature", -1], "temperature must be a finite number above 0"),
        (["--sample", "--temperature", "nan"], "temperature must be a finite number above 0"),
        (["--sample", "--temperature", "inf"], "temperature must be a finite number above 0"),
        (["--n-best", 5], "a beam has as many sentences as it is wide"),
        (["--beam", 500], "the beam is wider than the vocabulary"),
        (["--html", "page.txt"], "ends in .html"),
        (["--length-norm", "inf"], "length-norm must be a finite number"),
        (["--sample", "--max-words", 10**9], "--max-words"),
        (["--sample", "--n-best", 10**9], "--n-best"),
        ([""], "the name of a picture is empty"),
    ],
)
def test_options_that_will_not_do(captioning_run, folder, options, says):
    result = minidl("caption", "run", captioning_run, folder, *options)
    assert result.exit_code == 2 and says in result.output


def test_the_hint_at_full_memory_is_an_option_of_the_command(captioning_run, folder, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("apps.caption.run.captions_of", full)
    result = minidl("caption", "run", captioning_run, folder / "b.png")
    assert result.exit_code == 2 and "a smaller --beam needs less" in result.output
    monkeypatch.setattr("apps.caption.training.open_parts", full)
    result = minidl("caption", "train", "-o", folder.with_name("run"))
    assert result.exit_code == 2 and "a smaller --batch-size needs less" in result.output


def test_pictures_of_any_size_and_colour(captioning_run):
    captioner = load_captioner(str(captioning_run))
    pictures = [np.full((h, w, c), 90, np.uint8) for h, w, c in ((5, 9, 3), (64, 20, 1))]
    found = list(captions_of([captioner], pictures, Decoding()))
    assert len(found) == 2


def test_photographs_are_not_kept(captioning_run, tmp_path):
    """A folder of those that cameras make would fill the memory."""
    alive = []

    def pictures():
        for _ in range(9):
            picture = np.zeros((400, 600, 3), np.uint8)
            alive.append(weakref.ref(picture))
            yield picture

    captioner, most = load_captioner(str(captioning_run)), 0
    prepared = captioner.prepared

    def watched(picture):
        nonlocal most
        most = max(most, sum(one() is not None for one in alive))
        return prepared(picture)

    captioner.prepared = watched
    assert len(list(captions_of([captioner], pictures(), Decoding()))) == 9 and 0 < most < 4
    Image.fromarray(np.zeros((400, 600, 3), np.uint8)).save(tmp_path / "large.png")
    ((_, told),) = describe(captioner, [str(tmp_path / "large.png")], Decoding())
    assert max(told.image.shape) == AT_MOST


def test_what_is_made_of_the_weights_serves_for_all_pictures(monkeypatch):
    made = []

    class Memo(word_step.Memo):
        def __init__(self, *weights):
            super().__init__(*weights)
            made.append(self)

    monkeypatch.setattr(word_step, "Memo", Memo)
    monkeypatch.setattr(captioner_module, "AT_ONCE", 2)
    pictures = [made_up().picture(i) for i in range(6)]
    found = list(captions_of([load_captioner("flowers")], pictures, Decoding()))
    assert len(found) == 6 and len(made) == 1 and not unchanging.entries


def test_many_pictures_are_said_as_one_by_one(captioning_run):
    captioner, flowers = load_captioner(str(captioning_run)), made_up()
    pictures = [flowers.picture(i) for i in range(0, 48, 5)]
    together = [best[0].words for best in captions_of([captioner], pictures, Decoding())]
    alone = [next(captions_of([captioner], [picture], Decoding()))[0].words for picture in pictures]
    assert together == alone


def test_files_that_do_not_fit(captioning_run, tmp_path):
    path = tmp_path / "classifier.safetensors"
    library.io.save_checkpoint(path, library.nn.Linear(1, 1), meta={"model": "lenet"})
    with pytest.raises(CheckpointError, match="not one of minidl caption train"):
        load_captioner(str(path))
    path = captioning_run / "captioner.safetensors"
    found = library.io.load_checkpoint(path)
    captioner = load_captioner(str(path))
    other = library.data.Vocabulary(["another", "one"]).to_json()
    for name, value in (("vocabulary", other), ("settings", {}), ("words", 7)):
        broken = tmp_path / f"{name}.safetensors"
        library.io.save_checkpoint(broken, captioner.net, meta=found.meta | {name: value})
        with pytest.raises(CheckpointError):
            load_captioner(str(broken))
    with pytest.raises(CheckpointError, match="vocabulary"):
        load_captioner(str(tmp_path / "vocabulary.safetensors"))


def test_a_folder_of_a_run_that_was_moved(captioning_run, folder, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(captioning_run, moved)
    words = ("caption", "run", moved, folder / "b.png")
    assert minidl(*words).exit_code == 0
