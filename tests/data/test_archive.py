import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.data import ArrayDataset, Subset, archive, open_dataset, sources
from minidl.data.archive import open_archive
from minidl.data.pictures import PictureDataset
from minidl.errors import DataError
from tests.data.make import cifar_binary, mnist_files, picture_tree, pixels, png, write

COMPRESS = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}
KINDS = [*COMPRESS, "zip"]


def tar_bytes(files, infos=()):
    """A tar with these files (name -> content) and further members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in infos:
            tar.addfile(info)
    return stream.getvalue()


def zip_bytes(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return stream.getvalue()


def packed(kind, files):
    return zip_bytes(files) if kind == "zip" else COMPRESS[kind](tar_bytes(files))


DATASETS = {
    "folder": lambda: picture_tree(n=3),
    "idx": mnist_files,
    "cifar": cifar_binary,
    "list": lambda: {
        "train.txt": b"img/a.png cat\nimg/b.png dog\n", "test.txt": b"img/b.png dog\n",
        "img/a.png": png(pixels(3, 4, 3)), "img/b.png": png(pixels(3, 4, 3, seed=1)),
    },
}  # fmt: skip


@pytest.mark.parametrize("outer", ["", "outer/"])
@pytest.mark.parametrize("data", DATASETS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_in_every_archive(kind, data, outer, tmp_path):
    files = {outer + name: content for name, content in DATASETS[data]().items()}
    for name, content in files.items():
        write(tmp_path / "folder" / name, content)
    path = write(tmp_path / f"x.{kind}", packed(kind, files))
    before = sorted(os.listdir(tmp_path))
    for split in ("train", "test"):
        expected, result = open_dataset(tmp_path / "folder", split), open_dataset(path, split)
        assert result.classes == expected.classes and result.names == expected.names
        assert len(result) == len(expected)
        for (image, label), (image2, label2) in zip(result, expected):
            np.testing.assert_array_equal(image, image2)
            assert label == label2
    assert sorted(os.listdir(tmp_path)) == before  # nothing is unpacked


def test_the_kind_is_recognised_by_content(tmp_path):
    path = write(tmp_path / "misnamed.zip", packed("tar.xz", picture_tree(n=2)))
    assert len(open_dataset(path, "train")) == 4


def test_folder_entries_and_dot_prefix(tmp_path):
    folder = tarfile.TarInfo("./train/cat")
    folder.type = tarfile.DIRTYPE
    files = {"./" + name: content for name, content in picture_tree(n=2).items()}
    path = write(tmp_path / "x.tar", tar_bytes(files, [folder]))
    assert open_dataset(path, "train").classes == ["cat", "dog"]
    empty = tarfile.TarInfo("train/fox")
    empty.type = tarfile.DIRTYPE
    path = write(tmp_path / "y.tar", tar_bytes(files, [empty]))
    with pytest.raises(DataError, match="fox"):
        open_dataset(path, "train")


def test_a_list_may_start_like_a_compressed_file(tmp_path):
    write(tmp_path / "BZh/1.png", png(pixels(3, 3, 3)))
    write(tmp_path / "list", "BZh/1.png a\n")
    assert len(open_dataset(tmp_path / "list", "train")) == 1


def test_headers_that_lead_back_end_the_reading(tmp_path):
    content = bytearray(tar_bytes({"a/1.png": b"x" * 600, "a/2.png": b"y"}))
    content[124:136] = b"\xff" * 10 + (-1024 & 0xFFFF).to_bytes(2, "big")  # size -1024
    header = bytes(content[:148]) + b" " * 8 + bytes(content[156:512])
    content[148:156] = b"%06o\0 " % sum(header)
    for kind in ("tar", "tar.gz"):
        path = write(tmp_path / kind, COMPRESS[kind](bytes(content)))
        with pytest.raises(DataError, match="damaged"):
            open_archive(path)


# --- the cache of decoded pictures ------------------------------------------------------------


def test_pictures_of_one_size_are_decoded_once(tmp_path, private_cache, monkeypatch):
    path = write(tmp_path / "x.tar.xz", packed("tar.xz", picture_tree(n=3)))
    first = open_dataset(path, "train")
    assert isinstance(first, ArrayDataset) and first.image_shape == (4, 5, 3)
    monkeypatch.setattr(sources, "open_archive", None)  # must not be needed again
    again = open_dataset(path, "train")
    np.testing.assert_array_equal(again.images, first.images)
    assert (again.names, again.classes) == (first.names, first.classes)
    copy = write(tmp_path / "copy", path.read_bytes())
    assert len(open_dataset(copy, "train")) == 6  # the content counts, not the name


def test_another_content_is_another_entry(tmp_path):
    path = write(tmp_path / "x.zip", packed("zip", picture_tree(n=3)))
    assert len(open_dataset(path, "train")) == 6
    write(path, packed("zip", picture_tree(n=2)))
    assert len(open_dataset(path, "train")) == 4


@pytest.mark.parametrize("damage", ["cut images", "bad json", "other json", "no images"])
def test_a_damaged_cache_is_made_again(damage, tmp_path, private_cache):
    path = write(tmp_path / "x.zip", packed("zip", picture_tree(n=3)))
    expected = open_dataset(path, "train").images.copy()
    (entry,) = (private_cache / "decoded").iterdir()
    images, index = entry / "images.npy", entry / "index.json"
    if damage == "cut images":
        images.write_bytes(images.read_bytes()[:-10])
    elif damage == "no images":
        images.unlink()
    else:
        index.write_text("{" if damage == "bad json" else '{"shape": [6, 4, 5, 3]}')
    np.testing.assert_array_equal(open_dataset(path, "train").images, expected)
    np.testing.assert_array_equal(open_dataset(path, "train").images, expected)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, private_cache):
    write(private_cache / "decoded", b"a file where the folder should be")
    path = write(tmp_path / "x.zip", packed("zip", picture_tree(n=3)))
    assert len(open_dataset(path, "train")) == 6


def test_different_sizes_stay_pictures(tmp_path, private_cache):
    files = picture_tree(n=2) | {"train/cat/9.png": png(pixels(9, 9, 3))}
    path = write(tmp_path / "x.tar.gz", packed("tar.gz", files))
    assert open_dataset(path, "train").image_shape is None
    assert open_dataset(path, "train")[2][0].shape == (9, 9, 3)
    assert not (private_cache / "decoded").exists()


# --- archives that mean harm ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../x.png", "/etc/x.png", "a/../../x.png", "..\\x.png", "C:\\x.png", "\\x.png"]
)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_that_lead_out_are_refused(kind, name, tmp_path):
    path = write(tmp_path / "sub/evil", packed(kind, {"a/ok.png": b"x", name: b"x"}))
    with pytest.raises(DataError) as caught:
        open_dataset(path, "train")
    assert "leads out of the archive" in str(caught.value) and "evil" in str(caught.value)
    assert os.listdir(tmp_path) == ["sub"] and os.listdir(tmp_path / "sub") == ["evil"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
@pytest.mark.parametrize("compression", ["tar", "tar.xz"])
def test_links_and_devices_in_tars_are_refused(compression, kind, tmp_path):
    info = tarfile.TarInfo("a/link.png")
    info.type, info.linkname = kind, "/etc/passwd"
    path = write(tmp_path / "x", COMPRESS[compression](tar_bytes({"a/b.png": b"x"}, [info])))
    with pytest.raises(DataError, match="refused") as caught:
        open_dataset(path, "train")
    assert "a/link.png" in str(caught.value)


def test_links_and_passwords_in_zips_are_refused(tmp_path):
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="links are refused"):
        open_dataset(tmp_path / "link.zip", "train")
    content = bytearray(zip_bytes({"a/b.png": b"x"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path = write(tmp_path / "secret.zip", bytes(content))
    with pytest.raises(DataError, match="encrypted"):
        open_dataset(path, "train")


def test_bombs_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBER", 1_000_000)
    monkeypatch.setattr(archive, "MAX_IN_MEMORY", 1_500_000)
    for kind in KINDS:
        path = write(tmp_path / f"member.{kind}", packed(kind, {"a/b.png": bytes(1_000_001)}))
        with pytest.raises(DataError, match="more than 1,000,000"):
            open_archive(path)
    for kind in ("tar.gz", "tar.bz2", "tar.xz"):
        files = {f"a/{i}.png": bytes(900_000) for i in (1, 2)}
        path = write(tmp_path / f"sum.{kind}", packed(kind, files))
        with pytest.raises(DataError, match="unpacks to more than 1,500,000"):
            open_archive(path)
        path = write(tmp_path / "zeros", COMPRESS[kind](tar_bytes({}) + bytes(2_000_000)))
        with pytest.raises(DataError, match="unpacks to more than"):
            open_archive(path)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 5)
    path = write(tmp_path / "many.zip", packed("zip", picture_tree(n=5)))
    with pytest.raises(DataError, match="more than 5 files"):
        open_archive(path)


def test_a_zip_that_lies_about_sizes(tmp_path):
    content = zip_bytes({"a/1.png": bytes(100_000)})
    lie = content.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != content
    path = write(tmp_path / "lie.zip", lie)
    with pytest.raises(DataError, match="damaged"):
        open_archive(path).read("a/1.png")


# --- damage -----------------------------------------------------------------------------------


def test_not_an_archive(tmp_path):
    for name in ("x.zip", "x.tar.gz", "x.7z", "x.rar", "x.tar"):
        path = write(tmp_path / name, b"\x00\x01 what is this")
        with pytest.raises(DataError, match="neither") as caught:
            open_dataset(path, "train")
        assert name in str(caught.value)
    path = write(tmp_path / "x.gz", gzip.compress(b"hello"))
    with pytest.raises(DataError, match="no .tar inside"):
        open_dataset(path, "train")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_archives_are_named(kind, tmp_path):
    content = packed(kind, picture_tree(n=4))
    end = len(content) if kind != "tar" else len(tar_bytes(picture_tree(n=4)).rstrip(b"\0"))
    for cut in np.random.default_rng(0).integers(0, end, 25):
        path = write(tmp_path / f"cut.{kind}", content[:cut])
        with pytest.raises(DataError) as caught:
            open_dataset(path, "train")
        assert f"cut.{kind}" in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_damaged_bytes_only_raise_data_errors(tmp_path_factory, kind, data):
    content = bytearray(packed(kind, {"a/1.png": pixels(700).tobytes(), "b/2.png": b"two"}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = write(tmp_path_factory.getbasetemp() / "fuzzed", bytes(content))
    try:
        files = open_archive(path)
        for name in files.names:
            files.read(name)
    except DataError as error:
        assert "fuzzed" in str(error)


@pytest.mark.parametrize("kind", ["folder", "list", *KINDS])
def test_a_stamp_changes_with_the_picture(kind, tmp_path):
    """Of pictures that differ in size, which nothing decodes in advance."""

    def stamps(picture, moment):
        files = {
            "pets/cat/a.png": png(pixels(3, 4, 3)), "pets/cat/b.png": picture,
            "pets/dog/c.png": png(pixels(9, 4, 3)), "pets/dog/d.png": png(pixels(4, 7, 3)),
        }  # fmt: skip
        if kind == "list":
            lines = [f"{name[5:]} {name[5:8]}\n" for name in files]
            files["pets/train.txt"] = "".join(lines).encode()
        if kind in ("folder", "list"):
            for name, content in files.items():
                path = tmp_path / name
                if not path.exists() or path.read_bytes() != content:
                    os.utime(write(path, content), (moment, moment))
            path = tmp_path / "pets"
        else:
            path = write(tmp_path / f"pets.{kind}", packed(kind, files))
            os.utime(path, (moment, moment))
        whole = open_dataset(path, "train", test_share=0.1)
        assert isinstance(whole, Subset) and isinstance(whole.dataset, PictureDataset)
        found = {whole.dataset.names[i]: whole.dataset.stamp(i) for i in range(4)}
        assert [whole.stamp(i) for i in range(len(whole))] == [found[n] for n in whole.names]
        return found

    before = stamps(png(pixels(5, 4, 3)), 1)
    assert stamps(png(pixels(5, 4, 3)), 1) == before
    after = stamps(png(pixels(5, 4, 3, seed=7)), 2)
    changed = [name for name in after if after[name] != before[name]]
    # A tar has one time for all of its pictures.
    assert changed == (sorted(before) if kind == "tar" else ["cat/b.png"])
