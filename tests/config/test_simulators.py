"""How many simulators go together with the rest of a stage."""

from typing import Any

import pytest
from pydantic import ValidationError

from td3_hpc.config import StageConfig
from td3_hpc.config.cluster import ClusterConfig


def stage(simulators: int, learning_starts: int = 500, **sections: Any) -> StageConfig:
    training = {"total_steps": 1000, "learning_starts": learning_starts}
    return StageConfig.model_validate({"name": "s", "training": training, "simulators": simulators, **sections})


def test_one_is_the_default():
    assert StageConfig.model_validate(
        {"name": "s", "training": {"total_steps": 1000, "learning_starts": 500}}
    ) == stage(1)


@pytest.mark.parametrize("simulators", [2, 50])
def test_default_ports_leave_room(simulators):
    assert stage(simulators).simulators == simulators


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"simulators": 0}, "greater than or equal to 1"),
        ({"simulators": 51}, r"environment.traffic.evaluation_port \(8050\) is among the ports of 51"),
        ({"simulators": 4, "learning_starts": 3}, "learning would start with an empty buffer"),
        (
            {"simulators": 3, "simulator": {"port": 2000, "evaluation_port": 2008}},
            r"simulator.evaluation_port \(2008\) is among the ports of 3",
        ),
        ({"simulators": 3, "simulator": {"port": 65530}}, "leaves no room for 3 simulators"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        stage(**{"simulators": 1, **changes})


def test_blocks_that_touch_are_no_mistake():
    assert stage(3, simulator={"port": 2000, "evaluation_port": 2009})
    assert stage(3, simulator={"port": 2003, "evaluation_port": 2000})


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"scheduler": "local"}, "scheduler: local has one node"),
        ({"container": {"image": "/i.sif", "network": "loopback"}}, "shuts the simulators on other nodes out"),
    ],
)
def test_profiles_that_cannot_have_several_nodes(profile, message):
    assert ClusterConfig.model_validate(profile).nodes == 1
    with pytest.raises(ValidationError, match=message):
        ClusterConfig.model_validate({**profile, "nodes": 2})
