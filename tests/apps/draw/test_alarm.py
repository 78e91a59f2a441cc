"""The alarm: what it hears, that it says it once, and that a resumed run remembers it."""

from types import SimpleNamespace

import pytest

from apps.draw.alarm import ALIKE, BEGINNING, troubles
from apps.draw.diversity import RealSpread
from apps.draw.presets import from_command_line
from apps.shared.alarm import PATIENCE, Alarm

WELL = {"real_accuracy": 0.8, "drawn_accuracy": 0.75, "diversity": 0.8, "diversity_across": 0.9}
TROUBLES = {
    "discriminator": {"real_accuracy": 0.995, "drawn_accuracy": 0.999},
    "generator": {"drawn_accuracy": 0.05},
    "noise": {"diversity": 0.15},  # a run of flowers17 ended so
    "collapse": {"diversity_across": 0.02},
}
SEVERAL, SINGLE = RealSpread(same=80.0, across=90.0), RealSpread(same=None, across=90.0)


def alarm_of(said, real=SEVERAL, **options):
    return Alarm(troubles(from_command_line(options), real), said.append)


def epochs(alarm, metrics, count, step=BEGINNING + 1):
    for _ in range(count):
        alarm.on_epoch_end(SimpleNamespace(epoch=7, step=step, metrics=WELL | metrics))


@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_is_said_once_while_it_lasts(name):
    said = []
    alarm = alarm_of(said)
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
    epochs(alarm_of(said), {}, 20)
    epochs(alarm_of(said), {"diversity": ALIKE, "diversity_across": ALIKE}, 20)
    assert not said


@pytest.mark.parametrize("name", ["noise", "collapse"])
def test_pictures_are_alike_when_a_run_begins(name):
    said = []
    alarm = alarm_of(said)
    epochs(alarm, TROUBLES[name], 20, step=BEGINNING)
    assert not said
    epochs(alarm, TROUBLES[name], PATIENCE)  # counted from then on
    assert len(said) == 1


def test_where_each_caption_has_one_picture_the_noise_may_be_ignored():
    """But not the caption."""
    said = []
    epochs(alarm_of(said, SINGLE), TROUBLES["noise"], 20)
    assert not said
    epochs(alarm_of(said, SINGLE), TROUBLES["collapse"], 20)
    assert len(said) == 1 and "whatever the caption" in said[0]


@pytest.mark.parametrize("real", [SEVERAL, SINGLE])
def test_a_plain_gan_has_the_noise_alone(real):
    said = []
    alarm = alarm_of(said, real, gan="gan")
    epochs(alarm, TROUBLES["noise"] | TROUBLES["collapse"], PATIENCE)
    assert [one["name"] for one in alarm.heard] == ["noise"] and "caption" not in said[0]


@pytest.mark.parametrize(
    "options, helps, leaves_out",
    [
        ({}, ["--wrong-weight"], ["--beta1", "--drawn-weight"]),
        ({"gan": "conditional"}, ["--lr-generator"], ["--wrong-weight"]),
        ({"wrong_weight": 0.0}, ["--lr-generator"], ["--wrong-weight"]),
        ({"preset": "reed"}, ["--beta1 0", "--drawn-weight 1", "--wrong-weight"], ["--changes"]),
        ({"data": "flowers17"}, ["--wrong-weight"], ["--changes", "--drawn-weight"]),
        ({"data": "flowers17", "preset": "reed"}, ["--changes translation-cutout"], []),
    ],
)
def test_hints_are_of_options_that_would_change_something(options, helps, leaves_out):
    said = []
    epochs(alarm_of(said, **options), TROUBLES["noise"], PATIENCE)
    assert all(one in said[0] for one in helps) and not any(one in said[0] for one in leaves_out)


def test_pictures_that_are_all_the_same_have_no_diversity_to_listen_for():
    said = []
    without = {"real_accuracy": 0.8, "drawn_accuracy": 0.75}
    alarm = alarm_of(said)
    for _ in range(PATIENCE):
        alarm.on_epoch_end(SimpleNamespace(epoch=7, step=BEGINNING + 1, metrics=without))
    assert not said


def test_a_resumed_run_remembers():
    said = []
    first, second = alarm_of(said), alarm_of(said)
    epochs(first, TROUBLES["noise"], PATIENCE - 1)
    second.load_state_dict(first.state_dict())
    epochs(second, TROUBLES["noise"], 1)
    assert len(said) == 1
    third = alarm_of(said)
    third.load_state_dict(second.state_dict())
    epochs(third, TROUBLES["noise"], 9)
    assert len(said) == 1 and len(third.heard) == 1
