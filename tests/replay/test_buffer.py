"""The replay buffer against a reference that keeps every observation whole."""

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from td3_hpc.replay import ReplayBuffer
from td3_hpc.replay.rows import row_bytes
from td3_hpc.spaces import OBSERVATION, STACK, Observation
from tests.replay.reference import ReferenceReplay, assert_drawn_from, first_observation, next_observation


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


class Driver:
    """Fills a buffer and its reference with the same episodes; each reward is the row's number."""

    def __init__(self, capacity: int) -> None:
        self.replay = ReplayBuffer(capacity, seeded())
        self.reference = ReferenceReplay(capacity)
        self._count = 0
        self.observations: dict[int, Observation] = {}

    def begin(self, env_index: int = 0) -> None:
        self.observations[env_index] = first_observation(self._number())
        self.replay.begin(self.observations[env_index], env_index)
        self.reference.begin(self.observations[env_index], env_index)

    def step(self, terminated: bool = False, truncated: bool = False, env_index: int = 0) -> None:
        row = self.reference.env_indices[env_index]
        action = np.array([np.sin(row), np.cos(row)], np.float32)
        observation = self.observations[env_index] = next_observation(self.observations[env_index], self._number())
        self.replay.add(action, float(row), observation, terminated, truncated, env_index)
        self.reference.add(action, observation, terminated, truncated, env_index)

    def truncate(self, env_index: int = 0) -> None:
        self.replay.truncate(env_index)
        self.reference.truncate(env_index)

    def episode(self, steps: int, terminated: bool = False) -> None:
        self.begin()
        for step in range(steps):
            last = step == steps - 1
            self.step(terminated=last and terminated, truncated=last and not terminated)

    def _number(self) -> int:
        self._count += 1
        return self._count


def restored(replay: ReplayBuffer, block: int = 7) -> ReplayBuffer:
    """A second buffer, by way of what a checkpoint stores."""
    copy = ReplayBuffer(replay.capacity, seeded(99))
    bounds = [*range(replay.first_row, replay.sealed_row, block), replay.sealed_row]
    copy.restore(replay.first_row, (replay.read_rows(a, b) for a, b in itertools.pairwise(bounds)))
    copy.load_state(replay.state())
    return copy


def assert_same(one: ReplayBuffer, other: ReplayBuffer) -> None:
    """The same rows, and the same transitions drawn from here on (which draws)."""
    assert (one.first_row, one.next_row, one.sealed_row, len(one)) == (
        other.first_row,
        other.next_row,
        other.sealed_row,
        len(other),
    )
    rows, others = (replay.read_rows(replay.first_row, replay.next_row) for replay in (one, other))
    for name in rows:
        assert rows[name].tobytes() == others[name].tobytes(), name
    if len(one):
        for _ in range(3):
            np.testing.assert_equal(vars(one.sample(5)), vars(other.sample(5)))


env_indices = st.integers(0, 2)


class ReplayMachine(RuleBasedStateMachine):
    """Any order of episodes, ends, samples and restarts in three environments, at any capacity."""

    @initialize(capacity=st.integers(2, 40))
    def start(self, capacity: int) -> None:
        self.driver = Driver(capacity)

    def _in_episode(self, env_index: int) -> bool:
        return env_index in self.driver.reference.env_indices

    @rule(env_index=env_indices)
    def begin(self, env_index: int) -> None:
        if not self._in_episode(env_index):
            self.driver.begin(env_index)

    @rule(order=st.lists(env_indices, min_size=1, max_size=12))
    def steps(self, order: list[int]) -> None:
        for env_index in filter(self._in_episode, order):
            self.driver.step(env_index=env_index)

    @rule(env_index=env_indices, steps=st.integers(1, 12))
    def steps_while_the_others_wait(self, env_index: int, steps: int) -> None:
        for _ in range(steps if self._in_episode(env_index) else 0):
            self.driver.step(env_index=env_index)

    @rule(env_index=env_indices, terminated=st.booleans(), truncated=st.booleans())
    def last_step(self, env_index: int, terminated: bool, truncated: bool) -> None:
        if self._in_episode(env_index):
            self.driver.step(terminated, truncated, env_index)

    @rule(env_index=env_indices)
    def truncate(self, env_index: int) -> None:
        if self._in_episode(env_index):
            self.driver.truncate(env_index)

    @rule(size=st.integers(1, 30))
    def sample(self, size: int) -> None:
        transitions = self.driver.reference.transitions()
        if transitions:
            assert_drawn_from(self.driver.replay.sample(size), transitions)
        else:
            with pytest.raises(ValueError, match="no complete transition"):
                self.driver.replay.sample(size)

    @rule(count=st.integers(1, 30))
    def look_at_the_oldest(self, count: int) -> None:
        """Those whose frames are all there, as they were, and after the ring has come round not any more."""
        replay, rows = self.driver.replay, self.driver.reference.rows
        first = self.driver.reference.first_row
        whole = [number for number in range(first, len(rows)) if min(rows[number].episode[-STACK:]) >= first]
        oldest = replay.oldest(count)
        assert oldest.tolist() == whole[: len(oldest)]
        assert len(oldest) == min(count, len(whole))
        for name, arrays in replay.observations(oldest).items():
            for row, array in zip(oldest, arrays, strict=True):
                np.testing.assert_array_equal(array, rows[row].observation[name])
        gone = np.array([first - 1])
        assert first == 0 or not replay.has(gone)

    @rule(block=st.integers(1, 50))
    def save_and_restore(self, block: int) -> None:
        copy = restored(self.driver.replay, block)
        assert_same(self.driver.replay, copy)
        self.driver.replay = copy

    @invariant()
    def counts_agree(self) -> None:
        replay, reference = self.driver.replay, self.driver.reference
        assert len(replay) == len(reference.transitions())
        assert (replay.first_row, replay.next_row) == (reference.first_row, len(reference.rows))
        assert replay.sealed_row == reference.sealed_row
        assert [replay.in_episode(i) for i in range(3)] == [i in reference.env_indices for i in range(3)]


TestReplayMachine = ReplayMachine.TestCase
TestReplayMachine.settings = settings(
    max_examples=80, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)


def test_every_transition_is_drawn_equally_often():
    driver = Driver(capacity=60)
    for steps in (1, 5, 17, 2, 30, 1, 1, 23):
        driver.episode(steps, terminated=steps % 2 == 0)
    rows = np.concatenate([driver.replay.sample(500).reward for _ in range(40)]).astype(int)
    valid = sorted(driver.reference.transitions())
    assert sorted(set(rows)) == valid
    expected = len(rows) / len(valid)
    counts = np.bincount(rows)[valid]
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < len(valid) + 5 * np.sqrt(2 * len(valid))


def test_the_newest_complete_transition_can_be_drawn_while_its_episode_goes_on():
    driver = Driver(capacity=50)
    driver.begin()
    driver.step()
    batch = driver.replay.sample(3)
    assert_drawn_from(batch, driver.reference.transitions())
    assert (batch.reward == 0).all()


def test_stacks_do_not_reach_into_the_episode_before():
    driver = Driver(capacity=50)
    driver.episode(6)
    driver.begin()
    driver.step()
    batch = driver.replay.sample(200)
    first = batch.observation["image"][batch.reward == 7]
    assert len(first)
    assert (first == first[:, :1]).all()


def test_episodes_driven_at_once_share_no_frame():
    driver = Driver(capacity=50)
    for env_index in range(3):
        driver.begin(env_index)
    for _ in range(4):
        for env_index in (2, 0, 1):
            driver.step(env_index=env_index)
    assert len(driver.replay) == 12
    batch = driver.replay.sample(300)
    assert_drawn_from(batch, driver.reference.transitions())
    assert len(set(batch.reward)) == 12


def test_a_lane_that_waits_holds_back_the_seal_until_the_ring_takes_its_row():
    driver = Driver(capacity=20)
    driver.begin(env_index=1)
    driver.begin(env_index=0)
    while driver.replay.next_row < 20:
        driver.step(env_index=0)
    assert driver.replay.sealed_row == 0
    driver.step(env_index=0)
    assert (driver.replay.first_row, driver.replay.sealed_row) == (1, 20)
    for _ in range(5):
        driver.step(env_index=1)  # the first of these transitions, and the stacks that its frame is in, are gone
    assert len(driver.replay) == len(driver.reference.transitions())
    assert_drawn_from(driver.replay.sample(100), driver.reference.transitions())


def test_only_a_terminated_step_has_no_next_value():
    replay = ReplayBuffer(50, seeded())
    ends = {0: (True, False), 1: (False, True), 2: (True, True)}
    for number, (terminated, truncated) in ends.items():
        observation = first_observation(number)
        replay.begin(observation)
        replay.add(np.zeros(2, np.float32), number, next_observation(observation, 10), terminated, truncated)
    replay.begin(observation)
    replay.add(np.zeros(2, np.float32), 3.0, next_observation(observation, 11), False, False)
    replay.truncate()
    batch = replay.sample(100)
    assert set(zip(batch.reward, batch.terminated)) == {(0, True), (1, False), (2, True), (3, False)}


def test_sampling_goes_on_the_same_after_three_times_round_the_ring():
    driver = Driver(capacity=70)
    while driver.replay.first_row < 3 * 70:
        driver.episode(11)
        driver.replay.sample(4)
    driver.begin()
    driver.step()
    copy = restored(driver.replay)
    original = driver.replay
    for replay in (original, copy):
        replay.add(np.zeros(2, np.float32), 0.5, next_observation(driver.observations[0], 5), False, True)
    assert_same(original, copy)


def test_a_smaller_buffer_restores_the_newest_rows():
    driver = Driver(capacity=100)
    for _ in range(6):
        driver.episode(12)
    small = ReplayBuffer(40, seeded())
    small.restore(driver.replay.first_row, [driver.replay.read_rows(driver.replay.first_row, driver.replay.sealed_row)])
    small.load_state(driver.replay.state())
    assert (small.first_row, small.next_row) == (driver.replay.next_row - 40, driver.replay.next_row)
    assert_drawn_from(small.sample(100), driver.reference.transitions())


def test_rows_older_than_the_saved_buffer_are_left_out():
    driver = Driver(capacity=200)
    for _ in range(8):
        driver.episode(9)
    saved, copy = ReplayBuffer(200, seeded(5)), ReplayBuffer(200, seeded(6))
    saved.restore(33, [driver.replay.read_rows(33, 80)])
    copy.restore(0, [driver.replay.read_rows(0, 80)])
    copy.load_state(saved.state())
    assert_same(saved, copy)


def test_memory_of_a_transition():
    replay = ReplayBuffer(10_000, seeded())
    numbers = sum(entry.nbytes // (STACK if entry.stacked else 1) for entry in OBSERVATION)
    assert row_bytes() == numbers + 8 + 4 + 1 + 4 + 4
    assert replay.nbytes / replay.capacity == row_bytes() <= 7_700


@pytest.mark.parametrize("page", ["configuration.md", "preflight-and-doctor.md"])
def test_the_documents_tell_the_memory_of_a_row(page):
    assert f"{row_bytes() / 1000:.1f} KB" in (Path(__file__).parents[2] / "docs" / page).read_text()


def test_sealed_rows_are_stable_while_another_thread_reads_them():
    driver = Driver(capacity=2000)
    for _ in range(10):
        driver.episode(99)
    start, stop = driver.replay.first_row, driver.replay.sealed_row
    before = {name: array.copy() for name, array in driver.replay.read_rows(start, stop).items()}
    different: list[str] = []

    def read() -> None:
        for _ in range(20):
            rows = driver.replay.read_rows(start, stop)
            different.extend(name for name in rows if rows[name].tobytes() != before[name].tobytes())

    reader = threading.Thread(target=read)
    reader.start()
    while driver.replay.next_row < stop + 1000:
        driver.episode(30)
    reader.join()
    assert not different


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 5), (25, 61), (40, 39)], ids=["overwritten", "not yet there", "reversed"]
)
def test_rows_that_do_not_exist_cannot_be_read(start, stop):
    driver = Driver(capacity=40)
    for _ in range(3):
        driver.episode(19)
    with pytest.raises(ValueError, match="which holds 20 to 60"):
        driver.replay.read_rows(start, stop)


def test_wrong_order_of_calls():
    replay = ReplayBuffer(10, seeded())
    observation = first_observation(1)
    with pytest.raises(RuntimeError, match="begin"):
        replay.add(np.zeros(2, np.float32), 0.0, observation, False, False)
    with pytest.raises(RuntimeError, match="begin"):
        replay.truncate()
    replay.begin(observation)
    with pytest.raises(RuntimeError, match="in progress"):
        replay.begin(observation)


def test_a_first_image_of_different_frames_is_refused():
    replay = ReplayBuffer(10, seeded())
    with pytest.raises(ValueError, match="one frame repeated"):
        replay.begin(next_observation(first_observation(1), 2))


def _with(rows: dict, name: str, array: np.ndarray) -> dict:
    return {**rows, name: array}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rows: _with(rows, "reward", rows["reward"].astype(np.float64)), "reward: float64"),
        (lambda rows: _with(rows, "frame", rows["frame"][:, :80]), "frame: uint8"),
        (lambda rows: _with(rows, "vector", rows["vector"][:-1]), "vector: float32"),
        (lambda rows: {name: array for name, array in rows.items() if name != "action"}, "action: missing"),
    ],
)
def test_rows_of_another_schema_are_refused(damage, message):
    driver = Driver(capacity=40)
    driver.episode(9)
    copy = ReplayBuffer(40, seeded())
    with pytest.raises(ValueError, match=message):
        copy.restore(0, [damage(driver.replay.read_rows(0, 10))])
    assert copy.next_row == 0


def test_state_of_other_rows_is_refused():
    driver = Driver(capacity=40)
    driver.episode(9)
    copy = ReplayBuffer(40, seeded())
    copy.restore(0, [driver.replay.read_rows(0, 8)])
    with pytest.raises(ValueError, match="sealed_row: 10, but the restored rows end at 8"):
        copy.load_state(driver.replay.state())
    with pytest.raises(ValueError, match="generator: missing"):
        copy.load_state({name: value for name, value in driver.replay.state().items() if name != "generator"})


def test_the_state_is_a_copy():
    driver = Driver(capacity=40)
    driver.begin()
    state = driver.replay.state()
    flags = state["pending"]["flags"].copy()
    driver.step()
    np.testing.assert_array_equal(state["pending"]["flags"], flags)


def test_capacity_holds_a_transition():
    with pytest.raises(ValueError, match="at least 2"):
        ReplayBuffer(1, seeded())
