"""What CARLA's library says of its pedestrians."""

from collections import Counter

from tests.conftest import SimulatorServer
from tests.simulator.protocol import run_client


def test_pedestrians_are_told_apart_as_in_carla(hamlet_server: SimulatorServer):
    told = run_client(
        """
world = client.reload_world(False)
found = {}
for blueprint in world.get_blueprint_library().filter("walker.pedestrian.*"):
    values = [blueprint.get_attribute(name) for name in ("age", "gender", "generation")]
    assert not any(value.is_modifiable for value in values)
    speeds = [float(speed) for speed in blueprint.get_attribute("speed").recommended_values]
    found[blueprint.id[-4:]] = [values[0].as_str(), values[1].as_str(), values[2].as_int(), speeds]
place = world.get_map().get_spawn_points()[0]
place.location.z += 1.0
worker = world.spawn_actor(world.get_blueprint_library().find("walker.pedestrian.0052"), place)
tell([found, worker.attributes["generation"]])
""",
        hamlet_server.port,
    )
    found, generation = told
    assert sorted(found) == [f"{number:04}" for number in range(1, 53)]
    assert Counter(age for age, *_ in found.values()) == {"adult": 42, "child": 8, "teenager": 2}
    assert Counter(generation for _, _, generation, _ in found.values()) == {1: 14, 2: 35, 3: 3}
    assert found["0001"] == ["adult", "female", 1, [0.0, 1.7, 4.0]]
    assert found["0012"] == ["child", "male", 1, [0.0, 1.1, 2.0]]
    assert found["0030"][:3] == ["adult", "male", 2]
    assert found["0050"][:3] == ["teenager", "female", 3]
    assert generation == "3"
