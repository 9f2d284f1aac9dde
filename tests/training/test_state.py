"""What a slot keeps of its random action and of its standing, here and in the checkpoints of before."""

import numpy as np
import pytest

from td3_hpc.config import StageConfig
from td3_hpc.record import RunRecord
from td3_hpc.training.env_slot import EnvSlot
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation
from td3_hpc.training.state import load_slot, slot_tree
from tests.small_stage import SMALL


@pytest.fixture
def make_slot(tmp_path):
    """Factory of slots whose simulator never starts."""
    stage, record = StageConfig.model_validate(SMALL), RunRecord(tmp_path)
    return lambda: EnvSlot(0, Simulation(stage, "training", tmp_path, record, StopFlag()))


def test_a_held_action_and_standing_are_restored(make_slot):
    slot, resumed = make_slot(), make_slot()
    slot.held, slot.held_for, slot.standing = np.array((0.25, -0.125), np.float32), 7, 9
    assert load_slot(resumed, slot_tree(slot)) is None
    assert resumed.held.tobytes() == slot.held.tobytes()
    assert (resumed.held_for, resumed.standing) == (7, 9)
    load_slot(resumed, slot_tree(make_slot()))
    assert (resumed.held, resumed.held_for, resumed.standing) == (None, 0, 0)


def test_a_checkpoint_of_before_holds_none(make_slot):
    tree = slot_tree(make_slot())
    del tree["held_action"], tree["held_for"], tree["standing"]
    slot = make_slot()
    load_slot(slot, tree)
    assert (slot.held, slot.held_for, slot.standing) == (None, 0, 0)
