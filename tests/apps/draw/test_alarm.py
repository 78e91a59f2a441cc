"""The alarm: what it hears, that it says it once, and that a resumed run remembers it."""

from types import SimpleNamespace

import pytest

from apps.draw.alarm import TROUBLES as KNOWN
from apps.shared.alarm import PATIENCE, Alarm

WELL = {"real_accuracy": 0.8, "drawn_accuracy": 0.75, "diversity": 0.8}
TROUBLES = {
    "discriminator": {"real_accuracy": 0.995, "drawn_accuracy": 0.999},
    "generator": {"drawn_accuracy": 0.05},
    "collapse": {"diversity": 0.02},
}


def epochs(alarm, metrics, count):
    for _ in range(count):
        alarm.on_epoch_end(SimpleNamespace(epoch=7, metrics=WELL | metrics))


@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_is_said_once_while_it_lasts(name):
    said = []
    alarm = Alarm(KNOWN, said.append)
    epochs(alarm, TROUBLES[name], PATIENCE - 1)
    assert not said
    epochs(alarm, TROUBLES[name], 5)
    assert len(said) == 1 and "hint: " in said[0] and "--" in said[0]
    assert [one["name"] for one in alarm.heard] == [name]
    assert "hint: in a new run" in said[0]  # --resume refuses another of these options
    epochs(alarm, {}, 1)
    epochs(alarm, TROUBLES[name], PATIENCE)
    assert len(said) == 2


def test_no_alarm_where_all_is_well():
    said = []
    epochs(Alarm(KNOWN, said.append), {}, 20)
    assert not said


def test_a_resumed_run_remembers():
    said = []
    first, second = Alarm(KNOWN, said.append), Alarm(KNOWN, said.append)
    epochs(first, TROUBLES["collapse"], PATIENCE - 1)
    second.load_state_dict(first.state_dict())
    epochs(second, TROUBLES["collapse"], 1)
    assert len(said) == 1
    third = Alarm(KNOWN, said.append)
    third.load_state_dict(second.state_dict())
    epochs(third, TROUBLES["collapse"], 9)
    assert len(said) == 1 and len(third.heard) == 1
