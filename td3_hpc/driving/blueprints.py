"""What the simulator offers by name: weather, the ego's blueprint; colours and sizes of vehicles."""

from typing import Any

import carla
import numpy as np

from td3_hpc.errors import BadInput


def weather_preset(name: str) -> Any:
    """CARLA's weather of that name; raises BadInput where it has none."""
    presets = sorted(
        key for key, value in vars(carla.WeatherParameters).items() if isinstance(value, carla.WeatherParameters)
    )
    if name not in presets:
        raise BadInput(f"environment.weather {name}: CARLA knows {', '.join(presets)}")
    return getattr(carla.WeatherParameters, name)


def ego_blueprint(world: Any, vehicle: str) -> Any:
    """The ego's blueprint; raises BadInput where the simulator has none of that name."""
    library = world.get_blueprint_library().filter("vehicle.*")
    matches = [item for item in library if item.id == vehicle]
    if not matches:
        raise BadInput(
            f"environment.vehicle {vehicle}: the simulator offers {', '.join(sorted(item.id for item in library))}"
        )
    matches[0].set_attribute("role_name", "hero")
    return matches[0]


def paint(blueprint: Any, generator: np.random.Generator) -> None:
    """Give a vehicle one of its colours; nothing is drawn where it has none."""
    colours = blueprint.get_attribute("color").recommended_values if blueprint.has_attribute("color") else []
    if colours:
        blueprint.set_attribute("color", colours[int(generator.integers(len(colours)))])


def half_sizes(vehicle: Any) -> tuple[float, float]:
    """Half length and half width in metres; asks the simulator each time."""
    extent = vehicle.bounding_box.extent
    return extent.x, extent.y
