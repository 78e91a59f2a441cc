"""`minidl style cnnmrf` from the command line."""

import numpy as np
import pytest
from PIL import Image

from apps.shared.photo import Photo
from apps.style.cnnmrf.objective import PatchObjective
from apps.style.cnnmrf.pictures import Pictures
from apps.style.cnnmrf.settings import Settings
from apps.style.loss_network import LossNetwork
from tests.apps.conftest import last_json, minidl

SMALL = ("--size", 64, "--resolutions", 1, "--iterations", 6, "--layers", "relu1,fire2")
CONTENT = ("--content-layers", "fire2")


@pytest.fixture
def run(weights, pictures, tmp_path):
    """run(pictures, options...): the command, on a picture of 64 pixels."""

    def call(names, *options, out="out.png"):
        found = [pictures / name for name in names]
        given = ["--weights", weights("squeezenet"), "-o", tmp_path / out, *SMALL]
        given += CONTENT if len(names) == 2 else ()
        return minidl("style", "cnnmrf", *found, *given, *options)

    call.folder = tmp_path
    return call


BOTH = ("content.png", "style.png")


def test_a_picture_and_its_report(run):
    result = run(BOTH, "--json", "--rotations", 3)
    assert result.exit_code == 0, result.output
    figures = last_json(result.stdout)
    assert Photo.read(run.folder / "out.png").size == tuple(figures["size"]) == (50, 64)
    assert figures["iterations"] == 6 and set(figures["correlation"]) == {"relu1", "fire2"}
    assert "about" in result.stderr and "MB" in result.stderr
    report = (run.folder / "out.html").read_text()
    assert "content in patches of style" in report
    assert not (run.folder / "out.png.resume.safetensors").exists()


def test_losses_fall(run):
    first = last_json(run(BOTH, "--json", "--iterations", 1).stdout)["losses"]
    later = last_json(run(BOTH, "--json", "--overwrite", "--iterations", 40).stdout)["losses"]
    assert later["patches_loss"] < 0.8 * first["patches_loss"]


def test_without_content(run):
    result = run(["style.png"], "--json", "--resolutions", 2)
    assert result.exit_code == 0, result.output
    figures = last_json(result.stdout)
    assert figures["size"] == [51, 64] and "content_loss" not in figures["losses"]
    assert "A picture in patches of style" in (run.folder / "out.html").read_text()


def test_a_seed_fixes_the_picture(run):
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert run(BOTH, "--seed", seed, "--init", "noise", out=name).exit_code == 0
    a, b, c = (Photo.read(run.folder / name).bytes for name in ("a.png", "b.png", "c.png"))
    np.testing.assert_array_equal(a, b)
    assert (a != c).mean() > 0.5


def test_interrupted_and_resumed(run, monkeypatch):
    """The same picture, bit for bit, as without the interruption."""
    from apps.style.optimize import loop

    assert run(BOTH, out="whole.png").exit_code == 0
    iterate = loop.Loop.iterate

    def interrupt_third(self, objective):
        if self.run.iteration == 2:
            self.interrupt.asked = True
        iterate(self, objective)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "iterate", interrupt_third)
        result = run(BOTH)
    assert result.exit_code == 130 and "--resume" in result.output
    assert (run.folder / "out.png.resume.safetensors").exists()
    refused = run(BOTH)
    assert refused.exit_code == 2 and "unfinished run" in refused.output
    (run.folder / "out.png").unlink()
    (run.folder / "out.html").unlink()
    refused = run(BOTH)
    assert refused.exit_code == 2 and "an unfinished run" in refused.output
    refused = run(BOTH, "--resume", "--stride", 1)
    assert refused.exit_code == 2 and "--stride" in refused.output
    result = run(BOTH, "--resume")
    assert result.exit_code == 0, result.output
    assert not (run.folder / "out.png.resume.safetensors").exists()
    whole, out = (Photo.read(run.folder / name).bytes for name in ("whole.png", "out.png"))
    np.testing.assert_array_equal(whole, out)


def test_pictures_that_changed_are_not_resumed(run, pictures, monkeypatch):
    from apps.style.optimize import loop

    iterate = loop.Loop.iterate

    def interrupt(self, objective):
        self.interrupt.asked = True
        iterate(self, objective)

    own = run.folder / "own.png"
    own.write_bytes((pictures / "style.png").read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "iterate", interrupt)
        assert run(["content.png", own]).exit_code == 130
    own.write_bytes((pictures / "content.png").read_bytes())
    result = run(["content.png", own], "--resume")
    assert result.exit_code == 2 and "a file has changed" in result.output
    own.write_bytes((pictures / "style.png").read_bytes())
    assert run(["content.png", own], "--resume").exit_code == 0


@pytest.mark.parametrize("options", [("--lr", 30), ("--optimizer", "lbfgs")])
def test_losses_are_those_of_the_picture(run, weights, pictures, options):
    """Not those of an iterate on the way to it, and not shifted."""
    result = run(BOTH, "--json", *options)
    assert result.exit_code == 0, result.output
    figures = last_json(result.stdout)
    settings = Settings(**figures["settings"])
    net = LossNetwork("squeezenet", weights("squeezenet"))
    objective = PatchObjective(net, settings, Pictures(settings), tuple(figures["size"]))
    losses = objective.losses(Photo.read(run.folder / "out.png").tensor())
    for name, loss in losses.items():  # the file has whole numbers
        assert figures["losses"][f"{name}_loss"] == pytest.approx(loss.item(), rel=0.02)
    assert figures["correlation"] == pytest.approx(objective.correlation, rel=0.01)


def test_losses_of_an_earlier_resolution(run, monkeypatch):
    """Where Ctrl-C came: those of that size."""
    from apps.style.optimize import loop

    iterate = loop.Loop.iterate

    def interrupt(self, objective):
        self.interrupt.asked = True
        iterate(self, objective)

    monkeypatch.setattr(loop.Loop, "iterate", interrupt)
    result = run(BOTH, "--json", "--resolutions", 2)
    assert result.exit_code == 130, result.output
    figures = last_json(result.stdout)
    assert figures["size"] == [50, 64] and figures["interrupted"]
    assert "left out" not in result.stderr
    assert figures["losses"]["patches_loss"] > 0 and figures["correlation"]["fire2"] > 0


def test_what_is_left_out_is_said(run):
    result = run(BOTH, "--resolutions", 6)
    assert result.exit_code == 0 and "of 6 sizes are left out" in result.stderr
    relu1 = ("--layers", "relu1", "--content-layers", "relu1", "--overwrite")
    result = run(BOTH, *relu1, "--rotations", 7, "--style-size", 12)
    assert result.exit_code == 0, result.output
    assert "copies of the style are left out" in result.stderr
    result = run(BOTH, "--mrf-weight", 0, "--overwrite")
    assert result.exit_code == 2 and "--layers does nothing" in result.output


def test_lbfgs_and_the_reference_gradient(run):
    result = run(BOTH, "--optimizer", "lbfgs", "--gradient", "reference")
    assert result.exit_code == 0, result.output


def test_the_alpha_of_the_content_stays(run, pictures):
    pixels = np.asarray(Image.open(pictures / "content.png").convert("RGBA")).copy()
    pixels[:20, :, 3] = 0
    Image.fromarray(pixels).save(run.folder / "rgba.png")
    assert run([run.folder / "rgba.png", "style.png"]).exit_code == 0
    alpha = np.asarray(Image.open(run.folder / "out.png").convert("RGBA"))[..., 3]
    assert alpha[0].max() == 0 and alpha[-1].min() == 255


@pytest.mark.parametrize(
    "names, options, says",
    [
        ([], (), "which picture is the STYLE"),
        ((*BOTH, "style.png"), (), "one picture is the style"),
        (("no.png", "style.png"), (), "no.png"),
        (BOTH, ("--rotations", 2), "odd"),
        (BOTH, ("--layers", "conv9"), "squeezenet has relu1"),
        (BOTH, ("--size", 12), "do not fit into fire2"),
        (["style.png"], ("--content-weight", 1), "there is no content"),
        (BOTH, ("--gradient", "true"), "no such gradient"),
    ],
)
def test_mistakes(run, names, options, says):
    result = run(names, *options)
    assert result.exit_code == 2, result.output
    assert says in result.output and "Traceback" not in result.output
    assert not (run.folder / "out.png").exists()


def test_a_size_that_does_not_fit_is_refused(run):
    """Before anything of that size is made."""
    result = run(BOTH, "--size", 10**6)
    assert result.exit_code == 2, result.output
    assert "more memory than there is" in result.output and "fits" in result.output


def test_the_output_is_tried_first(run):
    (run.folder / "out.png").write_bytes(b"mine")
    result = run(BOTH)
    assert result.exit_code == 2 and "--overwrite" in result.output
    assert (run.folder / "out.png").read_bytes() == b"mine"
