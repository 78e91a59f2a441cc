"""`minidl dist forecast`: what must be true of every forecast, and what can be computed by hand."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from minidl.errors import ArgumentError
from minidl_dist import scenario as scenario_module
from minidl_dist.commands import app
from minidl_dist.costs import OURS, ROLES, WAYS, Costs
from minidl_dist.forecast import Forecast, forecast
from minidl_dist.hardware import PARTS, START, Clock, Cores, Link, Thread
from minidl_dist.rehearse import Rehearsal
from minidl_dist.scenario import GBIT, Scenario, parse_network, parse_workers, straggling

FREE = Costs(
    "nowhere", 0.0, 0.0, 0.0, dict.fromkeys(WAYS, 0.0), dict.fromkeys(WAYS, 0.0), [0.0, 0.0],
    [0.0, 0.0], {role: [0.0, 0.0] for role in ROLES}, 0.0, 0.0, {"SGD": 0.0, "Adam": 0.0}, 0.0, 0.0,
)  # fmt: skip
REAL = Costs.read()


def steps(costs: Costs = REAL, **fields) -> Forecast:
    return forecast(Scenario(**{"steps": 8, **fields}), costs)


# --- by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_one_worker_is_compute_and_wire_and_fold(mode):
    costs = replace(FREE, fold=1e-9, update={"SGD": 2e-9, "Adam": 0.0}, give=0.5e-9, load=0.25e-9)
    found = steps(costs, workers=1, mode=mode, size=10**6, compute=0.1, network=GBIT, rtt=1e-3)
    # Push and weights go over the wire; so do the acknowledgement and the request for weights.
    by_hand = 0.1 + 2 * 0.008 + 2 * 1e-3 + 1e-3 + 2e-3 + 0.5e-3 + 0.25e-3
    assert 1 / found.steps == pytest.approx(by_hand, rel=1e-3)
    assert found.parts["compute"] * by_hand == pytest.approx(0.1 + 0.5e-3, rel=1e-2)
    assert found.parts["network"] * by_hand == pytest.approx(0.018, rel=1e-2)
    assert found.parts["server"] * by_hand == pytest.approx(3e-3, rel=1e-2)


def test_without_costs_workers_do_not_hinder_each_other():
    found = steps(FREE, workers=6, network=0.0, cores=6)
    assert found.speedup == pytest.approx(6)
    assert found.parts["compute"] == pytest.approx(1)


def test_workers_share_cores():
    found = steps(FREE, workers=6, network=0.0, cores=2)
    assert found.speedup == pytest.approx(2)
    assert found.busiest == "cores" and found.busy == pytest.approx(1)
    assert found.parts["cores"] == pytest.approx(2 / 3)


def test_a_step_takes_as_long_as_the_slowest_worker():
    factor = straggling("slow:0.5:2", seed=1)
    assert {factor(0, slot, slot) for slot in range(4)} == {1.0, 2.0}
    slow = {"workers": 4, "straggler": "slow:0.5:2", "seed": 1, "network": 0.0, "cores": 8}
    assert steps(FREE, **slow).speedup == pytest.approx(4 / 2)
    fast = sum(1 / factor(0, slot, slot) for slot in range(4))
    assert steps(FREE, mode="async", **{**slow, "steps": 40}).speedup == pytest.approx(
        fast, rel=0.05
    )


# --- in every case ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_faster_network_is_never_slower(mode):
    rates = [0.1, 1, 10, 100]
    found = [steps(workers=4, mode=mode, network=rate * GBIT).steps for rate in rates]
    assert found == sorted(found)


def test_two_servers_halve_what_a_server_is_the_limit_of():
    job = {"workers": 6, "size": 4 << 20, "compute": 1e-3}
    one, two = steps(servers=1, **job), steps(servers=2, **job)
    assert one.busiest.startswith("server") and one.busy > 0.9
    assert two.steps / one.steps == pytest.approx(2, rel=0.1)


def test_who_waits_for_less_is_not_slower():
    job = {"workers": 6, "straggler": "rare:0.1:6", "steps": 15}
    found = {mode: steps(mode=mode, **job).slots for mode in ("sync", "ssp:2", "async", "backup:1")}
    assert found["sync"] < found["ssp:2"] <= 1.01 * found["async"]
    # In backup mode one slot in six does not count, and still more of them are made.
    assert found["sync"] < found["backup:1"]


def test_a_coordinator_that_cannot_keep_up_is_an_error():
    """It answers each worker's Beat of a second; that alone takes it longer."""
    costs = replace(REAL, handle=REAL.handle | {"coordinator": [0.5, 0.0]})
    with pytest.raises(ArgumentError, match="1,100 s of virtual time no step came to its end"):
        steps(costs, workers=8, steps=4, compute=0.1)
    assert steps(workers=2, steps=2, compute=1500.0).steps > 0  # a step may take long


def test_what_a_worker_waits_for_adds_up_to_all_of_the_time():
    world = Rehearsal(Scenario(4, straggler="lognormal:0.3"), REAL)
    world.run_until(40)
    assert len(world.advanced) == 4
    for seen in world.advanced.values():
        assert all(sum(path) == pytest.approx(when) for when, path in seen)
    found = steps(workers=4)
    assert set(found.parts) == set(PARTS) and sum(found.parts.values()) == pytest.approx(1)


@pytest.mark.parametrize("mode", ["sync", "ssp:2", "async"])
def test_each_worker_computes_a_slot_and_nothing_is_repeated(mode):
    found = steps(workers=16, mode=mode, steps=4)
    assert found.repeated == 0
    assert 10 < found.speedup < 16


def test_the_same_again():
    job = {"workers": 3, "straggler": "lognormal:0.2", "mode": "async"}
    assert steps(**job) == steps(**job)


def test_joined_chunks_stand_for_as_many(monkeypatch):
    job = {"workers": 4, "size": 24 << 20, "compute": 0.05, "steps": 5}
    whole = steps(**job)
    monkeypatch.setattr(scenario_module, "CHUNKS", 4 * 7 * 6)
    assert Scenario(**job).joined == 4
    assert steps(**job).steps == pytest.approx(whole.steps, rel=0.15)


def test_what_is_looked_at_is_bounded():
    large = Scenario(1000, size=10**9)
    assert large.chunks * large.workers * large.measured_steps <= scenario_module.CHUNKS
    assert Scenario(1000, size=10**9, servers=16).chunks == 16


# --- hardware -----------------------------------------------------------------------------------


def test_threads_share_cores_evenly():
    clock = Clock()
    cores, ended = Cores(clock, 2), {}
    for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        thread = Thread(clock, cores, "compute")
        thread.add(seconds, START, lambda path, name=name: ended.update({name: (clock.now, path)}))
    while clock.step():
        pass
    assert {name: when for name, (when, _) in ended.items()} == pytest.approx(
        {"a": 1.5, "b": 2.5, "c": 3.5}
    )
    part = dict(zip(PARTS, ended["c"][1]))
    assert (part["compute"], part["cores"]) == pytest.approx((3.0, 0.5))


def test_a_thread_does_one_thing_after_the_other():
    clock, order = Clock(), []
    thread = Thread(clock, Cores(clock, 4), "server")

    def first(path):
        return [(1.0, lambda path: order.append(("more", clock.now, sum(path))))]

    thread.add(1.0, START, first)
    thread.add(1.0, START, lambda path: order.append(("second", clock.now, sum(path))))
    while clock.step():
        pass
    assert order == [("more", 2.0, 2.0), ("second", 3.0, 3.0)]
    assert thread.busy == 3.0


def test_bytes_wait_for_those_before():
    link = Link(100.0)
    assert link.take(0.0, 200) == (0.0, 2.0)
    assert link.take(1.0, 100) == (2.0, 3.0)
    assert link.take(5.0, 100) == (5.0, 6.0)


# --- what is typed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields, rule",
    [
        ({"servers": 9}, "at least one chunk"), ({"mode": "fast"}, "mode is"),
        ({"mode": "backup:2"}, "backup:K"), ({"compute": 0.0}, "seconds"),
        ({"cores": 0}, "at least 1"), ({"optimizer": "LBFGS"}, "SGD and Adam"),
        ({"straggler": "rare:2:2"}, "stragglers are"), ({"straggler": "rare:x:2"}, "stragglers"),
        ({"straggler": "slow:0.1:0.5"}, "stragglers are"), ({"size": 0}, "at least 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_forecast(fields, rule):
    with pytest.raises(ArgumentError, match=rule):
        forecast(Scenario(**{"workers": 2, **fields}), REAL)


def test_networks_and_workers_as_typed():
    assert parse_network("10Gbit") == 1.25e9 and parse_network("none") == 0
    assert parse_workers("1,2, 1000") == [1, 2, 1000]
    for text in ("10", "0Gbit", "fast", "10GB"):
        with pytest.raises(ArgumentError, match="a network is"):
            parse_network(text)
    for text in ("", "0", "1,,2", "5000", "two"):
        with pytest.raises(ArgumentError, match="whole numbers"):
            parse_workers(text)


def run(*arguments: str):
    return CliRunner().invoke(
        app, ["dist", "forecast", "--workers", "1,2", "--steps", "6", *arguments]
    )


def test_the_command():
    done = run()
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("sync, 1 server, 1.08 MB") and "10 Gbit" in lines[0]
    assert lines[1].split()[:3] == ["workers", "steps/s", "speed-up"]
    assert [line.split()[0] for line in lines[2:4]] == ["1", "2"]
    assert REAL.machine in lines[4]


def test_the_command_with_json():
    done = run("--json", "--mode", "async", "--network", "none", "--cores", "2")
    found = json.loads(done.output)
    assert found["mode"] == "async" and found["costs"] == REAL.machine
    one, two = found["forecasts"]
    assert 0.9 < one["speedup"] < 1 < two["speedup"] < 2


@pytest.mark.parametrize(
    "text, rule",
    [
        ("", "JSON"), ("[]", "exactly what"), ('{"machine": "x"}', "exactly what"),
        (OURS.read_text().replace('"curve"', '"carrier pigeon"'), "has values for"),
        (json.dumps({**json.loads(OURS.read_text()), "load": 2}), "less than one"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_costs(tmp_path, text, rule):
    (tmp_path / "costs.json").write_text(text)
    with pytest.raises(ArgumentError, match=rule):
        Costs.read(tmp_path / "costs.json")
    assert run("--costs", str(tmp_path / "none.json")).exit_code == 2
