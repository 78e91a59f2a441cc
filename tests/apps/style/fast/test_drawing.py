"""minidl style fast: files in and out, transparency, strength, colours, moving pictures, ONNX."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

import minidl as library
from apps.shared.options import OptionError
from apps.shared.photo import Photo
from apps.shared.trained_transform import load_fast, save_fast
from apps.style import needs
from apps.style.fast import moving as of_moving
from apps.style.fast.moving import Moving, at_one_rate, through
from apps.style.fast.smoothing import Smoother, box_mean
from apps.style.fast.stylize import Look, median, stylized
from minidl.errors import DataError
from tests.apps.conftest import minidl
from tests.apps.style.fast.conftest import photograph

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def net(model):
    return load_fast(str(model)).net


def photo(height=40, width=57, seed=0):
    return Photo(np.asarray(photograph(height, width, seed), np.float32) / np.float32(255))


# --- a picture ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(33, 50), (50, 33), (5, 90), (64, 64)])
def test_the_size_stays(net, size):
    assert stylized(net, photo(*size)).size == size


def test_strength_blends(net):
    picture = photo()
    none, half, full = (stylized(net, picture, Look(s)).pixels for s in (0.0, 0.5, 1.0))
    assert np.array_equal(none, picture.pixels)
    np.testing.assert_allclose(half, (none + full) / 2, atol=1e-6)
    assert np.abs(full - none).max() > 0.1


def test_luma_keeps_the_colours(net):
    """U and V are the picture's, to the quantisation; Y is the drawing's where it can be."""
    picture = photo(30, 40)
    kept = stylized(net, picture, Look(colors="luma")).bytes / 255.0
    before = picture.pixels.astype(float)
    for a, b in ((2, 1), (0, 1)):  # differences of colours stay
        np.testing.assert_allclose(
            kept[..., a] - kept[..., b], before[..., a] - before[..., b], atol=1.01 / 255
        )
    assert np.abs(kept - before).max() > 0.05


def test_a_median_takes_single_dots_away():
    pixels = np.full((9, 9, 3), 0.4, np.float32)
    pixels[4, 4] = pixels[0, 0] = 1
    assert (median(pixels) == np.float32(0.4)).all()


def test_tiny_and_huge_pictures(net, monkeypatch):
    with pytest.raises(library.errors.ArgumentError, match="at least 5 pixels"):
        stylized(net, photo(4, 30))
    monkeypatch.setattr(needs, "free_megabytes", lambda: 10.0)
    with pytest.raises(library.errors.ArgumentError) as caught:
        stylized(net, photo(400, 800))
    assert "memory" in caught.value.rule and "--size" in caught.value.hint


def test_a_network_that_draws_no_numbers_is_refused(model, photos, tmp_path):
    """Not a black picture."""
    found = load_fast(str(model))
    next(iter(found.net.parameters())).data[...] = np.nan
    spoiled = tmp_path / "nan.safetensors"
    save_fast(spoiled, found.net, found.kind, {"arguments": found.meta["arguments"]})
    result = minidl("style", "fast", spoiled, photos / "a.png", "-o", tmp_path / "o.png")
    assert result.exit_code != 0 and "NaN" in result.output, result.output
    assert not (tmp_path / "o.png").exists()


# --- files --------------------------------------------------------------------------------------


def test_a_picture_with_transparency(model, tmp_path):
    pixels = RNG.integers(0, 256, (31, 45, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    result = minidl("style", "fast", model, tmp_path / "in.png", "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    out = np.asarray(Image.open(tmp_path / "out.png"))
    assert out.shape == pixels.shape and np.array_equal(out[..., 3], pixels[..., 3])
    assert not np.array_equal(out[..., :3], pixels[..., :3])


def test_a_folder_goes_into_a_folder(model, photos, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    photograph(30, 40, 0).save(folder / "a.jpg")
    photograph(30, 40, 1).convert("L").save(folder / "b.pgm")
    (folder / "c.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = minidl("style", "fast", model, folder, photos / "a.png", "-o", out, "--json")
    assert result.exit_code == 2 and "c.png" in result.output  # the others are drawn
    answer = json.loads(result.output.splitlines()[-1])
    assert [one["image"] for one in answer["failed"]] == [str(folder / "c.png")]
    assert sorted(p.name for p in out.iterdir()) == ["a.jpg", "a.png", "b.png"]
    assert "3 pictures and frames: less than 1 s" in result.output  # c.png is none
    assert "--overwrite" in minidl("style", "fast", model, folder, "-o", out).output


def test_stdin_and_size(model, tmp_path, monkeypatch):
    stream = io.BytesIO()
    photograph(40, 80, 0).save(stream, format="PNG")
    stream.seek(0)
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stream}))
    from apps.shared.console import Console
    from apps.style.fast.drawing import draw_all

    draw_all(
        str(model), ["-"], str(tmp_path / "o.webp"), False, Look(size=60), Console("style fast")
    )
    assert Image.open(tmp_path / "o.webp").size == (60, 30)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["{model}", "{folder}", "-o", "o.png"], "no pictures in the folder"),
        (["{model}", "{photo}", "-o", "o.xyz"], "ends in"),
        (["{model}", "{photo}", "-o", "o.gif"], "ends in .png"),
        (["{model}", "{photo}", "-o", "o.mp4"], "ends in .png"),
        (["{model}", "{moving}", "-o", "o.png"], "ends in .gif"),
        (["{model}", "{photo}", "-o", "nowhere/o.png"], "folder of the output"),
        (["{model}", "{folder}/none.png", "-o", "o.png"], "no such file"),
        (["stary-night", "{photo}", "-o", "o.png"], "did you mean starry-night"),
        (["{photo}", "{photo}", "-o", "o.png"], "not a whole safetensors file"),
        (["{weights}", "{photo}", "-o", "o.png"], "not one of minidl style fast-train"),
        (["{model}", "{photo}", "-o", "o.png", "--strength", "2"], "between 0 and 1"),
        (["{model}", "{photo}", "-o", "o.png", "--colors", "some"], "style or luma"),
        (["{model}", "{photo}", "-o", "o.png", "--smooth", "1"], "below 1"),
    ],
)
def test_what_will_not_do(model, photos, loss_weights, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    gif(tmp_path / "in.gif", RNG.integers(0, 256, (2, 24, 31, 3)).astype(np.uint8), 100)
    words = {
        "model": model, "photo": photos / "a.png", "weights": loss_weights,
        "folder": tmp_path / "empty", "moving": tmp_path / "in.gif",
    }  # fmt: skip
    result = minidl("style", "fast", *(text.format(**words) for text in arguments))
    assert result.exit_code == 2 and says in result.output, result.output
    assert not list(tmp_path.glob("o.*"))


# --- what moves ---------------------------------------------------------------------------------


def gif(path, frames, durations):
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=2)


def test_a_gif_keeps_its_times(model, tmp_path):
    gif(tmp_path / "in.gif", RNG.integers(0, 256, (3, 24, 31, 3)).astype(np.uint8), [60, 120, 200])
    result = minidl("style", "fast", model, tmp_path / "in.gif", "-o", tmp_path / "out.gif")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out.gif") as out:
        assert out.n_frames == 3 and out.size == (31, 24) and out.info["loop"] == 2
        times = []
        for i in range(3):
            out.seek(i)
            times.append(out.info["duration"])
    assert times == [60, 120, 200]
    assert "3 frames: less than 1 s" in result.output


def test_a_gif_that_plays_once_plays_once(model, tmp_path):
    frames = [Image.fromarray(x) for x in RNG.integers(0, 256, (2, 24, 31, 3)).astype(np.uint8)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=50)
    result = minidl("style", "fast", model, tmp_path / "in.gif", "-o", tmp_path / "out.gif")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out.gif") as out:
        assert out.n_frames == 2 and "loop" not in out.info


def test_a_gif_keeps_its_transparency(model, tmp_path):
    """Of every frame, each with another hole."""
    pixels = RNG.integers(0, 256, (3, 24, 31, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    for t in range(3):
        pixels[t, 5:12, 4 + 6 * t : 10 + 6 * t, 3] = 0
    first, *others = [Image.fromarray(frame) for frame in pixels]
    first.save(tmp_path / "in.gif", save_all=True, append_images=others, duration=50, disposal=2)
    result = minidl("style", "fast", model, tmp_path / "in.gif", "-o", tmp_path / "out.gif")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out.gif") as out:
        for t in range(3):
            out.seek(t)
            assert np.array_equal(np.asarray(out.convert("RGBA"))[..., 3], pixels[t, ..., 3]), t


def test_frames_of_a_gif_keep_their_times_in_a_video():
    """As often as their times ask for; 0 is a tenth of a second, as browsers show it."""
    for seconds, expected, rate in (
        ([0.06, 0.12, 0.2], [0] * 3 + [1] * 6 + [2] * 10, 50),
        ([0.0, 0.0], [0, 1], 10),
        ([0.04, 0.04], [0, 1], 25),
    ):
        moving = Moving(lambda: iter(()), (1, 1), len(seconds), seconds)
        frames, found = at_one_rate(iter(range(len(seconds))), moving)
        assert list(frames) == expected and found == rate


def test_a_gif_without_times_becomes_a_video(model, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed")
    gif(tmp_path / "in.gif", RNG.integers(0, 256, (3, 24, 31, 3)).astype(np.uint8), 0)
    result = minidl("style", "fast", model, tmp_path / "in.gif", "-o", tmp_path / "out.mp4")
    assert result.exit_code == 0, result.output
    reader = ffmpeg.read_frames(str(tmp_path / "out.mp4"))
    assert next(reader)["fps"] == 10 and len(list(reader)) == 3


def test_the_times_of_a_video_add_up_in_a_gif(tmp_path):
    """30 frames a second are 3.33 hundredths each, not 3."""
    frames = [np.asarray(photograph(24, 31, i)) for i in range(9)]
    of_moving.write_animation(
        tmp_path / "out.gif", iter(frames), Moving(lambda: iter(()), (24, 31), 9, 1 / 30)
    )
    with Image.open(tmp_path / "out.gif") as out:
        times = []
        for i in range(9):
            out.seek(i)
            times.append(out.info["duration"])
        assert sum(times) == 300 and out.info["loop"] == 0


def test_what_cannot_be_read_is_not_blamed_on_the_output(tmp_path, monkeypatch):
    pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed")
    gif(tmp_path / "in.gif", RNG.integers(0, 256, (3, 24, 31, 3)).astype(np.uint8), 50)
    moving = of_moving.open_moving(tmp_path / "in.gif")
    content = (tmp_path / "in.gif").read_bytes()
    (tmp_path / "in.gif").write_bytes(content[: len(content) // 2])
    frames = (frame for frame in moving.frames())
    with pytest.raises(DataError, match="damaged") as caught:
        of_moving.write_moving(tmp_path / "out.mp4", frames, moving)
    assert "in.gif" in str(caught.value) and not (tmp_path / "out.mp4").exists()


def test_nothing_to_smooth(model, photos, tmp_path):
    result = minidl("style", "fast", model, photos / "a.png", "-o", tmp_path / "out.png",
                    "--smooth", 0.5)  # fmt: skip
    assert result.exit_code == 2 and "none is among these" in result.output
    assert not (tmp_path / "out.png").exists()


def test_a_gif_whose_frames_do_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr(needs, "free_megabytes", lambda: 100.0)
    moving = Moving(lambda: iter(()), (480, 640), 500, 0.04)
    with pytest.raises(OptionError, match="needs more memory") as caught:
        of_moving.check_gif(moving, moving.size)
    assert "mp4" in caught.value.hint
    of_moving.check_gif(moving, (48, 64))


def test_a_video(model, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed")
    writer = ffmpeg.write_frames(str(tmp_path / "in.mp4"), (48, 32), fps=8, macro_block_size=1)
    writer.send(None)
    for i in range(5):
        writer.send(np.asarray(photograph(32, 48, i)).copy())
    writer.close()
    out = tmp_path / "out.mp4"
    result = minidl("style", "fast", model, tmp_path / "in.mp4", "-o", out, "--size", 30)
    assert result.exit_code == 0, result.output
    reader = ffmpeg.read_frames(str(out))
    about = next(reader)
    assert about["size"] == (30, 20) and about["fps"] == 8 and len(list(reader)) == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
    (tmp_path / "in.mp4").write_bytes(b"no video")
    result = minidl("style", "fast", model, tmp_path / "in.mp4", "-o", tmp_path / "o.mp4")
    assert result.exit_code == 2 and "ffmpeg cannot read it" in result.output
    assert not (tmp_path / "o.mp4").exists()


def test_a_video_without_the_package(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "in.mp4").write_bytes(b"")
    result = minidl("style", "fast", model, tmp_path / "in.mp4", "-o", tmp_path / "out.mp4")
    assert result.exit_code == 2 and "minidl[video]" in result.output


def test_smoothing_takes_the_flicker_of_what_stays_and_smears_nothing_that_moves():
    still = photo(48, 64).pixels
    frames = []
    for t in range(12):
        frame = still + 0.01 * RNG.standard_normal(still.shape, np.float32)
        frame[10:30, 4 * t : 4 * t + 16] = 1.0
        frames.append((np.clip(frame, 0, 1) * 255).round().astype(np.uint8))

    def flickering(picture):
        return Photo(np.clip(picture.pixels + 0.2 * RNG.standard_normal(still.shape), 0, 1))

    moving = Moving(lambda: iter(frames), (48, 64), 12, 0.1)

    def drawn_with(smooth):
        look = Look(smooth=smooth)
        return np.stack(list(through(moving, flickering, look, lambda n: None))).astype(float)

    rough, smooth = drawn_with(0.0), drawn_with(0.8)
    quiet = np.s_[3:, 40:, :]  # where only the camera's noise is
    assert np.diff(smooth, axis=0)[quiet].std() < 0.5 * np.diff(rough, axis=0)[quiet].std()
    plain = Smoother(0.8)
    for t, frame in enumerate(frames):
        seen = frame / np.float32(255)
        drawn = plain(seen, seen)
        square = np.s_[12:28, 4 * t + 6 : 4 * t + 10]
        assert np.abs(drawn - seen)[square].max() < 0.05, t
        trail = np.s_[12:28, max(0, 4 * t - 3) : 4 * t - 1]
        assert np.abs(drawn - seen)[trail].size == 0 or np.abs(drawn - seen)[trail].max() < 0.05, t


def test_box_means():
    values = RNG.random((7, 9), np.float32)
    padded = np.pad(values, 2, "edge")
    expected = [[padded[i : i + 5, j : j + 5].mean() for j in range(9)] for i in range(7)]
    np.testing.assert_allclose(box_mean(values, 2), expected, atol=1e-6)


def test_a_damaged_gif(model, tmp_path):
    gif(tmp_path / "in.gif", RNG.integers(0, 256, (3, 24, 31, 3)).astype(np.uint8), [60] * 3)
    content = (tmp_path / "in.gif").read_bytes()
    (tmp_path / "in.gif").write_bytes(content[: len(content) // 2])
    result = minidl("style", "fast", model, tmp_path / "in.gif", "-o", tmp_path / "o.gif")
    assert result.exit_code == 2 and "damaged" in result.output, result.output
    assert not (tmp_path / "o.gif").exists()


# --- ONNX ---------------------------------------------------------------------------------------


def test_the_onnx_file_takes_any_size(model, net, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    result = minidl("onnx", "export", model, tmp_path / "net.onnx", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output.splitlines()[-1])["difference"] < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    for size in ((37, 50), (61, 43)):
        x = photo(*size).tensor()
        with library.no_grad():
            expected = net(x).numpy()
        (found,) = session.run(None, {"input": np.ascontiguousarray(x.numpy())})
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.05)


def test_options_of_the_export(model, tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    file = tmp_path / "net.onnx"
    result = minidl("onnx", "export", model, file, "--size", 64)
    assert result.exit_code == 2 and "any size" in result.output and not file.exists()
    result = minidl("onnx", "export", model, file, "--no-dynamic-batch", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output.splitlines()[-1])
    assert answer["input_shape"] == [1, 3, "height", "width"]
    (taken,) = library.io.onnx.load(file).graph.inputs
    assert list(taken.shape[:2]) == [1, 3]


def test_decoding_errors_name_stdin():
    with pytest.raises(DataError, match="stdin"):
        Photo.decode(b"no picture", "stdin")
