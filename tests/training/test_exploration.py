"""Random actions of a policy that stands; its own noise is none here."""

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
