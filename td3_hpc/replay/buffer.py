"""A replay buffer for stacked camera images that stores each frame once and rebuilds the stacks when sampling."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.random_state import generator_state, load_generator_state
from td3_hpc.replay.rows import (
    FINAL,
    KIND,
    PENDING,
    SCHEMA,
    TERMINATED,
    TRANSITION,
    TRUNCATED,
    Rows,
)
from td3_hpc.spaces import OBSERVATION, STACK, Observation

Arrays = dict[str, NDArray[Any]]
_STACKED = [entry for entry in OBSERVATION if entry.stacked]
_PLAIN = [entry for entry in OBSERVATION if not entry.stacked]


@dataclass(frozen=True)
class Batch:
    """B transitions drawn from the buffer. Arrays of its own, not views of the buffer: the caller may keep it.

    What the observations are is told by `td3_hpc.spaces.OBSERVATION`; their arrays stand under its entries' names.
    """

    frames: Arrays
    """Of each stacked entry (B, STACK + 1, ...): the observation's frames and, last, the next one's newest."""
    values: Arrays
    """Of each other entry (B, ...), in the observation."""
    action: NDArray[np.float32]
    """(B, 2)"""
    reward: NDArray[np.float32]
    """(B,)"""
    next_values: Arrays
    """Like `values`, in the next observation."""
    terminated: NDArray[np.bool_]
    """(B,): the next observation has no value. A truncated step is not marked: its next observation has one."""

    @property
    def observation(self) -> Arrays:
        """Every entry (B, ...), stacks as views of `frames`."""
        return {**{name: frames[:, :-1] for name, frames in self.frames.items()}, **self.values}

    @property
    def next_observation(self) -> Arrays:
        """Like `observation`."""
        return {**{name: frames[:, 1:] for name, frames in self.frames.items()}, **self.next_values}


class ReplayBuffer:
    """A ring of rows (see `rows`), addressed by row numbers that count from 0 and never wrap.

    Rows `first_row <= row < next_row` exist. Rows below `sealed_row` never change any more: a checkpoint may read
    them (`read_rows`) from another thread while this one goes on adding, as long as the ring does not come round to
    them meanwhile. Checkpoints at most half a capacity apart, which the configuration demands, leave the other half of
    the ring for that. Everything else is for one thread.

    Each environment has a number of its own, its `env_index`, and at most one episode in progress there.

    The older frames of an observation must be the newest frames of the ones before it in its episode, and the first
    frame repeated where there is none before: only the newest frame of each observation is looked at.

    Memory is touched only as rows are written: a large capacity costs nothing until it is used.
    """

    schema = SCHEMA

    def __init__(self, capacity: int, seed_generator: np.random.Generator) -> None:
        """An empty buffer for `capacity` rows (at least 2); `seed_generator` (PCG64) draws every sample."""
        if capacity < 2:
            raise ValueError(f"capacity must be at least 2 rows (one transition), found {capacity}")
        self.capacity = capacity
        self._generator = seed_generator
        self._rows: Rows = {name: np.empty((capacity, *shape), dtype) for name, (dtype, shape) in SCHEMA.items()}
        self._clear(0)

    def _clear(self, first_row: int) -> None:
        self._first_row = self._next_row = first_row
        self._transitions = 0
        self._pending: dict[int, int] = {}  # by env_index: the row that waits for its action

    @property
    def first_row(self) -> int:
        """The oldest row that still exists."""
        return self._first_row

    @property
    def next_row(self) -> int:
        """The number that the next new row will get."""
        return self._next_row

    @property
    def sealed_row(self) -> int:
        """Rows below this never change until the ring overwrites them: the oldest pending row, or `next_row`."""
        return min((row for row in self._pending.values() if row >= self._first_row), default=self._next_row)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows once the ring is full."""
        return sum(array.nbytes for array in self._rows.values())

    def __len__(self) -> int:
        """Transitions that can be sampled."""
        return self._transitions

    def in_episode(self, env_index: int = 0) -> bool:
        """Whether an episode is in progress in an environment: its newest observation waits for its action."""
        return env_index in self._pending

    def begin(self, observation: Observation, env_index: int = 0) -> None:
        """Start an episode with its first observation; RuntimeError if the environment's last one has not ended.

        ValueError unless the frames of each stack are the same, which is what `sample` rebuilds.
        """
        if self.in_episode(env_index):
            raise RuntimeError("begin() while an episode is in progress; end it with add(...) or truncate()")
        for entry in OBSERVATION:
            array = observation[entry.name]
            if entry.stacked and not (array == array[-1]).all():
                raise ValueError(f"an episode's first {entry.name} must be one frame repeated")
        self._pending[env_index] = self._append(observation, PENDING, previous=0)

    def add(
        self,
        action: NDArray[np.float32],
        reward: float,
        next_observation: Observation,
        terminated: bool,
        truncated: bool,
        env_index: int = 0,
    ) -> None:
        """Complete the environment's pending row with its action (2,) and reward, and append the next observation.

        `terminated` outweighs `truncated` where both are set. RuntimeError where no episode is in progress. Where
        other environments have filled the whole ring meanwhile, the pending row is gone, and its transition with it.
        """
        row = self._pop_pending("add", env_index)
        flags = FINAL | (TERMINATED if terminated else TRUNCATED) if terminated or truncated else PENDING
        following = self._append(next_observation, flags, previous=self._next_row - row)
        if flags == PENDING:
            self._pending[env_index] = following
        if row < self._first_row:
            return
        slot = row % self.capacity
        self._rows["action"][slot] = action
        self._rows["reward"][slot] = reward
        self._rows["flags"][slot] = TRANSITION
        self._rows["next"][slot] = following - row
        self._transitions += int(self._stacks(np.array([row]))[0, 0] >= self._first_row)

    def truncate(self, env_index: int = 0) -> None:
        """End the environment's episode where it stands, as truncated; RuntimeError where none is in progress.

        For an episode that cannot go on (its simulator was lost): the newest transition keeps its next observation.
        """
        row = self._pop_pending("truncate", env_index)
        if row >= self._first_row:
            self._rows["flags"][row % self.capacity] = FINAL | TRUNCATED

    def sample(self, batch_size: int) -> Batch:
        """`batch_size` transitions, uniformly with replacement; ValueError where none can be sampled."""
        if len(self) == 0:
            raise ValueError("the replay buffer holds no complete transition to sample")
        stacks = self._draw(batch_size)
        rows = stacks[:, -1]
        slots = rows % self.capacity
        next_rows = rows + self._rows["next"][slots]
        next_slots = next_rows % self.capacity
        frame_slots = np.concatenate([stacks, next_rows[:, None]], axis=1) % self.capacity
        return Batch(
            frames={entry.name: self._rows[entry.row_field].take(frame_slots, axis=0) for entry in _STACKED},
            values={entry.name: self._rows[entry.row_field][slots] for entry in _PLAIN},
            action=self._rows["action"][slots],
            reward=self._rows["reward"][slots],
            next_values={entry.name: self._rows[entry.row_field][next_slots] for entry in _PLAIN},
            terminated=(self._rows["flags"][next_slots] & TERMINATED) != 0,
        )

    def oldest(self, count: int, from_row: int = 0) -> NDArray[np.int64]:
        """The numbers of the oldest rows whose observation is whole, at most `count`, from a row on; an episode's last
        one counts."""
        span, first = count + STACK, max(self._first_row, from_row)
        while True:  # the more environments, the more of the oldest rows have lost their frames
            rows = np.arange(first, min(self._next_row, first + span))
            whole = rows[self._whole(rows)]
            if len(whole) >= count or first + span >= self._next_row:
                return whole[:count]
            span *= 2

    def has(self, rows: NDArray[np.int64]) -> bool:
        """Whether the observations of all these rows, which once were there, still are."""
        return bool((rows >= self._first_row).all() and self._whole(rows).all())

    def observations(self, rows: NDArray[np.int64]) -> Arrays:
        """The observations (n, ...) of rows, copies; ValueError where one of them is not whole."""
        if not self.has(rows):
            raise ValueError("the replay buffer does not hold the observations of all these rows")
        stacks = self._stacks(rows) % self.capacity
        frames = {entry.name: self._rows[entry.row_field].take(stacks, axis=0) for entry in _STACKED}
        return frames | {entry.name: self._rows[entry.row_field][rows % self.capacity] for entry in _PLAIN}

    def read_rows(self, start: int, stop: int) -> Rows:
        """Rows `start <= row < stop`, field by field; views where they lie in one piece of the ring, else copies.

        ValueError where one of them no longer, or not yet, exists.
        """
        if not self._first_row <= start <= stop <= self._next_row:
            raise ValueError(
                f"rows {start} to {stop} are not all in the buffer, which holds {self._first_row} to {self._next_row}"
            )
        first = start % self.capacity
        head = min(stop - start, self.capacity - first)
        tail = stop - start - head
        return {
            name: np.concatenate([array[first:], array[:tail]]) if tail else array[first : first + head]
            for name, array in self._rows.items()
        }

    def restore(self, first_row: int, blocks: Iterable[Mapping[str, NDArray[Any]]]) -> None:
        """Fill the buffer with sealed rows, `blocks` of consecutive ones from `first_row` on; then `load_state`.

        Where there are more than `capacity`, the newest are kept. ValueError names a field that does not fit
        the schema; the buffer is empty then.
        """
        self._clear(first_row)
        try:
            for block in blocks:
                self._write_block(block)
        except ValueError:
            self._clear(0)
            raise
        self._count_transitions()

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the sealed rows: row numbers, the rows from the oldest pending one on, which
        row is pending in which environment, the generator. Copies.
        """
        pending = self.read_rows(self.sealed_row, self._next_row)
        return {
            "first_row": self._first_row,
            "sealed_row": self.sealed_row,
            "pending": {name: array.copy() for name, array in pending.items()} if len(pending["flags"]) else None,
            "lanes": np.array(sorted(self._pending.items()), np.int64).reshape(-1, 2),
            "generator": generator_state(self._generator),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore from `state()`, after `restore` of the sealed rows; ValueError where the two do not fit."""
        missing = {"first_row", "sealed_row", "pending", "lanes", "generator"} - state.keys()
        if missing:
            raise ValueError(f"{min(missing)}: missing")
        if self._next_row != state["sealed_row"]:
            raise ValueError(f"sealed_row: {state['sealed_row']}, but the restored rows end at {self._next_row}")
        load_generator_state(self._generator, state["generator"], "generator")
        if state["pending"] is not None:
            self._write_block(state["pending"])
        # Rows that the saved buffer had already given up must not be drawn, or the sampling sequence would differ.
        self._first_row = max(self._first_row, state["first_row"])
        self._pending = {int(env_index): int(row) for env_index, row in state["lanes"]}
        self._count_transitions()

    def _pop_pending(self, caller: str, env_index: int) -> int:
        if not self.in_episode(env_index):
            raise RuntimeError(f"{caller}() without an episode in progress; call begin(observation) first")
        return self._pending.pop(env_index)

    def _append(self, observation: Observation, flags: int, previous: int) -> int:
        """Write a new row, over the oldest one where the ring is full; returns its number."""
        row = self._next_row
        slot = row % self.capacity
        if row - self._first_row == self.capacity:
            self._give_up_oldest()
        for entry in OBSERVATION:
            self._rows[entry.row_field][slot] = entry.newest(observation[entry.name])
        # Zeros until add() fills them in, so that equal runs leave equal bytes in every row.
        self._rows["action"][slot] = 0
        self._rows["reward"][slot] = 0
        self._rows["flags"][slot] = flags
        self._rows["previous"][slot] = previous
        self._rows["next"][slot] = 0
        self._next_row += 1
        return row

    def _give_up_oldest(self) -> None:
        """Forget the oldest row, and with it the transitions whose stack can no longer be rebuilt."""
        chain = [self._first_row]  # the transitions from the oldest row on, as many as a stack reaches
        while len(chain) <= STACK and (step := int(self._rows["next"][chain[-1] % self.capacity])):
            chain.append(chain[-1] + step)
        transitions = len(chain) - 1
        # After an episode's first row, the next three need it too. After a later one, those had lost their stack
        # before, with the row before it, and only the third from here on needs this one as its oldest.
        starts_episode = self._rows["previous"][self._first_row % self.capacity] == 0
        self._transitions -= transitions if starts_episode else int(transitions == STACK)
        self._first_row += 1

    def _count_transitions(self) -> None:
        rows = np.arange(self._first_row, self._next_row)
        kinds = self._rows["flags"][rows % self.capacity] & KIND
        self._transitions = int(np.count_nonzero((kinds == TRANSITION) & self._whole(rows)))

    def _write_block(self, block: Mapping[str, NDArray[Any]]) -> None:
        missing = SCHEMA.keys() - block.keys()
        if missing:
            raise ValueError(f"{min(missing)}: missing")
        count = len(block["flags"])
        for name, (dtype, shape) in SCHEMA.items():
            if block[name].dtype != dtype or block[name].shape != (count, *shape):
                raise ValueError(f"{name}: {block[name].dtype} {block[name].shape}, expected {dtype} {(count, *shape)}")
        kept = min(count, self.capacity)
        slots = np.arange(self._next_row + count - kept, self._next_row + count) % self.capacity
        for name, array in self._rows.items():
            array[slots] = block[name][count - kept :]
        self._next_row += count
        self._first_row = max(self._first_row, self._next_row - self.capacity)

    def _stacks(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B, 4): the rows that hold each row's frames, oldest first; an episode's first frame is repeated.

        Where the first column is below `first_row`, a frame is gone, and the column means nothing else.
        """
        stack = [rows]
        for _ in range(STACK - 1):
            stack.append(stack[-1] - self._rows["previous"][stack[-1] % self.capacity])
        return np.stack(stack[::-1], axis=1)

    def _whole(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(B,): whether all frames of each row's observation are there."""
        return self._stacks(rows)[:, 0] >= self._first_row

    def _draw(self, batch_size: int) -> NDArray[np.int64]:
        """Stacks of transitions that are whole; rows of no such transition are drawn again, which keeps it uniform."""
        drawn = np.empty((0, STACK), np.int64)
        while len(drawn) < batch_size:
            rows = self._generator.integers(self._first_row, self._next_row - 1, batch_size - len(drawn))
            stacks = self._stacks(rows)
            kinds = self._rows["flags"][rows % self.capacity] & KIND
            drawn = np.concatenate([drawn, stacks[(kinds == TRANSITION) & (stacks[:, 0] >= self._first_row)]])
        return drawn
