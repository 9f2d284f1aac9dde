"""Typed, validated configuration: one schema, read from YAML, frozen, passed down whole."""

from td3_hpc.config.agent import AgentConfig, ClipNorms, LearningRates, ReplayConfig
from td3_hpc.config.environment import (
    CameraConfig,
    EnvironmentConfig,
    RewardConfig,
    RouteConfig,
    TrafficConfig,
)
from td3_hpc.config.loading import CONFIG_FILE, apply_overrides, dump_yaml, load_stage, parse_stage, read_yaml, validate
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
    "load_stage",
    "parse_stage",
    "read_yaml",
    "validate",
]
