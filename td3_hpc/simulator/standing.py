"""The boxes in the world of what can be seen of an actor: not where a light or sign works, but where it hangs."""

from td3_hpc.simulator.actors import Actor, TrafficLight, TrafficSign
from td3_hpc.simulator.drawing.furniture import BOARD_HALF, HEAD_HALF, board, heads
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.mounting import mounted
from td3_hpc.simulator.towns.town import Town


def boxes_of(actor: Actor, town: Town) -> list[OrientedBox]:
    """Every head of a traffic light, the board of a sign, the one box of anything else; nothing of a sensor."""
    if isinstance(actor, TrafficLight):
        site = next(site for site in town.traffic_lights if site.signal_id == actor.signal_id)
        return [OrientedBox(pose, HEAD_HALF) for pose in heads(town.map, site)]
    if isinstance(actor, TrafficSign):
        return [OrientedBox(board(town.map, actor.pose), BOARD_HALF)]
    if actor.extent == (0.0, 0.0, 0.0):
        return []
    return [OrientedBox(mounted(actor.pose, Pose(*actor.centre)), actor.extent)]
