"""`DrivingEnv`: the driving task as a Gymnasium environment on the unmodified `carla` client."""

import hashlib
import math
from pathlib import Path
from typing import Any, Literal, TypeVar

import carla
import gymnasium
import numpy as np
import numpy.typing as npt

from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.blueprints import ego_blueprint, half_sizes, weather_preset
from td3_hpc.driving.client_session import Session
from td3_hpc.driving.ego import EgoState, ego_state
from td3_hpc.driving.episode import STANDING_SPEED, TERMINATIONS, Episode, Outcome
from td3_hpc.driving.film import Film
from td3_hpc.driving.hazard import FREE, Ahead, gap_ahead
from td3_hpc.driving.observation.base import Scene
from td3_hpc.driving.observation.registry import make_parts
from td3_hpc.driving.proximity import BoundingBox, is_blocked, is_jolt, may_touch
from td3_hpc.driving.pure_pursuit import careful_pursuit
from td3_hpc.driving.red_lights import STOP, RedLights, lights_along
from td3_hpc.driving.reward import Motion, reward_components
from td3_hpc.driving.route import Route, RoutePlanner, RoutePosition, RouteTracker
from td3_hpc.driving.sensors import (
    SOLID_MARKINGS,
    CollisionSensor,
    EgoSensor,
    LaneInvasionSensor,
    SensorTimeout,
)
from td3_hpc.driving.situations.stage import set_stage
from td3_hpc.driving.traffic import spawn_traffic
from td3_hpc.errors import BadInput, UserError
from td3_hpc.spaces import ACTION, IMAGE, Observation, gymnasium_spaces

SensorType = TypeVar("SensorType", bound=EgoSensor)
Action = npt.NDArray[np.float32]
Autopilot = Literal["traffic-manager", "true-distances"]
"""Who drives instead of the actions: CARLA's Traffic Manager, or a scripted driver that is told what is ahead."""

OFF_ROUTE_M = 10.0
"""An ego farther than this from its route has taken another road."""
SETTLING_S = 1.0
"""Simulated seconds for which an episode's ego stands with its brake held before the first observation."""
QUEUE_M = 12.0
"""An ego that stands no farther than this behind a standing vehicle waits in a queue."""
_SPAWN_LIFT_M = 0.5  # as CARLA's own spawn points: a car must not start inside the road
_RESET_ATTEMPTS = 3
_CLEARANCE_M = 0.3  # on either side of the ego; what is nearer is in its way


class DrivingEnv(gymnasium.Env[Observation, Action]):
    """Drive a route through a town, seen by one camera.

    `td3_hpc.spaces` declares observation and action. docs/environment.md has every range, the reward and the ends of
    an episode.

    An episode is a function of its seed and of the actions (`config.reset: reload`). Calls raise SimulatorLost when
    the simulator does not answer within `timeout_s`; the environment is then of no more use, and with traffic the
    client library may instead abort the process, which is why a learner holds it in an `EnvironmentWorker`.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        config: EnvironmentConfig,
        host: str = "127.0.0.1",
        port: int = 2000,
        tm_port: int = 8000,
        purpose: Literal["training", "evaluation"] = "training",
        seed: int = 0,
        timeout_s: float = 10.0,
    ) -> None:
        """`seed` starts the sequence of episode seeds for `reset()` without one; `tm_port` 0 finds a free port.

        Raises UserError (another version, Traffic Manager port in use), BadInput (unknown town, vehicle or weather,
        no routes of the configured length) and SimulatorLost.
        """
        self.observation_space, self.action_space = gymnasium_spaces()  # type: ignore[assignment]  # values are Any
        self._config, self._purpose, self._timeout_s = config, purpose, timeout_s
        self._weathers = [weather_preset(name) for name in config.weather]
        self._vehicles: list[tuple[Any, float, float]] = []
        self._actors: list[Any] = []
        self._sensors: list[EgoSensor] = []
        super().reset(seed=seed)
        self._session = Session(config, host, port, tm_port, timeout_s)
        try:
            with self._session.calls():
                self.planner = RoutePlanner(config.town, self._session.map, config.route)
                self.roads_sha256 = hashlib.sha256(self._session.map.to_opendrive().encode()).hexdigest()
                self._spawn_points = self._session.map.get_spawn_points()
                ego_blueprint(self._session.world, config.vehicle)
        except BaseException:
            self.close()
            raise

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        `options` may hold `route` (k: held-out evaluation route k instead of a drawn one), `film` (a .gif or .mp4 file
        that the episode is filmed into) and `autopilot` (an `Autopilot` that drives the ego along the route, whatever
        the actions). Without a seed the next one of the environment's own sequence is taken; `info["seed"]`
        tells which. Raises BadInput for a route that does not exist, SimulatorLost.
        """
        super().reset(seed=seed)
        self.episode_seed = seed if seed is not None else int(self.np_random.integers(2**63))
        options = options or {}
        number = options.get("route")
        self._film_path: Path | None = options.get("film")
        self._autopilot: Autopilot | None = options.get("autopilot")
        if number is not None and not 0 <= number < len(self.planner.evaluation_routes):
            raise BadInput(f"route {number}: there are {len(self.planner.evaluation_routes)} evaluation routes, from 0")
        with self._session.calls():
            for attempt in range(_RESET_ATTEMPTS):
                try:
                    self._begin(np.random.default_rng(self.episode_seed), number)
                    break
                except SensorTimeout:  # the camera's subscription reached the server after the last tick
                    if attempt == _RESET_ATTEMPTS - 1:
                        raise
        info = {"seed": self.episode_seed, "route": number, "route_length_m": self._route.length}
        self._seen = self._observation()
        return self._seen, info

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold an action for `ticks_per_action` ticks. Raises ValueError for one that is not two finite numbers.

        `info` holds the weighted `reward_components`, `termination` (the reason or None), `standing` (decisions for
        which the ego has stood, but those in which it waits), the ego's `position` (x, y in metres), `ahead` where the
        reward heeds hazards (metres to the `obstacle` and the `red_light` on its way, or infinity) and, at the end,
        `episode` (the summary) and `planned` (points of the route, x and y in metres).
        """
        action = np.asarray(action, np.float32)
        if action.shape != ACTION.shape or not np.isfinite(action).all():
            raise ValueError(f"an action is two finite numbers, not {action!r}")
        steer, pedal = (float(value) for value in np.clip(action, -1.0, 1.0))
        with self._session.calls():
            before = self._ego_state
            if self._autopilot == "true-distances":
                steer, pedal = self._careful_action()
            if self._autopilot != "traffic-manager":
                self._ego.apply_control(carla.VehicleControl(max(pedal, 0.0), steer, max(-pedal, 0.0)))
            jolted = False
            for _ in range(self._config.ticks_per_action):
                self._stage.tick(self._front(), self._config.fixed_delta_seconds, self._remove)
                frame = self._session.tick()
                velocity = self._ego_state.velocity
                self._read_ego()
                jolted |= is_jolt(velocity, self._ego_state.velocity, self._config.fixed_delta_seconds)
            self._receive(frame)
            markings = self._lane_invasions.read(frame, self._timeout_s)
            collided = self._collisions.happened(jolted or may_touch(self._ego_box(), self._other_boxes()))
            result = self._evaluate_step(before, int(collided), markings)
            if self._film is not None:
                self._film_frame(self._film, frame, result[0], finished=result[2] or result[3])
        return result

    def close(self) -> None:
        """Destroy everything spawned, and leave the simulator's settings as they were found; quick where it is dead."""
        self._silence_sensors()
        actors, self._actors, self._vehicles = self._actors, [], []
        if hasattr(self, "_session"):
            self._session.close(actors)

    # --- the start of an episode

    def _begin(self, generator: np.random.Generator, number: int | None) -> None:
        """Set the world up in a fixed order of calls, up to the first observation."""
        self._route = self._draw_route(generator, number)
        manager_seed = int(generator.integers(2**31))
        weather = self._weathers[int(generator.integers(len(self._weathers)))]
        self._clear()
        session = self._session
        session.begin_episode(manager_seed, self._autopilot == "traffic-manager")
        world = session.world
        world.set_weather(weather)
        self._spawn_ego(world)
        self._stage = set_stage(
            world, session.map, self._route, self._config.traffic.situations, self.episode_seed, number
        )
        self._actors += self._stage.actors
        start = self._start_transform().location
        traffic = spawn_traffic(world, self._spawn_points, start, self._config.traffic, generator)
        self._actors += traffic
        session.tick()
        session.drive(traffic)
        self._vehicles = [(other.id, *half_sizes(other)) for other in [*self._stage.actors, *traffic]]
        self._ego_sizes = half_sizes(self._ego)
        self._settle()
        self._attach_sensors(world)
        session.tick()  # the server learns who listens
        if self._autopilot == "traffic-manager":
            session.drive_along(self._ego, self._route.points)
        self._film = None
        if self._film_path is not None:  # the last actor: a filmed episode is the same as one that is not
            self._film = self._track_sensor(Film(world, self._ego, self._film_path, self._config.decision_seconds))
        frame = session.tick()
        self._receive(frame)
        self._lane_invasions.read(frame, self._timeout_s)
        self._collisions.happened(announced=False)
        self._tracker = RouteTracker(self._route)
        self._red_lights = RedLights(lights_along(world, self._session.map, self._route))
        self._read_ego()
        self._position = self._locate()
        self._episode = Episode(self._config, self._route.length)

    def _settle(self) -> None:
        """Hold the brake until the ego, spawned above the road, has fallen onto it and stands still.

        Its sensors come afterwards, so that nothing of this counts.
        """
        self._ego.apply_control(carla.VehicleControl(brake=1.0))
        for _ in range(math.ceil(SETTLING_S / self._config.fixed_delta_seconds - 1e-9)):
            self._session.tick()

    def _attach_sensors(self, world: Any) -> None:
        """What the observation needs, then collisions and lane markings."""
        self._parts = make_parts(self._config)
        for part in self._parts.values():
            for sensor in part.attach(world, self._ego):
                self._track_sensor(sensor)
        self._collisions = self._track_sensor(CollisionSensor(world, self._ego))
        self._lane_invasions = self._track_sensor(LaneInvasionSensor(world, self._ego))

    def _draw_route(self, generator: np.random.Generator, number: int | None) -> Route:
        held_out = self.planner.evaluation_routes
        if number is None and self._purpose == "evaluation":
            number = int(generator.integers(len(held_out)))
        return self.planner.training_route(generator) if number is None else held_out[number]

    def _clear(self) -> None:
        """Take the last episode's actors out of the world; a reload does that by itself."""
        self._silence_sensors()
        actors, self._actors, self._vehicles = self._actors, [], []
        if self._config.reset == "respawn" and actors:
            self._session.destroy(actors)

    def _track_sensor(self, sensor: SensorType) -> SensorType:
        """Book a sensor for the clean-up."""
        self._sensors.append(sensor)
        self._actors.append(sensor.actor)
        return sensor

    def _silence_sensors(self) -> None:
        for sensor in self._sensors:
            sensor.close()
        self._sensors.clear()

    def _spawn_ego(self, world: Any) -> None:
        blueprint = ego_blueprint(world, self._config.vehicle)
        transform = self._start_transform()
        self._ego = world.try_spawn_actor(blueprint, transform)
        if self._ego is None:
            place = transform.location
            raise UserError(
                f"the ego cannot be spawned at x={place.x:.1f} y={place.y:.1f}: the place is taken; "
                "destroy what other clients left in the simulator, or restart it"
            )
        self._actors.append(self._ego)

    def _start_transform(self) -> Any:
        (x, y, z), (pitch, yaw, roll) = self._route.points[0], self._route.angles[0]
        return carla.Transform(carla.Location(x, y, z + _SPAWN_LIFT_M), carla.Rotation(pitch, yaw, roll))

    def _remove(self, actor: Any) -> None:
        self._actors.remove(actor)
        self._session.destroy([actor])

    # --- one decision

    def _front(self) -> float:
        """Metres along the route to the ego's front."""
        return self._position.distance + self._ego_sizes[0]

    def _careful_action(self) -> tuple[float, float]:
        """Steering and pedal of the driver that is told the distances."""
        target, safe_speed = self._config.reward.target_speed_kmh, self._ahead().safe_speed
        return tuple(careful_pursuit(self._seen, self._config, target, safe_speed).tolist())

    def _ahead(self) -> Ahead:
        front, half_width = self._front(), self._ego_sizes[1] + _CLEARANCE_M
        return Ahead(gap_ahead(self._route, front, half_width, self._other_boxes()), self._red_lights.gap(front))

    def _receive(self, frame: int) -> None:
        """Read the sensors behind the observation; first of all, so that events of this tick have time to arrive."""
        for part in self._parts.values():
            part.receive(frame, self._timeout_s)

    def _film_frame(self, film: Film, frame: int, observation: Observation, finished: bool) -> None:
        progress = 100.0 * self._position.distance / self._route.length
        caption = f"{3.6 * self._ego_state.speed:3.0f} km/h   {progress:3.0f} % of the route"
        film.take(frame, self._timeout_s, observation[IMAGE.name][-1], caption)
        if finished:
            film.write()

    def _read_ego(self) -> None:
        self._snapshot = self._session.world.get_snapshot()
        self._ego_state = ego_state(self._snapshot.find(self._ego.id))

    def _locate(self) -> RoutePosition:
        ego = self._ego_state
        return self._tracker.update(ego.x, ego.y, ego.yaw)

    def _ego_box(self) -> BoundingBox:
        ego = self._ego_state
        return BoundingBox(ego.x, ego.y, ego.yaw, *self._ego_sizes)

    def _other_boxes(self, standing: bool = False) -> list[BoundingBox]:
        """Of the traffic's cars; `standing`: only of those that stand."""
        boxes = []
        for vehicle, half_length, half_width in self._vehicles:
            actor = self._snapshot.find(vehicle)
            if actor is None:  # the Traffic Manager removes cars that are stuck for long
                continue
            if not standing or actor.get_velocity().length() < STANDING_SPEED:
                transform = actor.get_transform()
                place = transform.location
                boxes.append(BoundingBox(place.x, place.y, transform.rotation.yaw, half_length, half_width))
        return boxes

    def _evaluate_step(
        self, before: EgoState, collisions: int, markings: list[frozenset[str]]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Reward, end and info of the decision that led from the ego state `before` to the present one."""
        ego, last = self._ego_state, self._position
        position = self._position = self._locate()
        lane = self._session.map.get_waypoint(carla.Location(ego.x, ego.y, ego.z))
        outcome = Outcome(
            collisions=collisions,
            off_road=self._off_road(lane),
            off_route=abs(position.lateral) > OFF_ROUTE_M,
            route_completed=self._tracker.completed,
            speed=ego.speed,
            waits=abs(ego.speed) < STANDING_SPEED and self._waits(lane),
        )
        seconds = self._config.decision_seconds
        turned = math.radians((ego.yaw - before.yaw + 180.0) % 360.0 - 180.0)
        crossed = frozenset().union(*markings) - {"NONE"}
        to_front, heeds = self._ego_sizes[0], self._config.reward.heeds_hazards
        ahead = self._ahead() if heeds else FREE
        ran_light = self._red_lights.passed(last.distance + to_front, position.distance + to_front)
        motion = Motion(
            seconds=seconds,
            speed=ego.speed,
            acceleration=(ego.speed - before.speed) / seconds,
            lateral_acceleration=ego.speed * turned / seconds,
            lateral=position.lateral,
            heading_error=position.heading_error,
            advance=position.distance - last.distance,
            safe_speed=ahead.safe_speed,
            crash=bool(outcome.collisions or outcome.off_road or outcome.off_route),
            solid_line=bool(crossed & SOLID_MARKINGS),
            other_line=bool(crossed - SOLID_MARKINGS),
            ran_light=ran_light and heeds,
        )
        components = reward_components(motion, self._config.reward)
        moved = math.hypot(ego.x - before.x, ego.y - before.y)
        self._episode.add(components, moved, position.distance, len(markings))
        reason = self._episode.end(outcome)
        info: dict[str, Any] = {
            "reward_components": components,
            "termination": reason,
            "standing": self._episode.standing,
            "position": (ego.x, ego.y),
        }
        if heeds:
            info["ahead"] = ahead._asdict()
        if reason is not None:
            told = self._red_lights.told() | self._stage.told(self._collisions)
            info["episode"] = self._episode.summary(reason) | told
            info["planned"] = self._route.outline()
        terminated = reason in TERMINATIONS
        self._seen = self._observation()
        return self._seen, sum(components.values()), terminated, reason is not None and not terminated, info

    def _off_road(self, lane: Any) -> bool:
        """The ego's centre is farther than `off_road_m` outside the nearest drivable lane, given at its place."""
        if lane is None:
            return True
        ego, centre = self._ego_state, lane.transform.location
        outside = math.hypot(ego.x - centre.x, ego.y - centre.y) - lane.lane_width / 2
        return bool(outside > self._config.off_road_m)

    def _waits(self, lane: Any) -> bool:
        """A light shows the ego red or yellow, a vehicle stands ahead, or a situation's actor is in the way."""
        if self._ego.is_at_traffic_light() and self._ego.get_traffic_light_state() in STOP:
            return True
        if self._stage.kind and self._ahead().obstacle <= QUEUE_M:
            return True
        return lane is not None and is_blocked(self._ego_box(), self._other_boxes(True), QUEUE_M, lane.lane_width)

    def _observation(self) -> Observation:
        scene = Scene(self._snapshot.find(self._ego.id), self._ego_state, self._route, self._position)
        return {name: part.value(scene) for name, part in self._parts.items()}
