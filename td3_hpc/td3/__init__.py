"""The TD3 agent: networks, update, exploration, and a state that resumes exactly.

agent.py            TD3: acting, the update of critics and actor, the targets
adam.py             the optimizer
encoders.py         networks that make features of the frames, by name
networks.py         actor and critics on an encoder
inputs.py           observations as the tensors that networks read
kernels.py          how the CNN is computed: a choice by the processor
state.py            the agent as a checkpoint's tree, and back
stats.py            what an update is told by: losses, values, gradient norms
mechanism_check.py  an update recomputed independently: is it what TD3 prescribes?
feature_check.py    do the CNNs' features vary with the picture, and stay?
"""

from td3_hpc.td3.agent import TD3Agent
from td3_hpc.td3.feature_check import FeatureCheck, FeatureProbe
from td3_hpc.td3.mechanism_check import MechanismCheck, MechanismProbe
from td3_hpc.td3.stats import UpdateStats

__all__ = ["FeatureCheck", "FeatureProbe", "MechanismCheck", "MechanismProbe", "TD3Agent", "UpdateStats"]
