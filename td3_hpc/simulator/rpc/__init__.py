"""The RPC table: every function of CARLA 0.9.16's protocol that this server answers, by theme.

Each module has a class whose public methods are functions of the protocol under their own names. A method that is
annotated to return None answers as the protocol's void functions do.

service.py          what the functions work on, and checks of what clients send
episode.py          session, settings, map and episode
actors.py           actors of any kind;  batch.py  batches of commands
vehicles.py         vehicles and walkers;  physics_control.py  CARLA's `VehiclePhysicsControl`;  telemetry.py
lights.py           traffic lights
queries.py          questions about the scenery
traffic_manager.py  the registry of Traffic Managers
unsupported.py      functions that this simulator does not have
"""

import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any

from td3_hpc.simulator.connection import Failed
from td3_hpc.simulator.rpc.actors import ActorCalls
from td3_hpc.simulator.rpc.batch import BatchCalls
from td3_hpc.simulator.rpc.episode import SessionCalls
from td3_hpc.simulator.rpc.lights import LightCalls
from td3_hpc.simulator.rpc.queries import QueryCalls
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.rpc.traffic_manager import TrafficManagerCalls
from td3_hpc.simulator.rpc.unsupported import VALUES, VOIDS
from td3_hpc.simulator.rpc.vehicles import VehicleCalls
from td3_hpc.simulator.wire import Refused

_VOID: list[Any] = [[False]]


class CallTable:
    """Answers calls by name."""

    def __init__(self, service: Service) -> None:
        actors, vehicles, lights = ActorCalls(service), VehicleCalls(service), LightCalls(service)
        themes = [SessionCalls(service), actors, vehicles, lights, QueryCalls(service), TrafficManagerCalls()]
        self._functions = {name: function for theme in themes for name, function in _public(theme).items()}
        self._voids = {name for name, function in self._functions.items() if _returns_nothing(function)}
        self._apply_batch = BatchCalls(service, actors, vehicles, lights).apply_batch
        self._complained: set[str] = set()

    def answer(self, name: str, arguments: list[Any]) -> Any:
        """The result of a call, wrapped as the protocol wants it.

        Raises Failed for a function that does not exist, and for arguments that it cannot take.
        """
        try:
            if name == "apply_batch":
                return self._apply_batch(*arguments)  # the only one that is not wrapped
            if name in self._functions:
                return self._call(name, arguments)
        except Exception as error:  # a bug, or nonsense from a client: neither may end the other clients' simulator
            self._complain(name, f"{name} failed: {error!r}\n{traceback.format_exc()}")
            raise Failed(f"rpclib: function '{name}' (called with {len(arguments)} arg(s)) threw: {error!r}") from error
        if name in VOIDS:
            return self._refuse_void(name, f"{name}: this simulator has no {VOIDS[name]}")
        if name in VALUES:
            return _error(f"{name}: this simulator has no {VALUES[name]}")
        self._complain(name, f"unknown function {name}, called with {len(arguments)} arguments")
        raise Failed(f"rpclib: server could not find function '{name}' with argument count {len(arguments)}.")

    def _call(self, name: str, arguments: list[Any]) -> Any:
        void = name in self._voids
        try:
            result = self._functions[name](*arguments)
        except Refused as refused:
            return self._refuse_void(name, str(refused)) if void else _error(str(refused))
        return _VOID if void else [[1, result]]

    def _refuse_void(self, name: str, text: str) -> list[Any]:
        """The client does not wait for the answer to most of these calls, and never shows it: it is said here too."""
        self._complain(name, f"refused {text if text.startswith(name) else f'{name}: {text}'}")
        return [[True, [text]]]

    def _complain(self, name: str, text: str) -> None:
        """Once for each function: a client may repeat a call at every step."""
        if name not in self._complained and len(self._complained) < 1000:
            self._complained.add(name)
            print(text, file=sys.stderr, flush=True)


def _public(theme: object) -> dict[str, Callable[..., Any]]:
    return {name: function for name, function in inspect.getmembers(theme, inspect.ismethod) if name[0] != "_"}


def _returns_nothing(function: Callable[..., Any]) -> bool:
    return inspect.signature(function).return_annotation is None


def _error(text: str) -> list[Any]:
    return [[0, [text]]]
