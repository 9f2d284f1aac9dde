import math
from pathlib import Path

from td3_hpc.config import load_stage
from td3_hpc.training.monitors import ACTOR_CNN_GRADIENT_LIMIT, Alerts, limits

CONFIG = load_stage(Path(__file__).parents[2] / "configs" / "stages" / "1k.yaml")


def changes(alerts, **metrics):
    return [
        (limit.name, crossed)
        for limit, _, crossed in alerts.check({k.replace("__", "/"): v for k, v in metrics.items()})
    ]


def test_an_alert_is_called_once_when_crossed_and_once_when_over():
    alerts = Alerts(limits(CONFIG))
    assert changes(alerts, gradients__actor_cnn=ACTOR_CNN_GRADIENT_LIMIT) == []
    assert changes(alerts, gradients__actor_cnn=ACTOR_CNN_GRADIENT_LIMIT * 1.01) == [("actor_cnn_gradient", True)]
    assert changes(alerts, gradients__actor_cnn=1e9) == []
    assert changes(alerts, gradients__actor_cnn=5.0) == [("actor_cnn_gradient", False)]


def test_nan_counts_as_crossed():
    assert changes(Alerts(limits(CONFIG)), q_abs_max=math.nan) == [("q_magnitude", True)]


def test_the_bound_on_q_follows_from_reward_and_discount():
    bound = next(limit.highest for limit in limits(CONFIG) if limit.name == "q_magnitude")
    assert math.isclose(bound, 2 * CONFIG.environment.reward.bound / (1 - CONFIG.agent.discount))


def test_a_restored_one_does_not_repeat_an_alert():
    first, second = Alerts(limits(CONFIG)), Alerts(limits(CONFIG))
    changes(first, dimension_errors=1)
    second.load_state(first.state())
    assert changes(second, dimension_errors=2) == []
    assert changes(second, dimension_errors=0) == [("dimension_errors", False)]
