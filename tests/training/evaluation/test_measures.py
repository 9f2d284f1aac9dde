"""Figures of an evaluation, and what their intervals say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.record import EpisodeSummary
from td3_hpc.training.evaluation.measures import MEASURES, estimates, estimates_over_runs

DECISION_S = 0.1


def episode(completion=1.0, reason="route_completed", metres=300.0, decisions=400, collisions=0, lines=0):
    return EpisodeSummary(
        return_=completion * 100,
        length=decisions,
        route_completion=completion,
        route_length_m=500.0,
        distance_m=metres,
        mean_speed_kmh=0.0,
        collisions=collisions,
        lane_invasions=lines,
        reward_components={"comfort": -0.5},
        end_reason=reason,
    )


def test_a_figure_per_kilometre_of_nothing_driven_is_none():
    figures = estimates([episode(0.0, metres=0.0)], DECISION_S)
    assert np.isnan(figures["collisions"].value)
    assert str(figures["collisions"]) == "–"


def test_figures_of_two_episodes_by_hand():
    figures = estimates(
        [episode(), episode(0.5, "collision", metres=100, decisions=100, collisions=1, lines=3)], DECISION_S
    )
    values = {name: figure.value for name, figure in figures.items()}
    assert values == pytest.approx(
        {
            "route completion": 75.0,
            "success": 50.0,
            "collisions": 1 / 0.4,
            "lane departures": 3 / 0.4,
            "mean speed": 0.4 / (50 / 3600),
            "comfort": -1.0 / 500,
            "return": 75.0,
        }
    )
    assert set(values) == {measure.name for measure in MEASURES if not measure.rare}


def test_of_the_red_lights_that_were_met_so_many_were_obeyed():
    told = [(3, 1), (1, 0), (0, 0)]
    driven = [episode().model_copy(update={"red_lights_met": met, "red_lights_run": run}) for met, run in told]
    assert estimates(driven, DECISION_S)["red lights obeyed"].value == 75.0
    assert "red lights obeyed" not in estimates(driven[2:], DECISION_S), "none was met"


episodes = st.builds(
    episode,
    completion=st.floats(0, 1),
    reason=st.sampled_from(["route_completed", "collision", "stuck"]),
    metres=st.floats(1, 500),
    decisions=st.integers(1, 1000),
    collisions=st.integers(0, 2),
    lines=st.integers(0, 20),
)


@given(st.lists(episodes, min_size=1, max_size=12))
def test_an_interval_lies_within_the_extremes_and_is_the_same_again(driven):
    figures = estimates(driven, DECISION_S)
    completions = [100 * item.route_completion for item in driven]
    figure = figures["route completion"]
    assert min(completions) - 1e-9 <= figure.low <= figure.high <= max(completions) + 1e-9
    assert figures == estimates(driven, DECISION_S)


def test_an_interval_narrows_with_more_episodes_and_holds_the_mean():
    generator = np.random.default_rng(4)
    driven = [episode(float(value)) for value in generator.random(200)]
    few, many = estimates(driven[:10], DECISION_S)["return"], estimates(driven, DECISION_S)["return"]
    assert many.high - many.low < few.high - few.low
    assert many.low < many.value < many.high
    assert abs(many.value - 50) < 10


def test_a_car_that_never_moved_has_no_figure_per_kilometre():
    figures = estimates([episode(0.0, "stuck", metres=0.0)], DECISION_S)
    assert np.isnan(figures["collisions"].value)
    assert figures["mean speed"].value == 0


def test_over_runs_the_interval_is_as_wide_as_seeds_or_routes_make_it():
    hard_and_easy = [episode(0.0), episode(1.0)] * 5
    alike = estimates_over_runs([hard_and_easy] * 3, DECISION_S)["return"]
    alone = estimates(hard_and_easy, DECISION_S)["return"]
    assert (alike.value, alike.low, alike.high) == (alone.value, alone.low, alone.high), (
        "seeds that are the same add none"
    )
    bad, good = [episode(0.1)] * 10, [episode(0.9)] * 10
    apart = estimates_over_runs([bad, good, good], DECISION_S)["return"]
    assert (apart.low, apart.high) == pytest.approx((10, 90)), "one of the draws takes a seed three times"


def test_runs_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="equally many"):
        estimates_over_runs([[episode()], [episode(), episode()]], DECISION_S)
