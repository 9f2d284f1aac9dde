"""Stored actions against what they changed: transitions of a simple car, as they are and as defects make them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from td3_hpc.replay import Batch
from td3_hpc.training.monitors.action_effects import FEWEST, action_effects

ROWS = 256


def drive(rows: int = ROWS, speed: float = 0.4) -> Batch:
    """A car that turns as it is steered and gains speed by the pedal, on a straight road."""
    random = np.random.default_rng(1)
    action = random.uniform(-1, 1, (rows, 2)).astype(np.float32)
    before = random.uniform(-0.2, 0.2, (rows, 53)).astype(np.float32)
    before[:, 0] = speed * random.uniform(0.5, 1.0, rows)
    after = before.copy()
    after[:, 0] = np.maximum(0.0, before[:, 0] + (0.05 * action[:, 1] if speed else 0.0))
    turn = 0.1 * action[:, 0] * before[:, 0]
    after[:, 2] += turn
    after[:, -1] -= turn
    nothing = np.zeros(rows, np.float32)
    return Batch({}, {"vector": before}, action, nothing, {"vector": after}, nothing.astype(bool))


def test_what_an_action_changes_goes_with_it():
    assert action_effects(drive()) == pytest.approx({"speed": 1, "heading": 1, "waypoints": 1}, abs=0.02)


@pytest.mark.parametrize(
    ("defect", "names"),
    [
        (lambda batch: replace(batch, action=batch.action[:, ::-1]), {"speed", "heading", "waypoints"}),
        (lambda batch: replace(batch, action=np.roll(batch.action, 10, axis=0)), {"speed", "heading", "waypoints"}),
        (lambda batch: replace(batch, action=batch.action * np.float32([-1, 1])), {"heading", "waypoints"}),
        (lambda batch: replace(batch, next_values=batch.values), {"speed", "heading", "waypoints"}),
    ],
    ids=["exchanged", "late", "wrong sign", "nothing changes"],
)
def test_a_defect_shows(defect: Callable[[Batch], Batch], names: set[str]):
    effects = action_effects(defect(drive()))
    assert {name for name, correlation in effects.items() if correlation < 0.3} == names


def test_a_car_that_stands_tells_nothing():
    assert action_effects(drive(speed=0.0)) == {}


def test_few_transitions_tell_nothing():
    assert action_effects(drive(FEWEST - 1)) == {}
    assert action_effects(drive(FEWEST))


def test_equal_actions_share_a_rank():
    batch = drive()
    batch.action[:, 1] = np.where(batch.action[:, 1] > 0, 1.0, -1.0)
    ups = batch.action[:, 1] > 0
    batch.next_values["vector"][:, 0] = batch.values["vector"][:, 0] + np.where(ups, 0.01, -0.01).astype(np.float32)
    assert action_effects(batch)["speed"] == pytest.approx(0.87, abs=0.05)
