import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minidl.data import pictures, read_picture
from minidl.data.pictures import decode_picture
from minidl.errors import ArgumentError, DataError
from tests.data.make import pixels, png, write


def encode(picture, format="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def decode(content, channels=None):
    return decode_picture(content, "a.png", channels)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_keep_every_value(format, tmp_path):
    image = pixels(5, 7, 3)
    options = {"lossless": True} if format == "WEBP" else {}
    path = write(tmp_path / "picture", encode(Image.fromarray(image), format, **options))
    np.testing.assert_array_equal(read_picture(path), image)


def test_jpeg_and_gif():
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    decoded = decode(encode(Image.fromarray(smooth), "JPEG", quality=95))
    assert abs(decoded.astype(int) - smooth).max() < 12
    frames = [Image.new("L", (4, 3), value) for value in (10, 200)]
    animation = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(animation, 1) == 10).all()  # the first picture of an animation
    two = Image.fromarray(smooth)
    pair = encode(two, "MPO", save_all=True, append_images=[two], quality=95)  # as phones write
    assert abs(decode(pair).astype(int) - smooth).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 255  # a white corner, top left
    turn = {
        1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x),
        7: lambda x: x[::-1, ::-1].swapaxes(0, 1), 8: lambda x: np.rot90(x, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turn(upright)))
    decoded = decode(encode(stored, "JPEG", exif=exif, quality=100, subsampling=0))
    assert decoded.shape == (16, 24, 3)
    assert abs(decoded.astype(int) - upright).max() < 30


def test_grey_and_colour():
    grey, colour = pixels(4, 5, 1), pixels(4, 5, 3)
    np.testing.assert_array_equal(decode(png(grey)), grey)
    np.testing.assert_array_equal(decode(png(grey), 3), grey.repeat(3, 2))
    luma = np.rint(colour @ [0.299, 0.587, 0.114])
    assert abs(decode(png(colour), 1)[:, :, 0] - luma).max() <= 1
    with pytest.raises(ArgumentError, match="1, 3 or None"):
        decode(png(grey), 2)


def test_transparency_lies_over_white():
    image = np.zeros((1, 3, 4), np.uint8)
    image[0, :, 0], image[0, :, 3] = 200, [255, 0, 51]  # opaque, invisible, a fifth
    expected = [[200, 0, 0], [255, 255, 255], [244, 204, 204]]
    np.testing.assert_array_equal(
        decode(
            encode(
                Image.fromarray(
                    image,
                )
            )
        ),
        [expected],
    )
    grey = np.array([[[100, 255], [0, 0]]], np.uint8)
    picture = Image.frombytes("LA", (2, 1), grey.tobytes())
    np.testing.assert_array_equal(decode(encode(picture))[0, :, 0], [100, 255])


def test_palettes():
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    assert picture.mode == "P"
    expected = [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    np.testing.assert_array_equal(decode(encode(picture)), expected)
    expected[0][1] = [255, 255, 255]
    np.testing.assert_array_equal(decode(encode(picture, transparency=1)), expected)


def kinds_of_pictures(height, width):
    """Pictures of every mode, with the format that keeps it and its options."""
    image = Image.fromarray(pixels(height, width, 3))
    alpha = Image.fromarray(pixels(height, width, seed=1))
    transparent = image.copy()
    transparent.putalpha(alpha)
    deep = Image.fromarray(pixels(height, width).astype(np.uint16) * 250)
    return {
        "RGB": (image, "PNG", {}), "L": (alpha, "PNG", {}), "1": (alpha.convert("1"), "PNG", {}),
        "RGBA": (transparent, "PNG", {}), "LA": (transparent.convert("LA"), "PNG", {}),
        "P": (alpha.convert("P"), "PNG", {"transparency": 7}), "I;16": (deep, "PNG", {}),
        "RGB and a colour": (image, "PNG", {"transparency": (1, 2, 3)}),
        "CMYK": (image.convert("CMYK"), "TIFF", {}), "GIF": (alpha, "GIF", {"transparency": 7}),
    }  # fmt: skip


@pytest.mark.parametrize("kind", kinds_of_pictures(1, 1))
@pytest.mark.parametrize("channels", [1, 3, None])
def test_pictures_are_converted_in_parts(kind, channels, monkeypatch):
    picture, format, options = kinds_of_pictures(11, 5)[kind]
    content = encode(picture, format, **options)
    whole = decode(content, channels)
    monkeypatch.setattr(pictures, "ROWS", 4)
    np.testing.assert_array_equal(decode(content, channels), whole)


def test_a_palette_of_a_small_file_takes_little_beside_its_pixels():
    content = encode(Image.new("P", (1000, 3000)), transparency=0)
    decode(content)
    tracemalloc.start()
    image = decode(content)
    assert tracemalloc.get_traced_memory()[1] < 1.5 * image.nbytes
    tracemalloc.stop()
    assert image.shape == (3000, 1000, 3) and (image == 255).all()


def test_one_bit_and_cmyk():
    bits = Image.fromarray(np.array([[0, 255, 255, 0]], np.uint8)).convert("1")
    assert decode(encode(bits)).ravel().tolist() == [0, 255, 255, 0]
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    decoded = decode(encode(cmyk, "TIFF"))
    assert decoded.shape == (8, 8, 3) and decoded[0, 0].tolist() == [255, 0, 0]
    assert decode(encode(cmyk, "JPEG")).shape == (8, 8, 3)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_keep_the_upper_eight(format):
    values = np.array([[0, 255, 256, 0x1234, 0x8000, 0xFFFF]], np.uint16)
    decoded = decode(encode(Image.fromarray(values), format))
    assert decoded.ravel().tolist() == [0, 0, 1, 0x12, 0x80, 255]


def test_floating_point_is_refused():
    picture = Image.fromarray(np.ones((3, 3), np.float32))
    with pytest.raises(DataError, match="floating-point"):
        decode(encode(picture, "TIFF"))


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "an empty file"),
        (b"hello", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (png(pixels(30, 30, 3))[:-200], "damaged or cut short"),
        (encode(Image.fromarray(pixels(30, 30, 3)), "JPEG")[:-200], "damaged or cut short"),
        (png(pixels(30, 30, 3))[:20], "damaged or cut short"),
    ],
)
def test_damage_is_named(content, says, tmp_path):
    path = write(tmp_path / "a.png", content)
    with pytest.raises(DataError) as caught:
        read_picture(path)
    assert says in str(caught.value) or "not a picture" in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(DataError, match="pipe or device"):
            read_picture(path)


def test_missing_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_picture(tmp_path / "x.png")
    with pytest.raises(DataError, match="this is a folder"):
        read_picture(tmp_path)


def png_of_claimed_size(width, height):
    """A PNG whose header claims a size, with hardly any data."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [11_000, 60_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_huge_pictures_are_refused(side):
    with pytest.raises(DataError, match="too large"):
        decode(png_of_claimed_size(side, side))
    assert pictures.MAX_PIXELS < 11_000**2


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]), st.data())
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_only_raise_data_errors(format, data):
    content = bytearray(encode(Image.fromarray(pixels(9, 8, 3)), format))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = decode(content)
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (1, 3)
    except DataError as error:
        assert "a.png" in str(error)
