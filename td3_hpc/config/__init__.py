"""Typed, validated configuration: one schema, read from YAML, frozen, passed down whole.

loading.py      from a YAML file and overrides to a configuration, and back
base.py         the base class of every section
stage.py        a stage, with all the sections below
agent.py        networks, learning rates, the replay buffer
environment.py  camera, route, traffic, reward, weather
simulator.py    which simulator, and how long it is waited for
training.py     steps, evaluation, checkpoints, logging
monitors.py     limits whose crossing is an alert, and who is told
gates.py        what a stage has to earn
campaign.py     a campaign's file;  suite.py  a suite's
cluster.py      a cluster's profile;  sbatch.py  what it may say to sbatch
secret.py       what is named by a variable or a file, and redacted in copies
formats.py      what a resolved configuration of an earlier format means
changes.py      what differs between two stages, and what may differ while a run goes on
editing.py      setting keys in a YAML text that keeps its comments and layout
reference.py    the page of every key, from the schema
"""

from td3_hpc.config.agent import AgentConfig, ClipNorms, LearningRates, ReplayConfig
from td3_hpc.config.environment import (
    CameraConfig,
    EnvironmentConfig,
    RewardConfig,
    RouteConfig,
    TrafficConfig,
)
from td3_hpc.config.loading import (
    CONFIG_FILE,
    apply_overrides,
    dump_yaml,
    load_resolved,
    load_stage,
    parse_resolved,
    parse_yaml,
    read_yaml,
    validate,
)
from td3_hpc.config.monitors import AlertConfig, GradientLimits, GrowthConfig, MonitorsConfig
from td3_hpc.config.simulator import SimulatorConfig
from td3_hpc.config.stage import StageConfig
from td3_hpc.config.training import CheckpointConfig, EvaluationConfig, LoggingConfig, TrainingConfig

__all__ = [
    "CONFIG_FILE",
    "AgentConfig",
    "AlertConfig",
    "CameraConfig",
    "CheckpointConfig",
    "ClipNorms",
    "EnvironmentConfig",
    "EvaluationConfig",
    "GradientLimits",
    "GrowthConfig",
    "LearningRates",
    "LoggingConfig",
    "MonitorsConfig",
    "ReplayConfig",
    "RewardConfig",
    "RouteConfig",
    "SimulatorConfig",
    "StageConfig",
    "TrafficConfig",
    "TrainingConfig",
    "apply_overrides",
    "dump_yaml",
    "load_resolved",
    "load_stage",
    "parse_resolved",
    "parse_yaml",
    "read_yaml",
    "validate",
]
