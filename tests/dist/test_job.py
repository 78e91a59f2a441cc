"""Job folders: the template, job.toml, the functions that it names; and object stores."""

import pytest

from minidl.errors import DataError, MinidlError
from minidl_dist import store
from minidl_dist.archive import pack
from minidl_dist.checksum import sha256
from minidl_dist.job import check_functions, fetch_code, launch_of, read_job_file, write_template


@pytest.fixture
def job(tmp_path):
    write_template(tmp_path / "digits")
    return tmp_path / "digits"


def test_the_template_is_a_job(job):
    found = read_job_file(job)
    assert (found.name, found.workers, found.settings["epochs"]) == ("digits", 2, 5)
    check_functions(job, found)
    launch = launch_of(job, found, workers=4, slots=None)
    assert (launch.workers, launch.slots, launch.name) == (4, 0, "digits")


def test_a_name_that_is_taken(job):
    with pytest.raises(MinidlError, match="of this name exists already"):
        write_template(job)


def edit(job, old, new, file="job.toml"):
    text = (job / file).read_text()
    assert old in text
    (job / file).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "old, new, rule",
    [
        ("workers = 2", "worker = 2", r"means nothing: worker\n(.*\n)*.*did you mean workers\?"),
        ('name = "digits"', "", "lacks the key name"),
        ("workers = 2", 'workers = "2"', "workers is a whole number"),
        ("workers = 2", "workers = true", "workers is a whole number"),
        ("[settings]", "settings = 3\n[x]", "means nothing: x|settings is a table"),
        ("workers = 2", "workers = ", "cannot be read"),
    ],
)
def test_mistakes_in_job_toml(job, old, new, rule):
    edit(job, old, new)
    with pytest.raises(DataError, match=rule):
        read_job_file(job)


def test_a_folder_without_job_toml(tmp_path):
    with pytest.raises(DataError, match="holds no job.toml"):
        read_job_file(tmp_path)


@pytest.mark.parametrize(
    "file, old, new, rule",
    [
        ("job.toml", "train:build_model", "trian:build_model", r"no trian.py(.*\n)*.*mean train\?"),
        ("job.toml", "train:build_model", "train", "is module:function"),
        (
            "train.py",
            "def build_model",
            "def build_modle",
            r"no function build_model\n(.*\n)*.*modle",
        ),
        ("train.py", "def run_model(", "def run_model", "is not Python"),
    ],
)
def test_functions_that_are_not_there(job, file, old, new, rule):
    edit(job, old, new, file)
    with pytest.raises(DataError, match=rule):
        check_functions(job, read_job_file(job))


# --- stores -------------------------------------------------------------------------------------


def test_code_travels_through_a_store(job, tmp_path):
    data, url = pack(job), store.join(store.as_url(str(tmp_path / "store")), "code.zip")
    store.check_writable(str(tmp_path / "store"))
    store.put_bytes(url, data)
    code = {"url": url, "sha256": sha256(data)}
    folder = fetch_code(code, tmp_path / "code")
    assert read_job_file(folder) == read_job_file(job)
    assert fetch_code(code, tmp_path / "code") == folder
    assert len(list((tmp_path / "code").iterdir())) == 1


def test_code_that_was_changed_in_the_store(job, tmp_path):
    url = store.as_url(str(tmp_path / "code.zip"))
    store.put_bytes(url, pack(job) + b"\0")
    with pytest.raises(DataError, match="SHA-256 differs"):
        fetch_code({"url": url, "sha256": sha256(pack(job))}, tmp_path / "code")


def test_a_folder_of_results_is_uploaded(tmp_path):
    (tmp_path / "run" / "sub").mkdir(parents=True)
    (tmp_path / "run" / "sub" / "a").write_text("1")
    url = store.as_url(str(tmp_path / "store"))
    assert store.put_folder(url, tmp_path / "run") == ["sub/a"]
    assert store.get_bytes(store.join(url, "sub/a"), 10) == b"1"
    assert store.exists(url) and not store.exists(store.join(url, "b"))


@pytest.mark.parametrize(
    "act, rule",
    [
        (lambda p: store.get_bytes(f"file://{p}/none", 10), "no such object"),
        (lambda p: store.get_bytes(f"file://{p}/file", 3), "5 bytes, more than 3"),
        (lambda p: store.check_writable(f"{p}/file/sub"), "writing"),
        (lambda p: store.put_bytes("nothing://x/y", b""), "no such kind of store"),
    ],
)
def test_what_a_store_refuses(act, rule, tmp_path):
    (tmp_path / "file").write_text("hello")
    with pytest.raises(DataError, match=rule):
        act(tmp_path)
