"""The growth monitor on the validation run's explosion, on noise, and on what healthy runs show."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from td3_hpc.config import GrowthConfig
from td3_hpc.training.monitors.growth import NEAR, Growth, GrowthMonitor, fit

LIMIT = 10_000.0
HEALTHY = json.loads((Path(__file__).parent / "healthy_norms.json").read_text())
"""By seed, the actor CNN's norms of the 1K run as shipped, on the embedded simulator, at updates 2, 4, ... 500."""
SEEN = {100: 5_191.0, 200: 130_486.0, 300: 826_256.0, 400: 2_860_755.0, 500: 7_475_702.0}
"""The actor CNN's gradient norm in the 1K validation run that exploded, by update."""


SEEN_IN_THE_DRILL = {
    10: 4.76e-4,
    20: 0.0383,
    30: 1.85,
    40: 26.3,
    50: 234.0,
    60: 532.0,
    70: 2320.0,
    80: 4990.0,
    90: 11_600.0,
    100: 36_300.0,
    110: 59_100.0,
}
"""The same in the drill `gradient-explosion`."""


def explosion(update: int) -> float:
    """The run's norms with the updates between them filled in; they follow a power of the update."""
    power = math.log(SEEN[200] / SEEN[100]) / math.log(2) if update < 200 else 4.45
    start = 100 if update < 200 else 200
    return SEEN[start] * (update / start) ** power


def called_at(norms: dict[int, float], limit: float = LIMIT) -> int | None:
    """The first update at which the growth is called."""
    config = GrowthConfig()
    monitor = GrowthMonitor(config, {"actor_cnn": limit})
    for update, norm in norms.items():
        trend = monitor.add(update, {"actor_cnn": norm}).get("actor_cnn")
        if trend is not None and trend.called(config):
            return update
    return None


def noisy(norm: float, random: np.random.Generator) -> float:
    """A factor of two up or down at one standard deviation."""
    return norm * math.exp(random.normal(0, math.log(2)))


@pytest.mark.parametrize("seed", range(5))
def test_the_validation_runs_explosion_is_called_before_its_limit_is_crossed(seed):
    random = np.random.default_rng(seed)
    norms = {update: noisy(explosion(update), random) for update in range(2, 501, 2)}
    crossed = next(update for update in norms if explosion(update) > LIMIT)
    called = called_at(norms)
    assert called is not None, "the explosion was not called"
    assert 100 < crossed < 200
    assert called < crossed


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("norm", [0.003, 5.0, 3000.0])
def test_noise_about_a_steady_norm_is_not_called(norm, seed):
    random = np.random.default_rng(seed)
    assert called_at({update: noisy(norm, random) for update in range(2, 3001, 2)}) is None


def test_growth_that_is_far_from_the_limit_is_not_called_yet():
    norms = {update: 1e-3 * 5 ** (update / 100) for update in range(2, 401, 2)}
    assert called_at(norms) is None
    assert called_at({update: 1e-3 * 5 ** (update / 100) for update in range(2, 2001, 2)}) in range(700, 1001)


@pytest.mark.parametrize("seed", HEALTHY)
def test_healthy_runs_are_not_called_even_with_a_limit_a_thousand_times_nearer(seed):
    assert called_at({2 * number: norm for number, norm in enumerate(HEALTHY[seed], 1)}, LIMIT / 1000) is None


@pytest.mark.parametrize("stretch", [2, 5, 10])
@pytest.mark.parametrize("seed", HEALTHY)
def test_nor_is_their_first_movement_however_slow_it_is(seed, stretch):
    """The norms of an untrained network rise up to seventyfold within 50 updates."""
    first = HEALTHY[seed][:30]
    assert max(first) > 20 * first[0]
    slow = {2 * number: first[(number - 1) // stretch] for number in range(1, stretch * len(first) + 1)}
    assert called_at(slow, LIMIT / 1000) is None


def test_an_untrained_networks_first_movement_is_not_called_however_steep():
    norms = {update: 1e-3 * 1000 ** (update / 100) for update in range(2, 71, 2)}
    assert called_at(norms) is None, "0.13 is nowhere near the limit"


def test_the_explosion_drills_norms_are_called_well_before_the_limit():
    seen = SEEN_IN_THE_DRILL
    logarithms = np.log(list(seen.values()))
    norms = {update: math.exp(np.interp(update, list(seen), logarithms)) for update in range(2, 111, 2)}
    crossed = next(update for update, norm in norms.items() if norm > LIMIT)
    called = called_at(norms)
    assert called is not None
    assert called <= crossed - 30


@settings(max_examples=30)
@given(
    st.floats(math.log(10), math.log(1e14)),
    st.floats(math.log(1e-6), math.log(1e6)),
    st.integers(52, 200),
)
def test_steady_growth_is_called_near_the_limit_and_before_it_whatever_the_unit(slope, unit, near):
    """A rise of 10 to 1e14 per 100 updates, in any unit, that is within the two decades from some update on."""
    limit = math.exp(unit)
    crossed = near + 100 * math.log(NEAR) / slope
    updates = range(2, math.ceil(crossed), 2)
    called = called_at({update: limit / NEAR * math.exp(slope * (update - near) / 100) for update in updates}, limit)
    assert called is not None
    assert near - 1 <= called


def test_slow_growth_is_not_called_however_near_the_limit():
    assert called_at({update: 8000 * 1.2 ** (update / 100) for update in range(2, 101, 2)}) is None


def test_a_single_outlier_does_not_bend_the_fit():
    updates, logarithms = np.arange(0.0, 100.0, 5.0), np.full(20, 1.0)
    logarithms[13] = 20.0
    trend = fit(updates, logarithms, LIMIT)
    assert (trend.factor, trend.updates_to_limit) == (1.0, None)


def test_the_fit_of_a_line_is_the_line():
    updates = np.arange(0.0, 100.0, 5.0)
    trend = fit(updates, math.log(50) + updates * math.log(4) / 100, LIMIT)
    assert math.isclose(trend.factor, 4.0)
    assert math.isclose(trend.norm, 50 * 4 ** (95 / 100))
    assert math.isclose(trend.updates_to_limit, 100 * math.log(LIMIT / trend.norm) / math.log(4))


@pytest.mark.parametrize("norm", [0.0, math.inf, math.nan])
def test_a_norm_that_has_no_logarithm_is_left_out(norm):
    monitor = GrowthMonitor(GrowthConfig(), {})
    for update in range(200):
        monitor.add(update, {"actor_cnn": norm if update % 7 == 0 else 2.0})
    assert math.isclose(monitor.trends["actor_cnn"].factor, 1.0)


def test_a_restored_one_goes_on_as_if_it_had_never_stopped():
    random = np.random.default_rng(1)
    norms = {update: {"actor": noisy(1.0, random), "actor_cnn": noisy(2.0, random)} for update in range(1, 400)}
    whole, first = (GrowthMonitor(GrowthConfig(), {"actor_cnn": LIMIT}) for _ in range(2))
    for cut in (1, 17, 60, 333):
        second = GrowthMonitor(GrowthConfig(), {"actor_cnn": LIMIT})
        first = GrowthMonitor(GrowthConfig(), {"actor_cnn": LIMIT})
        whole = GrowthMonitor(GrowthConfig(), {"actor_cnn": LIMIT})
        for update, of_groups in norms.items():
            whole.add(update, of_groups)
            (first if update <= cut else second).add(update, of_groups)
            if update == cut:
                second.load_state(first.state())
                assert second.trends == first.trends
        assert second.trends == whole.trends
        assert repr(second.state()) == repr(whole.state())


def test_growth_without_a_limit_is_told_but_never_called():
    trend = Growth(factor=100.0, significance=5.0, norm=1e9, updates_to_limit=None)
    assert not trend.called(GrowthConfig())
