from pathlib import Path
from typing import Any

import pytest

from td3_hpc.config import StageConfig
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.preflight.finding import Mistake
from td3_hpc.launch.preflight.placement import check_placement
from td3_hpc.launch.preflight.plan import Plan

EXTERNAL = {"kind": "external", "port": 2000, "evaluation_port": 2100}


def plan(nodes: int, simulators: int, simulator: dict[str, Any] | None = None) -> Plan:
    stage = {"name": "s", "training": {"total_steps": 1000, "learning_starts": 500}, "simulators": simulators}
    config = StageConfig.model_validate({**stage, "simulator": simulator or {}})
    return Plan("somewhere", ClusterConfig(nodes=nodes), Path("run"), config)


@pytest.mark.parametrize(
    ("nodes", "simulators", "found"),
    [
        (1, 1, "1 training simulator on 1 node"),
        (1, 4, "4 training simulators on 1 node"),
        (2, 4, "4 training simulators on 2 nodes"),
        (3, 2, "2 training simulators on 2 nodes"),
    ],
)
def test_every_node_of_the_job_has_work(nodes: int, simulators: int, found: str) -> None:
    assert check_placement(plan(nodes, simulators)) == found


def test_external_servers_are_not_placed() -> None:
    with pytest.raises(Mistake, match="external servers run where they are"):
        check_placement(plan(2, 2, EXTERNAL))
