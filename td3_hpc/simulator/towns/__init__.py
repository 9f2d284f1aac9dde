"""Towns: what the simulator knows of an OpenDRIVE file, and which files there are.

loading.py         which towns there are, and loading one
trial.py           trying a town where a crash harms nobody;  __main__.py  the process that does
town.py            what the rest of the simulator asks about the roads;  lane_search.py  the lanes under many places
signals.py         traffic lights, signs and the junctions' cycles
speed_limits.py    the limit on every lane
curves.py          how fast curves can be driven
spawn_points.py    where vehicles may appear
edges.py           what stands beside the roads
make_towns.py      our own towns, and one for every seed
"""

from td3_hpc.simulator.towns.loading import available_towns, load_town, parse_foreign_town, parse_town

__all__ = ["available_towns", "load_town", "parse_foreign_town", "parse_town"]
