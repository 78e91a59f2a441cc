"""`minidl style texture` from files to files."""

import re
import signal

import numpy as np
import pytest
from PIL import Image

from apps.shared.options import OptionError
from apps.shared.output_file import OutputFile
from apps.shared.photo import Photo
from apps.style import needs, stepwise
from apps.style.texture import estimate
from apps.style.texture.settings import checked
from apps.style.texture.task import colours_of, read_task, transfer_guides
from minidl.errors import CheckpointError
from tests.apps.conftest import last_json, minidl
from tests.apps.style.texture.samples import grains, repeated


def save(path, pixels, **options):
    """Pixels in 0..1 as a file."""
    Image.fromarray(np.round(np.asarray(pixels) * 255).astype(np.uint8)).save(path, **options)
    return path


def load(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def sample(tmp_path):
    return save(tmp_path / "sample.png", grains((24, 28)))


def texture(*arguments):
    result = minidl("style", "texture", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return last_json(result.stdout), result.stderr


def refused(*arguments):
    result = minidl("style", "texture", *arguments)
    assert result.exit_code == 2, result.output
    return result.output


def test_a_picture_a_report_and_a_map(sample, tmp_path):
    out, npz = tmp_path / "out.png", tmp_path / "map.npz"
    figures, said = texture(
        sample, "-o", out, "--size", "31x17", "--window", 5, "--coordinates", npz
    )
    image, pixels = load(out), load(sample)
    assert image.shape == (17, 31, 3) and figures["size"] == [17, 31]
    assert figures["pixels"] == 17 * 31 and not figures["interrupted"]
    assert re.search(r"5\d\d pixels, (about \d+ s|less than 1 s) and \d+ MB", said)
    coordinates = np.load(npz)["coordinates"]
    np.testing.assert_array_equal(image, pixels[coordinates[1], coordinates[2]])
    page = (tmp_path / "out.html").read_text()
    assert "Where each pixel came from" in page and "31x17" in page
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "map.npz", "out.html", "out.png", "sample.png",
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["efros-leung", "quilting"])
def test_the_same_bits_again(method, sample, tmp_path):
    def bits(name, seed):
        texture(
            sample, "-o", tmp_path / name, "--size", "20x20", "--window", 7, "--method", method,
            "--seed", seed,
        )  # fmt: skip
        return load(tmp_path / name)

    np.testing.assert_array_equal(bits("a.png", 3), bits("b.png", 3))
    assert (bits("c.png", 4) != load(tmp_path / "a.png")).any()


def test_the_map_does_the_same_to_another_picture(sample, tmp_path):
    """Other colours for each colour: the texture has them, too."""
    npz, out = tmp_path / "map.npz", tmp_path / "out.png"
    texture(sample, "-o", out, "--size", "19x23", "--window", 5, "--coordinates", npz)
    negative = save(tmp_path / "negative.png", 1 - load(sample) / 255)
    texture(negative, "-o", tmp_path / "other.png", "--apply", npz)
    np.testing.assert_array_equal(load(tmp_path / "other.png"), 255 - load(out))
    small = save(tmp_path / "small.png", grains((9, 9)))
    assert "other sizes" in refused(small, "-o", tmp_path / "no.png", "--apply", npz)
    assert "no map" in refused(sample, "-o", tmp_path / "no.png", "--apply", sample)
    assert "nothing else" in refused(sample, "-o", tmp_path / "no.png", "--apply", npz, "--seed", 1)


def test_a_hole_from_a_mask_and_from_alpha(tmp_path):
    pixels = repeated((5, 6), (33, 36))
    hole = np.zeros(pixels.shape[:2], bool)
    hole[12:18, 15:20] = True
    damaged = np.where(hole[..., None], 0, pixels)
    photo, mask = save(tmp_path / "photo.png", damaged), save(tmp_path / "mask.png", hole)
    clear = save(tmp_path / "clear.png", np.dstack([damaged, ~hole]))
    expected = np.round(pixels * 255)
    for name, source, given in (("a.png", photo, mask), ("b.png", clear, "alpha")):
        figures, _ = texture(source, "-o", tmp_path / name, "--hole", given, "--window", 7)
        assert figures["pixels"] == hole.sum()
        np.testing.assert_array_equal(load(tmp_path / name), expected)


def test_nothing_to_fill_is_said_at_once(sample, tmp_path):
    mask = save(tmp_path / "mask.png", np.zeros((24, 28)))
    pale = save(tmp_path / "pale.png", np.dstack([grains((24, 28)), np.full((24, 28), 0.8)]))
    for photo, given in ((sample, mask), (pale, "alpha")):
        figures, said = texture(
            photo, "-o", tmp_path / "out.png", "--hole", given, "--overwrite", "--window", 99
        )
        assert figures["pixels"] == 0 and "nothing to fill" in said
        np.testing.assert_array_equal(load(tmp_path / "out.png"), load(photo))
    assert "no transparency" in refused(sample, "-o", tmp_path / "no.png", "--hole", "alpha")
    _, said = texture(sample, "-o", tmp_path / "seed.png", "--size", 3, "--window", 5)
    assert "nothing to fill" not in said  # the seed covers all of a new picture


def test_alpha_outside_of_the_hole_is_kept(tmp_path):
    pixels, alpha = grains((24, 24)), np.ones((24, 24))
    alpha[:, :4] = 0.6
    photo = save(tmp_path / "photo.png", np.dstack([pixels, alpha]))
    mask = np.zeros((24, 24))
    mask[10:12, 2:8] = 1
    save(tmp_path / "mask.png", mask)
    texture(photo, "-o", tmp_path / "out.png", "--hole", tmp_path / "mask.png", "--window", 5)
    np.testing.assert_array_equal(
        load(tmp_path / "out.png")[..., 3], np.where(mask == 1, 255, np.round(alpha * 255))
    )


def transparent_beside_a_hole(hidden):
    """(RGBA, mask): the left columns are transparent and hide a colour, and a hole reaches them."""
    pixels, alpha, mask = repeated((5, 6), (30, 34)), np.ones((30, 34)), np.zeros((30, 34))
    alpha[:, :10], mask[8:14, 6:16] = 0.2, 1
    return np.dstack([np.where(alpha[..., None] < 1, hidden, pixels), alpha]), mask


def test_hidden_colours_are_not_compared(tmp_path):
    """Whatever is hidden beside a hole, the filling is the same; outside nothing changes."""
    found = []
    for hidden in (0.0, 1.0):
        pixels, hole = transparent_beside_a_hole(hidden)
        photo, mask = save(tmp_path / "photo.png", pixels), save(tmp_path / "mask.png", hole)
        out, npz = tmp_path / "out.png", tmp_path / "map.npz"
        texture(
            photo, "-o", out, "--hole", mask, "--window", 5, "--overwrite", "--coordinates", npz
        )
        found.append(load(out))
        np.testing.assert_array_equal(found[-1][hole == 0], load(photo)[hole == 0])
        assert (found[-1][hole == 1, 3] == 255).all()
        texture(photo, "-o", tmp_path / "again.png", "--apply", npz, "--overwrite")
    np.testing.assert_array_equal(found[0][hole == 1], found[1][hole == 1])


def test_a_hole_among_transparent_pixels_is_filled(tmp_path):
    pixels, alpha, mask = grains((30, 30)), np.ones((30, 30)), np.zeros((30, 30))
    alpha[:15], mask[4:7, 4:7] = 0, 1
    photo = save(tmp_path / "photo.png", np.dstack([pixels, alpha]))
    save(tmp_path / "mask.png", mask)
    figures, _ = texture(
        photo, "-o", tmp_path / "out.png", "--hole", tmp_path / "mask.png", "--window", 5
    )
    assert figures["pixels"] == 9
    assert (load(tmp_path / "out.png")[4:7, 4:7, 3] == 255).all()


def test_hidden_pixels_say_nothing_of_light_and_colour():
    visible = Photo(np.repeat(grains((20, 20))[..., :1], 3, axis=2))
    alpha = np.repeat(np.array([[1.0] * 20 + [0.0] * 20], np.float32), 20, axis=0)
    hidden = np.broadcast_to(np.array([0, 0, 0.4], np.float32), (20, 20, 3))
    photo = Photo(np.concatenate([visible.pixels, hidden], axis=1), alpha)
    target = Photo(grains((12, 12), seed=5))
    _, expected = transfer_guides([visible], target, [])
    _, guide = transfer_guides([photo], target, [], [alpha >= 0.5])
    np.testing.assert_allclose(guide, expected, atol=1e-6)
    assert colours_of([photo])[0].shape == (20, 40, 1)


def test_a_damaged_map_is_no_map(sample, tmp_path):
    good, sizes = np.zeros((3, 4, 4), np.int32), np.array([[24, 28]], np.int32)
    bad = tmp_path / "bad.npz"
    for coordinates in (good.astype(np.float32), good.astype(np.complex64), good - 1, good[:2]):
        np.savez_compressed(bad, coordinates=coordinates, sizes=sizes)
        assert "no map" in refused(sample, "-o", tmp_path / "no.png", "--apply", bad)
    noise = np.random.default_rng(0).integers(0, 20, (3, 64, 64), np.int32)
    np.savez_compressed(bad, coordinates=noise, sizes=sizes)
    content = bytearray(bad.read_bytes())
    for start in range(100, len(content) // 2, 97):  # within the deflated numbers
        content[start : start + 8] = b"damaged!"
    bad.write_bytes(bytes(content))
    assert "no map" in refused(sample, "-o", tmp_path / "no.png", "--apply", bad)


def test_a_sheet_over_windows(sample, tmp_path):
    figures, _ = texture(sample, "-o", tmp_path / "sheet.jpg", "--size", "16", "--window", "3,7")
    assert [one["window"] for one in figures["windows"]] == [3, 7]
    assert load(tmp_path / "sheet.jpg").shape[1] > 3 * 160


def test_an_interrupted_sheet_has_what_was_made(sample, tmp_path, monkeypatch):
    go, count = stepwise.StepRun.go, iter(range(2))

    def second_one_stops(self, show, stopping):
        return (
            go(self, show, lambda: self.steps.done > 30)
            if next(count)
            else go(self, show, stopping)
        )

    monkeypatch.setattr(stepwise.StepRun, "go", second_one_stops)
    out = tmp_path / "out.png"
    result = minidl(
        "style", "texture", sample, "-o", out, "--size", 16, "--window", "3,5,7", "--json"
    )
    assert result.exit_code == 130 and "the sheet has what was made" in result.output
    figures = last_json(result.stdout)
    assert [one["interrupted"] for one in figures["windows"]] == [False, True] and out.exists()


def test_texture_transfer_takes_the_size_of_its_guide(sample, tmp_path):
    rows, columns = np.mgrid[:26, :30]
    guide = save(tmp_path / "guide.png", np.hypot(rows - 13, columns - 15) < 8)
    for method, window in (("quilting", 8), ("efros-leung", 5)):
        out = tmp_path / f"{method}.png"
        figures, _ = texture(
            sample, "-o", out, "--guide", guide, "--method", method, "--window", window
        )
        assert figures["size"] == [26, 30]
        light, disc = load(out).mean(axis=2), load(guide).astype(bool)
        assert light[disc].mean() > light[~disc].mean() + 8


def test_texture_by_numbers(sample, tmp_path):
    labels = np.zeros((24, 28, 3))
    labels[:, 14:] = [1, 0, 0]
    wanted = np.zeros((20, 20, 3))
    wanted[5:15, 5:15] = [1, 0, 0]
    maps = save(tmp_path / "labels.png", labels), save(tmp_path / "wanted.png", wanted)
    npz = tmp_path / "map.npz"
    texture(
        sample, "-o", tmp_path / "out.png", "--guide", f"{maps[0]}:{maps[1]}", "--window", 5,
        "--coordinates", npz,
    )  # fmt: skip
    _, y, x = np.load(npz)["coordinates"]
    assert ((x >= 14) == (wanted[..., 0] == 1)).mean() > 0.95


def test_texture_by_numbers_from_two_samples_of_different_sizes(sample, tmp_path):
    """Each has one label all over: the map says from which sample a pixel comes."""
    other = save(tmp_path / "other.png", grains((18, 33), seed=4))
    sizes = Photo.read(sample).size, (18, 33)
    maps = [save(tmp_path / f"{i}.png", np.full((*size, 3), i)) for i, size in enumerate(sizes)]
    wanted = np.zeros((20, 20, 3))
    wanted[5:15, 5:15] = 1
    target, npz = save(tmp_path / "wanted.png", wanted), tmp_path / "map.npz"
    texture(
        sample, other, "-o", tmp_path / "out.png", "--guide", f"{maps[0]}:{maps[1]}:{target}",
        "--window", 5, "--coordinates", npz,
    )  # fmt: skip
    number, y, x = np.load(npz)["coordinates"]
    assert (number == wanted[..., 0]).mean() > 0.9
    assert all((y[number == i] < H).all() and (x[number == i] < W).all()
               for i, (H, W) in enumerate(sizes))  # fmt: skip


@pytest.mark.parametrize("tileable", [(), ("--tileable",)])
def test_tiles_by_both_methods(tileable, sample, tmp_path):
    for method in ("efros-leung", "quilting"):
        out = tmp_path / f"{method}.webp"
        texture(sample, "-o", out, "--size", 24, "--window", 7, "--method", method, *tileable)
        assert load(out).shape == (24, 24, 3)


def test_a_grey_sample_of_16_bits(tmp_path):
    pixels = (grains((20, 20))[..., 0] * 65535).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    texture(tmp_path / "grey.png", "-o", tmp_path / "out.png", "--size", "9x12", "--window", 5)
    image = load(tmp_path / "out.png")
    assert image.shape == (12, 9, 3) and (np.ptp(image, axis=2) == 0).all()


# --- interrupted and resumed --------------------------------------------------------------------


def test_goes_on_after_it_was_stopped(sample, tmp_path, monkeypatch):
    arguments = [sample, "--size", "24x24", "--window", 5]
    texture(*arguments, "-o", tmp_path / "whole.png")

    def after(steps):
        """What Interrupt does, once some steps are done."""
        count = iter(range(1000))
        return lambda: next(count) >= steps

    go = stepwise.StepRun.go
    monkeypatch.setattr(stepwise.StepRun, "go", lambda self, show, _: go(self, show, after(40)))
    result = minidl("style", "texture", *arguments, "-o", tmp_path / "part.png")
    assert result.exit_code == 130 and "--resume goes on" in result.output
    image = load(tmp_path / "part.png")
    assert image.shape[2] == 4 and 0 < (image[..., 3] == 0).mean() < 1
    assert (tmp_path / "part.png.resume.safetensors").exists()
    monkeypatch.setattr(stepwise.StepRun, "go", go)
    assert "unfinished run" in refused(*arguments, "-o", tmp_path / "part.png")
    for changed in (["--seed", 1], ["--size", "24x25"]):
        said = refused(*arguments, *changed, "-o", tmp_path / "part.png", "--resume")
        assert "the run to resume had" in said
    other = save(tmp_path / "other.png", grains((24, 28), seed=9))
    said = refused(other, *arguments[1:], "-o", tmp_path / "part.png", "--resume")
    assert "read other pictures" in said
    texture(*arguments, "-o", tmp_path / "part.png", "--resume")
    np.testing.assert_array_equal(load(tmp_path / "part.png"), load(tmp_path / "whole.png"))
    assert not (tmp_path / "part.png.resume.safetensors").exists()
    said = refused(*arguments, "-o", tmp_path / "part.png", "--resume")
    assert "no unfinished run" in said


def test_the_state_stays_until_the_picture_is_written(sample, tmp_path, monkeypatch):
    arguments = [sample, "--size", "16x16", "--window", 5, "-o", tmp_path / "out.png"]

    def full(self, content):
        raise CheckpointError("write", "the disk is full", {})

    with monkeypatch.context() as patch:
        patch.setattr(OutputFile, "write", full)
        assert "disk is full" in minidl("style", "texture", *arguments).output
    assert (tmp_path / "out.png.resume.safetensors").exists()
    figures, _ = texture(*arguments, "--resume")
    assert not figures["interrupted"] and load(tmp_path / "out.png").shape == (16, 16, 3)
    assert not (tmp_path / "out.png.resume.safetensors").exists()


def test_resume_knows_files_by_what_they_hold(sample, tmp_path, monkeypatch):
    guide = save(tmp_path / "guide.png", grains((20, 20), seed=3))
    same = save(tmp_path / "same.png", grains((20, 20), seed=3))
    other = save(tmp_path / "other.png", grains((20, 20), seed=4))
    out = tmp_path / "out.png"

    def command(guide, *more):
        return [sample, "-o", out, "--window", 5, "--guide", guide, *more]

    count = iter(range(100))
    go = stepwise.StepRun.go
    with monkeypatch.context() as patch:
        patch.setattr(
            stepwise.StepRun, "go", lambda self, show, _: go(self, show, lambda: next(count) > 60)
        )
        minidl("style", "texture", *command(guide, "--size", "20x20"))
    said = refused(*command(other, "--size", "20x20", "--resume"))
    assert "read other pictures" in said
    said = refused(*command(guide, "--resume"))
    assert "another value of --size" in said and "none" in said
    texture(*command(same, "--size", "20x20", "--resume"))


def test_the_filmstrip_of_a_resumed_run_begins_where_it_went_on(sample, tmp_path):
    class Steps:
        """A synthesis of 120 steps."""

        done, total = 90, 120

        def snapshot(self):
            return np.zeros((2, 2, 3), np.uint8)

    resumed = stepwise.StepRun(Steps(), None, {})
    resumed.resumed_at, resumed.part = resumed.share, int(resumed.share * stepwise.SNAPSHOTS)
    for resumed.steps.done in range(91, 121):
        resumed.take_snapshot()
    assert [round(share * 12) for share, _ in resumed.snapshots] == [10, 11, 12]
    assert "The last 25 %" in resumed.filmstrip("Growing").title


def test_of_several_other_options_the_same_one_is_named_each_time():
    """The first one by its letters, the pictures last."""
    here, there = (dict.fromkeys("abcdefgh", value) for value in (0, 1))
    run = stepwise.StepRun(None, None, here | {"fingerprint": 0})
    with pytest.raises(OptionError, match="another value of --a"):
        run.check_identity(there | {"fingerprint": 1})
    with pytest.raises(OptionError, match="read other pictures"):
        run.check_identity(here | {"fingerprint": 1})


def test_ctrl_c_keeps_what_is_done(sample, tmp_path, monkeypatch):
    """Behind a step of the run; the estimate before it makes steps as well."""
    take_snapshot = stepwise.StepRun.take_snapshot

    def pressed(self):
        if self.steps.done > 100:
            signal.raise_signal(signal.SIGINT)
        take_snapshot(self)

    monkeypatch.setattr(stepwise.StepRun, "take_snapshot", pressed)
    out = tmp_path / "out.png"
    result = minidl("style", "texture", sample, "-o", out, "--size", "40x40", "--window", 5)
    assert result.exit_code == 130 and "what is done is kept" in result.output
    assert load(out).shape == (40, 40, 4)
    assert (tmp_path / "out.png.resume.safetensors").exists() and (tmp_path / "out.html").exists()


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, arguments",
    [
        ("odd side", ["--window", "8"]),
        ("from 3 to 255", ["--window", "1"]),
        ("number of pixels", ["--window", "big"]),
        ("window is larger than the samples", ["--window", "25"]),
        ("WIDTHxHEIGHT", ["--size", "0x4"]),
        ("WIDTHxHEIGHT", ["--size", "99999"]),
        ("did you mean quilting", ["--method", "quiltin"]),
        ("quilting fills no holes", ["--method", "quilting", "--hole", "alpha"]),
        ("keeps its size", ["--hole", "alpha", "--size", "9"]),
        ("belong to quilting", ["--passes", "2"]),
        ("belongs to efros-leung", ["--method", "quilting", "--guide-weight", "2"]),
        ("no such file", ["--guide", "no.png"]),
        ("name of a picture", ["--guide", ":"]),
        ("name of a picture", ["--guide", "map.png:"]),
        ("belongs to a --guide", ["--guide-weight", "2"]),
        ("is no tile", ["--hole", "alpha", "--tileable"]),
        ("at least 4 pixels", ["--method", "quilting", "--window", "3"]),
        ("no such file", ["--hole", "no.png"]),
        ("tile is at least as large", ["--method", "quilting", "--tileable", "--size", "9"]),
        ("belongs to a single --window", ["--window", "3,5", "--resume"]),
        ("no unfinished run", ["--resume"]),
    ],
)
def test_refuses(words, arguments, sample, tmp_path):
    assert words in refused(sample, "-o", tmp_path / "out.png", *arguments)
    assert not (tmp_path / "out.png").exists()


def test_refuses_files(sample, tmp_path):
    out = tmp_path / "out.png"
    (tmp_path / "text.png").write_text("no picture")
    assert "no.png" in refused(tmp_path / "no.png", "-o", out)
    assert "text.png" in refused(tmp_path / "text.png", "-o", out)
    assert "ends in" in refused(sample, "-o", tmp_path / "out.txt")
    assert "folder" in refused(sample, "-o", tmp_path / "none" / "out.png")
    small = save(tmp_path / "small.png", grains((9, 9)))
    for flag in ("--hole", "--copy-mask"):
        assert "another size" in refused(sample, "-o", out, flag, small)
    assert "more masks" in refused(sample, "-o", out, "--copy-mask", small, "--copy-mask", small)
    assert "a map for each sample" in refused(
        sample, sample, "-o", out, "--guide", f"{small}:{small}"
    )
    assert "another size" in refused(sample, "-o", out, "--guide", f"{small}:{small}")
    dark = save(tmp_path / "dark.png", np.zeros((24, 28)))
    assert "no window" in refused(sample, "-o", out, "--copy-mask", dark)
    out.write_text("precious")
    assert "there already" in refused(sample, "-o", out)
    assert out.read_text() == "precious"


def test_a_picture_larger_than_memory(sample, tmp_path, monkeypatch):
    """What is free counts, also for the samples: of different shapes they lie in a rectangle."""
    monkeypatch.setattr(needs, "free_megabytes", lambda: 100.0)
    said = refused(sample, "-o", tmp_path / "out.png", "--size", "5000")
    assert "more memory" in said and "fits" in said
    tall, wide = (save(tmp_path / f"{n}.png", np.zeros(n)) for n in ((2000, 3), (3, 2000)))
    texture(tall, "-o", tmp_path / "tall.png", "--size", 3, "--window", 3)
    assert "more memory" in refused(tall, wide, "-o", tmp_path / "out.png", "--size", 3)


def test_the_estimate_times_whole_steps_in_the_middle(sample, monkeypatch):
    """Steps of 0.02 s, of which the search is a part, but for two that compile. Slow ones among the
    others count: another program had the processor, and will have it again."""
    settings = checked({"size": [30, 30], "window": [5]})
    trial = read_task([sample], settings).synthesis(settings, 5)
    clock, step, done = [0.0], trial.step, []

    def slow_step():
        clock[0] += 3.0 if len(done) in (0, 5) else 0.02
        before = trial.searched
        done.append(trial.canvas.filled.mean())
        step()
        trial.searched = before + 2
        return True

    monkeypatch.setattr(estimate.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(trial, "step", slow_step)
    assert estimate.expected_seconds(trial, 1000.0) == pytest.approx(10.0)
    assert 0.45 < done[0] < 0.55
