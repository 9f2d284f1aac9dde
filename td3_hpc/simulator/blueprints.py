"""The blueprint library: what can be spawned, by CARLA's names, with true dimensions."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from td3_hpc.simulator.labels import CityObjectLabel


class AttributeType(IntEnum):
    """Types of a blueprint's attributes on the wire."""

    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    COLOUR = 5


class Attribute(NamedTuple):
    """One attribute of a blueprint, in the order of the wire."""

    id: str
    type: AttributeType
    value: str
    recommended: tuple[str, ...] = ()
    modifiable: bool = True
    restricted: bool = False


class VehicleModel(NamedTuple):
    """A vehicle as it stands on the road."""

    length: float
    """Metres; width and height too."""
    width: float
    height: float
    mass: float
    """Kilograms."""
    power_kw: float
    base_type: str = "car"
    wheels: int = 4
    special: str = ""
    generation: int = 1
    doors: bool = False


#: Dimensions in metres, mass in kg, power in kW.
VEHICLES: dict[str, VehicleModel] = {
    "audi.a2": VehicleModel(3.71, 1.79, 1.55, 1030, 66),
    "audi.etron": VehicleModel(4.86, 2.03, 1.65, 2490, 265),
    "audi.tt": VehicleModel(4.18, 1.99, 1.39, 1335, 169),
    "bh.crossbike": VehicleModel(1.49, 0.86, 1.08, 85, 0.4, "bicycle", 2),
    "bmw.grandtourer": VehicleModel(4.61, 2.24, 1.67, 1540, 140),
    "carlamotors.carlacola": VehicleModel(5.20, 2.61, 2.47, 5500, 120, "truck"),
    "carlamotors.european_hgv": VehicleModel(7.94, 2.89, 3.46, 8500, 330, "truck", 6, "", 2),
    "carlamotors.firetruck": VehicleModel(8.47, 2.89, 3.83, 11000, 280, "truck", 4, "emergency", 2),
    "chevrolet.impala": VehicleModel(5.36, 2.03, 1.41, 1700, 146),
    "citroen.c3": VehicleModel(3.99, 1.85, 1.62, 1050, 81),
    "diamondback.century": VehicleModel(1.66, 0.58, 1.10, 85, 0.4, "bicycle", 2),
    "dodge.charger_2020": VehicleModel(5.01, 1.88, 1.54, 1820, 272, "car", 4, "", 2, True),
    "dodge.charger_police": VehicleModel(4.97, 2.04, 1.55, 1920, 272, "car", 4, "emergency"),
    "dodge.charger_police_2020": VehicleModel(5.24, 1.93, 1.64, 1920, 272, "car", 4, "emergency", 2, True),
    "ford.ambulance": VehicleModel(6.37, 2.35, 2.43, 4500, 224, "van", 4, "emergency", 2, True),
    "ford.crown": VehicleModel(5.37, 1.80, 1.58, 1860, 186, "car", 4, "taxi", 2, True),
    "ford.mustang": VehicleModel(4.72, 1.89, 1.30, 1650, 324),
    "gazelle.omafiets": VehicleModel(1.84, 0.66, 1.18, 90, 0.4, "bicycle", 2),
    "harley-davidson.low_rider": VehicleModel(2.35, 0.77, 1.28, 380, 64, "motorcycle", 2),
    "jeep.wrangler_rubicon": VehicleModel(3.87, 1.91, 1.88, 1990, 212),
    "kawasaki.ninja": VehicleModel(2.03, 0.80, 1.15, 270, 33, "motorcycle", 2),
    "lincoln.mkz_2017": VehicleModel(4.90, 2.13, 1.51, 1700, 183),
    "lincoln.mkz_2020": VehicleModel(4.89, 1.84, 1.49, 1700, 183, "car", 4, "", 2, True),
    "mercedes.coupe": VehicleModel(5.03, 2.15, 1.64, 1990, 270),
    "mercedes.coupe_2020": VehicleModel(4.67, 1.82, 1.44, 1670, 180, "car", 4, "", 2, True),
    "mercedes.sprinter": VehicleModel(5.92, 1.99, 2.56, 2500, 120, "van", 4, "", 2, True),
    "micro.microlino": VehicleModel(2.21, 1.48, 1.38, 513, 12.5, "car", 4, "electric"),
    "mini.cooper_s": VehicleModel(3.81, 1.97, 1.48, 1250, 141),
    "mini.cooper_s_2021": VehicleModel(4.55, 2.10, 1.77, 1300, 141, "car", 4, "", 2, True),
    "mitsubishi.fusorosa": VehicleModel(10.27, 3.94, 4.25, 6500, 129, "bus", 4, "", 2),
    "nissan.micra": VehicleModel(3.63, 1.85, 1.50, 980, 59),
    "nissan.patrol": VehicleModel(4.60, 1.93, 1.86, 2700, 298),
    "nissan.patrol_2021": VehicleModel(5.57, 2.15, 2.05, 2750, 298, "car", 4, "", 2, True),
    "seat.leon": VehicleModel(4.19, 1.82, 1.47, 1290, 110),
    "tesla.cybertruck": VehicleModel(6.27, 2.39, 2.10, 3000, 447, "car", 4, "electric", 2),
    "tesla.model3": VehicleModel(4.79, 2.16, 1.49, 1840, 239, "car", 4, "electric"),
    "toyota.prius": VehicleModel(4.51, 2.01, 1.52, 1380, 90, "car", 4, "electric"),
    "vespa.zx125": VehicleModel(1.79, 0.87, 1.23, 180, 7, "motorcycle", 2),
    "volkswagen.t2": VehicleModel(4.48, 2.07, 2.04, 1300, 51, "van"),
    "volkswagen.t2_2021": VehicleModel(4.44, 1.76, 1.98, 1300, 51, "van", 4, "", 2, True),
    "yamaha.yzf": VehicleModel(2.19, 0.86, 1.53, 270, 54, "motorcycle", 2),
}

_LABELS = {
    "truck": CityObjectLabel.TRUCK,
    "bus": CityObjectLabel.BUS,
    "motorcycle": CityObjectLabel.MOTORCYCLE,
    "bicycle": CityObjectLabel.BICYCLE,
}
_COLOURS = ("180,44,44", "17,37,103", "0,0,0", "255,255,255", "110,110,110", "66,94,58", "201,155,62")


@dataclass(frozen=True)
class Blueprint:
    """One entry of the library."""

    uid: int
    id: str
    attributes: tuple[Attribute, ...]
    spawnable: bool = True

    def definition(self) -> list[Any]:
        """`ActorDefinition` on the wire."""
        tags = ",".join(part for part in self.id.split("."))
        return [self.uid, self.id, tags, [list(attribute) for attribute in self.attributes]]


def label_of(model: VehicleModel) -> CityObjectLabel:
    """The semantic tag of a vehicle."""
    return _LABELS.get(model.base_type, CityObjectLabel.CAR)


@cache
def library() -> dict[str, Blueprint]:
    """Every blueprint by its id; numbered from 1, vehicles first."""
    entries: list[tuple[str, tuple[Attribute, ...]]] = []
    entries += [(f"vehicle.{name}", _vehicle_attributes(name, model)) for name, model in VEHICLES.items()]
    entries += [(f"walker.pedestrian.{number:04}", _walker_attributes()) for number in range(1, 52)]
    cameras = ("rgb", "depth", "semantic_segmentation", "instance_segmentation")
    entries += [(f"sensor.camera.{name}", _camera_attributes()) for name in cameras]
    role, tick = _text("role_name", "sensor"), _number("sensor_tick", "0.0")
    entries += [("sensor.other.collision", (role,)), ("sensor.other.lane_invasion", (role,))]
    entries += [
        (
            "sensor.other.gnss",
            (
                role,
                tick,
                *(_number(f"noise_{a}_{b}", "0.0") for a in ("alt", "lat", "lon") for b in ("bias", "stddev")),
            ),
        )
    ]
    noises = [f"noise_accel_stddev_{axis}" for axis in "xyz"]
    noises += [f"noise_gyro_{kind}_{axis}" for kind in ("bias", "stddev") for axis in "xyz"]
    entries += [("sensor.other.imu", (role, tick, *(_number(name, "0.0") for name in noises)))]
    entries += [
        (
            "sensor.other.obstacle",
            (
                role,
                tick,
                _number("distance", "5"),
                _number("hit_radius", "0.5"),
                _flag("only_dynamics", "false"),
                _flag("debug_linetrace", "false"),
            ),
        )
    ]
    entries += [(f"static.prop.{name}", (_text("role_name", "prop"), _text("size", "small"))) for name in PROPS]
    return {name: Blueprint(uid, name, attributes) for uid, (name, attributes) in enumerate(entries, 1)}


#: Static props: length, width, height in metres.
PROPS: dict[str, tuple[float, float, float]] = {
    "trafficcone01": (0.4, 0.4, 0.7),
    "streetbarrier": (1.2, 0.4, 1.1),
    "constructioncone": (0.35, 0.35, 0.6),
    "box01": (0.6, 0.6, 0.6),
}


def _text(name: str, value: str, recommended: tuple[str, ...] = (), modifiable: bool = True) -> Attribute:
    return Attribute(name, AttributeType.STRING, value, recommended, modifiable)


def _number(name: str, value: str) -> Attribute:
    return Attribute(name, AttributeType.FLOAT, value)


def _flag(name: str, value: str, modifiable: bool = True) -> Attribute:
    return Attribute(name, AttributeType.BOOL, value, (), modifiable)


def _vehicle_attributes(name: str, model: VehicleModel) -> tuple[Attribute, ...]:
    colour = () if name == "tesla.cybertruck" else (Attribute("color", AttributeType.COLOUR, _COLOURS[0], _COLOURS),)
    return (
        _text("role_name", "autopilot", ("autopilot", "scenario", "ego_vehicle")),
        *colour,
        _flag("sticky_control", "true"),
        _flag("terramechanics", "false"),
        _text("object_type", "", (), False),
        _text("base_type", model.base_type, (), False),
        _text("special_type", model.special, (), False),
        Attribute("generation", AttributeType.INT, str(model.generation), (), False),
        Attribute("number_of_wheels", AttributeType.INT, str(model.wheels), (), False),
        _flag("has_lights", "true" if model.base_type != "bicycle" else "false", False),
        _flag("has_dynamic_doors", "true" if model.doors else "false", False),
    )


def _walker_attributes() -> tuple[Attribute, ...]:
    return (
        _text("role_name", "pedestrian"),
        _flag("is_invincible", "true"),
        Attribute("speed", AttributeType.FLOAT, "1.4", ("0.0", "1.4", "2.8")),
        _text("age", "adult", (), False),
        _text("gender", "female", (), False),
        Attribute("generation", AttributeType.INT, "2", (), False),
    )


def _camera_attributes() -> tuple[Attribute, ...]:
    return (
        _text("role_name", "sensor"),
        _number("sensor_tick", "0.0"),
        Attribute("image_size_x", AttributeType.INT, "800"),
        Attribute("image_size_y", AttributeType.INT, "600"),
        _number("fov", "90.0"),
        *(_number(name, value) for name, value in _LENS),
        _flag("enable_postprocess_effects", "true"),
        _number("gamma", "2.2"),
    )


_LENS = (
    ("lens_circle_falloff", "5.0"),
    ("lens_circle_multiplier", "0.0"),
    ("lens_k", "-1.0"),
    ("lens_kcube", "0.0"),
    ("lens_x_size", "0.08"),
    ("lens_y_size", "0.08"),
)
