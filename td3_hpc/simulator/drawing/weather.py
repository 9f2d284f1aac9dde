"""Weather: CARLA's fourteen parameters, and what they do to a picture."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Weather:
    """`carla.WeatherParameters`, in the order of the wire. The default is CARLA's ClearNoon.

    Percentages are 0-100, angles degrees, fog_distance metres. `wind_intensity`, `scattering_intensity`,
    `mie_scattering_scale` and `rayleigh_scattering_scale` are kept for the client and change no pixel.
    """

    cloudiness: float = 5.0
    precipitation: float = 0.0
    precipitation_deposits: float = 0.0
    wind_intensity: float = 10.0
    sun_azimuth_angle: float = -1.0
    sun_altitude_angle: float = 45.0
    fog_density: float = 2.0
    fog_distance: float = 0.75
    fog_falloff: float = 0.1
    wetness: float = 0.0
    scattering_intensity: float = 1.0
    mie_scattering_scale: float = 0.03
    rayleigh_scattering_scale: float = 0.0331
    dust_storm: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a weather means for drawing. Colours are BGR, 0-255; light is relative to a clear noon."""

    ambient: float
    """Light on every face, whatever its direction."""
    sun: float
    """Light on a face turned to the sun, added to the ambient light."""
    sun_direction: Colour
    """(3,) unit vector towards the sun."""
    zenith: Colour
    horizon: Colour
    extinction: float
    """Fog: share of light lost per metre, 1/m (Beer-Lambert)."""
    fog_start: float
    """Distance up to which there is no fog, m."""
    fog_colour: Colour
    wet_asphalt: float
    """Factor on the colour of asphalt."""
    puddles: float
    """Share of the sky's colour that wet ground reflects, 0-1."""


_NO_FOG_BELOW = 5.0  # CARLA's clear presets have a fog density of 2 and show none within a street's length.
_NIGHT = -8.0  # Sun altitude in degrees at which the last twilight is gone.


def _share(percent: float) -> float:
    return min(max(percent, 0.0), 100.0) / 100.0


@lru_cache(maxsize=64)
def look_of(weather: Weather) -> Look:
    """The look of a weather. Non-finite parameters count as zero."""
    w = Weather(*(v if math.isfinite(v) else 0.0 for v in (getattr(weather, n) for n in Weather.__slots__)))
    cloud, rain, dust = _share(w.cloudiness), _share(w.precipitation), _share(w.dust_storm)
    overcast = 1.0 - (1.0 - cloud) * (1.0 - 0.5 * rain)
    altitude, azimuth = math.radians(w.sun_altitude_angle), math.radians(w.sun_azimuth_angle)
    twilight = min(max((w.sun_altitude_angle - _NIGHT) / 38.0, 0.0), 1.0)
    day = twilight * twilight * (3.0 - 2.0 * twilight)

    ambient = 0.10 + day * (0.47 - 0.14 * overcast)
    sun = 0.62 * max(math.sin(altitude), 0.0) ** 0.5 * (1.0 - 0.9 * overcast)
    height = max(math.sin(altitude), 0.05)
    flat = math.sqrt(1.0 - height * height)
    direction = np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), height], np.float32)

    brightness = 0.06 + 0.94 * day
    grey = np.array([178, 172, 168], np.float32) * (1.0 - 0.15 * rain)
    zenith = _mix(np.array([214, 150, 96], np.float32), grey, overcast) * brightness
    horizon = _mix(np.array([232, 216, 200], np.float32), grey * 1.12, overcast) * brightness
    fog = max(w.fog_density - _NO_FOG_BELOW, 0.0) / (100.0 - _NO_FOG_BELOW)
    extinction = 0.15 * min(fog, 1.0) ** 1.5 + 0.010 * rain + 0.05 * dust
    white = np.array([226, 224, 222], np.float32)
    fog_colour = _mix(white, np.array([110, 160, 190], np.float32), dust) * brightness
    thick = min(fog * 3.0 + dust * 2.0, 1.0)
    wet = max(_share(w.wetness), _share(w.precipitation_deposits))
    return Look(
        ambient=ambient,
        sun=sun,
        sun_direction=direction,
        zenith=_mix(zenith, fog_colour, thick),
        horizon=_mix(horizon, fog_colour, thick),
        extinction=extinction,
        fog_start=min(max(w.fog_distance, 0.0), 1000.0) if fog > 0.0 else 0.0,
        fog_colour=_mix(horizon, fog_colour, thick),
        wet_asphalt=1.0 - 0.35 * wet,
        puddles=0.25 * _share(w.precipitation_deposits),
    )


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return (a + (b - a) * np.float32(share)).astype(np.float32)
