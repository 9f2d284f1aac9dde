"""The TD3 agent: networks, update, exploration, and a state that resumes exactly."""

from td3_hpc.td3.agent import TD3Agent
from td3_hpc.td3.mechanism_check import MechanismCheck, MechanismProbe
from td3_hpc.td3.stats import UpdateStats

__all__ = ["MechanismCheck", "MechanismProbe", "TD3Agent", "UpdateStats"]
