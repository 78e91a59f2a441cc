"""The timeline of a job: from events to bars, and what the page may hold."""

import errno
import json
import os
import random
from types import SimpleNamespace

import pytest

from minidl_dist import messages as m
from minidl_dist.modes import parse
from minidl_dist.record import Lines, Recorder, is_noted
from minidl_dist.timeline import Story, read_events, render, some_steps, tell, ticks, write_timeline


def made_up(steps, workers=2, lost_at=None):
    """The events of a job with one server, as its processes would write them."""
    dice, now, events = random.Random(0), 1000.0, []

    def add(node, after, **facts):
        events.append({"time": now + after, "node": node, **facts})

    for step in range(steps):
        if step == lost_at:
            add("coordinator", 0.001, what="lost", name="worker1", why="killed by SIGKILL")
            add("coordinator", 0.002, what="generation", number=2, step=step, why="x")
        ends = []
        for slot in range(workers):
            name, took = f"worker{slot}", dice.uniform(0.02, 0.03)
            add(name, 0.003, what="compute", step=step, slot=slot)
            add(name, took, what="computed", step=step, slot=slot)
            add("server0", took + 0.002, what="slot in", step=step, slot=slot, of=name)
            add(name, took + 0.003, what="pushed", step=step, slot=slot)
            ends.append(took + 0.004)
        add("coordinator", max(ends), what="step done", step=step)
        for slot in range(workers):
            add(f"worker{slot}", max(ends) + 0.002, what="advance", step=step + 1)
        now += max(ends) + 0.003
    return events


def test_bars_of_a_step():
    story = tell(made_up(1, workers=1))
    worker = next(lane for lane in story.lanes if lane.name == "worker0")
    assert [(bar.kind, bar.step, bar.slot) for bar in worker.bars] == [
        ("compute", 0, 0), ("push", 0, 0), ("wait", 0, None),
    ]  # fmt: skip
    ends = [bar.end for bar in worker.bars]
    assert [bar.begin for bar in worker.bars][1:] == ends[:-1]
    assert [lane.name for lane in story.lanes] == ["coordinator", "server0", "worker0"]


def test_what_a_lost_process_had_begun_is_no_bar():
    events = made_up(1, workers=1)[:1] + [
        {"time": 1001.0, "node": "coordinator", "what": "lost", "name": "worker0", "why": "gone"},
        {"time": 1002.0, "node": "coordinator", "what": "generation", "step": 0, "why": "lost"},
        {"time": 1003.0, "node": "worker0", "what": "computed", "step": 0, "slot": 0},
    ]
    story = tell(events)
    assert story.lanes == [] and [words for _, _, words in story.turns] == [
        "worker0 is lost: gone", "all begin at step 0: lost",
    ]  # fmt: skip


def test_half_a_line_of_a_killed_process_is_left_out(tmp_path):
    good = {"time": 1.0, "node": "worker0", "what": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(good) + '\n{"time": 2.0, "no\n[1]\n"x"\n')
    assert read_events(tmp_path) == [good]


def test_the_page_escapes_what_comes_from_a_job():
    evil = "<script>alert(1)</script>"
    story = Story([], [(0.0, evil, evil)], {}, 1.0)
    page = render(evil, story)
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "default-src 'none'" in page


def test_page_of_a_job(tmp_path):
    (tmp_path / "events").mkdir()
    lines = [json.dumps(event) for event in made_up(60, lost_at=30)]
    (tmp_path / "events" / "all.jsonl").write_text("\n".join(lines))
    write_timeline(tmp_path)
    page = (tmp_path / "timeline.html").read_text()
    assert "All steps" in page and "6 steps in the middle" in page
    assert "worker1 is lost: killed by SIGKILL" in page
    assert "step 29, slot 1: computes a slot" in page.replace("&#39;", "'")


def test_without_events_there_is_no_page(tmp_path):
    (tmp_path / "events").mkdir()
    write_timeline(tmp_path)
    assert not (tmp_path / "timeline.html").exists()


def test_steps_in_the_middle_are_consecutive():
    steps = dict.fromkeys([*range(20), *range(20, 200, 4)], 0.0)
    steps = {n: float(n) for n in steps}
    assert some_steps(steps) == (7.0, 13.0)


@pytest.mark.parametrize("span", [1e-4, 0.03, 1.0, 7.0, 3600.0])
def test_five_to_ten_round_ticks(span):
    found = ticks(5.0, 5.0 + span)
    assert 4 <= len(found) <= 11
    assert len({words for _, words in found}) == len(found)


class Machine:
    plan, pushes = SimpleNamespace(chunks=()), {}

    def handle(self, event, now):
        return [m.Compute(1, 5, 0), m.Exit(0, "")]


def test_the_tap_changes_nothing():
    recorder = Recorder(Machine())
    effects = recorder.handle(m.SlotDone(1, 4, 0, 1.0, [], [], None, "", {}), 0.0)
    assert effects[:2] == [m.Compute(1, 5, 0), m.Exit(0, "")]
    assert [note.facts["what"] for note in effects[2:]] == ["computed", "compute"]
    assert recorder.plan is Machine.plan


# --- staleness ----------------------------------------------------------------------------------


class Serving:
    """A server that gives its weights to whoever sends a Pull."""

    generation = 1

    def __init__(self, mode):
        self.mode = parse(mode)

    def handle(self, event, now):
        if isinstance(event.message, m.Pull):
            return [m.Send(event.sender, m.Weights(1, 0, 0, 0, None))]
        return []


def stale_of(mode, *happens):
    """The staleness of each gradient: "+0" is worker0's, "0" gives it weights."""
    tap, found, steps = Recorder(Serving(mode)), [], {}
    for word in happens:
        worker = f"worker{word[-1]}"
        if word.startswith("+"):
            step = steps[worker] = steps.get(worker, -1) + ("again" not in word)
            message = m.Head(1, step, int(word[-1]), 1.0, [], [])
        else:
            message = m.Pull(1, 0, 0)
        for effect in tap.handle(m.Received(worker, message), 0.0):
            if isinstance(effect, m.Note):
                found.append(effect.facts["stale"])
    return found


def test_staleness_counts_the_gradients_of_others_in_between():
    story = ["0", "1", "+0", "+1", "1", "+1", "+0", "0", "+0"]
    assert stale_of("async", *story) == [0, 1, 0, 3, 0]
    assert stale_of("sync", *story) == [0, 0, 0, 0, 0]


def test_a_gradient_that_comes_twice_is_one():
    assert stale_of("async", "0", "1", "+0", "+again0", "+1") == [0, 1]


def test_the_page_shows_each_late_gradient():
    events = made_up(5)
    for number, event in enumerate(e for e in events if e["what"] == "slot in"):
        event["stale"] = number % 4
    page = render("job", tell(events))
    assert "Staleness of each gradient" in page and page.count('class="late"') == 10
    assert "step 1, slot 1 from worker1: 3 others in between" in page
    for event in events:
        event.pop("stale", None)
    assert "Staleness of each gradient" not in render("job", tell(events))


# --- a full disk --------------------------------------------------------------------------------


def test_lines_that_a_full_disk_does_not_take(tmp_path, monkeypatch):
    lines, write = Lines(tmp_path / "new" / "log"), os.write
    assert lines.write("one")
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    assert not lines.write("two and more")
    monkeypatch.setattr(os, "write", full)
    assert not lines.write("three") and lines.lost == 2
    monkeypatch.setattr(os, "write", write)
    assert lines.write("four \ud800")
    lines.close()
    assert (tmp_path / "new" / "log").read_text() == "one\ntwo\nfour \\ud800\n"


def full(*arguments):
    raise OSError(errno.ENOSPC, "no space left on device")


def test_a_log_that_cannot_be_opened_yet(tmp_path):
    (tmp_path / "log").mkdir()
    lines = Lines(tmp_path / "log")
    assert not lines.write("lost")
    (tmp_path / "log").rmdir()
    assert lines.write("kept")
    lines.close()
    assert (tmp_path / "log").read_text() == "kept\n"


def test_a_timeline_that_cannot_be_written_is_no_error(tmp_path, capsys):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "all.jsonl").write_text(json.dumps(made_up(1)[0]))
    (tmp_path / "timeline.html").mkdir()
    write_timeline(tmp_path)
    assert "there is no timeline.html" in capsys.readouterr().err


def test_notes_of_a_long_run_are_few():
    noted = [step for step in range(1_000_000) if is_noted({"what": "compute", "step": step})]
    assert noted[:256] == list(range(256)) and len(noted) < 2_000
