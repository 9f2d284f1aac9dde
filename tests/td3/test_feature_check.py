"""What is said of the features, against agents whose features are known."""

import dataclasses

import numpy as np
import pytest

from td3_hpc.td3 import FeatureProbe, TD3Agent
from tests.td3.batches import leaves, random_batch
from tests.td3.test_agent import agent


def checked(learner: TD3Agent, batch):
    probe = FeatureProbe(learner, batch)
    learner.update(batch)
    return probe.check()


def test_the_spread_is_that_of_the_features_and_of_the_vector():
    learner, batch = agent(), random_batch(8, 1)
    expected = {name: learner.features(batch)[name].numpy().std(0).mean() for name in ("actor", "critic")}
    check = checked(learner, batch)
    assert check.feature_spread == pytest.approx(expected, rel=1e-4)
    assert check.feature_spread["actor"] > 0.01
    newest = batch.frames["image"][:, -1] / 127.5 - 1
    assert check.picture_spread == pytest.approx(newest.std(0).mean(), rel=1e-5)
    assert check.vector_spread == pytest.approx(batch.values["vector"].std(0).mean(), rel=1e-5)


@pytest.mark.parametrize("encoder", ["nature", "steady"])
def test_of_one_picture_alone_no_feature_varies(encoder):
    learner, batch = agent(encoder=encoder), random_batch(8, 1)
    same = dataclasses.replace(batch, frames={"image": np.repeat(batch.frames["image"][:1], 8, 0)})
    check = checked(learner, same)
    assert check.picture_spread == 0
    assert check.feature_spread == pytest.approx({"actor": 0, "critic": 0}, abs=1e-6)


def test_the_drift_is_what_the_update_changed_and_of_the_actor_only_where_it_moved():
    learner = agent(policy_freq=2)
    drifts = []
    for update in (1, 2):
        batch = random_batch(8, update)
        before = {name: features.clone() for name, features in learner.features(batch).items()}
        check = checked(learner, batch)
        changed = {name: (features - before[name]).abs().mean() for name, features in learner.features(batch).items()}
        pace = {"critic": 100, "actor": 50}
        for name, drift in check.feature_drift.items():
            expected = pace[name] * float(changed[name]) / check.feature_spread[name]
            assert drift == pytest.approx(expected, rel=1e-4)
            assert drift > 0
        drifts.append(set(check.feature_drift))
    assert drifts == [{"critic"}, {"critic", "actor"}]


def test_the_check_leaves_no_trace():
    watched, unwatched = agent(), agent()
    for update in range(1, 4):
        batch = random_batch(8, update)
        checked(watched, batch)
        unwatched.update(batch)
    assert leaves(watched.state()) == leaves(unwatched.state())
