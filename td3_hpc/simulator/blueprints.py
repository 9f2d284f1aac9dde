"""The blueprint library: what can be spawned, by CARLA's names, with true dimensions."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from td3_hpc.simulator.found_blueprints import FOUND, Found
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.pedestrians import FEMALE, PEDESTRIANS, age_of, generation_of
from td3_hpc.simulator.props import PROPS, size_of


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
"""Every vehicle of CARLA 0.9.16. Dimensions in metres, mass in kg (riders included), power in kW."""

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

    def definition(self) -> list[Any]:
        """`ActorDefinition` on the wire. A number's default is recommended, as CARLA has it."""
        return [self.uid, self.id, self.id.replace(".", ","), [_definition(each) for each in self.attributes]]

    def values(self, given: Iterable[Any]) -> dict[str, str]:
        """Every attribute's value: the given ones ([id, type, value] each), else its default.

        Raises ValueError for one that the blueprint does not have, or of another type, or out of range.
        """
        values = {attribute.id: attribute.value for attribute in self.attributes}
        types = {attribute.id: attribute.type for attribute in self.attributes}
        for name, _, value in given:
            if not isinstance(value, str) or name not in values:
                raise ValueError(f"{self.id} has no attribute {name!r}")
            values[name] = _checked(name, types[name], value)
        if int(values.get("image_size_x", "1")) * int(values.get("image_size_y", "1")) > MAX_PIXELS:
            raise ValueError(f"a picture of more than {MAX_PIXELS} pixels")
        return values


def _definition(attribute: Attribute) -> list[Any]:
    if attribute.type in _NUMBERS and not attribute.recommended:
        attribute = attribute._replace(recommended=(attribute.value,))
    return list(attribute)


_NUMBERS = (AttributeType.INT, AttributeType.FLOAT)
FRICTION_TRIGGER = "static.trigger.friction"
MAX_PIXELS = 4096 * 4096
_RANGES = {"image_size_x": (1, 8192), "image_size_y": (1, 8192), "fov": (1.0, 179.0), "friction": (0.0, 1e3)}


def _checked(name: str, kind: AttributeType, value: str) -> str:
    """The value; a whole number without a decimal point, which scripts may send.

    Raises ValueError where it is not of its type, or out of its range.
    """
    if kind in _NUMBERS:
        number = float(value)
        low, high = _RANGES.get(name, (-1e6, 1e6))
        if not low <= number <= high:
            raise ValueError(f"{name}={value} is not between {low:g} and {high:g}")
        if kind is AttributeType.INT:
            if not number.is_integer():
                raise ValueError(f"invalid {name}={value}: no whole number")
            return str(int(number))
    elif kind is AttributeType.COLOUR:
        parts = [int(part) for part in value.split(",")]
        if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
            raise ValueError(f"{name}={value} is not a colour r,g,b")
    return value


def is_true(value: str) -> bool:
    """A flag's value: clients send 'true' and 'True'."""
    return value.lower() in ("true", "1")


def label_of(model: VehicleModel) -> CityObjectLabel:
    """The semantic tag of a vehicle."""
    return _LABELS.get(model.base_type, CityObjectLabel.CAR)


@cache
def library() -> dict[str, Blueprint]:
    """Every blueprint by its id; numbered from 1, vehicles first."""
    entries: list[tuple[str, tuple[Attribute, ...]]] = []
    entries += [(f"vehicle.{name}", _vehicle_attributes(name, model)) for name, model in VEHICLES.items()]
    entries += [(f"walker.pedestrian.{number:04}", _walker_attributes(number)) for number in PEDESTRIANS]
    entries += [("sensor.camera.rgb", (*_camera_attributes(), *_exposure_attributes()))]
    cameras = ("depth", "semantic_segmentation", "instance_segmentation")
    entries += [(f"sensor.camera.{name}", _camera_attributes()) for name in cameras]
    entries += _other_sensors()
    entries += [(f"static.prop.{name}", _prop_attributes(name)) for name in PROPS]
    entries += [(FRICTION_TRIGGER, _trigger_attributes())]
    entries += [(name, _found_attributes(found)) for name, found in FOUND.items()]
    return {name: Blueprint(uid, name, attributes) for uid, (name, attributes) in enumerate(entries, 1)}


def _other_sensors() -> list[tuple[str, tuple[Attribute, ...]]]:
    role, tick = _text("role_name", "sensor"), _number("sensor_tick", "0.0")
    seed = Attribute("noise_seed", AttributeType.INT, "0")
    places = [f"noise_{axis}_{kind}" for axis in ("alt", "lat", "lon") for kind in ("bias", "stddev")]
    motions = [f"noise_accel_stddev_{axis}" for axis in "xyz"]
    motions += [f"noise_gyro_{kind}_{axis}" for kind in ("bias", "stddev") for axis in "xyz"]
    beam = (_number("distance", "5"), _number("hit_radius", "0.5"))
    beam_flags = (_flag("only_dynamics", "false"), _flag("debug_linetrace", "false"))
    return [
        ("sensor.other.collision", (role,)),
        ("sensor.other.lane_invasion", (role,)),
        ("sensor.other.gnss", (role, tick, seed, *(_number(name, "0.0") for name in places))),
        ("sensor.other.imu", (role, tick, seed, *(_number(name, "0.0") for name in motions))),
        ("sensor.other.obstacle", (role, tick, *beam, *beam_flags)),
    ]


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
        _text("object_type", "", (), False),
        _text("base_type", model.base_type, (), False),
        _text("special_type", model.special, (), False),
        Attribute("generation", AttributeType.INT, str(model.generation), (), False),
        Attribute("number_of_wheels", AttributeType.INT, str(model.wheels), (), False),
        _flag("has_lights", "true" if model.base_type != "bicycle" else "false", False),
        _flag("has_dynamic_doors", "true" if model.doors else "false", False),
    )


def _prop_attributes(name: str) -> tuple[Attribute, ...]:
    return (_text("role_name", "prop"), _text("size", size_of(name), (), False))


def _trigger_attributes() -> tuple[Attribute, ...]:
    extents = (_number(f"extent_{axis}", "1.0") for axis in "xyz")
    return (_text("role_name", "friction"), _number("friction", "3.5"), *extents)


def _walker_attributes(number: int) -> tuple[Attribute, ...]:
    walks, runs = ("1.1", "2.0") if age_of(number) in ("child", "teenager") else ("1.7", "4.0")
    return (
        _text("role_name", "pedestrian"),
        _flag("is_invincible", "true"),
        Attribute("speed", AttributeType.FLOAT, "0.0", ("0.0", walks, runs)),
        _text("gender", "female" if number in FEMALE else "male", (), False),
        Attribute("generation", AttributeType.INT, str(generation_of(number)), (), False),
        _text("age", age_of(number), (), False),
    )


def _camera_attributes() -> tuple[Attribute, ...]:
    return (
        _text("role_name", "sensor"),
        _number("sensor_tick", "0.0"),
        Attribute("image_size_x", AttributeType.INT, "800"),
        Attribute("image_size_y", AttributeType.INT, "600"),
        _number("fov", "90.0"),
        *(_number(name, value) for name, value in _LENS),
    )


def _found_attributes(found: Found) -> tuple[Attribute, ...]:
    own = (
        *(Attribute(name, AttributeType.INT, value) for name, value in found.whole),
        *(_number(name, value) for name, value in found.real),
        *(_text(name, value) for name, value in found.texts),
        *(_flag(name, value) for name, value in found.flags),
    )
    return (*(_camera_attributes() if found.is_camera else (_text("role_name", "sensor"),)), *own)


def _exposure_attributes() -> tuple[Attribute, ...]:
    """What scripts set on a CARLA camera; this simulator's pictures do not depend on it."""
    mode = _text("exposure_mode", "histogram", ("manual", "histogram"))
    blades = Attribute("blade_count", AttributeType.INT, "5")
    numbers = (_number(name, value) for name, value in _EXPOSURE)
    return (_flag("enable_postprocess_effects", "true"), mode, *numbers, blades)


_EXPOSURE = (
    ("gamma", "2.2"),
    ("shutter_speed", "200.0"),
    ("iso", "100.0"),
    ("fstop", "1.4"),
    ("min_fstop", "1.2"),
    ("exposure_compensation", "0.0"),
    ("exposure_min_bright", "10.0"),
    ("exposure_max_bright", "12.0"),
    ("exposure_speed_up", "3.0"),
    ("exposure_speed_down", "1.0"),
    ("bloom_intensity", "0.675"),
    ("lens_flare_intensity", "0.1"),
    ("motion_blur_intensity", "0.45"),
    ("motion_blur_max_distortion", "0.35"),
    ("motion_blur_min_object_screen_size", "0.1"),
    ("chromatic_aberration_intensity", "0.0"),
    ("chromatic_aberration_offset", "0.0"),
    ("focal_distance", "1000.0"),
    ("temp", "6500.0"),
    ("tint", "0.0"),
    ("slope", "0.88"),
    ("toe", "0.55"),
    ("shoulder", "0.26"),
    ("black_clip", "0.0"),
    ("white_clip", "0.04"),
    ("blur_amount", "1.0"),
    ("blur_radius", "0.0"),
    ("calibration_constant", "16.0"),
)
_LENS = (
    ("lens_circle_falloff", "5.0"),
    ("lens_circle_multiplier", "0.0"),
    ("lens_k", "-1.0"),
    ("lens_kcube", "0.0"),
    ("lens_x_size", "0.08"),
    ("lens_y_size", "0.08"),
)
