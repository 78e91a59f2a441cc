"""Benchmarks that train: runs are begun, gone on with, and not run twice; curves are drawn."""

import json
import os
import xml.etree.ElementTree as xml

import pytest

from benchmarks.curves import Series, write_curves
from benchmarks.training import (
    Training,
    commands,
    percent,
    provenances,
    read_notes,
    run,
    run_all,
    run_together,
    this_command,
)

TINY = ("lenet", "--data", "digits", "--epochs", "1", "--seed", "3")


@pytest.mark.slow
def test_a_finished_run_is_found_and_an_interrupted_one_goes_on(tmp_path, capfd):
    training = Training("tiny", TINY)
    first = run(training, tmp_path)
    assert first.accuracy > 0.2 and len(first.history) == 1
    assert "Python" in first.provenance
    capfd.readouterr()
    again = run_all([training], tmp_path)
    assert [again[0].figures, again[0].history] == [first.figures, first.history]
    assert "minidl train" not in capfd.readouterr().out
    notes = json.loads((tmp_path / "tiny.json").read_text())
    notes |= {"finished": False, "ran_on": ["2020, another commit."]}  # as if it had been stopped
    (tmp_path / "tiny.json").write_text(json.dumps(notes))
    resumed = run(training, tmp_path)
    assert resumed.provenance == f"2020, another commit. Then {first.provenance}"
    assert f"--seed 3 --resume {tmp_path / 'tiny'}" in capfd.readouterr().out
    assert provenances([first, again[0]]) == first.provenance
    with pytest.raises(SystemExit, match="exit code 2"):
        run(Training("wrong", ("lenet", "--epochs", "0")), tmp_path)


@pytest.mark.parametrize("left_over", [False, True], ids=["removed", "no checkpoint yet"])
def test_a_run_that_left_nothing_to_go_on_with_begins_anew(tmp_path, monkeypatch, left_over):
    notes = {"arguments": list(TINY), "ran_on": ["2020."], "finished": not left_over}
    (tmp_path / "tiny.json").write_text(json.dumps(notes))
    if left_over:
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "settings.json").write_text("{}")

    def trains(core, command):
        assert core is None and command[2:] == [*TINY, "--output", str(tmp_path / "tiny")]
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "run.json").write_text('{"test_accuracy": 0.5}')
        (tmp_path / "tiny" / "metrics.jsonl").write_text('{"epoch": 1}\n')
        return 0, 12.5

    monkeypatch.setattr("benchmarks.training.run_on", trains)
    monkeypatch.setattr("benchmarks.training.provenance", lambda *names: "here.")
    done = run(Training("tiny", TINY), tmp_path)
    assert (done.accuracy, done.history, done.provenance) == (0.5, [{"epoch": 1}], "here.")
    notes = json.loads((tmp_path / "tiny.json").read_text())
    assert notes == {"arguments": list(TINY), "ran_on": ["here."], "finished": True,
                     "cpu_seconds": 12.5}  # fmt: skip
    assert done.cpu_seconds == 12.5


def test_runs_at_once_have_one_core_and_one_thread_each(tmp_path, monkeypatch):
    """With the CPU time of each, which is kept."""
    script = (
        "import json, os, pathlib, sys, time\n"
        "folder = pathlib.Path(sys.argv[-1]); folder.mkdir()\n"
        "while time.process_time() < 0.3: pass\n"
        "said = [sorted(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'], sys.argv[1:-2]]\n"
        "(folder / 'run.json').write_text(json.dumps({'test_accuracy': 1.0, 'said': said}))\n"
        "(folder / 'metrics.jsonl').write_text('{}\\n')\n"
    )
    (tmp_path / "twin_of_a_test.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.training.provenance", lambda *names: "here.")  # wants PyTorch
    cores = sorted(os.sched_getaffinity(0))[:2]
    names = ["one", "two"][: len(cores)]
    trainings = [Training(name, ("--seed", "3"), "twin_of_a_test") for name in names]
    done = run_together(trainings, tmp_path / "runs")
    assert [run.figures["said"] for run in done] == [[[c], "1", ["--seed", "3"]] for c in cores]
    assert all(0.3 < run.cpu_seconds < 30 for run in done)
    assert [run.cpu_seconds for run in run_together(trainings, tmp_path / "runs")] == [
        run.cpu_seconds for run in done
    ]
    with pytest.raises(SystemExit, match="as many cores"):
        run_together([Training(str(i), ()) for i in range(1000)], tmp_path)


def test_a_run_of_other_arguments_is_not_taken_for_this_one(tmp_path):
    notes = {"arguments": ["lenet", "--data", "/a/digits", "--lr", "0.1"], "ran_on": ["here."],
             "finished": True}  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps(notes))
    same = Training("t", ("lenet", "--data", "/b", "--lr", "0.1"))  # the data lie elsewhere
    assert read_notes(same, tmp_path / "t") == notes
    other = Training("t", ("lenet", "--data", "/a/digits", "--lr", "0.2"))
    with pytest.raises(SystemExit, match="other arguments(.|\n)*--lr 0.1(.|\n)*--lr 0.2"):
        read_notes(other, tmp_path / "t")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "t").mkdir()
    with pytest.raises(SystemExit, match="not made by this benchmark"):
        read_notes(Training("t", TINY), tmp_path / "t")
    assert list(tmp_path.iterdir()) == [tmp_path / "t"]


def test_commands_hide_paths_and_quote():
    class Done:
        training = Training(
            "a", ("lenet", "--data", "data", "--lr", "0.1", "--lr-mult", "*.bias=2")
        )

    text = commands([Done], {"data": "DATA", ".": "FOLDER"})  # whole words, not parts of others
    assert text == "```sh\nminidl train lenet --data DATA --lr 0.1 --lr-mult '*.bias=2'\n```"


def test_results_name_the_command_that_was_typed(monkeypatch):
    words = ["--data=/a b/c", "--runs", "/tmp/x", "--epochs", "3"]
    monkeypatch.setattr("sys.argv", ["benchmarks/families.py", *words])
    found = this_command("families", {"/a b/c": "FLOWERS17"})
    assert found == "python -m benchmarks.families --data=FLOWERS17 --epochs 3"


def test_percent():
    assert percent(0.91234) == "91.23 %"


def test_curves_are_a_picture_with_a_line_for_each_run(tmp_path):
    series = [Series("a & b", [1.0, 2.0, 3.0]), Series("short", [2.5])]
    write_curves(tmp_path / "curves" / "c.svg", "Loss < 4", series, lambda v: f"{v:g}")
    tree = xml.parse(tmp_path / "curves" / "c.svg")
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in tree.iter(f"{space}text")]
    assert {"a & b", "short", "Loss < 4", "3"} <= set(texts)
    first, second = tree.findall(f"{space}path")
    assert first.get("d").count("L") == 2 and second.get("d").count("L") == 0
