"""The loop, on losses that are computed in a moment."""

import signal

import numpy as np
import pytest

import minidl
from apps.shared.options import OptionError
from apps.style import needs
from apps.style.needs import Estimate
from apps.style.optimize import estimate as estimating
from apps.style.optimize import objective as objectives
from apps.style.optimize.estimate import check_picture, estimate
from apps.style.optimize.loop import Loop, Task, optimize
from apps.style.optimize.objective import Kept, Objective, shifted
from apps.style.optimize.plan import OptimizeOptions, Plan, Scale, make_plan
from apps.style.optimize.run import Run
from apps.style.optimize.watch import grey_spots
from apps.style.resume import load_state
from minidl.errors import CheckpointError, NonFiniteError, ShapeError

RNG = np.random.default_rng(0)


class Distance(Objective):
    """How far the picture is from another one."""

    def __init__(self, target):
        self.target, self.seen = minidl.tensor(target), []

    def losses(self, x, shift):
        self.seen.append(shift)
        d = x - shifted(self.target, shift)
        return {"near": (d * d).mean(), "far": (d * d * d * d).mean() * 1e-6}


def picture(H, W):
    return (255 * RNG.random((1, 3, H, W))).astype(np.float32)


def task(target=None, objective=None, **more):
    def objective_at(size):
        found = objective or Distance(picture(*size) if target is None else target)
        return found

    return Task(objective_at, lambda size, rng: np.full((1, 3, *size), 90, np.float32), **more)


def plan(size=(20, 28), iterations=40, **more):
    return Plan((Scale(size, iterations),), **more)


def quiet(text):
    pass


# --- plans --------------------------------------------------------------------------------------


def test_scales_double_and_end_at_the_size():
    found = make_plan(OptimizeOptions(scales=3, iterations=10), (301, 200), smallest=60)
    assert [scale.size for scale in found.scales] == [(150, 100), (301, 200)]  # (75, 50) is tiny
    assert [scale.iterations for scale in found.scales] == [14, 10] and found.iterations == 24


# --- optimizers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_it_finds_the_picture(optimizer):
    target = picture(20, 28)
    made = optimize(plan(iterations=120, optimizer=optimizer), task(target), quiet)
    assert np.abs(made.picture.tensor().data - target).mean() < 1.5
    assert made.iterations == 120 or optimizer == "lbfgs"
    assert [entry["iteration"] for entry in made.history] == list(range(1, made.iterations + 1))
    assert made.losses.keys() == {"near_loss", "far_loss"}


def test_lbfgs_descends_monotonically():
    made = optimize(plan(optimizer="lbfgs"), task(), quiet)
    totals = [entry["near_loss"] + entry["far_loss"] for entry in made.history]
    assert all(after <= before for before, after in zip(totals, totals[1:]))
    assert totals[-1] < 1e-4 * totals[0]


def test_pixels_stay_in_their_range():
    objective = Distance(np.full((1, 3, 20, 28), 400, np.float32))
    made = optimize(plan(iterations=60, average=0.0), task(objective=objective), quiet)
    np.testing.assert_array_equal(made.picture.bytes, 255)


def test_the_average_is_that_of_the_iterates():
    """Recomputed from runs that end earlier."""
    a = 0.8
    iterates = []
    for n in (1, 2, 3):
        run = Run(short := plan(iterations=3, average=a, shift=0))
        make = task(objective=Distance(np.full((1, 3, 20, 28), 120, np.float32)))
        run.begin(make.start_at((20, 28), None))
        for i in range(n):
            run.steps.advance(make.objective_at((20, 28)), i, quiet)
        iterates.append(run.canvas.pixels.data.copy())
    assert short.iterations == 3
    weights = np.array([a**2, a, 1]) * (1 - a) / (1 - a**3)
    expected = sum(w * x for w, x in zip(weights, iterates))
    np.testing.assert_allclose(run.steps.picture(), expected, rtol=1e-6)


def test_shifts_are_drawn_and_move_the_picture():
    objective = Distance(picture(20, 28))
    optimize(plan(iterations=60, shift=2), task(objective=objective), quiet)
    assert set(objective.seen) == {(i, j) for i in range(3) for j in range(3)}
    x = minidl.tensor(picture(4, 5))
    moved = shifted(x, (1, 2)).data
    assert moved.shape == (1, 3, 5, 7)
    np.testing.assert_array_equal(moved[..., 1:, 2:], x.data)
    np.testing.assert_array_equal(moved[..., 0, :], moved[..., 1, :])


def test_each_scale_begins_with_the_one_before():
    starts = []

    class Still(Objective):
        def losses(self, x, shift):
            starts.append(x.data.copy())
            return {"none": (x * 0.0).sum()}

    scales = Plan((Scale((16, 24), 2), Scale((32, 48), 2)), shift=0, average=0.0)
    content = np.linspace(0, 255, 3 * 16 * 24, dtype=np.float32).reshape(1, 3, 16, 24)
    optimize(scales, Task(lambda size: Still(), lambda size, rng: content), quiet)
    assert starts[-1].shape == (1, 3, 32, 48)
    assert starts[-1].mean() == pytest.approx(content.mean(), rel=0.01)


# --- seeds, interrupts, resuming ----------------------------------------------------------------


def test_a_seed_fixes_every_bit():
    target = picture(20, 28)
    made = [optimize(plan(seed=seed), task(target), quiet).picture.pixels for seed in (3, 3, 4)]
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).any()


class Stops(Distance):
    """Presses Ctrl-C in its evaluation number `at`."""

    def __init__(self, target, at):
        super().__init__(target)
        self.at = at

    def losses(self, x, shift):
        if len(self.seen) + 1 == self.at:
            signal.raise_signal(signal.SIGINT)
        return super().losses(x, shift)


@pytest.mark.parametrize(
    "optimizer, at", [("adam", 1), ("adam", 7), ("adam", 20), ("lbfgs", 1), ("lbfgs", 7)]
)
def test_ctrl_c_keeps_the_picture_and_a_resumed_run_ends_with_the_same_bits(
    tmp_path, optimizer, at
):
    scales = Plan(
        (Scale((10, 14), 15), Scale((20, 28), 20)), optimizer=optimizer, snapshots=5, seed=7
    )
    targets = {scale.size: picture(*scale.size) for scale in scales.scales}

    def of(kind, state=None):
        cache = {}

        def objective_at(size):
            return cache.setdefault(size, kind(targets[size]))

        return Task(objective_at, lambda size, rng: 90 + 0 * targets[size], state=state)

    whole = optimize(scales, of(Distance), quiet)
    state, said = tmp_path / "a.resume.safetensors", []
    count = [0]

    class StopsOnce(Distance):
        def losses(self, x, shift):
            count[0] += 1
            if count[0] == at:
                signal.raise_signal(signal.SIGINT)
            return super().losses(x, shift)

    cut = optimize(scales, of(StopsOnce, state), said.append)
    assert cut.interrupted and 0 < cut.iterations < whole.iterations
    assert cut.picture.size == (20, 28) and "after this iteration" in said[0]
    run = Run(scales)
    run.load(load_state(state))
    resumed = optimize(scales, of(Distance, state), quiet, run)
    np.testing.assert_array_equal(resumed.picture.pixels, whole.picture.pixels)
    assert resumed.history == whole.history and not resumed.interrupted
    assert [s.iteration for s in resumed.snapshots] == [s.iteration for s in whole.snapshots]


def test_a_second_ctrl_c_stops_at_once():
    class Impatient(Distance):
        def losses(self, x, shift):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            return super().losses(x, shift)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        optimize(plan(), task(objective=Impatient(picture(20, 28))), quiet)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_state_of_another_run(tmp_path):
    state = tmp_path / "a.resume.safetensors"
    with pytest.raises(CheckpointError, match="no unfinished run"):
        load_state(state)
    optimize(plan(), task(objective=Stops(picture(20, 28), 3), state=state), quiet)
    with pytest.raises(CheckpointError, match="does not hold the state of this run"):
        Run(plan(size=(22, 28))).load(load_state(state))


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_losses_are_those_of_the_picture(optimizer):
    """Not of the last iterate, which is another picture."""
    objective = Distance(picture(20, 28))
    made = optimize(plan(optimizer=optimizer), task(objective=objective), quiet)
    parts = objective.losses(made.picture.tensor(), (0, 0))
    expected = {f"{name}_loss": float(part) for name, part in parts.items()}
    assert made.losses == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_losses_that_are_not_finite_are_tried_with_a_smaller_rate():
    class Explodes(Distance):
        """Not finite wherever a pixel has moved by more than 4."""

        def losses(self, x, shift):
            losses = super().losses(x, shift)
            moved = float(abs(x.data - 90).max())
            return losses if moved < 4 else {k: v * float("nan") for k, v in losses.items()}

    said = []
    target = np.full((1, 3, 20, 28), 92, np.float32)
    made = optimize(plan(lr=5.0, shift=0), task(objective=Explodes(target)), said.append)
    assert made.restarts and "half the rate" in said[0]
    assert np.abs(made.picture.tensor().data - 92).max() < 2


def test_losses_that_are_never_finite_are_an_error():
    class Broken(Distance):
        def losses(self, x, shift):
            return {"near": x.sum() * float("nan")}

    with pytest.raises(NonFiniteError, match="not finite"):
        optimize(plan(), task(objective=Broken(picture(20, 28))), quiet)


def test_lbfgs_that_is_stuck_says_so_and_starts_afresh():
    class Rough(Distance):
        """A loss with a gradient that points nowhere: no line search gets further."""

        def losses(self, x, shift):
            return {"near": 1 + (x * 0.0).sum() + (x - x.detach()).sum()}

    said = []
    made = optimize(
        plan(optimizer="lbfgs", iterations=60), task(objective=Rough(picture(20, 28))), said.append
    )
    assert len(made.restarts) == 3 and all("without its memory" in text for text in said[:3])
    assert "ends with its iteration" in said[3] and "of 60" in said[3]
    assert made.iterations < 60


def test_lbfgs_ends_where_nothing_is_left():
    target = np.full((1, 3, 20, 28), 90, np.float32)
    made = optimize(plan(optimizer="lbfgs"), task(target), quiet)
    assert made.iterations == 1 and not made.restarts
    np.testing.assert_array_equal(made.picture.bytes, 90)


def test_grey_spots():
    x = picture(64, 64)
    assert not grey_spots(x).any()
    x[..., :32, 16:48] = 128
    expected = np.zeros((4, 4), bool)
    expected[:2, 1:3] = True
    np.testing.assert_array_equal(grey_spots(x), expected)
    assert not grey_spots(x, x).any()  # grey is meant there
    x[..., :32, 16:48] = 20
    assert not grey_spots(x).any()  # dark is not grey


def test_grey_spots_start_again_from_noise():
    """The loss is blind in a corner of the picture until there is noise."""

    class Blind(Distance):
        def losses(self, x, shift):
            seen = np.ones_like(x.data)
            if x.data[..., :32, :32].std() < 5:
                seen[..., :32, :32] = 0
            d = (x - shifted(self.target, shift)) * minidl.tensor(seen)
            return {"near": (d * d).mean()}

    target, said = picture(64, 64), []
    make = Task(
        lambda size: Blind(target), lambda size, rng: np.full((1, 3, *size), 128, np.float32),
        reference_at=lambda size: target,
    )  # fmt: skip
    made = optimize(plan(size=(64, 64), iterations=60, lr=12.0, shift=0), make, said.append)
    assert len(made.restarts) == 1 and "25 % of the picture stayed grey" in said[0]
    assert np.abs(made.picture.tensor().data - target).mean() < 10


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_grey_that_the_losses_want_is_tried_once(optimizer):
    """Grey is where the loss is 0; then it is told of once, and not three times."""

    class Grey(Distance):
        def losses(self, x, shift):
            d = x - 127.5
            return {"near": (d * d).mean() + 1e-6}

    reference = picture(32, 32)
    make = Task(lambda size: Grey(reference), lambda size, rng: reference,
                reference_at=lambda size: reference)  # fmt: skip
    said = []
    made = optimize(plan(size=(32, 32), lr=20.0, shift=0, optimizer=optimizer), make, said.append)
    assert len(made.restarts) == 1 and "stayed grey" in made.restarts[0]
    assert ("by Adam" in made.restarts[0]) == (optimizer == "lbfgs")
    make.grey_is_meant = True
    assert not optimize(plan(size=(32, 32), lr=20.0, shift=0), make, quiet).restarts


def test_a_rate_that_was_halved_stays_so_after_grey_spots():
    run = Run(here := plan(size=(32, 32)))
    loop = Loop(here, task(), quiet, run)
    run.begin(np.full((1, 3, 32, 32), 128, np.float32))
    run.steps.slower = 0.25
    loop.restart_from_noise(here.scales[0], np.ones((2, 2), bool), 1.0)
    assert run.steps.slower == 0.25


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_ctrl_c_in_the_last_iteration_is_too_late(tmp_path, optimizer):
    state, sent = tmp_path / "a.resume.safetensors", []
    run = Run(here := plan(iterations=3, optimizer=optimizer))

    class Last(Distance):
        def losses(self, x, shift):
            if len(run.history) == 2 and not sent:
                sent.append(True)
                signal.raise_signal(signal.SIGINT)
            return super().losses(x, shift)

    made = optimize(here, task(objective=Last(picture(20, 28)), state=state), quiet, run)
    assert sent and not made.interrupted and made.iterations == 3 and not state.exists()


def test_what_is_not_to_change_is_put_back_at_every_scale():
    scales = Plan((Scale((16, 24), 2), Scale((32, 48), 2)), shift=0)
    sizes = []

    def restored(x, size):
        sizes.append(size)
        return np.zeros_like(x)

    seen = []

    class Still(Objective):
        def losses(self, x, shift):
            seen.append(float(x.data.max()))
            return {"none": (x * 0.0).sum()}

    start = task().start_at
    optimize(scales, Task(lambda size: Still(), start, restored=restored, grey_is_meant=True),
             quiet)  # fmt: skip
    assert sizes == [(32, 48)] and seen == [90, 90, 0, 0, 0]


# --- the estimate -------------------------------------------------------------------------------


class Clock:
    """A clock that is one second further on whenever one looks."""

    seconds = 0.0

    def perf_counter(self):
        self.seconds += 1
        return self.seconds


def test_the_estimate_counts_pixels_and_iterations(monkeypatch):
    small, large = plan(size=(40, 40), iterations=10), plan(size=(400, 400), iterations=50)
    found = estimate(small, task())
    assert found.seconds > 0 and str(found).startswith("less than 1 s and")
    monkeypatch.setattr(estimating, "time", Clock())
    tiled = task(pixels=lambda size: (100, 2.0 * size[0] * size[1]))
    assert estimate(small, task()).seconds == 10
    assert estimate(large, task()).seconds == pytest.approx(50 * (400 / 256) ** 2)
    assert estimate(large, tiled).seconds == pytest.approx(2 * 50 * (400 / 256) ** 2)
    whole, in_tiles = estimate(large, task()), estimate(large, tiled)
    assert in_tiles.megabytes <= whole.megabytes
    arrays = 12 * 12 * 400 * 400 / 1e6
    assert in_tiles.megabytes < 1.2 * arrays < 60


def test_the_estimate_counts_what_is_kept_for_each_shift():
    class Keeps(Distance):
        def losses(self, x, shift):
            features = self.kept.at(shift, lambda: {"all": minidl.zeros(x.data.size)})
            return {"near": ((x * 0.0).sum() + features["all"].sum() * 0.0)}

    here = plan(size=(40, 40), iterations=10, shift=3)
    without = estimate(here, task(objective=Distance(picture(40, 40)))).megabytes
    kept = estimate(here, task(objective=Keeps(picture(40, 40)))).megabytes - without
    assert 16 * 12 * 40 * 40 / 1e6 == pytest.approx(kept, abs=0.15)


def test_features_are_kept_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(objectives, "KEPT", 1000)
    kept, computed = Kept(), []
    for shift in ((0, 0), (0, 1), (1, 1), (0, 1), (1, 1)):
        kept.at(shift, lambda: computed.append(1) or {"all": minidl.zeros(100)})
    assert len(kept.found) == 2 and len(computed) == 4 and kept.nbytes == 400


def test_the_small_version_is_one_that_the_network_can_take():
    class Wide(Distance):
        def losses(self, x, shift):
            if min(x.shape[2:]) < 28:
                raise ShapeError("style", "it is too small", {"x": x.shape})
            return super().losses(x, shift)

    sizes = []

    def objective_at(size):
        sizes.append(size)
        return Wide(picture(*size))

    start = task().start_at
    estimate(plan(size=(28, 1024)), Task(objective_at, start))
    assert sizes == [(7, 256), (14, 512), (28, 1024)]
    with pytest.raises(ShapeError, match="too small"):
        estimate(plan(size=(27, 300)), Task(objective_at, start))


def test_files_in_the_memory_of_a_container_count_as_free(monkeypatch, tmp_path):
    monkeypatch.setattr(needs, "CONTAINER", str(tmp_path))
    (tmp_path / "memory.max").write_text("100000000\n")
    (tmp_path / "memory.current").write_text("90000000\n")
    (tmp_path / "memory.stat").write_text("anon 20000000\ninactive_file 70000000\n")
    assert needs.free_megabytes() == pytest.approx(80)


def test_what_does_not_fit_is_refused_with_what_does(monkeypatch):
    monkeypatch.setattr(needs, "free_megabytes", lambda: 100.0)
    check_picture(Estimate(1.0, 89.0), plan(), str)
    with pytest.raises(OptionError, match="more memory than there is") as caught:
        check_picture(Estimate(1.0, 360.0), plan(size=(100, 60)), lambda side: f"--size {side}")
    assert caught.value.hint == "--size 50"
    monkeypatch.setattr(needs, "free_megabytes", lambda: None)  # not known
    check_picture(Estimate(1.0, 1e9), plan(), str)
