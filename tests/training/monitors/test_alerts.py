import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.training.monitors.alerts import CALM_INTERVALS, Alerts, Limit

LIMITS = (
    Limit("gradient", "gradient_max", 100.0, "critical", "too steep"),
    Limit("fit", None, 2.0, "warning", "grows"),
)


def intervals(alerts: Alerts, *values: float) -> list[tuple[str, bool]]:
    """The changes that intervals with these maxima make."""
    return [
        (change.limit.name, change.active)
        for value in values
        for change in alerts.observe_interval({"gradient_max": value})
    ]


def test_an_alert_is_raised_by_the_first_number_beyond_its_limit():
    alerts = Alerts(LIMITS)
    assert alerts.observe("gradient", 100.0) is None
    change = alerts.observe("gradient", 100.1)
    assert change is not None
    assert change.as_fields() == {
        "name": "gradient",
        "level": "critical",
        "active": True,
        "value": 100.1,
        "limit": 100.0,
        "meaning": "too steep",
    }
    assert alerts.observe("gradient", 1e9) is None, "it is raised already"
    assert alerts.levels() == {"gradient": 1.0, "fit": 0.0}


def test_it_is_over_after_calm_intervals_in_a_row():
    alerts = Alerts(LIMITS)
    assert intervals(alerts, 101.0) == [("gradient", True)]
    calm = [1.0] * (CALM_INTERVALS - 1)
    assert intervals(alerts, *calm, 90.0, *calm) == [], "90 is below the limit but not clear of it"
    assert intervals(alerts, 1.0) == [("gradient", False)]


def test_one_number_within_an_interval_disturbs_it():
    alerts = Alerts(LIMITS)
    alerts.observe("gradient", 200.0)
    assert intervals(alerts, *[1.0] * CALM_INTERVALS) == [], "the first of them had the number of 200"
    assert intervals(alerts, 1.0) == [("gradient", False)]


def test_a_number_that_dances_about_its_limit_makes_one_alert():
    assert intervals(Alerts(LIMITS), *[101.0, 50.0] * 500) == [("gradient", True)]


def test_intervals_without_an_observation_change_nothing():
    alerts = Alerts(LIMITS)
    alerts.observe("fit", 3.0)
    assert [change for _ in range(10) for change in alerts.observe_interval({})] == []
    assert alerts.levels()["fit"] == 1.0


def test_whether_a_number_crosses_may_be_told():
    alerts = Alerts(LIMITS)
    assert alerts.observe("fit", 50.0, crossed=False, calm=True) is None
    assert alerts.observe("fit", 2.5, crossed=True, calm=False) is not None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_count_as_crossed(value):
    assert Alerts(LIMITS).observe("gradient", value) is not None


@given(st.lists(st.sampled_from([1.0, 79.0, 90.0, 101.0]), max_size=30), st.integers(0, 30))
def test_a_restored_one_goes_on_as_if_it_had_never_stopped(values, cut):
    whole, first, second = Alerts(LIMITS), Alerts(LIMITS), Alerts(LIMITS)
    expected = intervals(whole, *values)
    changes = intervals(first, *values[:cut])
    second.load_state(first.state())
    assert changes + intervals(second, *values[cut:]) == expected
    assert second.state() == whole.state()
