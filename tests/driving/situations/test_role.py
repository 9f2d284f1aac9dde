"""What an actor of a situation does, tick by tick, without a simulator."""

import numpy as np
import pytest

from td3_hpc.driving.situations.path import Path
from td3_hpc.driving.situations.role import ACCELERATION, BRAKING, Motion, Role

TICK_S = 0.05
STRAIGHT = Path(np.array([0.0, 200.0]), np.array([[0.0, 0, 0, 0, 0], [200.0, 0, 0, 0, 0]]))


def role(**changes) -> Role:
    usual = {"start": 60.0, "stop": 60.0, "speed": 5.0, "leaves": 10.0, "holds_s": 16.0, "near_m": 20.0}
    return Role("car", STRAIGHT, **{**usual, **changes})


def played(motion: Motion, ego_front, seconds: float) -> list[float]:
    """Where it is after each tick; ego_front: of the time in seconds."""
    places = []
    for tick in range(round(seconds / TICK_S)):
        motion.advance(ego_front(tick * TICK_S), TICK_S)
        places.append(motion.along)
    return places


def test_it_waits_for_an_ego_that_does_not_come():
    assert set(played(Motion(role(), 2.4), lambda time: 0.0, 60.0)) == {60.0}


@pytest.mark.parametrize("kmh", [5, 10, 15, 20, 25])
@pytest.mark.parametrize("changes", [{}, {"creeps": 0.7, "near_m": 12.0, "holds_s": 20.0}], ids=["stands", "creeps"])
def test_an_ego_that_does_not_stop_runs_into_it(kmh: float, changes):
    motion = Motion(role(**changes), 2.4)
    for tick in range(4000):
        front = kmh / 3.6 * tick * TICK_S
        motion.advance(front, TICK_S)
        if front >= motion.along - 2.4:
            return
    pytest.fail(f"at {kmh} km/h it was never met; it is at {motion.along:.0f} m")


def test_it_leaves_when_the_ego_has_waited_and_is_gone_at_its_path_s_end():
    motion = Motion(role(), 2.4)
    assert played(motion, lambda time: 45.0, 15.9)[-1] == 60.0
    places = played(motion, lambda time: 45.0, 20.0)
    assert places[-1] > 200.0
    assert motion.gone
    speeds = np.diff(places) / TICK_S
    assert speeds.max() == pytest.approx(10.0)
    assert np.diff(speeds).max() == pytest.approx(ACCELERATION * TICK_S)


def test_one_that_brakes_comes_to_stand_where_it_should():
    places = played(Motion(role(start=20.0, stop=80.0, speed=7.0), 2.4), lambda time: 0.0, 30.0)
    assert places[-1] == pytest.approx(80.0, abs=0.5)
    assert np.diff(places).max() / TICK_S == pytest.approx(7.0)
    assert -np.diff(places, 2).min() / TICK_S**2 <= BRAKING + 1e-6


def test_one_that_crosses_wakes_when_the_ego_is_near_its_crossing():
    motion = Motion(role(start=7.0, stop=16.0, crosses=100.0, wakes_m=18.0), 2.4)
    assert set(played(motion, lambda time: 81.0, 5.0)) == {7.0}
    assert played(motion, lambda time: 83.0, 10.0)[-1] == pytest.approx(16.0, abs=0.5)
