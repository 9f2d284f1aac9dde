"""What one TD3 update tells about itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from td3_hpc.spaces import ACTION_COMPONENTS

SATURATED = 0.95
"""An action component beyond this, of 1, counts as saturated: tanh leaves less than a tenth of its gradient there."""
OF_THE_ACTOR = ("actor_loss", *(f"saturation_{name}" for name in ACTION_COMPONENTS))
"""Fields of UpdateStats that are None where an update left the policy alone."""


@dataclass(frozen=True)
class UpdateStats:
    """One update's numbers; NaN and Inf are passed on as they are. Means are over the batch."""

    update: int
    """Number of this update, from 1."""
    critic_loss: float
    """MSE of Q1 plus MSE of Q2 against the target."""
    q_mean: float
    q_min: float
    q_max: float
    q_abs_max: float
    """Of Q1 and Q2 on the batch, before this update's step."""
    twin_disagreement: float
    """Mean of |Q1 - Q2|."""
    td_error: float
    """Mean of |Q1 - target|."""
    target_mean: float
    target_min: float
    target_max: float
    """Of the target y = r + discount * (1 - terminated) * min(Q1', Q2')."""
    next_q1_mean: float
    next_q2_mean: float
    next_q_mean: float
    """Of the target critics' Q1', Q2' and of their minimum, which the target uses: at most the smaller of the two."""
    smoothing_std: float
    smoothing_abs_max: float
    """Of the noise on the target policy's actions: at most `noise_clip`."""
    actor_loss: float | None
    """-mean of Q1(s, pi(s)), and the saturation penalty; None where this update left the policy alone."""
    saturation_steering: float | None
    saturation_pedal: float | None
    """Share of the batch for which the policy's action has this component beyond 0.95; None like `actor_loss`."""
    grad_norms_before: dict[str, float]
    """L2 norm of each parameter group's gradient: `critic_cnn`, `critic` and, with the policy, `actor_cnn`, `actor`."""
    grad_norms_after: dict[str, float]
    """The same after clipping, measured."""


def critic_statistics(q: Tensor, target: Tensor, next_q: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """The critic's share of UpdateStats; `q` and `next_q` (2, B, 1), `target` (B, 1), `noise` (B, 2)."""
    return {
        "q_mean": q.mean(),
        "q_min": q.amin(),
        "q_max": q.amax(),
        "q_abs_max": q.abs().amax(),
        "twin_disagreement": (q[0] - q[1]).abs().mean(),
        "td_error": (q[0] - target).abs().mean(),
        "target_mean": target.mean(),
        "target_min": target.amin(),
        "target_max": target.amax(),
        "next_q1_mean": next_q[0].mean(),
        "next_q2_mean": next_q[1].mean(),
        "next_q_mean": next_q.amin(0).mean(),
        "smoothing_std": noise.square().mean().sqrt(),
        "smoothing_abs_max": noise.abs().amax(),
    }


def action_saturation(action: Tensor) -> dict[str, Tensor]:
    """The actor's share of UpdateStats: how many of the actions (B, 2) have each component saturated."""
    shares = (action.abs() > SATURATED).to(action.dtype).mean(0)
    return {f"saturation_{name}": share for name, share in zip(ACTION_COMPONENTS, shares, strict=True)}


def read_back(
    update: int, scalars: Mapping[str, Tensor], before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> UpdateStats:
    """The numbers of one update, fetched from the device all at once: one synchronisation."""
    tensors = [*scalars.values(), *before.values(), *after.values()]
    numbers = iter(torch.stack([tensor.detach() for tensor in tensors]).tolist())
    values = {name: next(numbers) for name in scalars}
    return UpdateStats(
        update=update,
        grad_norms_before={name: next(numbers) for name in before},
        grad_norms_after={name: next(numbers) for name in after},
        **{**dict.fromkeys(OF_THE_ACTOR), **values},
    )
