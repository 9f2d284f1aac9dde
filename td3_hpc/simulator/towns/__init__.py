"""Towns: what the simulator knows of an OpenDRIVE file, and which files there are."""

from td3_hpc.simulator.towns.loading import available_towns, load_town, parse_foreign_town, parse_town

__all__ = ["available_towns", "load_town", "parse_foreign_town", "parse_town"]
