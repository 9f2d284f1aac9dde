"""The scripted driver shows that the task can be done and that doing it pays."""

import pytest

from td3_hpc.config import RouteConfig
from td3_hpc.driving.environment import DrivingEnv
from td3_hpc.driving.pure_pursuit import pure_pursuit
from tests.driving.conftest import small_config


def drive_route(env, number):
    """The summary of a whole episode on evaluation route `number`."""
    observation, _ = env.reset(seed=number, options={"route": number})
    while True:
        observation, _, terminated, truncated, info = env.step(pure_pursuit(observation))
        if terminated or truncated:
            return info["episode"]


@pytest.mark.parametrize(
    ("town", "route", "numbers"),
    [("Hamlet", RouteConfig(min_length_m=60, max_length_m=200), range(2)), ("Brookfield", RouteConfig(), range(1))],
)
def test_completes_routes(make_simulator, hamlet, town, route, numbers):
    simulator = hamlet if town == "Hamlet" else make_simulator(town)
    env = DrivingEnv(small_config(vehicles=0, town=town, route=route), port=simulator.port, tm_port=0)
    try:
        for number in numbers:
            summary = drive_route(env, number)
            assert summary["end_reason"] == "route_completed", summary
            assert summary["mean_speed_kmh"] > 10
            # a good drive earns nearly all of 1 per decision at the target speed, that is per 0.83 m
            assert summary["return"] > 0.6 * summary["route_length_m"] / (30 / 3.6 * 0.1)
    finally:
        env.close()
