"""Blueprints of CARLA 0.9.16 that the library lists, so that scripts find them, and that are refused when spawned.

Attributes and defaults are those of CARLA's blueprint library (https://carla.readthedocs.io/en/0.9.16/bp_library/,
https://carla.readthedocs.io/en/0.9.16/ref_sensors/), but for `sensor_tick`, which only cameras keep: a script that
spawns every other sensor that has one, as CARLA's own smoke test does, is to spawn those that there are.
"""

from typing import NamedTuple

Values = tuple[tuple[str, str], ...]


class Found(NamedTuple):
    """A blueprint that is not more than found."""

    missing: str
    """What the simulator does not have."""
    is_camera: bool = False
    """Whether it has a camera's attributes besides."""
    whole: Values = ()
    """Integer attributes and their defaults."""
    real: Values = ()
    """The same for floats."""
    texts: Values = ()
    flags: Values = ()


_FALL_OFF = (
    ("atmosphere_attenuation_rate", "0.004"),
    ("dropoff_general_rate", "0.45"),
    ("dropoff_intensity_limit", "0.8"),
    ("dropoff_zero_intensity", "0.4"),
    ("noise_stddev", "0.0"),
)
_SWEEP = (
    ("range", "10.0"),
    ("rotation_frequency", "10.0"),
    ("upper_fov", "10.0"),
    ("lower_fov", "-30.0"),
    ("horizontal_fov", "360.0"),
)
_LIDAR: Values = (("channels", "32"), ("points_per_second", "56000"))
_DVS = (
    ("positive_threshold", "0.3"),
    ("negative_threshold", "0.3"),
    ("sigma_positive_threshold", "0.0"),
    ("sigma_negative_threshold", "0.0"),
    ("log_eps", "0.001"),
)
_RADAR = (("horizontal_fov", "30.0"), ("vertical_fov", "30.0"), ("range", "100.0"))
_V2X = (
    ("transmit_power", "21.5"),
    ("receiver_sensitivity", "-99.0"),
    ("frequency_ghz", "5.9"),
    ("noise_stddev", "0.0"),
    ("path_loss_exponent", "2.7"),
    ("filter_distance", "500.0"),
    ("combined_antenna_gain", "10.0"),
    ("d_ref", "1.0"),
)
_V2X_TEXTS = (("scenario", "highway"), ("path_loss_model", "geometric"))

FOUND: dict[str, Found] = {
    "sensor.camera.normals": Found("camera of normals", True),
    "sensor.camera.cosmos_visualization": Found("Cosmos visualisation", True),
    "sensor.camera.dvs": Found("dynamic vision sensor", True, real=_DVS, flags=(("use_log", "true"),)),
    "sensor.camera.optical_flow": Found("optical flow", True),
    "sensor.lidar.ray_cast": Found("lidar", whole=(*_LIDAR, ("noise_seed", "0")), real=(*_SWEEP, *_FALL_OFF)),
    "sensor.lidar.ray_cast_semantic": Found("lidar", whole=_LIDAR, real=_SWEEP),
    "sensor.other.radar": Found("radar", whole=(("points_per_second", "1500"), ("noise_seed", "0")), real=_RADAR),
    "sensor.other.v2x": Found("V2X sensors", whole=(("noise_seed", "0"),), real=_V2X, texts=_V2X_TEXTS),
    "sensor.other.v2x_custom": Found("V2X sensors", whole=(("noise_seed", "0"),), real=_V2X, texts=_V2X_TEXTS),
    "controller.ai.walker": Found("walker navigation"),
}
"""By id."""
