"""One agent: its update against independent ones, its exploration, its state."""

import dataclasses

import numpy as np
import pytest
import torch

from td3_hpc.config import AgentConfig, ClipNorms, LearningRates
from td3_hpc.replay import Batch
from td3_hpc.spaces import OBSERVATION
from td3_hpc.td3 import TD3Agent
from td3_hpc.td3.agent import saturation_penalty
from tests.td3 import reference
from tests.td3.batches import image_and_rest, leaves, random_batch, random_observation

NETWORKS = ("actor", "critic", "actor_target", "critic_target")
EQUAL_RATES = LearningRates(actor=3e-4, critic=3e-4, actor_cnn=3e-4, critic_cnn=3e-4)
NO_CLIPPING = ClipNorms(actor=None, critic=None, actor_cnn=None, critic_cnn=None)


def agent(seed: int = 1, dtype: torch.dtype = torch.float32, **config: object) -> TD3Agent:
    return TD3Agent(AgentConfig.model_validate(config), "cpu", seed, dtype)


def parameters(of: TD3Agent, network: str) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in of.state()[network].items()}


@pytest.mark.parametrize(("encoder", "weight"), [("nature", 0.0), ("nature", 0.3), ("steady", 0.3)])
def test_ten_updates_equal_those_of_an_independent_td3_with_group_rates_and_clipping(encoder, weight):
    rates = LearningRates(actor=1e-3, critic=2e-3, actor_cnn=1e-4, critic_cnn=5e-4)
    clip = ClipNorms(actor=1e-3, critic=0.5, actor_cnn=1e-7, critic_cnn=1e-4)
    values = {"discount": 0.9, "tau": 0.02, "policy_noise": 0.4, "saturation_penalty": weight}
    ours = agent(dtype=torch.float64, encoder=encoder, learning_rates=rates, clip_norms=clip, **values)
    actor, critic, actor_target, critic_target = (parameters(ours, name) for name in NETWORKS)
    actor_adam = reference.Adam({"cnn": (rates.actor_cnn, clip.actor_cnn), "head": (rates.actor, clip.actor)})
    critic_adam = reference.Adam({"cnn": (rates.critic_cnn, clip.critic_cnn), "q1 q2": (rates.critic, clip.critic)})
    clipped = set()

    for update in range(1, 11):
        batch = random_batch(16, seed=update)
        noise_generator = torch.Generator()
        noise_generator.set_state(torch.from_numpy(ours.state()["smoothing_generator"]))
        stats = ours.update(batch)
        clipped |= {name for name, norm in stats.grad_norms_before.items() if norm > stats.grad_norms_after[name]}

        seen, next_seen = image_and_rest(batch.observation), image_and_rest(batch.next_observation)
        image, vector, next_image, next_vector, a, r = (
            torch.tensor(array).double() for array in (*seen, *next_seen, batch.action, batch.reward)
        )
        noise = torch.randn((16, 2), generator=noise_generator, dtype=torch.float64) * 0.4
        a_next = (reference.policy(actor_target, next_image, next_vector, encoder) + noise.clamp(-0.5, 0.5)).clamp(
            -1, 1
        )
        q_next = [reference.q(critic_target, name, next_image, next_vector, a_next, encoder) for name in ("q1", "q2")]
        y = r + 0.9 * torch.minimum(*q_next) * torch.from_numpy(~batch.terminated)
        online = reference.with_gradients(critic)
        values_of = [reference.q(online, name, image, vector, a, encoder) for name in ("q1", "q2")]
        loss = sum(((values - y) ** 2).mean() for values in values_of)
        critic_adam.step(critic, reference.gradients_of(loss, online))
        assert stats.critic_loss == pytest.approx(loss.item(), abs=1e-9)
        if update % 2 == 0:
            online = reference.with_gradients(actor)
            action = reference.policy(online, image, vector, encoder)
            value_of = lambda action: reference.q(critic, "q1", image, vector, action, encoder)  # noqa: E731, B023
            loss = -value_of(action).mean()
            loss += weight * reference.saturation_penalty(action, value_of)
            actor_adam.step(actor, reference.gradients_of(loss, online))
            critic_target = reference.moved(critic_target, critic, 0.02)
            actor_target = reference.moved(actor_target, actor, 0.02)
            assert stats.actor_loss == pytest.approx(loss.item(), abs=1e-9)

    assert clipped == {"actor", "actor_cnn", "critic", "critic_cnn"}
    for name, expected in zip(NETWORKS, (actor, critic, actor_target, critic_target)):
        assert_equal_within(1e-9, parameters(ours, name), expected)


def test_many_observations_at_once_are_acted_on_and_valued_as_one_by_one():
    learner, batch = agent(dtype=torch.float64), random_batch(5, seed=3)
    alone = [learner.act({name: array[row] for name, array in batch.observation.items()}) for row in range(5)]
    np.testing.assert_allclose(learner.actions(batch.observation), alone, atol=1e-6)
    online = parameters(learner, "critic")
    image, vector = image_and_rest(batch.observation)
    seen = [torch.tensor(array).double() for array in (image, vector, batch.action)]
    q = [reference.q(online, name, *seen, "steady") for name in ("q1", "q2")]
    np.testing.assert_allclose(learner.value(batch.observation, batch.action), torch.minimum(*q), atol=1e-5)


def assert_equal_within(bound: float, found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name] - tensor).abs().max() <= bound, name


def test_the_policy_and_the_targets_move_only_every_policy_freq_updates():
    learner = agent(policy_freq=3)
    for update in range(1, 7):
        before = leaves(learner.state())
        stats = learner.update(random_batch(4, update))
        after = leaves(learner.state())
        moved = {name.split(".")[0] for name in before if before[name] != after[name]}
        always = {"critic", "critic_optimizer", "smoothing_generator", "updates"}
        delayed = {"actor", "actor_optimizer", "actor_target", "critic_target", "actor_updates"}
        assert moved == (always | delayed if update % 3 == 0 else always)
        assert (stats.actor_loss is None) == (update % 3 != 0)
        assert (learner.updates, learner.actor_updates) == (update, update // 3)


def test_every_parameter_is_in_one_clipped_group_of_its_optimizer():
    learner = agent()
    for network, optimizer in (
        (learner.actor, learner.actor_optimizer),
        (learner.critic, learner.critic_optimizer),
    ):
        stepped = [id(parameter) for group in optimizer.groups for parameter in group.parameters]
        assert sorted(stepped) == sorted(id(parameter) for parameter in network.parameters())
    names = [
        group.name for optimizer in (learner.actor_optimizer, learner.critic_optimizer) for group in optimizer.groups
    ]
    assert sorted(names) == sorted(ClipNorms.model_fields) == sorted(LearningRates.model_fields)


def test_clipping_bounds_what_the_optimizers_step_with():
    limits = {"actor": 1e-4, "critic": 1e-3, "actor_cnn": 1e-6, "critic_cnn": 1e-4}
    learner = agent(clip_norms=limits, policy_freq=1)
    stats = learner.update(random_batch(8, 1))
    for optimizer in (learner.actor_optimizer, learner.critic_optimizer):
        for group in optimizer.groups:
            norm = torch.cat([parameter.grad.flatten() for parameter in group.parameters]).norm().item()
            name = group.name
            assert norm == pytest.approx(stats.grad_norms_after[name], rel=1e-3)
            assert 0.8 * limits[name] < norm <= limits[name] < stats.grad_norms_before[name]
            # Adam's first moment after one step is a tenth of the gradient that it was given.
            moment = torch.cat([optimizer.state[parameter].exp_avg.flatten() for parameter in group.parameters])
            assert moment.norm().item() == pytest.approx(0.1 * norm, rel=1e-3)


def test_no_clipping_where_the_limit_is_null():
    learner = agent(clip_norms=NO_CLIPPING, policy_freq=1)
    stats = learner.update(random_batch(8, 1))
    assert stats.grad_norms_before == stats.grad_norms_after
    assert stats.grad_norms_before.keys() == {"actor", "critic", "actor_cnn", "critic_cnn"}


def test_statistics_of_an_update():
    learner = agent(policy_noise=10.0, noise_clip=0.3, policy_freq=1)
    stats = learner.update(random_batch(64, 3))
    assert stats.update == 1
    assert stats.smoothing_abs_max == pytest.approx(0.3)
    assert 0.25 < stats.smoothing_std <= 0.3
    assert stats.next_q_mean <= min(stats.next_q1_mean, stats.next_q2_mean)
    assert stats.q_min <= stats.q_mean <= stats.q_max
    assert stats.q_abs_max == max(abs(stats.q_min), abs(stats.q_max))
    assert stats.target_min <= stats.target_mean <= stats.target_max
    assert stats.twin_disagreement > 0
    assert stats.td_error > 0
    assert (stats.saturation_steering, stats.saturation_pedal) == (0, 0)


def test_saturation_is_seen_of_each_component_from_0_95_on():
    learner = agent(policy_freq=1)
    for bias, shares in (((50, 0), (1, 0)), ((0, -2), (0, 1)), ((1.7, -1.7), (0, 0))):
        state = learner.state()
        state["actor"]["head.last.weight"][:] = 0
        state["actor"]["head.last.bias"][:] = bias
        learner.load_state(state)
        stats = learner.update(random_batch(8, 1))
        assert (stats.saturation_steering, stats.saturation_pedal) == shares


def test_the_penalty_is_as_strong_whatever_the_size_of_q():
    """Where Q and its slope are a thousandfold, so is the policy's gradient, the penalty's part included."""
    norms = []
    for scale in (1, 1000):
        learner = agent(dtype=torch.float64, policy_freq=1, clip_norms=NO_CLIPPING, saturation_penalty=3.0)
        state = learner.state()
        state["actor"]["head.last.bias"][:] = (1.5, -1)
        for name in ("weight", "bias"):
            state["critic"][f"q1.last.{name}"] *= scale
        learner.load_state(state)
        for group in learner.critic_optimizer.groups:
            group.rate = 0.0
        norms.append(learner.update(random_batch(8, 1)).grad_norms_before)
    for group in ("actor", "actor_cnn"):
        assert norms[1][group] == pytest.approx(1000 * norms[0][group], rel=1e-9)
    unpenalised = agent(dtype=torch.float64, policy_freq=1, clip_norms=NO_CLIPPING, saturation_penalty=0)
    state["critic"] = unpenalised.state()["critic"]
    unpenalised.load_state(state)
    assert unpenalised.update(random_batch(8, 1)).grad_norms_before["actor"] != pytest.approx(
        norms[0]["actor"], rel=0.1
    )


def test_the_penalty_s_gradient_is_its_slope_found_by_differences():
    generator = torch.Generator().manual_seed(1)
    u, slope = (torch.randn(6, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    u.requires_grad_()
    (gradient,) = torch.autograd.grad(saturation_penalty(u, slope), u)
    for row, column in ((0, 0), (3, 1)):
        step = torch.zeros_like(u)
        step[row, column] = 1e-5
        difference = (saturation_penalty(u + step, slope) - saturation_penalty(u - step, slope)) / 2e-5
        assert difference.item() == pytest.approx(gradient[row, column].item(), rel=1e-8)
    distances = (u[:, 0], u[:, 1] - 0.15)
    expected = sum(0.5 * (away**2).mean() * (6 * slope[:, i]).abs().mean() for i, away in enumerate(distances))
    assert saturation_penalty(u, slope).item() == pytest.approx(expected.item(), rel=1e-12)


def test_no_smoothing_noise_where_it_is_switched_off():
    stats = agent(policy_noise=0.0).update(random_batch(8, 3))
    assert stats.smoothing_abs_max == 0


@pytest.mark.parametrize(("terminated", "discounted"), [(True, False), (False, True)])
def test_only_a_terminated_step_is_without_next_value(terminated, discounted):
    batch = random_batch(32, 5)
    batch = dataclasses.replace(batch, reward=np.ones(32, np.float32), terminated=np.full(32, terminated))
    stats = agent(discount=0.5).update(batch)
    assert stats.target_mean == pytest.approx(1 + discounted * 0.5 * stats.next_q_mean, abs=1e-6)
    assert stats.next_q_mean != 0


@pytest.mark.parametrize(
    ("network", "entry", "shown"),
    [
        ("critic", "q2.hidden.1.weight", {"critic_loss", "q_mean", "q_abs_max", "twin_disagreement"}),
        ("critic_target", "cnn.conv1.bias", {"critic_loss", "target_mean", "target_max", "td_error"}),
    ],
)
def test_nan_in_a_network_shows_in_the_statistics(network, entry, shown):
    learner = agent()
    state = learner.state()
    state[network][entry][0] = np.nan
    learner.load_state(state)
    stats = learner.update(random_batch(8, 1))
    assert {name for name in shown if np.isnan(getattr(stats, name))} == shown
    assert np.isnan(stats.grad_norms_before["critic"])


def test_resumed_training_is_the_same_to_the_byte():
    config = {"policy_freq": 2, "exploration_noise": 0.3}
    uninterrupted = agent(seed=1, **config)
    for update in range(5):
        uninterrupted.update(random_batch(8, update))
        uninterrupted.explore([random_observation(update)])
    resumed = agent(seed=2, **config)
    resumed.load_state(uninterrupted.state())
    for update in range(5, 10):
        assert uninterrupted.update(random_batch(8, update)) == resumed.update(random_batch(8, update))
        explored = [learner.explore([random_observation(update)]).tobytes() for learner in (uninterrupted, resumed)]
        assert explored[0] == explored[1]
        drawn = [learner.random_action() for learner in (uninterrupted, resumed)]
        assert (drawn[0][0].tobytes(), drawn[0][1]) == (drawn[1][0].tobytes(), drawn[1][1])
    assert leaves(uninterrupted.state()) == leaves(resumed.state())


def test_a_new_agent_can_be_saved_and_resumed():
    fresh, resumed = agent(seed=1), agent(seed=2)
    resumed.load_state(fresh.state())
    fresh.update(random_batch(4, 1))
    resumed.update(random_batch(4, 1))
    assert leaves(fresh.state()) == leaves(resumed.state())


def test_the_state_is_a_copy():
    learner = agent(policy_freq=1)
    state = learner.state()
    before = leaves(state)
    learner.update(random_batch(4, 1))
    assert leaves(state) == before


def test_the_seed_alone_decides_the_networks():
    torch.manual_seed(1)
    one = leaves(agent(seed=7).state())
    torch.manual_seed(2)
    global_state = torch.get_rng_state()
    two = leaves(agent(seed=7).state())
    assert one == two
    assert torch.equal(torch.get_rng_state(), global_state)
    other = leaves(agent(seed=8).state())
    assert one["actor.cnn.conv1.weight"] != other["actor.cnn.conv1.weight"]
    assert one["smoothing_generator"] != other["smoothing_generator"]


def test_updates_leave_torchs_global_generator_alone():
    learner = agent()
    global_state = torch.get_rng_state()
    learner.update(random_batch(4, 1))
    learner.explore([random_observation(1)])
    assert torch.equal(torch.get_rng_state(), global_state)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("actor", None, "actor: missing"),
        ("critic.q1.hidden.0.bias", None, r"critic\.q1\.hidden\.0\.bias: missing"),
        ("critic.q3.bias", np.zeros(2), r"critic\.q3\.bias: unknown"),
        ("actor_target.cnn.conv1.bias", np.zeros(31, np.float32), r"actor_target\.cnn\.conv1\.bias: float32 \(31,\)"),
        ("actor.cnn.conv1.bias", np.zeros(32), r"actor\.cnn\.conv1\.bias: float64 \(32,\), expected float32"),
        ("actor.cnn.conv1.bias", 3.0, r"actor\.cnn\.conv1\.bias: must be an array"),
        ("critic_optimizer", 1, "critic_optimizer: must be a group"),
        ("critic_optimizer.q1.hidden.0.bias.step", -1, r"critic_optimizer\.q1\.hidden\.0\.bias\.step: must be a whole"),
        ("critic_optimizer.q1.hidden.0.bias.exp_avg", None, r"critic_optimizer\.q1\.hidden\.0\.bias\.exp_avg: missing"),
        ("smoothing_generator", np.zeros(16, np.uint8), "smoothing_generator: "),
        ("smoothing_generator", "text", "smoothing_generator: must be an array of uint8"),
        ("exploration_generator.state", None, "exploration_generator: entry 'state' is missing"),
        ("updates", 1.5, "updates: must be a whole number"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_by_name(path, value, message):
    learner = agent()
    state = learner.state()
    group, name = _group_of(state, path)
    if value is None:
        del group[name]
    else:
        group[name] = value
    with pytest.raises(ValueError, match=message):
        learner.load_state(state)


def _group_of(tree: dict, path: str) -> tuple[dict, str]:
    """The group that holds, or would hold, the entry of a dotted path, whose names may have dots of their own."""
    for name, value in tree.items():
        if path.startswith(name + ".") and isinstance(value, dict):
            return _group_of(value, path[len(name) + 1 :])
    return tree, path


def test_a_state_of_another_network_size_is_refused():
    with pytest.raises(ValueError, match=r"actor\.head\.hidden\.0\.weight: float32 \(64, \d+\), expected"):
        agent(hidden=[128, 128]).load_state(agent(hidden=[64, 64]).state())


def test_actions():
    learner = agent(exploration_noise=0.2)
    observation = random_observation(3)
    action = learner.act(observation)
    assert (action.shape, action.dtype) == ((2,), np.float32)
    np.testing.assert_array_equal(action, learner.act(observation))
    noise = np.array([learner.explore([observation])[0] for _ in range(400)]) - action
    assert noise.std(0) == pytest.approx(0.2, rel=0.15)
    assert abs(noise.mean(0)).max() < 0.05


def test_random_actions_drive():
    """Steering either way, the pedal more often down than the brake, each held for a while."""
    learner = agent()
    drawn = [learner.random_action() for _ in range(1000)]
    actions = np.array([action for action, _ in drawn])
    assert actions.dtype == np.float32
    assert actions.min(0) == pytest.approx([-1, -0.3], abs=0.02)
    assert actions.max(0) == pytest.approx([1, 1], abs=0.02)
    assert actions.mean(0) == pytest.approx([0, 0.35], abs=0.05)
    assert {decisions for _, decisions in drawn} == set(range(3, 13))


def test_explored_actions_stay_in_range():
    learner = agent(exploration_noise=5.0)
    explored = np.array([learner.explore([random_observation(1)]) for _ in range(50)])
    assert abs(explored).max() == 1


def test_acting_on_one_observation_is_what_a_batch_gives():
    learner = agent(dtype=torch.float64)
    batch = random_batch(3, 4)
    together = reference.policy(
        parameters(learner, "actor"), *(map(torch.from_numpy, image_and_rest(batch.observation))), "steady"
    )
    for i in range(3):
        alone = learner.act({name: arrays[i] for name, arrays in batch.observation.items()})
        np.testing.assert_allclose(alone, together[i].detach(), atol=1e-6)


def test_bfloat16_agrees_with_float32():
    full, half = agent(), agent(precision="bfloat16")
    for update in range(4):
        expected, found = (learner.update(random_batch(32, update)) for learner in (full, half))
        assert found.q_mean == pytest.approx(expected.q_mean, abs=0.01)
        assert found.critic_loss == pytest.approx(expected.critic_loss, rel=0.02)
        for name, norm in expected.grad_norms_before.items():
            assert found.grad_norms_before[name] == pytest.approx(norm, rel=0.2)
    observation = random_observation(1)
    np.testing.assert_allclose(half.act(observation), full.act(observation), atol=0.01)
    assert all(array.dtype == np.float32 for array in half.state()["critic"].values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learns_to_steer_by_what_it_sees(precision):
    """The best action is told by which half of the image is bright, and by nothing else."""
    rates = LearningRates(actor=3e-4, critic=1e-3, actor_cnn=1e-4, critic_cnn=3e-4)
    learner = agent(learning_rates=rates, precision=precision)
    generator = np.random.default_rng(0)

    def batch(size: int) -> tuple[Batch, np.ndarray]:
        side = generator.integers(0, 2, size)
        frames = generator.integers(0, 60, (size, 5, 84, 84), dtype=np.uint8)
        frames[side == 0, :, :, :42] += 150
        frames[side == 1, :, :, 42:] += 150
        best = np.stack([2 * side - 1, 1 - 2 * side], 1)
        action = generator.uniform(-1, 1, (size, 2)).astype(np.float32)
        reward = (action * best).mean(1).astype(np.float32)
        zeros = {e.name: np.zeros((size, *e.shape), e.dtype) for e in OBSERVATION if not e.stacked}
        return Batch({"image": frames}, zeros, action, reward, zeros, np.ones(size, bool)), best

    for _ in range(250):
        learner.update(batch(32)[0])
    test, best = batch(40)
    seen = test.observation
    actions = np.array([learner.act({name: arrays[i] for name, arrays in seen.items()}) for i in range(40)])
    assert (actions * best).mean() > 0.8  # random or blind: 0; perfect: 1
