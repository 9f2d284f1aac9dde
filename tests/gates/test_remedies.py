"""What a missed gate suggests."""

import pytest

from td3_hpc.config import StageConfig, validate
from td3_hpc.gates.remedies import learns, steady

SEEING = {"encoder": "distances", "pretrained": "/somewhere/distances.h5"}


def stage(**agent: object) -> StageConfig:
    return validate(
        StageConfig, {"name": "x", "training": {"total_steps": 5000, "learning_starts": 1000}, "agent": agent}, "x"
    )


def test_the_shipped_configuration_has_nothing_to_mend() -> None:
    assert learns(stage()) == {}


@pytest.mark.parametrize(
    ("rates", "groups"),
    [
        ({"actor": 1e-12, "actor_cnn": 1e-12}, {"actor", "actor_cnn"}),
        ({"critic": 0.3, "critic_cnn": 0.1}, {"critic", "critic_cnn"}),
        ({"actor": 0.01}, {"actor"}),
    ],
)
def test_rates_that_are_far_off_go_back_to_their_defaults(rates: dict[str, float], groups: set[str]) -> None:
    change = learns(stage(learning_rates=rates))
    assert change == {f"agent.learning_rates.{group}": getattr(stage().agent.learning_rates, group) for group in groups}


def test_a_rate_within_a_power_of_ten_is_the_users_own() -> None:
    assert learns(stage(learning_rates={"actor": stage().agent.learning_rates.actor * 3})) == {}


def test_an_encoder_that_came_with_its_weights_is_kept() -> None:
    assert "agent.encoder" not in {**learns(stage(**SEEING)), **steady(stage(**SEEING))}
    assert learns(stage(encoder="nature"))["agent.encoder"] == "steady"
