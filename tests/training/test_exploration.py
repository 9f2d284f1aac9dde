"""How runs explore: random actions of a policy that stands (its own noise is none here), noise that is held."""

import numpy as np

from td3_hpc.checkpoint import open_checkpoint

LEARNING_STARTS, STEPS, AFTER = 2, 50, 5
STANDS = {
    "training.total_steps": STEPS,
    "training.learning_starts": LEARNING_STARTS,
    "environment.max_decisions": 200,
    "evaluation.every_steps": STEPS,
    "agent.exploration_noise": 0.0,
}


def actions_of(run, name="run", **changes):
    """The actions of a run that is one episode."""
    made = run(name, **{**STANDS, **changes})
    code, output = made.train()
    assert code in (0, 3), output
    assert not made.events("episode"), "the test is made for one episode in progress"
    (rollout,) = open_checkpoint(made.directory).state()["rollouts"].values()
    return rollout["episode"]["actions"]


def repeated(actions):
    """The decisions, from 0, that are the very action of the one before."""
    return [index for index in range(1, len(actions)) if np.array_equal(actions[index], actions[index - 1])]


def test_an_ego_that_stands_tries_random_actions_and_holds_them(make_run):
    actions = actions_of(make_run, **{"training.explore_after_standing": AFTER})
    held = [index for index in repeated(actions) if index > LEARNING_STARTS + 12]
    assert held, "no action was held after learning began"


def test_without_it_the_policy_decides_every_step(make_run):
    actions = actions_of(make_run, **{"training.explore_after_standing": None})
    assert max(repeated(actions)) < LEARNING_STARTS + 12


def test_noise_is_held_and_none_of_the_paper_s_is(make_run):
    """The policy's own actions hardly change in so few decisions: what is left is the noise."""
    held, white = (
        actions_of(
            make_run,
            f"most-{most}",
            **{"agent.exploration_noise": 0.3, "agent.noise_decisions": most, "training.explore_after_standing": None},
        )[15:]
        for most in (8, 1)
    )
    changes = [(np.abs(np.diff(actions, axis=0)).max(axis=1) > 0.05).mean() for actions in (held, white)]
    assert changes[0] < 0.5 < 0.9 < changes[1]
