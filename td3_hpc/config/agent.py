"""TD3's hyperparameters (Fujimoto et al. 2018) and the replay buffer's size."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from td3_hpc.config.base import ConfigSection

Positive = Annotated[float, Field(gt=0)]


class LearningRates(ConfigSection):
    """Adam learning rate of each parameter group."""

    actor: Positive = 3e-4
    """The actor's head (MLP)."""
    critic: Positive = 3e-4
    """Both critics' heads."""
    actor_cnn: Positive = 1e-5
    """The actor's CNN. At 1e-4 its gradients have been seen to explode."""
    critic_cnn: Positive = 1e-4
    """The critics' CNN."""


class ClipNorms(ConfigSection):
    """Largest L2 norm of each parameter group's gradient; larger ones are scaled down to it. `null`: no clipping."""

    actor: Positive | None = 1.0
    """The actor's head."""
    critic: Positive | None = 10.0
    """Both critics' heads, together."""
    actor_cnn: Positive | None = 1.0
    """The actor's CNN."""
    critic_cnn: Positive | None = 10.0
    """The critics' CNN."""


class AgentConfig(ConfigSection):
    """The TD3 agent."""

    hidden: list[Annotated[int, Field(ge=1)]] = Field([256, 256], min_length=1)
    """Widths of the hidden layers of each head."""
    encoder: str = "steady"
    """Network that makes features of the camera's frames, by its name in `td3_hpc/td3/encoders.py`: `nature`, the CNN
    of Mnih et al. 2015, `steady`, the same layers with features that vary with the picture and do not drift, or
    `distances`, which says how near obstacle and red light ahead are once it is trained for it (`pretrained`)."""
    pretrained: Path | None = Field(None, strict=False)
    """A file of `td3-hpc pretrain` with whose weights every CNN begins; needed once, when the run begins."""
    discount: float = Field(0.95, ge=0, lt=1)
    """γ, per decision. Values settle within policy_freq / (tau (1 - γ)) updates: 8,000 by default."""
    tau: float = Field(0.005, gt=0, le=1)
    """Share of the online network that moves into its target at each policy update."""
    batch_size: int = Field(256, ge=1)
    """Transitions per update."""
    policy_freq: int = Field(2, ge=1)
    """Critic updates per actor update (the delay)."""
    policy_noise: float = Field(0.2, ge=0)
    """Standard deviation of the target policy's smoothing noise, in action units."""
    noise_clip: float = Field(0.5, ge=0)
    """Bound of the target policy's smoothing noise."""
    exploration_noise: float = Field(0.2, ge=0)
    """Standard deviation of the Gaussian noise added to actions after `learning_starts`."""
    saturation_penalty: float = Field(0.3, ge=0)
    """Weight of a penalty in the policy's loss, for each action component: half the mean square of its values before
    their tanh (of the pedal's, their distance from 0.15), times the mean absolute slope of Q along it. Keeps actions
    off the ends of their range, where the gradient vanishes and a policy stays what it is, whatever the size of Q, and
    lets a car roll where no pedal is better than another. 0: the paper's TD3."""
    learning_rates: LearningRates = LearningRates()
    clip_norms: ClipNorms = ClipNorms()
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the CNNs; the heads are always computed in float32. `bfloat16` uses autocast and is faster where
    the hardware computes it (avx512_bf16, amx_bf16, a GPU of 2020 or later); elsewhere `train` refuses it."""


class ReplayConfig(ConfigSection):
    """The replay buffer."""

    capacity: int = Field(100_000, ge=1)
    """Rows kept; one row is a transition or an episode's last observation, 7.3 KB each."""
