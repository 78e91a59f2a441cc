"""Code archives: what is packed, and what is refused when unpacked."""

import io
import stat
import zipfile

import pytest

from minidl.errors import DataError
from minidl_dist import archive
from minidl_dist.archive import pack, unpack
from minidl_dist.checksum import sha256


@pytest.fixture
def code(tmp_path):
    """A folder of code with things in it that do not belong into an archive."""
    folder = tmp_path / "job"
    for name in ("train.py", "net/layers.py", ".git/config", "__pycache__/a.pyc", "runs/r/big"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}")
    (folder / "link.py").symlink_to("/etc/passwd")
    (folder / "linked").symlink_to("/etc")
    return folder


def zip_of(*entries):
    """A zip made by hand: of (name, content), or (ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries:
            made.writestr(name, content)
    return out.getvalue()


def test_what_is_packed(code):
    names = zipfile.ZipFile(io.BytesIO(pack(code))).namelist()
    assert names == ["net/layers.py", "train.py"]


def test_secrets_stay_here(code):
    for name in (".env", ".env.local", "net/server.pem", "id_rsa", "id_ed25519.pub", ".aws/config"):
        (code / name).parent.mkdir(exist_ok=True)
        (code / name).write_text("secret")
    (code / "id_map.py").write_text("# code")
    names = zipfile.ZipFile(io.BytesIO(pack(code))).namelist()
    assert names == ["id_map.py", "net/layers.py", "train.py"]


def test_the_same_files_have_the_same_bytes(code):
    first = pack(code)
    (code / "train.py").touch()
    assert pack(code) == first


def test_there_and_back(code, tmp_path):
    data = pack(code)
    unpack(data, sha256(data), tmp_path / "there")
    assert (tmp_path / "there" / "net" / "layers.py").read_text() == "# net/layers.py"


def test_too_large_names_the_largest_part(code, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000_000)
    (code / "pictures").mkdir()
    (code / "pictures" / "a.png").write_bytes(bytes(3_000_000))
    with pytest.raises(DataError, match=r"3 MB in 3 files, of which pictures/ has 3 MB"):
        pack(code)


def test_another_archive_than_was_submitted(code, tmp_path):
    with pytest.raises(DataError, match="SHA-256 differs"):
        unpack(pack(code), sha256(b"other"), tmp_path / "there")
    assert not (tmp_path / "there").exists()


def special(name, mode):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


@pytest.mark.parametrize(
    "entries, why",
    [
        ([("../up.py", "")], "leads out"),
        ([("a/../../up.py", "")], "leads out"),
        ([("/etc/passwd", "")], "leads out"),
        ([("C:\\up.py", "")], "leads out"),
        ([("a\\..\\up.py", "")], "leads out"),
        ([(".", "")], "leads out"),
        ([(".git/hooks/post-checkout", "")], "belongs to git"),
        ([("sub/.git/config", "")], "belongs to git"),
        ([(special("link", stat.S_IFLNK | 0o777), "/etc/passwd")], "not a plain file"),
        ([(special("pipe", stat.S_IFIFO | 0o644), "")], "not a plain file"),
        ([("folder/", "")], "not a plain file"),
    ],
)
def test_what_would_leave_its_folder_is_refused(entries, why, tmp_path):
    data = zip_of(*entries)
    with pytest.raises(DataError, match=why):
        unpack(data, sha256(data), tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path):
    data = zip_of(("a.py", "1"), ("a.py", "2"))
    with pytest.raises(DataError, match="in it twice"):
        unpack(data, sha256(data), tmp_path / "there")


def test_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1 << 20)
    data = zip_of(("a.py", bytes(1 << 24)))
    assert len(data) < 1 << 16
    with pytest.raises(DataError, match="unpacked it has more than"):
        unpack(data, sha256(data), tmp_path / "there")
    assert sum(path.stat().st_size for path in (tmp_path / "there").iterdir()) <= 1 << 20


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    data = zip_of(*((f"{n}.py", "") for n in range(4)))
    with pytest.raises(DataError, match="more than 3 files"):
        unpack(data, sha256(data), tmp_path / "there")


def test_damage_is_an_error_and_no_traceback(code, tmp_path):
    data = pack(code)
    for place in range(0, len(data), 7):
        broken = bytearray(data)
        broken[place] ^= 0x55
        try:
            unpack(bytes(broken), sha256(broken), tmp_path / str(place))
        except DataError:
            pass
