"""Pictures as people have them: colours, transparency, orientation, sizes, files."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from apps.shared.output_file import PICTURES
from apps.shared.photo import FORMATS, Photo
from minidl.errors import ArgumentError, CheckpointError, DataError

RNG = np.random.default_rng(0)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def decode(image, kind="PNG", **options):
    return Photo.decode(encoded(image, kind, **options), "test")


def noise(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def test_colours_are_kept_to_the_bit():
    pixels = noise(5, 7, 3)
    photo = decode(Image.fromarray(pixels))
    assert photo.size == (5, 7) and photo.pixels.dtype == np.float32 and photo.alpha is None
    np.testing.assert_array_equal(photo.bytes, pixels)


@pytest.mark.parametrize("ending", [".png", ".tif", ".webp"])
def test_alpha_is_kept(ending):
    pixels = noise(6, 4, 4)
    photo = decode(Image.fromarray(pixels))
    again = Photo.decode(photo.encoded(ending, quality=100), "again")
    np.testing.assert_array_equal(np.round(again.alpha * 255), pixels[..., 3])
    if ending != ".webp":
        np.testing.assert_array_equal(again.bytes, pixels[..., :3])


def test_opaque_pictures_have_no_alpha():
    assert decode(Image.fromarray(noise(4, 4, 3)).convert("RGBA")).alpha is None


def test_jpeg_has_white_for_transparency():
    photo = Photo(np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32))
    again = Photo.decode(photo.encoded(".jpg"), "again")
    assert again.alpha is None and (again.bytes > 250).all()


def test_palette_with_transparency():
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    photo = decode(image, transparency=1)
    np.testing.assert_array_equal(photo.bytes[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(photo.alpha, [[1, 0]])


def test_sixteen_bits_of_grey_are_kept():
    values = np.array([[0, 1, 257, 40000, 65535]], np.uint16)
    photo = decode(Image.fromarray(values))
    np.testing.assert_allclose(photo.pixels[..., 0] * 65535, values, atol=0.01)
    np.testing.assert_array_equal(photo.pixels[..., 0], photo.pixels[..., 2])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode):
    image = Image.new("RGB", (3, 2), "white").convert("L" if mode in ("1", "LA") else "RGB")
    photo = decode(image.convert(mode), "TIFF" if mode in ("CMYK", "YCbCr") else "PNG")
    assert photo.pixels.shape == (2, 3, 3) and photo.pixels.min() > 0.95


def test_orientation_of_the_camera():
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    photo = decode(Image.fromarray(pixels), exif=exif)
    assert photo.size == (3, 2) and photo.pixels[0, 1].min() == 1 and photo.pixels.sum() == 3


def test_a_colour_profile_is_converted():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    plain = noise(4, 4, 3)
    same = decode(Image.fromarray(plain), icc_profile=lab.tobytes())
    np.testing.assert_allclose(same.bytes, plain, atol=1)
    damaged = decode(Image.fromarray(plain), icc_profile=b"no profile")
    np.testing.assert_array_equal(damaged.bytes, plain)


def test_a_profile_with_another_gamma_changes_the_colours():
    """A profile of linear light, made of sRGB's by replacing its curves."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    linear = with_linear_curves(profile)
    grey = np.full((4, 4, 3), 55, np.uint8)  # 0.216 of the light: about 0.5 in sRGB
    photo = decode(Image.fromarray(grey), icc_profile=linear)
    assert 125 <= photo.bytes.mean() <= 131


def with_linear_curves(profile):
    """The profile with the identity for its tone curves (ICC.1:2022, section 10.18: curveType or
    parametricCurveType, of which type 0 with gamma 1 fits into the space of any other)."""
    data = bytearray(profile)
    for i in range(int.from_bytes(data[128:132], "big")):
        entry = 132 + 12 * i
        start = int.from_bytes(data[entry + 4 : entry + 8], "big")
        if bytes(data[entry : entry + 4]) in (b"rTRC", b"gTRC", b"bTRC"):
            data[start : start + 16] = b"para" + bytes(4) + bytes(4) + (1 << 16).to_bytes(4, "big")
    return bytes(data)


def test_resizing_keeps_the_mean_and_the_range():
    photo = Photo(RNG.random((90, 60, 3), dtype=np.float32))
    small = photo.fitted(30)
    assert small.size == (30, 20) and small.pixels.dtype == np.float32
    assert 0 <= small.pixels.min() and small.pixels.max() <= 1
    assert abs(small.pixels.mean() - photo.pixels.mean()) < 0.01
    assert photo.fitted(90) is photo or photo.fitted(90).size == photo.size


def test_transparent_pixels_lend_no_colour():
    pixels, alpha = np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32)
    pixels[:, :4, 0], alpha[:, :4] = 1, 1  # red beside transparent black
    small = Photo(pixels, alpha).resized(2, 3)
    seen = small.alpha > 0.05
    np.testing.assert_allclose(small.pixels[seen][:, 0], 1, atol=0.02)


def test_tensors_go_there_and_back():
    photo = Photo(RNG.random((5, 6, 3), dtype=np.float32))
    x = photo.tensor()
    assert x.shape == (1, 3, 5, 6) and x.dtype == np.float32
    assert x.data[0, 2, 4, 5] == photo.pixels[4, 5, 2] * np.float32(255)
    np.testing.assert_allclose(Photo.from_tensor(x).pixels, photo.pixels, atol=1e-6)
    x.data[...] = 300
    assert Photo.from_tensor(x).pixels.max() == 1


def test_alpha_of_another_picture():
    photo = Photo(np.zeros((4, 4, 3), np.float32))
    other = Photo(np.zeros((8, 8, 3), np.float32), np.full((8, 8), 0.5, np.float32))
    np.testing.assert_allclose(photo.with_alpha_of(other).alpha, np.full((4, 4), 0.5), atol=1e-6)
    assert photo.with_alpha_of(photo).alpha is None


def test_what_is_no_picture(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(encoded(Image.fromarray(noise(30, 30, 3)))[:-200])
    for name, rule in (
        ("text.png", "not a picture"),
        ("cut.png", "damaged"),
        ("none.png", "no such"),
    ):
        with pytest.raises(DataError, match=rule) as caught:
            Photo.read(tmp_path / name)
        assert name in str(caught.value)


def test_saving(tmp_path):
    photo = Photo(RNG.random((9, 9, 3), dtype=np.float32))
    photo.save(tmp_path / "a.png")
    np.testing.assert_array_equal(Photo.read(tmp_path / "a.png").bytes, photo.bytes)
    with pytest.raises(ArgumentError, match="ends in .png"):
        photo.save(tmp_path / "a.txt")
    with pytest.raises(CheckpointError, match="no such file or folder"):
        photo.save(tmp_path / "no" / "a.png")


@pytest.mark.parametrize("quality", [60, 92, 95])
def test_noise_as_jpeg(quality):
    """It takes more than a byte a pixel, for which Pillow's optimising encoder has no room."""
    photo = Photo(RNG.random((200, 300, 3), dtype=np.float32))
    assert Photo.decode(photo.encoded(".jpg", quality), "again").size == (200, 300)


def test_pixels_of_unknown_range_are_no_damage():
    with pytest.raises(DataError, match="unknown range") as caught:
        decode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    assert "damaged" not in str(caught.value) and "8 or 16 bits" in str(caught.value)


def test_the_endings_of_outputs_are_those_of_photos():
    """output_file.py names them, as it is loaded for --help; photo.py knows what they are."""
    assert tuple(FORMATS) == PICTURES
