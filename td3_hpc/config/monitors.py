"""What is watched while a run goes on, the limits whose crossing is an alert, and who is told."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_serializer, field_validator

from td3_hpc.config.base import ConfigSection
from td3_hpc.config.secret import REDACTED, is_reference, redacted

Positive = Annotated[float, Field(gt=0)]
AlertLevel = Literal["info", "warning", "critical"]
ACTOR_CNN_GRADIENT_LIMIT = 10_000.0
"""The largest actor-CNN gradient norm, before clipping, of a healthy run (the validation run's limit)."""


class GradientLimits(ConfigSection):
    """Largest L2 norm of each parameter group's gradient, before clipping. `null`: no limit, and growth is no alert."""

    actor: Positive | None = None
    """The actor's head."""
    critic: Positive | None = None
    """Both critics' heads, together."""
    actor_cnn: Positive | None = ACTOR_CNN_GRADIENT_LIMIT
    """The actor's CNN: what a stable run stays well below."""
    critic_cnn: Positive | None = None
    """The critics' CNN."""


class GrowthConfig(ConfigSection):
    """Exponential growth of a gradient norm is called before the norm reaches its limit."""

    window_updates: int = Field(100, ge=20, le=10_000)
    """Updates over which the growth is fitted; half as many suffice for the first fit."""
    factor: float = Field(2.0, gt=1)
    """Least growth that is called, as a factor per 100 updates."""
    horizon_updates: int = Field(200, ge=1)
    """Growth is called when it would carry the norm over its limit within so many updates."""


class AlertConfig(ConfigSection):
    """Who is told of an alert besides the record, TensorBoard, the log and `td3-hpc status`. Both `command` and
    `webhook` may be secrets: name them by `env:NAME` (a variable) or `file:PATH` (a file of mode 0600), which are read
    where the run is. What is written out is redacted in every copy of the configuration, so a cluster's job lacks it.
    """

    command: str | None = Field(None, repr=False)
    """Run by `sh -c` with the alert as JSON on its standard input; its failure or delay does not touch the run."""
    webhook: str | None = Field(None, repr=False)
    """An https URL, to which the alert is sent as JSON, by POST; `text` says it in words, as chat services want it.
    Redirects are not followed."""
    from_level: AlertLevel = "warning"
    """Lowest level that the command and the webhook are told of."""
    timeout_s: float = Field(10.0, gt=0, le=60)
    """A command that takes longer is ended, a webhook given up."""

    @field_validator("command", "webhook")
    @classmethod
    def _reference_is_whole(cls, value: str | None) -> str | None:
        if value is not None and value.startswith(("env:", "file:")) and not is_reference(value):
            raise ValueError("write it as env:NAME, file:/PATH or file:~/PATH")
        return value

    @field_validator("webhook")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is None or url == REDACTED or is_reference(url):
            return url
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:  # http: in copies of old runs
            raise ValueError("is no https URL, env:NAME or file:PATH")
        return url

    @field_serializer("command", "webhook")
    def _redacted(self, value: str | None) -> str | None:
        return redacted(value)


class MonitorsConfig(ConfigSection):
    """Monitors and alerts; see docs/operate.md."""

    gradient_limits: GradientLimits = GradientLimits()
    growth: GrowthConfig = GrowthConfig()
    q_factor: Positive = 2.0
    """Q is too large above this many times r_max / (1 - discount), the most that the reward allows, and too small below
    as many times r_min / (1 - discount), the least."""
    twin_disagreement: Positive = 0.25
    """Mean distance of Q1 and Q2 that is too large, as a share of the larger of these two bounds, without its sign."""
    td_error: Positive = 0.25
    """Mean distance of Q1 and its target that is too large, as a share of the same."""
    action_saturation: float = Field(0.9, gt=0, le=1)
    """Share of the policy's actions with a component, steering or pedal, beyond 0.95 of its range that is too large for
    either: the policy's gradient vanishes there."""
    reward_share: float = Field(0.9, gt=0, le=1)
    """Share of one reward component in the magnitude of all that is worth a note."""
    mechanisms_every_updates: int = Field(100, ge=1)
    """TD3's mechanisms are recomputed independently at every multiple of this, and at the update after it."""
    alerts: AlertConfig = AlertConfig()
