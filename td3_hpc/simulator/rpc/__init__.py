"""The RPC table: every function of CARLA 0.9.16's protocol that this server answers, by theme.

Each module has a class whose public methods are functions of the protocol under their own names; `table` joins them.
"""

from collections.abc import Callable
from typing import Any

from td3_hpc.simulator.rpc.actors import ActorCalls
from td3_hpc.simulator.rpc.batch import BatchCalls
from td3_hpc.simulator.rpc.lights import LightCalls
from td3_hpc.simulator.rpc.queries import QueryCalls
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.rpc.session import SessionCalls
from td3_hpc.simulator.rpc.traffic_manager import TrafficManagerCalls
from td3_hpc.simulator.rpc.vehicles import VehicleCalls

Table = dict[str, Callable[..., Any]]


def table(service: Service) -> Table:
    """Name of each function -> what answers it."""
    actors, vehicles = ActorCalls(service), VehicleCalls(service)
    themes: list[Any] = [
        SessionCalls(service),
        actors,
        vehicles,
        LightCalls(service),
        QueryCalls(service),
        TrafficManagerCalls(),
        BatchCalls(service, actors, vehicles),
    ]
    return {
        name: getattr(theme, name)
        for theme in themes
        for name in dir(theme)
        if not name.startswith("_") and callable(getattr(theme, name))
    }
