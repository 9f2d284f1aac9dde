"""How an episode ends and what its summary says."""

import pytest

from td3_hpc.config import EnvironmentConfig
from td3_hpc.driving.episode import TERMINATIONS, TRUNCATIONS, Episode, Outcome
from td3_hpc.driving.reward import COMPONENTS

CONFIG = EnvironmentConfig(max_decisions=50, stuck_decisions=10)
DRIVING = Outcome(collisions=0, off_road=False, off_route=False, route_completed=False, speed=5.0)


def end(**changes):
    return Episode(CONFIG, 100.0).end(Outcome(**{**vars(DRIVING), **changes}))


def test_goes_on_while_nothing_happens():
    assert end() is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"collisions": 2}, "collision"),
        ({"off_road": True}, "off_road"),
        ({"off_route": True}, "off_route"),
        ({"route_completed": True}, "route_completed"),
        ({"collisions": 1, "off_road": True, "route_completed": True}, "collision"),
    ],
)
def test_terminations(changes, reason):
    assert end(**changes) == reason
    assert reason in TERMINATIONS


def test_time_limit_comes_with_the_last_decision():
    episode = Episode(CONFIG, 100.0)
    assert [episode.end(DRIVING) for _ in range(50)] == [None] * 49 + ["time_limit"]
    assert "time_limit" in TRUNCATIONS


def test_stuck_after_standing_without_a_break():
    episode = Episode(CONFIG, 100.0)
    standing = Outcome(0, False, False, False, 0.05)
    reasons = [episode.end(outcome) for outcome in [standing] * 9 + [DRIVING] + [standing] * 10]
    assert reasons == [None] * 19 + ["stuck"]
    assert "stuck" in TRUNCATIONS


def test_waiting_is_not_being_stuck():
    """Decisions of waiting neither count nor begin anew; the time limit ends them too."""
    standing, waiting = (Outcome(0, False, False, False, 0.0, waits) for waits in (False, True))
    episode = Episode(CONFIG, 100.0)
    reasons = [episode.end(outcome) for outcome in [standing] * 5 + [waiting] * 30 + [standing] * 5]
    assert reasons == [None] * 39 + ["stuck"]
    episode = Episode(CONFIG, 100.0)
    assert [episode.end(waiting) for _ in range(50)] == [None] * 49 + ["time_limit"]


def test_summary():
    episode = Episode(CONFIG, route_length=80.0)
    for number in range(4):
        components = dict.fromkeys(COMPONENTS, 0.25)
        episode.add(components, distance=1.0, reached=20.0 - number, lane_invasions=number % 2)
        episode.end(DRIVING)
    summary = episode.summary("collision")
    assert summary == {
        "return": pytest.approx(5.0),
        "length": 4,
        "route_completion": 0.25,
        "route_length_m": 80.0,
        "distance_m": 4.0,
        "mean_speed_kmh": pytest.approx(36.0),
        "collisions": 0,
        "lane_invasions": 2,
        "reward_components": {name: pytest.approx(1.0) for name in COMPONENTS},
        "end_reason": "collision",
    }


def test_a_completed_route_counts_whole():
    episode = Episode(CONFIG, route_length=80.0)
    episode.add(dict.fromkeys(COMPONENTS, 0.0), 79.0, 78.5, 0)
    episode.end(DRIVING)
    assert episode.summary("route_completed")["route_completion"] == 1.0
    assert episode.summary("collision")["route_completion"] < 1.0
