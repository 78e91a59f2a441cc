"""`minidl style compare`: all ways on one pair, their measures, interruption and --resume."""

import dataclasses
import re

import numpy as np
import pytest

from apps.shared.photo import Photo
from apps.style.compare import comparison, ways
from apps.style.compare.measure import Measure
from apps.style.loss_network import LossNetwork
from tests.apps.conftest import last_json, minidl


@pytest.fixture
def run(weights, pictures, tmp_path):
    """run(options...): the command, on a picture of 48 pixels."""

    def call(*options, names=("content.png", "style.png")):
        found = [pictures / name for name in names]
        given = ("--weights", weights("squeezenet"), "-o", tmp_path / "sheet.html", "--size", 48)
        return minidl("style", "compare", *found, *given, *options)

    call.folder, call.sheet = tmp_path / "sheet", tmp_path / "sheet.html"
    return call


@pytest.fixture
def painted(monkeypatch):
    """Ways that paint the content in one colour, at once; the list says what was made."""
    made = []

    def replaced(way, level):
        def make(job, resume, note):
            made.append((way.name, resume))
            interrupted = way.name == "gatys" and not resume and make.stops
            Photo(0 * job.content.pixels + np.float32(level)).save(job.file(way.name))
            if interrupted:
                job.file(way.name, comparison.STATE).write_bytes(b"state")
            return 1.5, interrupted

        make.stops = False
        return dataclasses.replace(way, make=make)

    found = tuple(replaced(way, 0.2 * i) for i, way in enumerate(ways.WAYS, 1))
    monkeypatch.setattr(ways, "WAYS", found)
    return made, found


def test_all_ways(run, tmp_path):
    """With a network that was never trained for the fast one."""
    from apps.shared.trained_transform import STYLE, save_fast
    from models.transform_net import TransformNet

    arguments = {"width": 0.25, "residuals": 1}
    save_fast(tmp_path / "net.safetensors", TransformNet(**arguments), STYLE,
              {"arguments": arguments})  # fmt: skip
    result = run("--json", "--fast", tmp_path / "net.safetensors")
    assert result.exit_code == 0, result.output
    figures = last_json(result.stdout)
    assert list(figures["ways"]) == ["mrf", "gatys", "cnnmrf", "fast"]
    assert figures["size"] == [37, 48]
    for name, way in figures["ways"].items():
        assert Photo.read(run.folder / f"{name}.png").size == (37, 48)
        assert way["seconds"] > 0 and way["content"] > 0 and way["style"] > 0
    found = figures["ways"]
    assert found["gatys"]["style"] < found["fast"]["style"]
    page = run.sheet.read_text()
    assert page.count("<img") == 6 and "Johnson" in page and "Li and Wand" in page


def test_without_a_network_for_the_style(run, painted):
    made, _ = painted
    result = run()
    assert result.exit_code == 0, result.output
    assert [name for name, _ in made] == ["mrf", "gatys", "cnnmrf"]
    assert "no network was trained for this style" in result.output
    assert "gatys" in result.stdout and "content" in result.stdout


def test_a_network_of_the_name_of_the_style(monkeypatch):
    from apps.shared import trained_transform as network

    monkeypatch.setattr(network, "trained_names", lambda: ["starry-night"])
    settings = ways.Settings(content="c.png", style="/x/Starry_Night.jpg")
    assert ways.model_for(settings) == "starry-night"
    settings.style = "/x/wave.jpg"
    assert ways.model_for(settings) == ""
    settings.fast = "own.safetensors"
    assert ways.model_for(settings) == "own.safetensors"


def test_interrupted_and_resumed(run, painted):
    made, found = painted
    found[1].make.stops = True
    result = run()
    assert result.exit_code == 130 and "--resume" in result.output
    assert [name for name, _ in made] == ["mrf", "gatys"]
    assert "interrupted" in run.sheet.read_text()
    assert run("--resume", "--seed", 1).exit_code == 2  # another seed
    made.clear()
    result = run("--resume", "--json")
    assert result.exit_code == 0, result.output
    assert made == [("gatys", True), ("cnnmrf", False)]
    assert last_json(result.stdout)["ways"]["mrf"]["seconds"] == 1.5


def test_what_is_there_stays_unless_asked(run, painted):
    assert run("--resume").exit_code == 2
    run.folder.mkdir()
    assert run().exit_code == 2
    assert run("--overwrite").exit_code == 0  # an empty folder
    result = run()
    assert result.exit_code == 2 and "there already" in result.output
    run.sheet.unlink()
    result = run()
    assert result.exit_code == 2 and "the folder for the pictures is there" in result.output
    (run.folder / "mine.json").write_text("mine")
    stale = [run.folder / f"gatys{dot}.resume.safetensors" for dot in ("", ".png")]
    for file in stale:
        file.write_bytes(b"of the comparison before")
    assert run("--overwrite", "--seed", 1).exit_code == 0
    assert (run.folder / "mine.json").read_text() == "mine"
    assert not any(file.exists() for file in stale)


@pytest.mark.parametrize("settings", [None, "{}", '{"settings": {"net": 1, "other": 2}}', "\xff"])
def test_a_folder_of_something_else_is_left_alone(run, painted, settings):
    run.folder.mkdir()
    files = {"annotations.json": "[]", "my.resume.safetensors": "state", "content.png": "picture"}
    if settings is not None:
        files["settings.json"] = settings
    for name, text in files.items():
        (run.folder / name).write_text(text, encoding="latin-1")
    result = run("--overwrite")
    assert result.exit_code == 2 and "no comparison is in it" in result.output
    found = {file.name: file.read_text(encoding="latin-1") for file in run.folder.iterdir()}
    assert found == files and painted[0] == []


def test_a_picture_that_changed_is_not_resumed(run, painted, pictures, tmp_path):
    made, found = painted
    found[1].make.stops = True
    style = tmp_path / "own.png"
    style.write_bytes((pictures / "style.png").read_bytes())
    names = ("content.png", style)
    assert run(names=names).exit_code == 130
    style.write_bytes((pictures / "content.png").read_bytes())
    result = run("--resume", names=names)
    assert result.exit_code == 2 and "a file has changed" in result.output
    style.write_bytes((pictures / "style.png").read_bytes())
    assert run("--resume", names=names).exit_code == 0


@pytest.mark.parametrize("names", [(), ("content.png",), ("content.png", "no.png")])
def test_mistakes(run, painted, names):
    result = run(names=names)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert not run.sheet.exists() and not run.folder.exists()


def test_a_size_that_does_not_fit_is_refused(run, painted):
    result = run("--size", 10**6)
    assert result.exit_code == 2 and "more memory than there is" in result.output
    assert painted[0] == [] and not run.folder.exists()


@pytest.mark.parametrize(
    "names, tried",
    [
        (("content.png", "style.png"), ["mrf", "gatys", "cnnmrf"]),
        (("style.png", "narrow.png"), ["mrf"]),
        (("narrow.png", "style.png"), ["mrf"]),
    ],
)
def test_small_pictures(run, monkeypatch, pictures, names, tried):
    """The smallest that is taken is large enough for all ways, whichever of the two is narrow."""
    photo = Photo.read(pictures / "style.png")
    Photo(photo.pixels[:20]).save(pictures / "narrow.png")
    monkeypatch.setattr(ways, "WAYS", ways.WAYS[: len(tried)])
    result = run("--size", 20, names=names)
    assert result.exit_code == 2 and "at least 25 pixels" in result.output, result.output
    assert not run.folder.exists()
    side = int(re.search(r"--size (\d+) is enough", result.output).group(1))
    result = run("--size", side, "--json", names=names)
    assert result.exit_code == 0, result.output
    figures = last_json(result.stdout)["ways"]
    assert list(figures) == tried
    for name in tried:
        assert (
            Photo.read(run.folder / f"{name}.png").size
            == Photo.read(run.folder / "content.png").size
            and np.isfinite(list(figures[name].values())).all()
        )
    for name in ("content", "style"):
        assert min(Photo.read(run.folder / f"{name}.png").size) >= 25


def test_a_network_that_is_none(run, painted):
    result = run("--fast", "no-such")
    assert result.exit_code == 2 and "no such file or name" in result.output
    assert painted[0] == [] and not run.folder.exists()


def test_measures(weights, pictures):
    content, style = (Photo.read(pictures / f"{name}.png") for name in ("content", "style"))
    measure = Measure(LossNetwork("squeezenet", weights("squeezenet")), content, style)
    of_content = measure.of(content)
    assert of_content.content == 0 and of_content.style > 0 and of_content.patches < 1
    measure = Measure(measure.net, style, style)
    of_style = measure.of(style)
    assert of_style.style == pytest.approx(0, abs=1e-9)
    assert of_style.patches == pytest.approx(1, abs=1e-5)
