"""`minidl style gatys`: what it writes, what it refuses, how it goes on."""

import json
import os
import re
import signal

import numpy as np
import pytest
from PIL import Image

from apps.shared.photo import Photo
from apps.style import needs
from apps.style.optimize.estimate import Estimate
from minidl.io.checkpoint import load_checkpoint
from tests.apps.conftest import last_json, minidl

QUICK = ("--size", 48, "--iterations", 3, "--scales", 1)


@pytest.fixture
def gatys(pictures, weights, tmp_path, monkeypatch):
    """gatys(...): the command on the test's pictures, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*more, content="content.png", styles=("style.png",), out="out.png"):
        files = [pictures / name for name in (content, *styles)]
        return minidl(
            "style", "gatys", *files, "-o", out, "--weights", weights("squeezenet"), *more
        )

    return run


def done(result):
    assert result.exit_code == 0, result.output
    return result


def refused(result, *words):
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output, result.output
    return result


# --- what it writes -----------------------------------------------------------------------------


def test_picture_report_and_figures(gatys, tmp_path):
    result = done(gatys("--size", 48, "--iterations", 4, "--snapshots", 3, "--json"))
    assert re.search(r"48x37 pixels, 4 iterations: (less than|about) \d+ s", result.output)
    figures = last_json(result.output)
    assert figures["size"] == [37, 48] and figures["iterations"] == 4
    assert figures["losses"].keys() == {"content_loss", "style_loss", "tv_loss"}
    assert Image.open("out.png").size == (48, 37)
    page = (tmp_path / "out.html").read_text()
    assert "content in the style of style" in page and page.count('class="frame"') == 3
    assert "Content-Security-Policy" in page and "http://" not in page
    assert sorted(os.listdir()) == ["out.html", "out.png"]


def test_the_size_is_that_of_a_small_content(gatys):
    done(gatys("--iterations", 2))
    assert Image.open("out.png").size == (72, 56)
    done(gatys("--iterations", 1, "--size", 100, "--overwrite"))
    assert Image.open("out.png").size == (100, 78)


def test_a_seed_repeats_every_bit(gatys):
    for out in ("a.png", "b.png"):
        done(gatys(*QUICK, "--init", "noise", "--seed", 5, out=out))
    done(gatys(*QUICK, "--init", "noise", "--seed", 6, out="c.png"))
    a, b, c = (Photo.read(name).bytes for name in ("a.png", "b.png", "c.png"))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_the_style_loss_falls_below_that_of_the_content(gatys):
    first = last_json(done(gatys("--iterations", 1, "--scales", 1, "--json")).output)["losses"]
    last = last_json(
        done(gatys("--iterations", 20, "--scales", 1, "--json", "--overwrite")).output
    )["losses"]  # fmt: skip
    assert last["style_loss"] < 0.6 * first["style_loss"]


def test_transparency_stays(gatys, pictures):
    photo = Photo.read(pictures / "content.png")
    photo.alpha = np.linspace(0, 1, photo.width, dtype=np.float32)[None].repeat(photo.height, 0)
    photo.save(pictures / "alpha.png")
    done(gatys("--iterations", 1, content="alpha.png"))
    found = Photo.read("out.png")
    np.testing.assert_allclose(found.alpha, photo.alpha, atol=0.01)


def test_what_is_transparent_has_no_part_in_the_picture(gatys, pictures):
    photo = Photo.read(pictures / "content.png")
    photo.alpha = np.ones(photo.size, np.float32)
    photo.alpha[:, 36:] = 0
    for name, colour in (("black", 0.0), ("white", 1.0)):
        photo.pixels[:, 36:] = colour
        photo.save(pictures / f"on-{name}.png")
        done(gatys(*QUICK, "--colors", "match", content=f"on-{name}.png", out=f"{name}.png"))
    black, white = (Photo.read(name).pixels[:, :24] for name in ("black.png", "white.png"))
    np.testing.assert_allclose(black, white, atol=1.5 / 255)


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA", "P", "CMYK"])
def test_pictures_of_any_kind(gatys, pictures, mode):
    image = Image.open(pictures / "content.png")
    name = f"{mode[0]}.tif"
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    image.save(pictures / name)
    done(gatys(*QUICK, content=name))


def test_luma_keeps_the_colours(gatys, pictures):
    done(gatys("--iterations", 4, "--colors", "luma"))
    yuv = np.array([[-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])
    before = Photo.read(pictures / "content.png").pixels @ yuv.T
    after = Photo.read("out.png").pixels @ yuv.T
    assert np.abs(after - before).max() < 1.5 / 255
    done(gatys("--iterations", 2, "--colors", "match", "--overwrite"))


def test_what_is_outside_of_the_mask_stays(gatys, pictures):
    photo = Photo.read(pictures / "content.png")
    mask = np.zeros_like(photo.pixels)
    mask[:20] = 1
    Photo(mask).save(pictures / "mask.png")
    done(gatys("--iterations", 3, "--mask", pictures / "mask.png"))
    made = Photo.read("out.png").bytes
    np.testing.assert_array_equal(made[20:], photo.bytes[20:])
    assert (made[:20] != photo.bytes[:20]).mean() > 0.5


def test_outside_of_the_mask_is_the_content_at_every_scale(gatys, pictures, monkeypatch):
    from apps.style.gatys.objective import GatysObjective

    photo = Photo(np.random.default_rng(0).random((96, 120, 3), np.float32))
    photo.save(pictures / "noise.png")
    mask = np.zeros_like(photo.pixels)
    mask[:40] = 1
    Photo(mask).save(pictures / "top.png")
    seen, evaluate = [], GatysObjective.evaluate

    def looks(self, x, shift=(0, 0)):
        away = np.abs(x.data - self.content.data)[..., self.size[0] * 40 // 96 + 2 :, :].max()
        seen.append((self.size, float(away)))
        return evaluate(self, x, shift)

    monkeypatch.setattr(GatysObjective, "evaluate", looks)
    layers = ("--style-layers", "relu1,fire2", "--content-layers", "fire2")
    options = ("--size", 120, "--iterations", 2, "--mask", pictures / "top.png")
    done(gatys(*options, *layers, content="noise.png"))
    *iterates, (_, of_average) = seen  # which is a sum of iterates, divided
    assert set(iterates) == {((48, 60), 0.0), ((96, 120), 0.0)} and of_average < 1e-4


@pytest.mark.parametrize(
    "options",
    [
        ("--optimizer", "lbfgs"),
        ("--loss-norm", "paper"),
        ("--loss-norm", "port", "--pool", "avg"),
        ("--pool", "l2", "--noise-blend", 0.2),
        ("--average", 0, "--shift", 0),
        ("--tile", 32, "--style-size", 60),
        ("--tile", 32, "--optimizer", "lbfgs"),
        ("--content-layers", "relu1,fire2=0.5", "--style-layers", "fire2"),
        ("--content-weight", 0, "--init", "noise", "--tv-weight", 0),
    ],
)
def test_options(gatys, options):
    figures = last_json(done(gatys(*QUICK, *options, "--json")).output)
    assert all(np.isfinite(list(figures["losses"].values())))


def test_several_styles(gatys):
    done(gatys(*QUICK, "--style-weights", "1,3", styles=("style.png", "content.png")))
    refused(gatys(*QUICK, "--style-weights", "1", "--overwrite", styles=("style.png",) * 2),
            "as many as styles, 2")  # fmt: skip


# --- interrupted runs ---------------------------------------------------------------------------


@pytest.fixture
def cut_at(monkeypatch):
    """cut_at(n): Ctrl-C is pressed in iteration n of the next run."""
    from apps.style.optimize.steps import AdamSteps

    def cut(at):
        count, advance = [0], AdamSteps.advance

        def counted(self, *arguments):
            count[0] += 1
            if count[0] == at:
                signal.raise_signal(signal.SIGINT)
            advance(self, *arguments)

        monkeypatch.setattr(AdamSteps, "advance", counted)

    return cut


@pytest.mark.parametrize("masked, at", [(False, 3), (True, 8)])
def test_an_interrupted_run_goes_on_to_the_same_bits(gatys, pictures, tmp_path, cut_at, masked, at):
    options = ["--iterations", 6, "--scales", 2, "--size", 64, "--style-layers", "relu1,fire2",
               "--content-layers", "fire2"]  # fmt: skip
    if masked:
        mask = np.zeros_like(Photo.read(pictures / "content.png").pixels)
        mask[:, :40] = 1
        Photo(mask).save(pictures / "left.png")
        options += ["--mask", pictures / "left.png"]
    done(gatys(*options, out="whole.png"))
    cut_at(at)
    result = gatys(*options, out="cut.png")
    assert result.exit_code == 130 and "Traceback" not in result.output
    assert "--resume goes on" in result.output and (tmp_path / "cut.png").exists()
    state = tmp_path / "cut.png.resume.safetensors"
    found = load_checkpoint(state)
    assert found.meta["settings"]["size"] == 64 and len(found.run["history"]) == at
    refused(gatys(*options, "--resume", "--seed", 3, out="cut.png"), "has another --seed")
    done(gatys(*options, "--resume", out="cut.png"))
    whole, cut = (Photo.read(name).bytes for name in ("whole.png", "cut.png"))
    np.testing.assert_array_equal(cut, whole)
    assert not state.exists()


def test_an_unfinished_run_is_not_thrown_away(gatys, tmp_path, cut_at):
    cut_at(2)
    assert gatys(*QUICK).exit_code == 130
    for name in ("out.png", "out.html"):  # as a process that was killed leaves it
        (tmp_path / name).unlink()
    refused(gatys(*QUICK), "an unfinished run", "--resume goes on", "--overwrite")
    assert (tmp_path / "out.png.resume.safetensors").exists()
    done(gatys(*QUICK, out="out.jpg"))  # has a state of its own
    assert (tmp_path / "out.png.resume.safetensors").exists()
    done(gatys(*QUICK, "--overwrite"))
    assert sorted(os.listdir()) == ["out.html", "out.jpg", "out.png"]


def test_nothing_to_go_on_with(gatys):
    refused(gatys(*QUICK, "--resume"), "no unfinished run")


# --- what it refuses ----------------------------------------------------------------------------


def test_what_is_no_picture(gatys, pictures):
    (pictures / "text.jpg").write_text("no picture")
    refused(gatys(*QUICK, content="text.jpg"), "not a picture", "text.jpg")
    refused(gatys(*QUICK, styles=("none.png",)), "none.png")
    refused(gatys(*QUICK, content="."), "folder")


def test_outputs_that_cannot_be_written(gatys):
    refused(gatys(*QUICK, out="no/out.png"), "no such file or folder")
    refused(gatys(*QUICK, out="out.txt"), "ends in .png")
    done(gatys(*QUICK))
    refused(gatys(*QUICK), "there already", "--overwrite")


def test_layers_and_weights_that_do_not_fit(gatys, weights):
    refused(gatys(*QUICK, "--style-layers", "relu4_1"), "no such layer", "relu1, pool1, fire2")
    refused(gatys(*QUICK, "--net", "vgg16"), "no tensor of the file")
    refused(gatys(*QUICK, "--weights", "squeezenett"), "did you mean squeezenet?")


def test_weights_without_a_network_to_fetch_them(gatys, monkeypatch, tmp_path):
    from minidl.data.download import DownloadError
    from models.weights import published

    def fails(*arguments):
        raise DownloadError("no network")

    monkeypatch.setattr(published, "locate", lambda published: None)
    monkeypatch.setattr(published, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(published, "fetch_member", fails)
    refused(gatys(*QUICK, "--weights", "squeezenet"), "could not be downloaded")


def test_pictures_that_are_too_small_or_too_large(gatys, monkeypatch):
    refused(gatys("--size", 8), "needs pictures of at least")
    monkeypatch.setattr(needs, "free_megabytes", lambda: 300.0)
    result = refused(gatys("--size", 6000), "more memory than there is", "--tile 512")
    side = int(result.output.split("--size ")[1].split()[0])
    assert 300 < side < 3000


def test_the_estimate_of_tiles_is_measured_without_them(gatys, monkeypatch):
    from apps.style.gatys import transfer

    kinds = []

    def estimate(plan, task, note):
        kinds.append(type(task.objective_at((48, 37))).__name__)
        return Estimate(1.0, 1.0)

    monkeypatch.setattr(transfer, "estimate", estimate)
    done(gatys(*QUICK, "--tile", 32))
    assert kinds == ["GatysObjective"]


def test_panoramas(gatys, pictures):
    photo = Photo.read(pictures / "content.png")
    photo.resized(20, 400).save(pictures / "panorama.png")
    done(gatys("--iterations", 1, content="panorama.png"))
    assert Image.open("out.png").size == (400, 20)


def test_options_out_of_range(gatys):
    for options, word in (
        (("--colors", "lumma"), "luma"), (("--average", 1), "below 1"),
        (("--size", 0), "at least 1"), (("--pool", "mean"), "avg"),
        (("--style-weights", "a"), "numbers"), (("--loss-norm", "papre"), "paper"),
        (("--mask", ":a.png"), "CONTENT_MASK"), (("--content-layers", "relu1=x"), "FACTOR"),
    ):  # fmt: skip
        refused(gatys(*options), word)


def test_json_is_strict(gatys):
    text = done(gatys(*QUICK, "--json")).output.splitlines()[-1]
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_noise_has_defaults_of_its_own(gatys):
    options = ("--init", "noise", "--size", 48, "--scales", 1, "--iterations", 1)
    settings = last_json(done(gatys(*options, "--json")).output)["settings"]
    assert settings["lr"] == 15 and settings["content_weight"] == 0.5
    assert settings["iterations"] == 1  # what the user says counts


@pytest.mark.parametrize("norm", ["target", "paper"])
def test_something_has_to_be_minimised(gatys, norm):
    none = ("--content-weight", 0, "--style-weight", 0, "--loss-norm", norm)
    refused(gatys(*QUICK, *none, "--tv-weight", 0), "a weight above 0", "--style-weight 1")
    refused(gatys(*QUICK, *none, "--tile", 32), "a weight above 0")


def test_options_that_would_be_ignored_are_refused(gatys, pictures):
    refused(gatys(*QUICK, "--init", "noise", "--noise-blend", 0.5), "--noise-blend does nothing")
    for option in (("--content-weight", 0, "--content-layers", "fire2"),
                   ("--style-weight", 0, "--style-size", 60)):  # fmt: skip
        refused(gatys(*QUICK, *option), f"{option[2]} does nothing")
    for option in (("--lr", 3), ("--average", 0.5), ("--shift", 1)):
        refused(gatys(*QUICK, "--optimizer", "lbfgs", *option), f"{option[0]} does nothing")


def test_the_picture_to_begin_with_has_the_proportions_of_the_content(gatys, pictures):
    photo = Photo.read(pictures / "content.png")
    photo.resized(20, 50).save(pictures / "wide.png")
    refused(gatys(*QUICK, "--init", pictures / "wide.png"), "proportions", "50x20", "72x56")
    for side in (40, 200):
        photo.fitted(side).save(pictures / f"{side}.png")
        done(gatys(*QUICK, "--init", pictures / f"{side}.png", "--overwrite"))
